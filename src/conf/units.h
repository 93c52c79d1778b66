/*
 * units: numbers, sizes and times as people write them. Private to src/conf.
 */
#ifndef CHATD_CONF_UNITS_H
#define CHATD_CONF_UNITS_H

#include <stdint.h>

#define K 1024ULL
#define M (1024 * K)
#define G (1024 * M)
#define SECOND 1000ULL
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)

enum { UNITS_TEXT = 24 }; /* bytes of a size or time as text */

/* Reads leading digits; returns what follows them, or NULL. */
const char *conf_parse_digits(const char *text, uint64_t *value);

/* Decimal digits and nothing else. -1 when malformed or above 2^64 - 1. */
int conf_parse_number(const char *text, uint64_t *value);

/* Bytes in the largest unit that leaves no rest, "64K"; as conf_parse_size()
 * reads it. Returns out. */
const char *units_size(uint64_t bytes, char out[UNITS_TEXT]);

/* Milliseconds in the largest such unit, "1h", "90s", "10ms", "0"; but one
 * minute is "60s". As conf_parse_time() reads it. Returns out. */
const char *units_time(uint64_t ms, char out[UNITS_TEXT]);

#endif
