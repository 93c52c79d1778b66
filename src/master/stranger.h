/*
 * stranger: children that the master did not make. A worker that was taken over
 * by an attacker could leave one that shares its table of descriptors; as this
 * process is the reaper of all that its children leave behind, it is found
 * among its own.
 */
#ifndef CHATD_SRC_MASTER_STRANGER_H
#define CHATD_SRC_MASTER_STRANGER_H

struct master;

/* Kills them. Returns how many there are: a child that a keeper is just making
 * is one until its pid is in a page, so who was not seen before is only
 * remembered. */
int stranger_hunt(struct master *m);
/* This process reaps what its children leave behind. */
void stranger_adopt(void);

#endif
