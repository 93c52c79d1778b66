/* message: every type at and beyond its bounds, from everybody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "codec/message.h"
#include "conf/conf.h"

static const struct {
	int type;
	const char *name;
	enum message_party from;
	size_t min, max;
	int n_fds;
} table[] = {
    {MSG_LINK, "LINK", PARTY_MASTER, 8, 12, 1},
    {MSG_START, "START", PARTY_MASTER, 0, 0, 0},
    {MSG_CONF, "CONF", PARTY_MASTER, 0, CONF_LIVE_MAX, 0},
    {MSG_KICK, "KICK", PARTY_MASTER, 320, 320, 0},
    {MSG_SAY, "SAY", PARTY_MASTER, 25, 24 + MESSAGE_TEXT_MAX, 0},
    {MSG_ADOPT, "ADOPT", PARTY_MASTER, 24, 24, 1},
    {MSG_MOVE, "MOVE", PARTY_MASTER, 8, 8, 0},
    {MSG_GIVE_BACK, "GIVE_BACK", PARTY_MASTER, 0, 0, 1},
    {MSG_RETIRE, "RETIRE", PARTY_MASTER, 0, 4, 0},
    {MSG_DRAIN, "DRAIN", PARTY_MASTER, sizeof(struct message_drain),
	sizeof(struct message_drain), 0},
    {MSG_PAGE, "PAGE", PARTY_MASTER, 0, 0, 1},
    {MSG_PART, "PART", PARTY_MASTER, 0, 0, 0},
    {MSG_ERRAND, "ERRAND", PARTY_MASTER, 1, 4096, 1},
    {MSG_CLEAN, "CLEAN", PARTY_MASTER, 8, 8, 0},
    {MSG_STOP, "STOP", PARTY_MASTER, 0, 0, 0},
    {MSG_QUIT, "QUIT", PARTY_MASTER, 0, 0, 0},
    {MSG_ERASE, "ERASE", PARTY_MASTER, 264, 264, 0},
    {MSG_HELLO, "HELLO", PARTY_WORKER, 8, 8, 0},
    {MSG_CLEANED, "CLEANED", PARTY_WORKER, 24, 24, 0},
    {MSG_DONE, "DONE", PARTY_WORKER, 16, 16, 0},
    {MSG_RETIRED, "RETIRED", PARTY_WORKER, 0, 0, 0},
    {MSG_ACCUSE, "ACCUSE", PARTY_WORKER, 8, 8, 0},
    {MSG_ERASED, "ERASED", PARTY_WORKER, 40, 40, 0},
    {MSG_UNTIL, "UNTIL", PARTY_WORKER, 520, 520, 0},
    {MSG_RELAY, "RELAY", PARTY_PEER, 1, MESSAGE_MAX - 8, 0},
    {MSG_GIVE, "GIVE", PARTY_PEER, 8, 8, 1},
    {MSG_TAKEN, "TAKEN", PARTY_PEER, 8, 8, 0},
    {MSG_ASK, "ASK", PARTY_ASKER, 64, 64 + ASK_NAME_MAX + ASK_TEXT_MAX, 0},
    {MSG_ROWS, "ROWS", PARTY_ANSWERER, 32, MESSAGE_MAX - 8, 0},
    {MSG_ROWS_FILE, "ROWS_FILE", PARTY_ANSWERER, 32, 32, 1},
    {MSG_BEGUN, "BEGUN", PARTY_BEGINNER, 41, 40 + BEGUN_MAX, 1},
    {MSG_ROOM, "ROOM", PARTY_TAKER, 24, 24, 0},
};

enum { N_TYPES = sizeof(table) / sizeof(table[0]) };

static uint8_t *datagram; /* at an odd address, MESSAGE_MAX + 8 bytes */

/* Writes a head; the payload is good for every type: mostly zeros, but one line
 * of a name that nobody knows for a configuration. */
static void
fill(uint32_t type, uint32_t length)
{
	struct message_head head = {type, length};

	memset(datagram, 0, MESSAGE_MAX + 8);
	memcpy(datagram, &head, sizeof(head));
	if (type == MSG_LINK && length == sizeof(struct message_link_asked))
		datagram[8 + offsetof(struct message_link_asked, what)] =
		    LINK_BEGINS;
	if (type == MSG_KICK)
		datagram[8 + sizeof(struct message_order)] = 5;
	if (type == MSG_ASK && length > sizeof(struct message_ask)) {
		struct message_ask ask = {
		    .name_len = ASK_NAME_MAX, .text_len = ASK_TEXT_MAX};

		memcpy(datagram + 8, &ask, sizeof(ask));
	}
	if (type == MSG_ROWS || type == MSG_ROWS_FILE) {
		struct message_rows rows = {
		    .bytes = type == MSG_ROWS ? length - sizeof(rows) : 1};

		memcpy(datagram + 8, &rows, sizeof(rows));
	}
	if (type == MSG_ERASE)
		datagram[8 + offsetof(struct message_erase, user_len)] = 5;
	if (type == MSG_CONF && length > 0 && length < MESSAGE_MAX) {
		memset(datagram + 8, 'x', length);
		datagram[8 + length - 1] = '\n';
	}
}

