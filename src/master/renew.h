/* renew: replacing a worker that lives. */
#ifndef CHATD_SRC_MASTER_RENEW_H
#define CHATD_SRC_MASTER_RENEW_H

#include <stdbool.h>
#include <stdint.h>

struct control_wait;
struct master;
struct member;

/* wait: who is told how it went (NULL: nobody). */
void renew_worker(struct member *w, struct control_wait *wait);
void renew_time(struct member *w, uint64_t now);
/* The worker of this place is ready. */
void renew_ready(struct member *w);
/* Tells who waits that it cannot be done. */
void renew_refuse(struct member *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void renew_all(struct master *m);	/* with their keepers, one by one */
int renew_left(const struct master *m); /* of those */
void renew_next(struct master *m, uint64_t now);

#endif
