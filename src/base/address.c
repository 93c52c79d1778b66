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

size_t
address_host(const char *text, size_t len)
{
	const char *end;

	if (len > 0 && text[0] == '[') {
		end = memchr(text, ']', len);
		return end != NULL ? (size_t)(end + 1 - text) : len;
	}
	end = memchr(text, ':', len);
	return end != NULL ? (size_t)(end - text) : len;
}

/* A scheme and the port that it has by itself. */
static const struct address_scheme {
	const char *name, *port;
} address_schemes[] = {{"http://", ":80"}, {"https://", ":443"}};

/* The scheme of an origin; NULL: neither, or nothing behind it. */
static const struct address_scheme *
address_scheme(const char *origin, size_t len)
{
	for (size_t k = 0; k < 2; k++) {
		const size_t n = strlen(address_schemes[k].name);

		if (len > n &&
		    strncasecmp(origin, address_schemes[k].name, n) == 0)
			return &address_schemes[k];
	}
	return NULL;
}

/* Bytes of a text without a port at its end. */
static size_t
address_without(const char *text, size_t len, const char *port)
{
	const size_t n = strlen(port);

	return len > n && memcmp(text + len - n, port, n) == 0 ? len - n : len;
}

size_t
address_origin(const char *origin, size_t len)
{
	const struct address_scheme *scheme = address_scheme(origin, len);
	size_t n;

	if (scheme == NULL)
		return len;
	n = strlen(scheme->name);
	return n + address_without(origin + n, len - n, scheme->port);
}

bool
address_is_origin_of(
    const char *origin, size_t origin_len, const char *host, size_t host_len)
{
	const struct address_scheme *scheme =
	    address_scheme(origin, origin_len);
	size_t n;

	if (scheme == NULL)
		return false;
	n = strlen(scheme->name);
	origin += n;
	origin_len = address_without(origin, origin_len - n, scheme->port);
	host_len = address_without(host, host_len, scheme->port);
	return origin_len == host_len &&
	    strncasecmp(origin, host, host_len) == 0;
}
