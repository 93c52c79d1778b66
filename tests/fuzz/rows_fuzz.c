/*
 * rows_fuzz: what who answers a worker's questions sends it (MSG_ROWS), who may
 * be anybody: rows in a datagram or a file, of questions that were asked and
 * that were not. The worker goes on, and its clients are told whole JSON and
 * lines. An input is a list of {what, length, bytes} (enum rows_step).
 */
#define WORLD_READERS (1 << READER_STORE)
#include "world.h"

#include "base/memory_file.h"
#include "codec/message.h"
#include "conn/hold.h"
#include "hub/lock.h"
#include "room/archive.h"

enum rows_step {
	STEP_ASK,      /* a command, by the first byte: enum rows_command */
	STEP_DATAGRAM, /* bytes as they are */
	STEP_ROWS,     /* the newest question is answered, with so many rows as
			* the first byte says: the others */
	STEP_MUTATED,  /* with true rows, in which {offset, byte} are others */
	STEP_FILE,     /* as ROWS, in a file */
	STEP_LATER,    /* nobody waits any more */
	STEP_LINK,     /* who answers is replaced */
	STEPS
};

enum { ARCHIVE = SHM_LINES - 1, STEPS_MAX = 32, GONE = 8, KEPT = 3 };

static const char *const commands[] = {
    "{\"id\":2,\"history\":{\"channel\":\"room\",\"limit\":9}}",
    "{\"id\":3,\"history\":{\"channel\":\"room\",\"limit\":5,\"reverse\":true}"
    "}",
    "{\"id\":4,\"history\":{\"channel\":\"room\",\"limit\":9,\"since\":"
    "{\"offset\":2}}}",
    "{\"id\":5,\"history\":{\"channel\":\"room\",\"limit\":9,\"reverse\":true,"
    "\"since\":{\"offset\":7}}}",
    "{\"id\":6,\"subscribe\":{\"channel\":\"room\",\"recover\":true,"
    "\"offset\":3}}",
    "{\"id\":7,\"unsubscribe\":{\"channel\":\"room\"}}", "/history room 9"};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static struct message_ask asked; /* the newest question */
static uint8_t datagram[MESSAGE_MAX];

/* In place of the link. */
static int
ask_cb(struct chat *ch, int to, const void *question, size_t len)
{
	REQUIRE(to == ARCHIVE && len >= sizeof(asked));
	memcpy(&asked, question, sizeof(asked));
	REQUIRE(asked.name_len == 4 && asked.limit <= ASK_MESSAGES_MAX);
	return 1;
}

/* A datagram has come, as the worker takes it. */
static void
take(size_t len, int fd)
{
	const void *payload;
	const char *why;
	size_t n;
	int type = message_check(
	    datagram, len, fd != -1, PARTY_ANSWERER, &payload, &n, &why);

	if (type == MSG_ROWS || type == MSG_ROWS_FILE)
		(void)archive_answer(&world_node->ch, payload, n, fd);
	world_settle();
}

/* Answers the newest question with those rows. */
static void
answer(uint32_t n, const void *rows, size_t len, bool in_file)
{
	const struct message_rows head = {
	    .number = asked.number, .bytes = len, .n = n};
	const struct message_head about = {in_file ? MSG_ROWS_FILE : MSG_ROWS,
	    (uint32_t)(sizeof(head) + (in_file ? 0 : len))};
	int fd = -1;

	if (sizeof(about) + sizeof(head) + len > sizeof(datagram))
		return;
	memmove(datagram + sizeof(about) + sizeof(head), rows, len);
	memcpy(datagram, &about, sizeof(about));
	memcpy(datagram + sizeof(about), &head, sizeof(head));
	if (in_file)
		fd = memory_file_fill(memory_file("rows"),
		    datagram + sizeof(about) + sizeof(head), len);
	take(sizeof(about) + about.length, fd);
	if (fd != -1)
		close(fd);
}

