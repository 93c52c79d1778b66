/* address: what the text of an address says: how far it reaches, its host and
 * port. Layer 0, pure. */
#ifndef CHATD_BASE_ADDRESS_H
#define CHATD_BASE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

enum address_reach {
	ADDRESS_NONE,	  /* not an address: a name, or nonsense */
	ADDRESS_LOOPBACK, /* 127.0.0.0/8, ::1 */
	/* RFC 1918, RFC 4193, link-local: of one house or company. */
	ADDRESS_PRIVATE,
	ADDRESS_PUBLIC /* all others, and those that mean all addresses */
};

/* The reach of an IPv4 or IPv6 address of len bytes; IPv6 also in brackets,
 * with a zone, or with an IPv4 address mapped into it. Without a port. */
enum address_reach address_reach(const char *text, size_t len);

/* Bytes of the host in front of a ":" and whatever follows it: an IPv6 address
 * in brackets, with these, or what comes before the first ":". */
size_t address_host(const char *text, size_t len);

/* Bytes of "scheme://host:port" without a port that is the scheme's own: 80
 * for http, 443 for https. */
size_t address_origin(const char *origin, size_t len);

/* Whether two texts mean the same host and port: an origin, which has a scheme,
 * and a Host field, which has none. In both, the scheme's own port counts as
 * none. */
bool address_is_origin_of(
    const char *origin, size_t origin_len, const char *host, size_t host_len);

#endif
