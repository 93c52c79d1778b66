/* address: how far an address reaches. */
#include "base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The reach of an IPv4 address in host order. */
static enum address_reach
address_reach_v4(uint32_t a)
{
	if (a >> 24 == IN_LOOPBACKNET)
		return ADDRESS_LOOPBACK;
	if (a >> 24 == 10 ||	 /* 10.0.0.0/8 */
	    a >> 20 == 0xac1 ||	 /* 172.16.0.0/12 */
	    a >> 16 == 0xc0a8 || /* 192.168.0.0/16 */
	    a >> 16 == 0xa9fe)	 /* 169.254.0.0/16, link-local */
		return ADDRESS_PRIVATE;
	return ADDRESS_PUBLIC;
}

/* The reach of an IPv6 address. */
static enum address_reach
address_reach_v6(const struct in6_addr *a)
{
	uint32_t four;

	if (IN6_IS_ADDR_V4MAPPED(a)) {
		memcpy(&four, a->s6_addr + 12, sizeof(four));
		return address_reach_v4(ntohl(four));
	}
	if (IN6_IS_ADDR_LOOPBACK(a))
		return ADDRESS_LOOPBACK;
	if ((a->s6_addr[0] & 0xfe) == 0xfc || IN6_IS_ADDR_LINKLOCAL(a))
		return ADDRESS_PRIVATE;
	return ADDRESS_PUBLIC;
}

enum address_reach
address_reach(const char *text, size_t len)
{
	char copy[INET6_ADDRSTRLEN];
	const char *zone;
	struct in6_addr six;
	struct in_addr four;

	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (len > 0 && (zone = memchr(text, '%', len)) != NULL &&
	    memchr(text, ':', (size_t)(zone - text)) != NULL)
		len = (size_t)(zone - text);
	if (len == 0 || len >= sizeof(copy) || memchr(text, '\0', len) != NULL)
		return ADDRESS_NONE;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (inet_pton(AF_INET, copy, &four) == 1)
		return address_reach_v4(ntohl(four.s_addr));
	if (inet_pton(AF_INET6, copy, &six) == 1)
		return address_reach_v6(&six);
	return ADDRESS_NONE;
}
