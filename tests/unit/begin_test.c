/* begin: connections without HTTP, at doors that greet with nothing, with much
 * and with too much, in a framing that can say it and in one that cannot. */
#include "codec/framing.h"

#define CHATD_FRAMINGS_MORE ROW(smoke) ROW(mute)
#include "../../src/codec/framing.c"

#include "chat_fixture.h"
#include "conn/begin.h"

enum { SMOKE = 2, MUTE = 3, DOOR = 6, SLOTS = 64 };

/* A message is a puff of smoke. */
static int
smoke_wrap(struct framing_ends *ends, enum framing_kind kind,
    struct iovec *parts, int n)
{
	ends->head[0] = '(';
	ends->tail[0] = ')';
	parts[0] = (struct iovec){ends->head, 1};
	parts[n + 1] = (struct iovec){ends->tail, 1};
	return n + 2;
}

static int
mute_wrap(struct framing_ends *ends, enum framing_kind kind,
    struct iovec *parts, int n)
{
	return 0;
}

static size_t
smoke_close(uint8_t out[FRAMING_CLOSE_MAX], uint16_t code, const char *reason)
{
	return (size_t)snprintf((char *)out, FRAMING_CLOSE_MAX, "end %u", code);
}

static bool
smoke_idle(const void *state)
{
	return true;
}

const struct framing smoke_framing = {.name = "smoke",
    .idle = smoke_idle,
    .wrap = smoke_wrap,
    .close = smoke_close};
const struct framing mute_framing = {.name = "mute",
    .idle = smoke_idle,
    .wrap = mute_wrap,
    .close = smoke_close};

static void
quiet_message(struct chat *ch, uint32_t conn, int kind, const char *data,
    size_t len, uint64_t position)
{
}

/* Greets a client at a door, in a framing; returns what it is told. */
static const char *
greet(uint8_t framing, uint8_t id, const char *greeting, enum conn_phase phase)
{
	static char told[4096];
	const struct door door = {.name = "quiet",
	    .id = DOOR,
	    .framing = framing_of(framing)->name,
	    .greeting = greeting,
	    .message = quiet_message};
	const struct door *const doors[] = {&door, NULL};
	struct endpoints e = endpoints_usual;
	struct sockaddr_in a = {.sin_family = AF_INET};
	struct node *n;
	struct hub h;
	int pair[2];
	uint32_t i;
	ssize_t len;

	fixture_hub(&h, SLOTS, 100, 1 << 20, 4 << 20, 1 << 20);
	n = node_new(&h, 0);
	assert_true(chat_set_doors(&n->ch, doors));
	e.at[0].framing = framing;
	e.at[0].doors = 1u << id;
	n->ch.endpoints = &e;
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	i = conn_accept(&n->ch, 0, pair[0], (void *)&a);
	conn_start(&n->ch, i);
	chat_turn(&n->ch);
	assert_int_equal(n->ch.conn[i].phase, phase);
	len = recv(pair[1], told, sizeof(told) - 1, MSG_DONTWAIT);
	told[len > 0 ? len : 0] = '\0';
	if (phase == CONN_OPEN)
		assert_int_equal(n->ch.conn[i].out.end, strlen(told));
	close(pair[1]);
	hub_destroy(&h);
	return told;
}

static void
test_greetings(void **state)
{
	char text[BEGIN_MAX + 1], want[BEGIN_MAX + 3];

	assert_string_equal(greet(SMOKE, DOOR, "who?", CONN_OPEN), "(who?)");
	assert_string_equal(greet(SMOKE, DOOR, "", CONN_OPEN), "()");
	assert_string_equal(greet(SMOKE, DOOR, NULL, CONN_OPEN), "");
	assert_string_equal(greet(MUTE, DOOR, "who?", CONN_OPEN), "");
	memset(text, 'x', sizeof(text));
	text[BEGIN_MAX - 2] = '\0';
	snprintf(want, sizeof(want), "(%s)", text);
	assert_string_equal(greet(SMOKE, DOOR, text, CONN_OPEN), want);
	text[BEGIN_MAX - 2] = 'x';
	text[BEGIN_MAX - 1] = '\0';
	assert_string_equal(greet(SMOKE, DOOR, text, CONN_LINGER), "end 1011");
	text[BEGIN_MAX] = '\0';
	assert_string_equal(greet(SMOKE, DOOR, text, CONN_LINGER), "end 1011");
}

/* An endpoint's door that this worker does not have. */
static void
test_no_door(void **state)
{
	assert_string_equal(
	    greet(SMOKE, DOOR + 1, "who?", CONN_LINGER), "end 1011");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_greetings), cmocka_unit_test(test_no_door)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
