/* tickets: the ring of keys for session tickets: in a memory file that all
 * beginners of all sets read, over reloads and upgrades. The keys are never
 * written anywhere else. */
#ifndef CHATD_SRC_MASTER_TICKETS_H
#define CHATD_SRC_MASTER_TICKETS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct beginners;
struct master;

/* Makes it, if there is none. Returns 0, or -1 and errno: clients go without.
 */
int tickets_make(struct master *m);
void tickets_time(struct master *m, uint64_t now); /* every timer period */
void tickets_drop(struct beginners *b);

void tickets_save(const struct beginners *b, FILE *f);
bool tickets_load(struct beginners *b, const char *text);

#endif
