/* clean: what a dead worker left that nothing goes on with. Layer 4. */
#ifndef CHATD_TAKEOVER_CLEAN_H
#define CHATD_TAKEOVER_CLEAN_H

struct hub;

/* Clears what a dead worker left in presence, slots and pools, and logs who
 * left with it. Can be repeated. */
void chat_clean(struct hub *h, int worker);

#endif
