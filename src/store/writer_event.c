/* writer_event: what has happened to users and channels, and to chatd. */
#include "base/clock.h"
#include "writer.h"

enum store_result
writer_event(struct writer *w, const struct publication *p)
{
	return store_take(w->store, NULL, p);
}

enum store_result
writer_event_own(struct writer *w, const char *kind)
{
	return STORE_OK;
}
