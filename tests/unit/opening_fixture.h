/* opening_fixture: a worker and a reader of its journal, which is asked where
 * channels stand, in one process. */
#ifndef CHATD_TESTS_UNIT_OPENING_FIXTURE_H
#define CHATD_TESTS_UNIT_OPENING_FIXTURE_H

#include "centrifugo_fixture.h"

#include "../../src/hub/heads.h"
#include "base/clock.h"
#include "conn/hold.h"
#include "hub/line.h"
#include "hub/lock.h"
#include "hub/reader.h"
#include "room/opening.h"

enum { LINE = SHM_WORKERS, TOP = 95, STREAM = 0x123 };
#define STREAM_TEXT "00000123"

static struct hub reader_hub;
static struct reader reader;
static char *reader_buf;

/* Each channel but "plain*" is a reader's, which must miss nothing of it. */
static inline uint8_t
flags_of(void *arg, const char *name, size_t len)
{
	(void)arg;
	return len >= 5 && memcmp(name, "plain", 5) == 0
	    ? 0
	    : 1 << READER_ENGINE | 1 << READER_ENGINE << PRESENCE_REQUIRED |
		PRESENCE_COLD << PRESENCE_WARMTH;
}

/* A worker and a reader of its journal. */
static inline int
setup(void **state)
{
	door_begin_readers(1 << READER_ENGINE);
	door_node->h.flags_of = flags_of;
	reader_hub = door_hub;
	hub_become(&reader_hub, LINE);
	reader_init(&reader, &reader_hub, READER_ENGINE, 0);
	reader_buf = malloc(door_hub.journal_size / JOURNAL_SHARE);
	assert_non_null(reader_buf);
	alice.fd = bob.fd = -1;
	return 0;
}

static inline int
teardown(void **state)
{
	free(reader_buf);
	return door_end(state);
}

/* The reader takes all that there is for it; returns how many channels ask to
 * be opened, the newest of them in *asked. */
static inline int
reader_takes(struct publication *asked)
{
	struct publication p;
	int n = 0;

	while (reader_next(&reader, reader_buf,
		   door_hub.journal_size / JOURNAL_SHARE, &p) == READER_FOUND)
		if (p.format == FORMAT_OPEN) {
			*asked = p;
			n++;
		}
	reader_taken(&reader, reader.passed);
	return n;
}

/* It opens the channel that asks, with its newest publications. */
static inline void
reader_opens(uint8_t error, uint64_t leap)
{
	const struct publication pubs[] = {{.offset = TOP - 3,
					       .before = TOP - 9,
					       .format = FORMAT_JSON,
					       .time_ms = clock_wall_ms(),
					       .user = "",
					       .data = "\"a\"",
					       .data_len = 3},
	    {.offset = TOP,
		.before = TOP - 3,
		.format = FORMAT_JSON,
		.time_ms = clock_wall_ms(),
		.user = "",
		.data = "\"b\"",
		.data_len = 3}};
	const struct reader_opening o = {.stream = STREAM,
	    .top = TOP,
	    .leap = leap,
	    .error = error,
	    .pubs = pubs,
	    .n = 2};
	struct publication asked;

	assert_int_equal(reader_takes(&asked), 1);
	assert_int_not_equal(
	    reader_opened(&reader, asked.channel, asked.epoch, &o), 0);
	door_settle();
}

/* Nothing asks the reader. */
static inline void
reader_rests(void)
{
	struct publication p;

	assert_int_equal(reader_takes(&p), 0);
}

/* Alice is connected, and her own channel is open. */
static inline void
alice_comes(void)
{
	guest_come(&alice, &centrifugo_door, "alice");
	guest_say(&alice, CONNECT);
	reader_opens(0, 0);
	guest_forget(&alice);
}

#endif
