/* schema: which tables there are, chatd-store(5); and which version of them a
 * file has. */
#ifndef CHATD_STORE_SCHEMA_H
#define CHATD_STORE_SCHEMA_H

#include "database.h"

enum schema_state {
	SCHEMA_NEW,	/* there is nothing in it */
	SCHEMA_OK,	/* of this version */
	SCHEMA_OLD,	/* of an older one */
	SCHEMA_REFUSED, /* of a newer one, or another program's */
	SCHEMA_FAILED	/* it cannot be read; noted */
};

/* What it is: *version. The line for SCHEMA_REFUSED goes to s->error. */
enum schema_state schema_look(struct store *s, int *version);

/* What the first bytes of a file say, as schema_look(). */
enum { SCHEMA_HEADER = 100 };
enum schema_state schema_look_header(const unsigned char header[SCHEMA_HEADER],
    const char *path, char *error, size_t error_len);

/* Makes all tables, in a transaction of its own. */
enum store_result schema_make(struct store *s);

#endif
