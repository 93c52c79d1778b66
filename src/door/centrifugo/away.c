/* What came for a user while that one was away, as clients get it that know no
 * position in the user's own channel: with the reply to connect. */
#include "room/away.h"

#include "centrifugo.h"

/* Besides its data, what a publication has in a reply. */
enum { AWAY_ABOUT = 512 };

static struct away_found news;

enum centrifugo_error
away_find_waits(struct chat *ch, const struct channel_position *at)
{
	/* what cannot be found now is told another time */
	return away_find(ch, at, false, &news) == PAST_WAITS ? C_WAITS : C_OK;
}

/* How many of the newest fit into a reply, at least one. */
static uint32_t
away_fit(struct chat *ch)
{
	struct publication p;
	size_t bytes = 0;
	uint32_t n;

	for (n = 0; n < news.n; n++) {
		if (!past_read(ch, &news.past, n, &p))
			continue;
		bytes += AWAY_ABOUT + p.data_len + p.info_len + p.sub_info_len +
		    p.tags_len;
		if (n > 0 && bytes > ch->live.queue_bytes / 2)
			break;
	}
	return n;
}

bool
put_away(
    struct chat *ch, struct json_writer *w, const struct channel_position *at)
{
	struct publication p;
	uint32_t n;

	if (away_find(ch, at, true, &news) != PAST_OK)
		return false;
	n = away_fit(ch);
	if (news.more || n < news.n) {
		json_put_name(w, "was_recovering"); /* and not recovered */
		json_put_bool(w, true);
		return false;
	}
	if (n == 0)
		return true;
	json_put_name(w, "publications");
	json_open(w, '[');
	for (; n > 0; n--)
		if (past_read(ch, &news.past, n - 1, &p))
			put_publication(w, &p);
	json_close(w, ']');
	json_put_name(w, "recovered"); /* else the SDK passes over them */
	json_put_bool(w, true);
	return true;
}
