/* exempt: addresses that are not counted as one, each as a prefix. */

#include <arpa/inet.h>
#include <string.h>

#include "conf/conf.h"
#include "parse.h"
#include "units.h"

enum { PREFIX_TEXT = 64, IPV4_AT = 96 /* bits before an IPv4 address */ };

/* An address as it is compared; its bits, or 0. */
static unsigned
prefix_address(const char *text, uint8_t out[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (inet_pton(AF_INET6, text, out) == 1)
		return 128;
	memcpy(out, mapped, sizeof(mapped));
	return inet_pton(AF_INET, text, out + sizeof(mapped)) == 1 ? 32 : 0;
}

/* Reads "10.0.0.0/8", "fc00::/7", or one address; false: it is none. */
static bool
prefix_read(const char *text, struct conf_prefix *out)
{
	char address[PREFIX_TEXT];
	size_t len = strcspn(text, "/");
	uint64_t bits;
	unsigned most;

	if (len >= sizeof(address))
		return false;
	memcpy(address, text, len);
	address[len] = '\0';
	most = prefix_address(address, out->address);
	bits = most;
	if (most == 0 ||
	    (text[len] == '/' &&
		(conf_parse_number(text + len + 1, &bits) == -1 ||
		    bits > most)))
		return false;
	out->bits = (uint8_t)(most == 32 ? bits + IPV4_AT : bits);
	return true;
}

/* Whether an address begins as a prefix does. */
static bool
prefix_has(const struct conf_prefix *p, const uint8_t address[16])
{
	unsigned whole = p->bits / 8, rest = p->bits % 8;

	return memcmp(p->address, address, whole) == 0 &&
	    (rest == 0 ||
		(p->address[whole] ^ address[whole]) >> (8 - rest) == 0);
}

/* Whether an address is not counted as one. */
bool
conf_is_exempt(const struct conf_live *live, const uint8_t address[16])
{
	for (int k = 0; k < live->n_exempt; k++)
		if (prefix_has(&live->exempt[k], address))
			return true;
	return false;
}

/* Adds a prefix; the first one takes the place of the default: loopback,
 * private and link-local addresses (RFC 1122, 1918, 3927, 4193, 4291), behind
 * one of which may be a proxy with a whole site behind it. */
const char *
conf_add_exempt(struct conf *c, const char *prefix)
{
	if (!c->exempt_set)
		c->live.n_exempt = 0;
	c->exempt_set = true;
	if (strcmp(prefix, "none") == 0)
		return NULL;
	if (c->live.n_exempt == CONF_PREFIXES_MAX)
		return conf_complain(
		    "limit-exempt: more than %d addresses", CONF_PREFIXES_MAX);
	if (!prefix_read(prefix, &c->live.exempt[c->live.n_exempt]))
		return conf_complain("limit-exempt: \"%s\" is not none, an "
				     "address, or like 192.0.2.0/24 or "
				     "2001:db8::/32",
		    prefix);
	c->live.n_exempt++;
	return NULL;
}
