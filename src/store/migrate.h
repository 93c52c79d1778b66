/* migrate: brings an older database to this version: first a copy of it, then
 * all steps in one transaction. */
#ifndef CHATD_STORE_MIGRATE_H
#define CHATD_STORE_MIGRATE_H

#include "database.h"

/* What makes a database of one version one of the next: statements. */
struct migrate_step {
	int from;
	const char *sql;
};

/* Those that there are, one without sql behind the last. */
extern const struct migrate_step migrate_steps[];

/* From a version to a later one; STORE_NONE: no step leads there. A copy of the
 * database as it was is beside it, PATH.v1-TIME. */
enum store_result
migrate(struct store *s, int from, int to, const struct migrate_step *steps);

#endif
