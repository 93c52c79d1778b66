/* domain: a host as browsers write it in Origin and Host: in small letters, in
 * Punycode, addresses in their one form (WHATWG URL, host parsing). */
#include "domain.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <idn2.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

enum { LABEL_MAX = 63 }; /* bytes; RFC 1035 section 2.3.4 */

/* An IPv6 address without its brackets. */
static const char *
domain_take_v6(const char *text, char out[DOMAIN_MAX + 1])
{
	char four[INET6_ADDRSTRLEN];
	struct in6_addr a;

	if (inet_pton(AF_INET6, text, &a) != 1)
		return conf_complain("\"[%.64s]\" is not an address", text);
	/* Browsers write the last four bytes in hexadecimal, too. */
	if (IN6_IS_ADDR_V4MAPPED(&a))
		snprintf(out, DOMAIN_MAX + 1, "[::ffff:%x:%x]",
		    a.s6_addr[12] << 8 | a.s6_addr[13],
		    a.s6_addr[14] << 8 | a.s6_addr[15]);
	else
		snprintf(out, DOMAIN_MAX + 1, "[%s]",
		    inet_ntop(AF_INET6, &a, four, sizeof(four)));
	return NULL;
}

/* Whether the last label is a number, which makes the whole an address. */
static bool
domain_is_number(const char *text)
{
	const char *dot = strrchr(text, '.'), *last = dot ? dot + 1 : text;

	if (last[0] == '0' && last[1] == 'x')
		return last[2 + strspn(last + 2, "0123456789abcdef")] == '\0';
	return *last != '\0' && last[strspn(last, "0123456789")] == '\0';
}

/* What is wrong with the labels of a name in ASCII; NULL: nothing. */
static const char *
domain_judge(const char *name)
{
	const char *label = name;
	size_t n;

	if (strlen(name) > DOMAIN_MAX)
		return conf_complain(
		    "a host of more than %d bytes", DOMAIN_MAX);
	do {
		n = strcspn(label, ".");
		if (n == 0 && (label[0] != '\0' || label == name))
			return conf_complain(
			    "\"%.64s\" has an empty part between dots", name);
		if (n > LABEL_MAX)
			return conf_complain(
			    "a part of more than %d bytes between dots",
			    LABEL_MAX);
		label += n;
	} while (*label++ == '.');
	return NULL;
}

/* A copy of a name in ASCII, which is freed by the caller; NULL: it is no name.
 * One that is ASCII already may have what names of other letters may not. */
static char *
domain_punycode(const char *text)
{
	uint8_t *ascii = NULL;
	const char *p = text;

	while ((unsigned char)*p < 0x80 && *p != '\0')
		p++;
	if (*p == '\0')
		return strdup(text);
	if (idn2_lookup_u8((const uint8_t *)text, &ascii,
		IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
		return NULL;
	return (char *)ascii;
}

/* A name, or an IPv4 address in any of its forms. */
static const char *
domain_take_name(const char *text, char out[DOMAIN_MAX + 1])
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
	char *ascii = domain_punycode(text), *p;
	struct in_addr four;
	const char *wrong;

	if (ascii == NULL)
		return conf_complain("\"%.64s\" is not a name, or one that has "
				     "to be written as xn--",
		    text);
	for (p = ascii; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	if (ascii[strspn(ascii, good)] != '\0')
		wrong = conf_complain("\"%.64s\" has a character that no host "
				      "has",
		    text);
	else
		wrong = domain_judge(ascii);
	if (wrong == NULL)
		strlcpy(out, ascii, DOMAIN_MAX + 1);
	free(ascii);
	if (wrong != NULL || !domain_is_number(out))
		return wrong;
	if (inet_aton(out, &four) == 0)
		return conf_complain("\"%.64s\" is not an address", text);
	inet_ntop(AF_INET, &four, out, DOMAIN_MAX + 1);
	return NULL;
}

const char *
domain_normalize(const char *text, size_t len, char out[DOMAIN_MAX + 1])
{
	char copy[DOMAIN_TEXT_MAX];

	if (len == 0)
		return conf_complain("the host is missing");
	if (len >= sizeof(copy))
		return conf_complain(
		    "a host of more than %d bytes", DOMAIN_MAX);
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (copy[0] != '[')
		return domain_take_name(copy, out);
	if (copy[len - 1] != ']')
		return conf_complain("\"%.64s\" is not an address", copy);
	copy[len - 1] = '\0';
	return domain_take_v6(copy + 1, out);
}

bool
domain_is_address(const char *domain)
{
	struct in_addr four;

	return domain[0] == '[' || inet_pton(AF_INET, domain, &four) == 1;
}

/* Whether a text is what "*" may stand for: whole labels, one or more. */
static bool
domain_is_labels(const char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i] == '.' ? i == 0 || p[i - 1] == '.' || i == len - 1
				: !isalnum((unsigned char)p[i]) &&
			    p[i] != '-' && p[i] != '_')
			return false;
	return len > 0;
}

bool
domain_fits(const char *mask, size_t head, const char *text, size_t len)
{
	const char *tail = mask + head + 1; /* behind the star */
	size_t tail_len;

	if (strncmp(mask + head, "*.", 2) != 0)
		return strlen(mask) == len && strncasecmp(mask, text, len) == 0;
	tail_len = strlen(tail);
	return len > head + tail_len && strncasecmp(mask, text, head) == 0 &&
	    strncasecmp(tail, text + len - tail_len, tail_len) == 0 &&
	    domain_is_labels(text + head, len - head - tail_len);
}
