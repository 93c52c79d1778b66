/* validity: until when the certificates are good that are served, as those say
 * who have read them, and that an end which comes near is told in the log. */
#ifndef CHATD_SRC_MASTER_VALIDITY_H
#define CHATD_SRC_MASTER_VALIDITY_H

#include <stdbool.h>
#include <stdint.h>

#include "codec/message.h"

struct master;

/* Of the set of processes that serves. */
struct validity {
	struct message_until until;
	char *path[MESSAGE_FILES]; /* of the certificates */
	uint32_t set;		   /* whose that is; 0: nobody's */
	bool untold;	  /* what was read was not judged by another process */
	uint64_t tell_ms; /* when an end that is near is told next */
};

/* One of a set that serves has said it. */
void validity_note(
    struct master *m, uint32_t set, const struct message_until *until);
/* Tells what has ended or is about to, once a day. */
void validity_time(struct master *m, uint64_t now);
/* When the first of the certificates ends, seconds since 1970; 0: there is
 * none, or it is not known. */
int64_t validity_first(const struct master *m);
void validity_free(struct validity *v);

#endif
