/* message: the table of everything that processes say to each other. */
#include <string.h>

#include "base/utf8.h"
#include "codec/message.h"
#include "conf/conf.h"

/* What a type of message must look like. */
struct message_rule {
	const char *name;  /* NULL: no such type */
	uint32_t min, max; /* payload, bytes; equal: exact */
	int n_fds;
	enum message_party from;
};

#define EXACT(size) (size), (size)

static const struct message_rule message_rules[] = {
    [MSG_LINK] = {"LINK", sizeof(struct message_link),
	sizeof(struct message_link_asked), 1, PARTY_MASTER},
    [MSG_START] = {"START", EXACT(0), 0, PARTY_MASTER},
    [MSG_CONF] = {"CONF", 0, CONF_LIVE_MAX, 0, PARTY_MASTER},
    [MSG_KICK] = {"KICK", EXACT(sizeof(struct message_kick)), 0, PARTY_MASTER},
    [MSG_SAY] = {"SAY", sizeof(struct message_order) + 1,
	sizeof(struct message_order) + MESSAGE_TEXT_MAX, 0, PARTY_MASTER},
    [MSG_ADOPT] = {"ADOPT", EXACT(sizeof(struct message_adopt)), 1,
	PARTY_MASTER},
    [MSG_MOVE] = {"MOVE", EXACT(sizeof(struct message_move)), 0, PARTY_MASTER},
    [MSG_GIVE] = {"GIVE", EXACT(sizeof(uint64_t)), 1, PARTY_PEER},
    [MSG_TAKEN] = {"TAKEN", EXACT(sizeof(uint64_t)), 0, PARTY_PEER},
    [MSG_CLEAN] = {"CLEAN", EXACT(sizeof(struct message_clean)), 0,
	PARTY_MASTER},
    [MSG_STOP] = {"STOP", EXACT(0), 0, PARTY_MASTER},
    [MSG_QUIT] = {"QUIT", EXACT(0), 0, PARTY_MASTER},
    [MSG_RETIRE] = {"RETIRE", 0, sizeof(struct message_retire), 0,
	PARTY_MASTER},
    [MSG_DRAIN] = {"DRAIN", EXACT(sizeof(struct message_drain)), 0,
	PARTY_MASTER},
    [MSG_PAGE] = {"PAGE", EXACT(0), 1, PARTY_MASTER},
    [MSG_ERRAND] = {"ERRAND", 1, MESSAGE_ERRAND_MAX, 1, PARTY_MASTER},
    [MSG_PART] = {"PART", EXACT(0), 0, PARTY_MASTER},
    [MSG_ERASE] = {"ERASE", EXACT(sizeof(struct message_erase)), 0,
	PARTY_MASTER},
    [MSG_HELLO] = {"HELLO", EXACT(sizeof(struct message_hello)), 0,
	PARTY_WORKER},
    [MSG_GIVE_BACK] = {"GIVE_BACK", EXACT(0), 1, PARTY_MASTER},
    [MSG_CLEANED] = {"CLEANED", EXACT(sizeof(struct message_cleaned)), 0,
	PARTY_WORKER},
    [MSG_DONE] = {"DONE", EXACT(sizeof(struct message_done)), 0, PARTY_WORKER},
    [MSG_RETIRED] = {"RETIRED", EXACT(0), 0, PARTY_WORKER},
    [MSG_ACCUSE] = {"ACCUSE", EXACT(sizeof(struct message_accuse)), 0,
	PARTY_WORKER},
    [MSG_ERASED] = {"ERASED", EXACT(sizeof(struct message_erased)), 0,
	PARTY_WORKER},
    [MSG_UNTIL] = {"UNTIL", EXACT(sizeof(struct message_until)), 0,
	PARTY_WORKER},
    [MSG_RELAY] = {"RELAY", 1, MESSAGE_MAX - sizeof(struct message_head), 0,
	PARTY_PEER},
    [MSG_ASK] = {"ASK", sizeof(struct message_ask),
	sizeof(struct message_ask) + ASK_NAME_MAX + ASK_TEXT_MAX, 0,
	PARTY_ASKER},
    [MSG_ROWS] = {"ROWS", sizeof(struct message_rows),
	MESSAGE_MAX - sizeof(struct message_head), 0, PARTY_ANSWERER},
    [MSG_ROWS_FILE] = {"ROWS_FILE", EXACT(sizeof(struct message_rows)), 1,
	PARTY_ANSWERER},
    [MSG_BEGUN] = {"BEGUN", sizeof(struct message_begun) + 1,
	sizeof(struct message_begun) + BEGUN_MAX, 1, PARTY_BEGINNER},
    [MSG_ROOM] = {"ROOM", EXACT(sizeof(struct message_room)), 0, PARTY_TAKER},
};

