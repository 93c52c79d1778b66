/* domain: a host as browsers write it. Private to src/conf. */
#ifndef CHATD_CONF_DOMAIN_H
#define CHATD_CONF_DOMAIN_H

#include <stdbool.h>
#include <stddef.h>

enum {
	DOMAIN_MAX = 253, /* bytes of a name in ASCII */
	/* Bytes of one as it is written, in UTF-8. Larger: the stack; smaller:
	 * long names of other scripts. */
	DOMAIN_TEXT_MAX = 1024
};

/*
 * Writes a host of len bytes, a name in any script, an IPv4 address or an IPv6
 * address in brackets, as browsers send it. Returns NULL, or what is wrong (a
 * text that lives until the next call).
 */
const char *
domain_normalize(const char *text, size_t len, char out[DOMAIN_MAX + 1]);

/* Whether a host, written so, is an address. */
bool domain_is_address(const char *domain);

/*
 * Whether a text is what a mask says, in whatever case of letters. If "*."
 * stands at `head` of the mask, it stands for one or more labels and a dot.
 */
bool domain_fits(const char *mask, size_t head, const char *text, size_t len);

#endif
