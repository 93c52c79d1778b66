/* stored: whether what channels want stored goes with how chatd stores. */

#include "parse.h"

const char *
conf_store_judge(const struct conf *c, const struct conf *running)
{
	const struct conf_channel *ch = c->live.channel;

	if (running->store == NULL ||
	    running->store_sync == CONF_STORE_SYNC_FULL)
		return NULL;
	for (int i = 0; i < c->live.n_channels; i++, ch++)
		if (ch->store >= CONF_STORE_ACK)
			return conf_complain(
			    "channel \"%s\": store %s promises that a message "
			    "is on the disk, which store-sync normal does not "
			    "wait for; set store-sync full (a restart) or "
			    "store yes",
			    ch->pattern,
			    ch->store == CONF_STORE_ACK ? "ack" : "strict");
	return NULL;
}

const struct conf_channel *
conf_store_wanted(const struct conf_live *live)
{
	const struct conf_channel *ch = live->channel;

	for (int i = 0; i < live->n_channels; i++, ch++)
		if (ch->store != CONF_STORE_NO)
			return ch;
	return NULL;
}
