/* settings: what all of the tests' kinds do when a reload brings others. */
#ifndef CHATD_TESTS_SETTINGS_H
#define CHATD_TESTS_SETTINGS_H

#include "base/log.h"
#include "process/child.h"

/* As they were seen last. */
struct settings {
	const struct conf_live *live;
	uint32_t message_size;
};

/* Says so if they are others. */
static inline void
settings_look(struct settings *s, const struct child_start *start)
{
	if (s->live != NULL && s->message_size != start->live->message_size)
		log_info("message-size is %u", start->live->message_size);
	s->live = start->live;
	s->message_size = start->live->message_size;
}

#endif
