/* units: numbers, sizes and times as people write them. */

#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "units.h"

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

/* Milliseconds: digits and ms, s, m, h or d; only 0 needs no unit. */
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
		unit = MINUTE;
	else if (strcmp(rest, "h") == 0)
		unit = HOUR;
	else if (strcmp(rest, "d") == 0)
		unit = 24 * HOUR;
	else if (*rest == '\0' && v == 0)
		unit = 1;
	else
		return -1;
	if (__builtin_mul_overflow(v, unit, &v))
		return -1;
	*ms = v;
	return 0;
}

const char *
units_size(uint64_t bytes, char out[UNITS_TEXT])
{
	static const char names[] = {'\0', 'K', 'M', 'G', '\0'};
	int unit = 0;

	while (bytes > 0 && bytes % K == 0 && names[unit + 1] != '\0') {
		bytes /= K;
		unit++;
	}
	snprintf(out, UNITS_TEXT, "%llu%.1s", (unsigned long long)bytes,
	    &names[unit]);
	return out;
}

const char *
units_time(uint64_t ms, char out[UNITS_TEXT])
{
	const char *unit = "ms";

	if (ms == 0)
		unit = "";
	else if (ms % HOUR == 0)
		unit = "h", ms /= HOUR;
	else if (ms % MINUTE == 0 && ms != MINUTE)
		unit = "m", ms /= MINUTE;
	else if (ms % SECOND == 0)
		unit = "s", ms /= SECOND;
	snprintf(out, UNITS_TEXT, "%llu%s", (unsigned long long)ms, unit);
	return out;
}
