#include "room/mend.h"
#include "room/rooms.h"

#include "base/log.h"
#include "room/channel.h"

enum {
	/*
	 * Records of subscriptions, and blocks of them, that are looked at in
	 * each call. Larger: a damaged record is found sooner (a million
	 * records take minutes); smaller: less of each second is spent on it
	 * (50 us a call if none of them is cached).
	 */
	MEND_RECORDS = 1024,
	MEND_BLOCKS = 4096
};

/* Whether any record of a block is taken. */
static bool
mend_has_records(const struct chat *ch, uint32_t sub)
{
	return ch->rooms->subscriptions.block[sub / SHM_BLOCK].used >>
	    sub % SHM_BLOCK !=
	    0;
}

void
mend_sweep(struct chat *ch)
{
	uint32_t n = claim_end(&ch->rooms->subscriptions);
	uint32_t steps = 0, blocks = 0, seen, sub;
	uint32_t found[SUBSCRIPTION_UNCHAINED + 1] = {0};

	for (seen = 0; seen < n && steps < MEND_RECORDS && blocks < MEND_BLOCKS;
	     seen++) {
		sub = ch->rooms->record_at;
		if (mend_has_records(ch, sub)) {
			found[channel_mend(ch, sub, &steps)]++;
			sub++;
		} else { /* the rest of the block is free */
			sub = (sub | (SHM_BLOCK - 1)) + 1;
			blocks++;
		}
		ch->rooms->record_at = sub < n ? sub : 0;
	}
	if (found[SUBSCRIPTION_ORPHAN] > 0)
		log_warn("removed %u subscriptions whose connections are gone",
		    found[SUBSCRIPTION_ORPHAN]);
	if (found[SUBSCRIPTION_UNCHAINED] > 0)
		log_warn("%u subscriptions were missing from the lists of "
			 "their connections, mended",
		    found[SUBSCRIPTION_UNCHAINED]);
}