/* Answers it with rows as they should be, but for some bytes. */
static void
answer_mutated(const uint8_t *p, size_t len)
{
	static uint8_t rows[4096];
	struct publication row = {.format = FORMAT_JSON,
	    .user = "bob",
	    .user_len = 3,
	    .tags = "{\"a\":\"b\"}",
	    .tags_len = 9,
	    .data = "{\"n\":7}",
	    .data_len = 7};
	size_t n = 0, k;

	for (k = 1; k <= GONE; k++) {
		row.offset = asked.reverse ? GONE + 1 - k : k;
		row.before = row.offset - 1;
		if (row.offset <= asked.since ||
		    (asked.upto != 0 && row.offset > asked.upto))
			continue;
		n += publication_encode(&row, rows + n);
	}
	for (k = 0; k + 2 < len; k += 3)
		if (n > 0)
			rows[((size_t)p[k] << 8 | p[k + 1]) % n] = p[k + 2];
	answer(n > 0 ? (uint32_t)(n / publication_bytes(&row)) : 0, rows, n,
	    false);
}

/* Nobody waits any more. */
static void
later(void)
{
	struct chat *ch = &world_node->ch;

	for (int k = 0; k < 4; k++) {
		ch->now_ms += HOLD_ROWS_MS + 1;
		hold_sweep(ch);
		archive_sweep(ch);
	}
	world_settle();
}

/* One step. */
static void
step(int what, const uint8_t *p, size_t len)
{
	const char *text;

	switch (what) {
	case STEP_ASK:
		text = commands[len > 0 ? p[0] % COMMANDS : 0];
		world_frame(&world_client[text[0] == '/' ? 1 : 0], 0x81, text,
		    strlen(text));
		world_settle();
		break;
	case STEP_DATAGRAM:
		if (len <= sizeof(datagram)) {
			memcpy(datagram, p, len);
			take(len, -1);
		}
		break;
	case STEP_ROWS:
	case STEP_FILE:
		if (len > 0)
			answer(p[0], p + 1, len - 1, what == STEP_FILE);
		break;
	case STEP_MUTATED:
		answer_mutated(p, len);
		break;
	case STEP_LATER:
		later();
		break;
	default:
		archive_ended(&world_node->ch, ARCHIVE);
		archive_linked(&world_node->ch, ARCHIVE);
	}
}

/* The server says that. */
static void
say(const char *channel, const char *text, size_t len)
{
	const struct publishing what = {
	    .conn = SHM_NONE, .format = FORMAT_JSON, .data = text, .len = len};
	struct publication p;
	uint64_t mask;

	REQUIRE(publish(&world_node->ch, channel, strlen(channel), PUBLISH_MAKE,
		    &what, &p, &mask) == PUBLISH_OK);
	world_turn();
}

/* A worker, once, whose ring has the room's newest publications alone. */
static void
make(void)
{
	static char large[4000];
	struct channel_position at;

	world_make();
	if (world_node->ch.ask_send == ask_cb)
		return;
	world_node->ch.ask_send = ask_cb;
	for (int k = 0; k < GONE; k++)
		say("room", "1", 1);
	memset(large, '1', sizeof(large));
	for (int k = 0; k < 400; k++)
		say("mute", large, sizeof(large));
	for (int k = 0; k < KEPT; k++)
		say("room", "1", 1);
	REQUIRE(
	    channel_find(&world_node->ch, "room", 4, false, &at) == CHANNEL_OK);
	hub_lock(&world_node->h);
	presence_flags_set(&world_node->h, at.channel, 1 << READER_STORE);
	hub_unlock(&world_node->h);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 3 || size > 30000)
		return 0;
	make();
	world_settings(&world_node->ch);
	world_open(&world_client[0], &centrifugo_door, "alice");
	world_frame(&world_client[0], 0x81, "{\"id\":1,\"connect\":{}}", 21);
	world_open(&world_client[1], &plain_door, "bob");
	archive_linked(&world_node->ch, ARCHIVE);
	world_settle();
	world_steps(step, STEPS, STEPS_MAX, data, size);
	later();
	world_rest();
	return 0;
}
