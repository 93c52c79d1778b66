/* writer_event: what has happened to users and channels, and to chatd. */
#include "base/clock.h"
#include "writer.h"

enum store_result
writer_event(struct writer *w, const struct publication *p)
{
	struct store_channel *c = NULL;
	enum store_result r = STORE_OK;

	if (p->format == FORMAT_JOIN || p->format == FORMAT_LEAVE)
		c = writer_channel_of(w, p->channel, p->epoch, &r);
	return r == STORE_OK ? store_take(w->store, c, p) : r;
}

enum store_result
writer_event_own(struct writer *w, const char *kind)
{
	return store_event(w->store, kind, clock_wall_ms());
}
