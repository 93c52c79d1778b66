/* accuse: workers that send what none that works would. */
#ifndef CHATD_SRC_MASTER_ACCUSE_H
#define CHATD_SRC_MASTER_ACCUSE_H

#include <stdbool.h>

struct member;
struct message_accuse;

/* Counts a bad message, and kills who sends too many. */
void accuse_bad(struct member *w);
void accuse_born(struct member *w); /* a new process, with a clean record */
/* A worker says that of another. False: of none that lives. */
bool accuse_handle(struct member *w, const struct message_accuse *accuse);

#endif
