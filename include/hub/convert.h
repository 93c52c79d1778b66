/*
 * convert: memory that a program of another layout has made, or of other sizes,
 * copied by name into memory of this program's. Layer 2.
 *
 * The old memory is read by its print (print.h) and changed in nothing; workers
 * may have written anything into it, so every number is checked before use.
 * What both layouts name is copied, numbers of another width are widened, or
 * narrowed if they fit; what only the new one has is zero; what only the old
 * one had is dropped. Values of enums and bits go by name, too. What leads from
 * one record to another (chunks, pages, blocks, the index of names, the rings)
 * is built anew from the connections' records and the journal.
 *
 * All workers must have retired before convert_run(); keepers may live.
 */
#ifndef CHATD_HUB_CONVERT_H
#define CHATD_HUB_CONVERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/shm.h"

struct convert;

/* What went over. */
struct convert_result {
	uint32_t connections, subscriptions, entries;
	uint32_t spoilt;   /* connections whose records make no sense */
	uint64_t messages; /* of the journal */
};

enum { CONVERT_TABLES_MAX = 4096 }; /* bytes of `tables`, its end included */

/*
 * Maps the old memory for reading and pairs the two layouts. `print` has the
 * old one in lines that begin with `prefix`; `tables` are lines of this
 * program's own, of what the hub does not know: groups "enum door" of the
 * doors, framings and transports by number. NULL with a message: it cannot be
 * understood, or this program does not know what it needs of it.
 */
struct convert *convert_open(int fd, const char *print, const char *prefix,
    const char *tables, char *error, size_t error_len);

/* Whether a number of the print's tables means something else in this program,
 * so that memory of the same layout has to be copied, too. */
bool convert_tables_differ(
    const char *print, const char *prefix, const char *tables);
void convert_close(struct convert *c);

/* Whether what is used now fits into memory of those limits, and this program
 * has what connections use; false with a message that has the figures. */
bool convert_fits(struct convert *c, const struct hub_limits *limits,
    char *error, size_t error_len);

/* Bytes that the old memory has touched: the new one takes about as many. */
uint64_t convert_bytes(const struct convert *c);

/* Makes memory in an empty file and touches what the copy will fill, as far as
 * that can be known while workers run. Returns 0, or -1 with a message. */
int convert_prepare(struct convert *c, int fd, const struct hub_limits *limits,
    const uint8_t hash_key[16], char *error, size_t error_len);

/* Copies everything into it, and proves that it can be taken over. Returns 0,
 * or -1 with a message: the new memory is of no use then. */
int convert_run(
    struct convert *c, struct convert_result *r, char *error, size_t error_len);

#endif
