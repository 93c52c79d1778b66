#include "owed.h"

#include "codec/message.h"
#include "net/link.h"
#include "private.h"
#include "process/child.h"

/* Writes a child's settings; returns the length. */
static size_t
owed_conf(const struct child *c, char out[CONF_LIVE_MAX])
{
	static struct conf_live bare;
	const struct conf_live *live = &c->master->live;

	if (c->kind == NULL || (c->kind->gets & CHILD_SECRETS) == 0) {
		bare = *live;
		conf_live_bare(&bare);
		live = &bare;
	}
	return conf_live_write(live, out);
}

void
owed_send(struct child *c)
{
	static const uint32_t type[] = {MSG_CONF, MSG_DRAIN, MSG_START,
	    MSG_RETIRE, MSG_QUIT, MSG_STOP, MSG_PAGE, MSG_PART, MSG_RETIRE};
	const struct master *m = c->master;
	const struct message_retire retire = {.hold = 1};
	struct message_drain drain;
	static char conf[CONF_LIVE_MAX];
	const void *payload;
	size_t len;

	for (size_t i = 0; i < sizeof(type) / sizeof(type[0]); i++) {
		if ((c->owed & 1u << i) == 0 ||
		    (type[i] == MSG_PAGE && m->page == -1))
			continue;
		payload = NULL;
		len = 0;
		if (type[i] == MSG_CONF) {
			payload = conf;
			len = owed_conf(c, conf);
		} else if (type[i] == MSG_DRAIN) {
			drain.rate =
			    m->drain_rate * 1000 / (uint32_t)m->n_workers;
			payload = &drain;
			len = sizeof(drain);
		} else if (1u << i == OWED_HOLD) {
			payload = &retire;
			len = sizeof(retire);
		}
		if (link_send(c->link, type[i], payload, len,
			type[i] == MSG_PAGE ? m->page : -1) == -1)
			return; /* full: later; gone: it does not matter */
		c->owed &= ~(1u << i);
	}
}

void
owed_add(struct child *c, unsigned what)
{
	if (c->link == -1)
		return;
	c->owed |= what;
	owed_send(c);
}
