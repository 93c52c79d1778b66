/* presence_event: what presence tells and asks readers of the journal. */
#include "base/clock.h"
#include "hub/journal.h"
#include "hub/presence.h"
#include "mask.h"

bool
presence_tell(struct hub *h, uint32_t e, uint64_t mask)
{
	bool user = presence_is_user(h, e);
	struct presence_view v;
	struct publication p;

	if (!presence_read(h, e, &v))
		return false;
	p = (struct publication){.mask = mask,
	    .channel = e,
	    .time_ms = clock_wall_coarse_ms(),
	    .format = mask != 0 ? (user ? FORMAT_ONLINE : FORMAT_OCCUPIED)
				: (user ? FORMAT_OFFLINE : FORMAT_VACATED),
	    .data = v.name,
	    .data_len = v.name_len};
	journal_append_event(h, &p, h->events, 0);
	return true;
}

void
presence_ask(struct hub *h, uint32_t e, uint8_t opener, enum open_ask ask)
{
	struct presence_view v;
	struct publication p;

	if (!presence_read(h, e, &v))
		return;
	p = (struct publication){.channel = e,
	    .time_ms = clock_wall_coarse_ms(),
	    .format = FORMAT_OPEN,
	    .asks = ask,
	    .required = opener,
	    .data = v.name,
	    .data_len = v.name_len};
	if (journal_is_behind(h, opener, publication_bytes(&p)))
		SHM_STORE(h->entry[e].flags,
		    PRESENCE_WARM(v.flags, PRESENCE_OPENING));
	else
		journal_append_event(h, &p, opener, 0);
}
