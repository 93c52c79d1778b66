/* accuse: workers, and readers of the journal, that workers complain of. */
#ifndef CHATD_SRC_MASTER_ACCUSE_H
#define CHATD_SRC_MASTER_ACCUSE_H

#include <stdbool.h>

struct member;
struct message_accuse;

void accuse_born(struct member *w); /* a new process, with a clean record */
/* A worker accuses another process. False: the accused does not live. */
bool accuse_handle(struct member *w, const struct message_accuse *accuse);

#endif
