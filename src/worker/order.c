/* order: publications that this worker makes for the master, each once, and its
 * answers. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "room/publish.h"
#include "codec/message.h"
#include "hub/journal.h"
#include "hub/presence.h"
#include "net/link.h"
#include "private.h"

/* Answers that the master does not have yet: the link was full. */
static struct {
	struct message_done done[ORDERS_MAX];
	uint32_t n;
} untold;

/* Whether another worker did it before it died. */
static bool
order_done_before(const struct hub *h, const struct message_order *order)
{
	uint64_t tail = journal_tail(h), at = journal_oldest(h);
	struct publication p;

	if (!order->again)
		return false;
	if (at <= order->since)
		at = order->since + 1;
	for (; at <= tail && at != 0; at++)
		if (journal_peek(h, at, &p) == JOURNAL_OK &&
		    publication_order(&p) == order->number)
			return true;
	return false;
}

/* Answers, at once or in a later turn. */
static void
order_answer(struct worker *w, const struct message_done *done)
{
	if (untold.n == ORDERS_MAX) {
		log_error("master: more orders than it has");
		return;
	}
	untold.done[untold.n++] = *done;
	order_turn(w);
}

void
order_turn(struct worker *w)
{
	while (untold.n > 0) {
		if (link_send(w->start->control, MSG_DONE, &untold.done[0],
			sizeof(untold.done[0]), -1) < 0) {
			if (errno == EAGAIN)
				return;
			log_error("master: %s", strerror(errno));
		}
		untold.n--;
		memmove(&untold.done[0], &untold.done[1],
		    untold.n * sizeof(untold.done[0]));
	}
}

/* Publishes it by a number, and says how that went. */
static void
order_carry_out(struct worker *w, const struct message_order *order,
    const char *channel, size_t len, enum publish_to to,
    struct publishing *what)
{
	struct message_done done = {.number = order->number};
	struct publication p;
	uint64_t mask;

	what->conn = SHM_NONE;
	what->order = order->number;
	if (!order_done_before(w->chat.hub, order))
		switch (publish(&w->chat, channel, len, to, what, &p, &mask)) {
		case PUBLISH_OK:
			break;
		case PUBLISH_ABSENT:
			done.result = RESULT_ABSENT;
			break;
		case PUBLISH_BUSY:
		case PUBLISH_COLD:
			done.result = RESULT_BUSY;
			break;
		default:
			done.result = RESULT_FULL;
		}
	order_answer(w, &done);
}

void
order_kick(struct worker *w, const void *payload)
{
	struct message_kick kick;
	char channel[1 + sizeof(kick.user)] = "#";
	struct publishing what = {.format = FORMAT_KICK, .user = ""};

	memcpy(&kick, payload, sizeof(kick));
	memcpy(channel + 1, kick.user, kick.user_len);
	what.data = kick.device;
	what.len = kick.device_len;
	what.user = kick.user; /* for readers: whom it is about */
	what.user_len = kick.user_len;
	order_carry_out(w, &kick.order, channel, kick.user_len + 1ul,
	    PUBLISH_ONLINE, &what);
}

void
order_say(struct worker *w, const void *payload, size_t len)
{
	struct message_order order;
	struct publishing what = {.format = FORMAT_TEXT,
	    .user = "*server*",
	    .user_len = 8,
	    .data = (const char *)payload + sizeof(order),
	    .len = len - sizeof(order)};

	memcpy(&order, payload, sizeof(order));
	order_carry_out(w, &order, PRESENCE_LOBBY_NAME, PRESENCE_LOBBY_LEN,
	    PUBLISH_KNOWN, &what);
}
