/* access: whether anybody may come in without proof of who he is. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "conf/conf.h"

/* Whether an address "host:port" is on loopback. */
static bool
address_is_loopback(const char *address)
{
	const char *colon = strrchr(address, ':');
	struct in6_addr six;
	struct in_addr four;
	char host[64];
	size_t len;

	if (colon == NULL)
		return false;
	len = (size_t)(colon - address);
	if (len >= 2 && address[0] == '[' && colon[-1] == ']') {
		address++;
		len -= 2;
	}
	if (len >= sizeof(host))
		return false;
	memcpy(host, address, len);
	host[len] = '\0';
	if (strcasecmp(host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, host, &four) == 1)
		return ntohl(four.s_addr) >> 24 == IN_LOOPBACKNET;
	return inet_pton(AF_INET6, host, &six) == 1 &&
	    IN6_IS_ADDR_LOOPBACK(&six);
}

/* Whether all listeners are on loopback. */
bool
conf_loopback(const struct conf *c)
{
	int i;

	for (i = 0; i < c->n_listen; i++)
		if (!address_is_loopback(c->listen[i]))
			return false;
	return c->n_listen > 0;
}

/* Whether anybody may connect under any name. */
bool
conf_insecure(const struct conf *c)
{
	if (c->live.insecure_set)
		return c->live.insecure;
	return c->live.token_key[0] == '\0' && conf_loopback(c);
}