enum { N_RULES = sizeof(message_rules) / sizeof(message_rules[0]) };

_Static_assert((int)MESSAGE_FILES == (int)CONF_CERTIFICATES_MAX,
    "all certificates of a configuration can be told of");
_Static_assert(CONF_LIVE_MAX + sizeof(struct message_head) <= MESSAGE_MAX,
    "the configuration fits into one message");

/* The rule for a type; NULL if there is none. */
static const struct message_rule *
message_rule(int64_t type)
{
	if (type < 0 || type >= N_RULES || message_rules[type].name == NULL)
		return NULL;
	return &message_rules[type];
}

/* What is wrong with a live configuration; NULL if nothing is. */
static const char *
message_judge_conf(const void *payload, size_t len)
{
	static struct conf_live live;
	const char *why;

	memset(&live, 0, sizeof(live));
	why = conf_live_read(&live, payload, len);
	explicit_bzero(&live, sizeof(live)); /* it holds secrets */
	return why;
}

/* What is wrong with a kick; NULL if nothing is. */
static const char *
message_judge_kick(const void *payload)
{
	struct message_kick kick;

	_Static_assert(sizeof(kick.user) == UINT8_MAX, "any user_len fits");
	memcpy(&kick, payload, sizeof(kick));
	if (kick.user_len == 0)
		return "length of user out of range";
	if (kick.device_len > sizeof(kick.device))
		return "length of device out of range";
	return NULL;
}

/* What is wrong with whom to erase, and with the answer; NULL if nothing is. */
static const char *
message_judge_erase(const void *payload)
{
	struct message_erase erase;

	_Static_assert(sizeof(erase.user) == UINT8_MAX, "any user_len fits");
	memcpy(&erase, payload, sizeof(erase));
	return erase.user_len != 0 ? NULL : "length of user out of range";
}

static const char *
message_judge_erased(const void *payload)
{
	struct message_erased erased;

	memcpy(&erased, payload, sizeof(erased));
	if (erased.result > RESULT_BUSY)
		return "result out of range";
	return erased.logged <= 1 ? NULL : "logged out of range";
}

/* What is wrong with an operator's text; NULL if nothing is. */
static const char *
message_judge_say(const void *payload, size_t len)
{
	const char *text = (const char *)payload + sizeof(struct message_order);

	return utf8_valid(text, len - sizeof(struct message_order))
	    ? NULL
	    : "text is not UTF-8";
}

/* What is wrong with the order to retire; NULL if nothing is. */
static const char *
message_judge_retire(size_t len)
{
	return len == 0 || len == sizeof(struct message_retire)
	    ? NULL
	    : "wrong size for its type";
}

/* What is wrong with an order's answer; NULL if nothing is. */
static const char *
message_judge_done(const void *payload)
{
	struct message_done done;

	memcpy(&done, payload, sizeof(done));
	return done.result <= RESULT_BUSY ? NULL : "result out of range";
}

/* What is wrong with a worker's number at the front; NULL if nothing is. */
static const char *
message_judge_worker(const void *payload)
{
	uint32_t worker;

	memcpy(&worker, payload, sizeof(worker));
	return worker < CONF_WORKERS_MAX ? NULL : "worker out of range";
}

/* What is wrong with the line of a process with links at the front; NULL if
 * nothing is. */
static const char *
message_judge_peer(const void *payload)
{
	uint32_t peer;

	memcpy(&peer, payload, sizeof(peer));
	return peer < MESSAGE_PEERS ? NULL : "peer out of range";
}

/* What is wrong with a link to a peer; NULL if nothing is. */
static const char *
message_judge_link(const void *payload, size_t len)
{
	struct message_link_asked link = {.what = LINK_ANSWERS};

	if (len != sizeof(link.link) && len != sizeof(link))
		return "wrong size for its type";
	memcpy(&link, payload, len);
	if (link.what != LINK_ANSWERS && link.what != LINK_BEGINS)
		return "what the other end does is unknown";
	return message_judge_peer(payload);
}

/* What is wrong with a question; NULL if nothing is. */
static const char *
message_judge_ask(const void *payload, size_t len)
{
	struct message_ask ask;

	memcpy(&ask, payload, sizeof(ask));
	if (ask.what != ASK_PAGE && ask.what != ASK_MATCHES &&
	    ask.what != ASK_USER)
		return "what is asked for is unknown";
	if (ask.name_len > ASK_NAME_MAX || ask.text_len > ASK_TEXT_MAX ||
	    len != sizeof(ask) + ask.name_len + ask.text_len)
		return "lengths of name and text do not match";
	if (ask.limit > ASK_MESSAGES_MAX || ask.bytes > ASK_BYTES_MAX)
		return "more is asked for than an answer holds";
	return NULL;
}