/* Checks what fill() and the test made. */
static int
check(size_t payload_len, int n_fds, enum message_party from)
{
	const void *payload = NULL;
	const char *why = NULL;
	size_t len = SIZE_MAX;
	int type;

	type = message_check(
	    datagram, payload_len + 8, n_fds, from, &payload, &len, &why);
	if (type == -1) {
		assert_non_null(why);
	} else {
		assert_ptr_equal(payload, datagram + 8);
		assert_int_equal(len, payload_len);
	}
	return type;
}

/* The number of an order that is not given any more. */
static void
test_gap(void **state)
{
	fill(4, 0);
	assert_int_equal(check(0, 0, PARTY_MASTER), -1);
	assert_string_equal(message_name(4), "?");
	assert_int_equal(MSG_KICK, 5);
}

/* Every type: sizes, descriptors and senders, right and wrong. */
static void
test_table(void **state)
{
	size_t i;
	int party;

	for (i = 0; i < N_TYPES; i++) {
		int type = table[i].type, fds = table[i].n_fds;
		size_t min = table[i].min, max = table[i].max;

		assert_string_equal(message_name(type), table[i].name);
		for (party = PARTY_MASTER; party <= PARTY_ASKER; party++) {
			fill((uint32_t)type, (uint32_t)min);
			assert_int_equal(check(min, fds, party),
			    party == (int)table[i].from ? type : -1);
		}
		/* a reader of the journal relays, and says nothing else */
		fill((uint32_t)type, (uint32_t)min);
		assert_int_equal(check(min, fds, PARTY_READER),
		    type == MSG_RELAY ? type : -1);
		/* nor does who answers questions but answer */
		fill((uint32_t)type, (uint32_t)min);
		assert_int_equal(check(min, fds, PARTY_ANSWERER),
		    table[i].from == PARTY_ANSWERER ? type : -1);
		fill((uint32_t)type, (uint32_t)max);
		assert_int_equal(check(max, fds, table[i].from), type);
		assert_int_equal(check(max, fds + 1, table[i].from), -1);
		assert_int_equal(check(max, fds - 1, table[i].from), -1);
		fill((uint32_t)type, (uint32_t)max + 1);
		assert_int_equal(check(max + 1, fds, table[i].from), -1);
		if (min > 0) {
			fill((uint32_t)type, (uint32_t)min - 1);
			assert_int_equal(
			    check(min - 1, fds, table[i].from), -1);
		}
		fill((uint32_t)type, (uint32_t)max + 1);
		assert_int_equal(check(max, fds, table[i].from), -1);
	}
}

/* The order to retire has a payload or none, and never a part of one. */
static void
test_retire(void **state)
{
	for (uint32_t len = 0; len <= sizeof(struct message_retire); len++) {
		fill(MSG_RETIRE, len);
		assert_int_equal(check(len, 0, PARTY_MASTER),
		    len == 0 || len == sizeof(struct message_retire)
			? MSG_RETIRE
			: -1);
	}
}

/* Numbers that are no type. */
static void
test_unknown(void **state)
{
	uint32_t i, known;

	for (i = 0; i < 300; i++) {
		for (known = 0; known < N_TYPES; known++)
			if (table[known].type == (int)i)
				break;
		if (known < N_TYPES)
			continue;
		assert_string_equal(message_name((int)i), "?");
		fill(i, 0);
		assert_int_equal(check(0, 0, PARTY_MASTER), -1);
		assert_int_equal(check(0, 0, PARTY_WORKER), -1);
		assert_int_equal(check(0, 0, PARTY_PEER), -1);
		assert_int_equal(check(0, 0, PARTY_READER), -1);
	}
	assert_string_equal(message_name(-1), "?");
	assert_string_equal(message_name(INT32_MIN), "?");
	fill(0x80000001, 0);
	assert_int_equal(check(0, 0, PARTY_MASTER), -1);
}

/* Datagrams that are too short for a head. */
static void
test_short(void **state)
{
	const void *payload;
	const char *why;
	size_t len, i;

	fill(MSG_START, 0);
	for (i = 0; i < sizeof(struct message_head); i++)
		assert_int_equal(message_check(datagram, i, 0, PARTY_MASTER,
				     &payload, &len, &why),
		    -1);
}

/* Checks a live configuration on its way. */
static int
check_conf(const struct conf_live *live)
{
	static char text[CONF_LIVE_MAX];
	size_t len = conf_live_write(live, text);

	fill(MSG_CONF, (uint32_t)len);
	memcpy(datagram + 8, text, len);
	return check(len, 0, PARTY_MASTER);
}

