/* page: the web page's image. */
#ifndef CHATD_SRC_MASTER_PAGE_H
#define CHATD_SRC_MASTER_PAGE_H

#include <stdbool.h>

struct bundle;
struct master;

/* Before the first fork: takes it from a bundle, or serves what is built in;
 * `stuck` is what was waited for in vain. */
void page_boot(struct master *m, const struct bundle *b, const char *stuck);
/* Serves what a bundle has; false: it has none, or that cannot be mapped. */
bool page_take(struct master *m, const struct bundle *b);
void page_drop(struct master *m); /* its descriptor */

#endif