/* What is wrong with an answer's head; NULL if nothing is. `here`: bytes of the
 * rows that came with it. */
static const char *
message_judge_rows(const void *payload, size_t here, bool in_file)
{
	struct message_rows rows;

	memcpy(&rows, payload, sizeof(rows));
	if (rows.result > ROWS_ABSENT)
		return "result out of range";
	if (in_file ? rows.bytes == 0 || rows.bytes > ASK_BYTES_MAX
		    : rows.bytes != here)
		return "bytes of rows do not match";
	return NULL;
}

_Static_assert(offsetof(struct message_link, peer) == 0 &&
	offsetof(struct message_clean, worker) == 0 &&
	offsetof(struct message_cleaned, worker) == 0 &&
	offsetof(struct message_hello, worker) == 0 &&
	offsetof(struct message_accuse, worker) == 0,
    "message_judge_worker and message_judge_peer read the first word");

/* What is wrong with how a connection was taken; NULL if nothing is. */
static const char *
message_judge_room(const void *payload)
{
	struct message_room room;

	memcpy(&room, payload, sizeof(room));
	return room.taken <= 1 ? NULL : "taken out of range";
}

/* What is wrong with what is said of files; NULL if nothing is. */
static const char *
message_judge_until(const void *payload)
{
	struct message_until until;

	memcpy(&until, payload, sizeof(until));
	return until.n <= MESSAGE_FILES ? NULL : "too many files";
}

/* What is wrong inside a payload of the right size; NULL if nothing is. */
static const char *
message_judge_payload(uint32_t type, const void *payload, size_t len)
{
	switch (type) {
	case MSG_LINK:
		return message_judge_link(payload, len);
	case MSG_ACCUSE:
		return message_judge_peer(payload);
	case MSG_CLEAN:
	case MSG_HELLO:
	case MSG_CLEANED:
		return message_judge_worker(payload);
	case MSG_CONF:
		return message_judge_conf(payload, len);
	case MSG_KICK:
		return message_judge_kick(payload);
	case MSG_SAY:
		return message_judge_say(payload, len);
	case MSG_ERASE:
		return message_judge_erase(payload);
	case MSG_ERASED:
		return message_judge_erased(payload);
	case MSG_UNTIL:
		return message_judge_until(payload);
	case MSG_RETIRE:
		return message_judge_retire(len);
	case MSG_DONE:
		return message_judge_done(payload);
	case MSG_ASK:
		return message_judge_ask(payload, len);
	case MSG_ROOM:
		return message_judge_room(payload);
	case MSG_ROWS:
	case MSG_ROWS_FILE:
		return message_judge_rows(payload,
		    len - sizeof(struct message_rows), type == MSG_ROWS_FILE);
	default:
		return NULL;
	}
}

/* Whether a message of that type comes from such a party. A reader of the
 * journal speaks to workers, and has nothing to give them. */
static bool
message_fits(
    uint32_t type, const struct message_rule *rule, enum message_party from)
{
	return from == PARTY_READER ? type == MSG_RELAY : rule->from == from;
}

int
message_check(const void *bytes, size_t len, int n_fds, enum message_party from,
    const void **payload, size_t *payload_len, const char **why)
{
	const struct message_rule *rule;
	struct message_head head;
	const char *data;

	if (len < sizeof(head) || len > MESSAGE_MAX) {
		*why = "datagram too short or too long";
		return -1;
	}
	memcpy(&head, bytes, sizeof(head));
	data = (const char *)bytes + sizeof(head);
	if ((rule = message_rule(head.type)) == NULL) {
		*why = "unknown type";
		return -1;
	}
	if (!message_fits(head.type, rule, from)) {
		*why = "not for this sender";
		return -1;
	}
	if (head.length != len - sizeof(head)) {
		*why = "length does not match the datagram";
		return -1;
	}
	if (head.length < rule->min || head.length > rule->max) {
		*why = "wrong size for its type";
		return -1;
	}
	if (n_fds != rule->n_fds) {
		*why = rule->n_fds == 0 ? "unexpected descriptor"
					: "descriptor missing or too many";
		return -1;
	}
	*why = message_judge_payload(head.type, data, head.length);
	if (*why != NULL)
		return -1;
	*payload = data;
	*payload_len = head.length;
	return (int)head.type;
}

const char *
message_name(int type)
{
	const struct message_rule *rule = message_rule(type);

	return rule != NULL ? rule->name : "?";
}
