/* clean: living workers go on for a dead one that has no replacement yet. */
#ifndef CHATD_SRC_MASTER_CLEAN_H
#define CHATD_SRC_MASTER_CLEAN_H

#include <stdbool.h>
#include <stdint.h>

struct member;
struct message_cleaned;

/* For the answer to MSG_CLEAN and MSG_ADOPT, since the last connection that was
 * taken up. Who hangs meanwhile is the watchdog's. */
enum { CLEANED_MS = 30000 };

/* Has another worker go on with a dead worker's connections while there is no
 * replacement. */
void clean_assign(struct member *dead);
/* The worker of this place is gone: finds others for what it was to go on with.
 */
void clean_reassign(struct member *w);
/* A worker has gone on for another, as far as it could; false: it was not
 * asked. */
bool clean_done(struct member *w, const struct message_cleaned *clean);
void clean_time(struct member *dead, uint64_t now);

#endif
