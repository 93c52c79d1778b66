/* mark: how far the database has come. */
#ifndef CHATD_STORE_MARK_H
#define CHATD_STORE_MARK_H

#include "database.h"

/* As the last commit left it, and how many rows there are. */
enum store_result mark_read(struct store *s, struct store_mark *mark);

#endif