/* What lies inside a payload is judged, too. */
static void
test_payload(void **state)
{
	struct conf *c = conf_new();
	struct conf_live *live = &c->live;
	struct message_kick kick = {.user_len = 255, .device_len = 32};
	const size_t order = sizeof(struct message_order);

	fill(MSG_KICK, sizeof(kick));
	memcpy(datagram + 8, &kick, sizeof(kick));
	assert_int_equal(check(sizeof(kick), 0, PARTY_MASTER), MSG_KICK);
	datagram[8 + order] = 0;
	assert_int_equal(check(sizeof(kick), 0, PARTY_MASTER), -1);
	datagram[8 + order] = 1;
	datagram[9 + order] = 33;
	assert_int_equal(check(sizeof(kick), 0, PARTY_MASTER), -1);

	fill(MSG_HELLO, 8);
	datagram[8] = CONF_WORKERS_MAX - 1;
	assert_int_equal(check(8, 0, PARTY_WORKER), MSG_HELLO);
	datagram[8] = CONF_WORKERS_MAX;
	assert_int_equal(check(8, 0, PARTY_WORKER), -1);

	fill(MSG_ACCUSE, 8);
	datagram[8] = MESSAGE_PEERS - 1;
	assert_int_equal(check(8, 0, PARTY_WORKER), MSG_ACCUSE);
	datagram[8] = MESSAGE_PEERS;
	assert_int_equal(check(8, 0, PARTY_WORKER), -1);

	fill(MSG_LINK, 8);
	datagram[8] = MESSAGE_PEERS - 1;
	assert_int_equal(check(8, 1, PARTY_MASTER), MSG_LINK);
	datagram[8] = MESSAGE_PEERS;
	assert_int_equal(check(8, 1, PARTY_MASTER), -1);

	fill(MSG_SAY, order + 3);
	memcpy(datagram + 8 + order, "\xe2\x82\xac", 3);
	assert_int_equal(check(order + 3, 0, PARTY_MASTER), MSG_SAY);
	datagram[10 + order] = 'x';
	assert_int_equal(check(order + 3, 0, PARTY_MASTER), -1);

	fill(MSG_DONE, 16);
	datagram[16] = RESULT_BUSY;
	assert_int_equal(check(16, 0, PARTY_WORKER), MSG_DONE);
	datagram[16] = RESULT_BUSY + 1;
	assert_int_equal(check(16, 0, PARTY_WORKER), -1);

	fill(MSG_ERASE, 264);
	datagram[8 + offsetof(struct message_erase, user_len)] = 0;
	assert_int_equal(check(264, 0, PARTY_MASTER), -1);
	fill(MSG_ERASED, 40);
	datagram[8 + offsetof(struct message_erased, result)] = RESULT_BUSY;
	datagram[8 + offsetof(struct message_erased, logged)] = 1;
	assert_int_equal(check(40, 0, PARTY_WORKER), MSG_ERASED);
	datagram[8 + offsetof(struct message_erased, result)]++;
	assert_int_equal(check(40, 0, PARTY_WORKER), -1);
	datagram[8 + offsetof(struct message_erased, result)]--;
	datagram[8 + offsetof(struct message_erased, logged)]++;
	assert_int_equal(check(40, 0, PARTY_WORKER), -1);

	fill(MSG_UNTIL, 520);
	datagram[8] = MESSAGE_FILES;
	assert_int_equal(check(520, 0, PARTY_WORKER), MSG_UNTIL);
	datagram[8]++;
	assert_int_equal(check(520, 0, PARTY_WORKER), -1);

	live->message_size = CONF_MESSAGE_SIZE_MAX;
	live->origin_len = CONF_ORIGIN_BYTES;
	assert_int_equal(check_conf(live), MSG_CONF);
	live->origin_len = 3;
	memcpy(live->origin, "abc", 3);
	assert_int_equal(check_conf(live), -1);
	live->origin_len = 0;
	live->message_size++;
	assert_int_equal(check_conf(live), -1);
	live->message_size--;

	/* One wrong field at a time; it is right again afterwards. */
#define REFUSED(field, value)                                 \
	do {                                                  \
		const uint64_t was = live->field;             \
                                                              \
		assert_int_equal(check_conf(live), MSG_CONF); \
		live->field = (value);                        \
		assert_int_equal(check_conf(live), -1);       \
		live->field = was;                            \
	} while (0)
	REFUSED(connection_channels, CONF_CONNECTION_CHANNELS_MAX + 1);
	REFUSED(slow_policy, CONF_SLOW_SKIP + 1);
	REFUSED(private, CONF_WHOM_ALL + 1);
	REFUSED(who, CONF_WHOM_ALL + 1);
	REFUSED(insecure, 2);
	REFUSED(insecure_set, 2);
	live->n_channels = 2;
	REFUSED(channel[1].len, 1);
	REFUSED(channel[1].prefix, 1);
	REFUSED(channel[1].subscribe, CONF_SUBSCRIBE_ALL + 1);
	REFUSED(channel[1].publish, CONF_PUBLISH_ALL + 1);
	REFUSED(channel[1].history, CONF_HISTORY_MAX + 1);
#undef REFUSED
	conf_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_table),
	    cmocka_unit_test(test_gap),
	    cmocka_unit_test(test_retire),
	    cmocka_unit_test(test_unknown),
	    cmocka_unit_test(test_short),
	    cmocka_unit_test(test_payload),
	};
	uint8_t *memory = malloc(MESSAGE_MAX + 9);
	int failed;

	datagram = memory + 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(memory);
	return failed;
}
