/*
 * relay_fuzz: what a worker gone wrong, or a reader of the journal, says to a
 * worker over their link:
 * relays of publications that are in the journal, that are not, of records that
 * do not fit, and every other message. The other goes on, and its clients get
 * whole frames. An input is a list of {what, length, bytes} (enum relay_step).
 */
#include "world.h"

#include "codec/message.h"
#include "net/link.h"
#include "net/peer.h"
#include "room/relay.h"

enum relay_step {
	STEP_DATAGRAM, /* bytes as they are */
	STEP_RELAY,    /* a relay with that behind its head */
	STEP_ENTRY,    /* one of a publication that there is, with that entry */
	STEP_MUTATED,  /* with the true entry, in which {offset, byte} are other
			* ones */
	STEP_TRUE,     /* with the true entry: that text */
	STEP_MESSAGE,  /* one of the type that the first byte says; its second:
			* with a descriptor */
	STEP_TURN,
	STEP_LINK, /* a new link; its first byte, if odd: to a reader */
	STEPS
};

enum { PEER = 1, READER = SHM_LINES - 1, STEPS_MAX = 64 };

static struct node *peer; /* the other worker, as it was */
static int peer_link = -1;
static int line; /* of who is at its other end */
static uint8_t datagram[MESSAGE_MAX];
static uint32_t n_accused;

/* Too many bad messages. */
static void
accuse_cb(struct chat *ch, int from, uint32_t generation)
{
	REQUIRE(from == PEER || from == READER);
	n_accused++;
}

/* A new link from that line. */
static void
link_make(int from)
{
	int fd[2];

	if (peer_link >= 0)
		close(peer_link);
	REQUIRE(link_pair(fd) == 0);
	peer_link = fd[1];
	line = from;
	chat_link(&world_node->ch, line, 1, fd[0]);
	REQUIRE(peers_is_linked(world_node->ch.peers, line));
}

/* Sends a datagram of that type and payload. */
static void
message_send(uint32_t type, const void *payload, size_t len, int fd)
{
	if (len <= MESSAGE_MAX - sizeof(struct message_head))
		(void)link_send(peer_link, type, payload, len, fd);
}

/* The other worker publishes, and says nothing of it yet. */
static void
peer_publish(const char *text, size_t len, struct publication *p)
{
	const struct publishing what = {.conn = SHM_NONE,
	    .format = FORMAT_TEXT,
	    .user = "server",
	    .user_len = 6,
	    .data = text,
	    .len = len};
	uint64_t mask;

	REQUIRE(publish(&peer->ch, "room", 4, PUBLISH_MAKE, &what, p, &mask) ==
	    PUBLISH_OK);
	relay_reset(&peer->ch);
}

/* Relays one entry. */
static void
entry_send(uint64_t position, const uint8_t *entry, size_t len)
{
	const struct relay_record rec = {
	    .position = position, .length = (uint32_t)len};

	if (len > sizeof(datagram) - sizeof(rec))
		return;
	memcpy(datagram, &rec, sizeof(rec));
	memmove(datagram + sizeof(rec), entry, len);
	message_send(MSG_RELAY, datagram, sizeof(rec) + len, -1);
}

/* Relays a publication whose entry has some other bytes. */
static void
entry_mutate(const uint8_t *p, size_t len)
{
	static uint8_t entry[4096];
	struct publication out;
	size_t n, k;

	peer_publish("what is said", 12, &out);
	n = publication_bytes(&out);
	REQUIRE(n <= sizeof(entry));
	publication_encode(&out, entry);
	for (k = 0; k + 1 < len; k += 2)
		entry[p[k] % n] = p[k + 1];
	entry_send(out.position, entry, n);
}

/* Relays one as it should be. */
static void
entry_true(const uint8_t *p, size_t len)
{
	static uint8_t entry[RELAY_DATA_MAX];
	struct publication out;

	if (len > 2000 || !utf8_valid((const char *)p, len))
		return;
	peer_publish((const char *)p, len, &out);
	publication_encode(&out, entry);
	entry_send(out.position, entry, publication_bytes(&out));
}

/* One step. */
static void
step(int what, const uint8_t *p, size_t len)
{
	struct publication out;

	switch (what) {
	case STEP_DATAGRAM:
		(void)send(peer_link, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		break;
	case STEP_RELAY:
		message_send(MSG_RELAY, p, len, -1);
		break;
	case STEP_ENTRY:
		peer_publish("entry", 5, &out);
		entry_send(out.position, p, len);
		break;
	case STEP_MUTATED:
		entry_mutate(p, len);
		break;
	case STEP_TRUE:
		entry_true(p, len);
		break;
	case STEP_MESSAGE:
		if (len >= 2)
			message_send(
			    p[0], p + 2, len - 2, p[1] & 1 ? peer_link : -1);
		break;
	case STEP_TURN:
		world_turn();
		break;
	default:
		link_make(len > 0 && p[0] & 1 ? READER : PEER);
	}
}

/* Makes the two workers, once. */
static void
make(void)
{
	world_make();
	if (peer != NULL)
		return;
	world_trusts_nobody = true;
	peer = node_new(&world_hub, PEER);
	world_fds = world_count_fds();
	world_rules(&peer->ch.live);
	world_settings(&peer->ch);
	world_node->ch.accuse = accuse_cb;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 3 || size > 30000)
		return 0;
	make();
	world_settings(&world_node->ch);
	world_company();
	world_frame(&world_client[1], 0x81, "/join room", 10);
	link_make(PEER);
	world_settle();
	world_steps(step, STEPS, STEPS_MAX, data, size);
	world_settle();
	if (!peers_is_linked(world_node->ch.peers, line))
		REQUIRE(n_accused > 0);
	world_rest();
	return 0;
}
