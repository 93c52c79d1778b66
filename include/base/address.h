/* address: how far an address reaches, told from its text. Layer 0, pure. */
#ifndef CHATD_BASE_ADDRESS_H
#define CHATD_BASE_ADDRESS_H

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

#endif
