/* units: numbers, sizes and times as people write them. */

#include <string.h>

#include "conf/conf.h"
#include "parse.h"

#define K 1024ULL
#define M (1024 * K)
#define G (1024 * M)
#define SECOND 1000ULL
#define HOUR (3600 * SECOND)

/* Reads leading digits; returns what follows them, or NULL. */
const char *
conf_parse_digits(const char *text, uint64_t *value)
{
	uint64_t v = 0;
	const char *p;

	for (p = text; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return NULL;
	*value = v;
	return p == text ? NULL : p;
}

/* A plain decimal number. */
int
conf_parse_number(const char *text, uint64_t *value)
{
	const char *rest;
	uint64_t v;

	if ((rest = conf_parse_digits(text, &v)) == NULL || *rest != '\0')
		return -1;
	*value = v;
	return 0;
}

/* Bytes: digits and K, M, G or nothing. */
int
conf_parse_size(const char *text, uint64_t *bytes)
{
	const char *rest;
	uint64_t v, unit;

	if ((rest = conf_parse_digits(text, &v)) == NULL)
		return -1;
	if (strcmp(rest, "") == 0)
		unit = 1;
	else if (strcmp(rest, "K") == 0)
		unit = K;
	else if (strcmp(rest, "M") == 0)
		unit = M;
	else if (strcmp(rest, "G") == 0)
		unit = G;
	else
		return -1;
	if (__builtin_mul_overflow(v, unit, &v))
		return -1;
	*bytes = v;
	return 0;
}

/* Milliseconds: digits and ms, s, m or h; only 0 needs no unit. */
int
conf_parse_time(const char *text, uint64_t *ms)
{
	const char *rest;
	uint64_t v, unit;

	if ((rest = conf_parse_digits(text, &v)) == NULL)
		return -1;
	if (strcmp(rest, "ms") == 0)
		unit = 1;
	else if (strcmp(rest, "s") == 0)
		unit = SECOND;
	else if (strcmp(rest, "m") == 0)
		unit = 60 * SECOND;
	else if (strcmp(rest, "h") == 0)
		unit = HOUR;
	else if (*rest == '\0' && v == 0)
		unit = 1;
	else
		return -1;
	if (__builtin_mul_overflow(v, unit, &v))
		return -1;
	*ms = v;
	return 0;
}
