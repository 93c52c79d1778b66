/* show: what is printed of shared memory, byte by byte, also of memory that is
 * corrupted, or whose lock a dead process holds. */
#include "hub_fixture.h"

#include <stdio.h>
#include <sys/mman.h>

#include "../../src/hub/heads.h"
#include "hub/lock.h"
#include "hub/peek.h"
#include "hub/presence.h"
#include "hub/subscription.h"
#include "show/memory.h"
#include "show/subject.h"

static struct hub h;
static struct claim slots, records;
static struct memory memory;

/* A hub that is looked at through a mapping of its own, for reading only. */
static int
begin(void **state)
{
	char error[256];

	fixture_hub(&h, 64, 16, 65536, 1 << 20, 1 << 20);
	assert_int_equal(claim_init(&slots, h.slot_owner, 64, 0), 0);
	assert_int_equal(
	    claim_init(&records, h.subscription_owner, h.n_subscriptions, 0),
	    0);
	memory = (struct memory){.size = h.size, .lives = true};
	memory.base =
	    mmap(NULL, h.size, PROT_READ, MAP_SHARED | MAP_NORESERVE, h.fd, 0);
	assert_ptr_not_equal(memory.base, MAP_FAILED);
	assert_int_equal(hub_peek(&memory.hub, memory.base, memory.size, error,
			     sizeof(error)),
	    0);
	return 0;
}

static int
end(void **state)
{
	memory_close(&memory);
	claim_deinit(&slots);
	claim_deinit(&records);
	hub_destroy(&h);
	return 0;
}

/* What is shown; of words that are refused the sentence. Good until the next
 * call. */
static const char *
shown(bool json, const char *what, const char *word1, const char *word2)
{
	static char text[65536];
	char *words[] = {(char *)(uintptr_t)word1, (char *)(uintptr_t)word2};
	FILE *out = fmemopen(text, sizeof(text), "w");
	struct show_from from;
	struct show *s;
	char error[256];

	memory_from(&memory, &from);
	s = show_new(&from, show_subject_find(what), json);
	assert_non_null(s);
	if (show_ask(s, (word1 != NULL) + (word2 != NULL), words, error,
		sizeof(error)) == -1)
		fputs(error, out);
	else
		while (show_more(s, out) == 1)
			continue;
	show_free(s);
	fclose(out);
	return text;
}

/* A channel that worker 0 has. */
static uint32_t
channel(const char *name)
{
	uint32_t e;
	bool first;

	hub_lock(&h);
	e = presence_enter(&h, name, strlen(name), &first);
	hub_unlock(&h);
	return e;
}

/* Publishes something of a connection's. */
static void
publish(uint32_t entry, enum publication_format format, uint64_t sender)
{
	struct publication p = {.channel = entry,
	    .format = (uint8_t)format,
	    .sender = sender,
	    .time_ms = 1234567890123,
	    .user = "",
	    .data = "secret",
	    .data_len = 6};

	hub_lock(&h);
	journal_append(&h, &p);
	hub_unlock(&h);
}

static const char journal_head_line[] =
    "    POSITION     OFFSET TIME                         BYTES KIND  WORKERS "
    "        SENDER           CHANNEL\n";

/* The newest first, of all or of one channel. */
static void
journal(void **state)
{
	const uint32_t a = channel("a"), b = channel("b 2");
	char wanted[2000];

	publish(a, FORMAT_TEXT, 0x100000003);
	publish(b, FORMAT_JSON, 0);
	publish(a, FORMAT_JOIN, 0x100000003);
	snprintf(wanted, sizeof(wanted),
	    "%s"
	    "           3          1 2009-02-13T23:31:30.123Z         6 join  "
	    "0 "
	    "              0000000100000003 a\n"
	    "           2          1 2009-02-13T23:31:30.123Z         6 json  "
	    "0 "
	    "              api              \"b 2\"\n"
	    "           1          1 2009-02-13T23:31:30.123Z         6 text  "
	    "0 "
	    "              0000000100000003 a\n",
	    journal_head_line);
	assert_string_equal(shown(false, "journal", NULL, NULL), wanted);
	assert_string_equal(shown(true, "journal", "b 2", NULL),
	    "[{\"position\":2,\"offset\":1,\"time_ms\":1234567890123,"
	    "\"bytes\":6,\"kind\":\"json\",\"workers\":[0],\"sender\":\"api\","
	    "\"channel\":\"b 2\"}]\n");
	snprintf(wanted, sizeof(wanted),
	    "%s"
	    "           3          1 2009-02-13T23:31:30.123Z         6 join  "
	    "0 "
	    "              0000000100000003 a\n",
	    journal_head_line);
	assert_string_equal(shown(false, "journal", "1", NULL), wanted);
	assert_string_equal(shown(false, "journal", "a", "1"), wanted);
	assert_string_equal(shown(false, "journal", "a", "0"),
	    "show journal: \"0\" is not a number of entries from 1 to 1000");
	assert_string_equal(
	    shown(true, "journal", "c", NULL), "no channel c is known here");
}

/* Entries that are corrupted are told, and those before them are shown. */
static void
journal_corrupted(void **state)
{
	const uint32_t a = channel("a");
	struct entry_head *e;

	publish(a, FORMAT_TEXT, 0);
	publish(a, FORMAT_TEXT, 0);
	e = (void *)(h.journal + h.index[2].at);
	assert_int_equal(e->position, 2);
	e->position = 7;
	assert_string_equal(shown(true, "journal", NULL, NULL),
	    "[{\"position\":2,\"lost\":\"corrupted\"},\n"
	    "{\"position\":1,\"offset\":1,\"time_ms\":1234567890123,"
	    "\"bytes\":6,\"kind\":\"text\",\"workers\":[0],\"sender\":\"api\","
	    "\"channel\":\"a\"}]\n");
	assert_non_null(strstr(
	    shown(false, "journal", NULL, NULL), "           2 corrupted\n"));
	SHM_STORE(h.heads->tail, UINT64_MAX);
	assert_non_null(shown(false, "journal", NULL, NULL));
}

/* A connection with two subscriptions. */
static uint64_t
connection(void)
{
	const uint32_t i = slot_take(&h, &slots);
	struct subscription sub = {.slot = i,
	    .flags = SUBSCRIPTION_PRESENT | SUBSCRIPTION_GAP,
	    .offset = 9};
	uint32_t e = channel("room");

	h.slot[i].user = SHM_NONE;
	h.slot[i].flags = SLOT_GAP | SLOT_AWAY | 5;
	h.slot[i].answered = KEY(1000, 3);
	h.slot[i].close_reason = REASON_SLOW;
	h.slot[i].chunk = UINT32_MAX;
	slot_set(&h, i, SLOT_OPEN);
	sub.channel = e + 1;
	sub.epoch = h.entry[e].epoch;
	assert_int_not_equal(subscription_add(&h, &records, &sub), SHM_NONE);
	sub.offset = SUBSCRIPTION_HELD;
	sub.flags = 0;
	sub.channel = channel("b") + 1; /* of another epoch */
	assert_int_not_equal(subscription_add(&h, &records, &sub), SHM_NONE);
	return slot_id(&h, i);
}

/* All of a connection. */
static void
one_connection(void **state)
{
	const uint64_t id = connection();
	char word[20];

	snprintf(word, sizeof(word), "%llx", (unsigned long long)id);
	h.slot[(uint32_t)id].connected_ms = UINT64_MAX; /* corrupted */
	assert_string_equal(shown(false, "connection", word, NULL),
	    "id                 0000000100000000\n"
	    "phase              open\n"
	    "worker             0\n"
	    "descriptor         0\n"
	    "user               -\n"
	    "device             -\n"
	    "peer               ?\n"
	    "transport          ?\n"
	    "framing            ?\n"
	    "door               ?\n"
	    "connected_s        0\n"
	    "input_read         1000\n"
	    "input_done         1000\n"
	    "input_commands     3\n"
	    "input_bytes        0\n"
	    "input_waiting      0\n"
	    "input_message      none\n"
	    "published          0\n"
	    "delivered          0\n"
	    "frames             0\n"
	    "frames_kept        0\n"
	    "output_from        0\n"
	    "output_end         0\n"
	    "output_sound       no\n"
	    "skipped            0\n"
	    "flags              gap,away\n"
	    "door_flags         5\n"
	    "close_code         0\n"
	    "close_reason       slow\n"
	    "expires_ms         0\n"
	    "steady             yes\n"
	    "subscriptions      2\n"
	    "           OFFSET FLAGS                           CHANNEL\n"
	    "             held -                               -\n"
	    "                9 gap,present                     room\n");
	h.slot[(uint32_t)id].close_reason = 999;
	slot_set(&h, (uint32_t)id, SLOT_ENDING);
	assert_non_null(strstr(
	    shown(true, "connection", word, NULL), "\"phase\":\"ending\""));
	assert_non_null(strstr(
	    shown(true, "connection", word, NULL), "\"close_reason\":\"?\""));
	assert_non_null(strstr(shown(true, "connection", word, NULL),
	    "\"channels\":[{\"channel\":\"\",\"offset\":null,\"flags\":[]},"
	    "{\"channel\":\"room\",\"offset\":9,\"flags\":[\"gap\",\"present\"]"
	    "}]}"));
	slot_release(&h, &slots, (uint32_t)id);
	assert_string_equal(shown(true, "connection", word, NULL),
	    "there is no connection 100000000");
}

/* How much is kept: what was written before the chain broke does not count. */
static void
channels(void **state)
{
	const uint32_t a = channel("a");

	for (int k = 0; k < 3; k++)
		publish(a, FORMAT_TEXT, 0);
	publish(a, FORMAT_LEAVE, 0);
	assert_non_null(strstr(shown(true, "channels", NULL, NULL),
	    "{\"channel\":\"a\",\"connections\":0,\"workers\":[0],\"kept\":3,"
	    "\"history\":null,\"offset\":3,"));
	((struct entry_head *)(void *)(h.journal + h.index[2].at))->previous =
	    3; /* a circle */
	assert_non_null(strstr(shown(true, "channels", NULL, NULL),
	    "\"kept\":2,\"history\":null,\"offset\":3,"));
}

/* A channel whose history fills the journal's index does not hide that of those
 * behind it. */
static void
channels_full(void **state)
{
	const uint32_t a = channel("a"), b = channel("b"), c = channel("c");

	for (uint64_t k = 0; k < h.n_index; k++)
		publish(a, FORMAT_TEXT, 0);
	publish(b, FORMAT_TEXT, 0);
	publish(c, FORMAT_TEXT, 0);
	assert_non_null(strstr(shown(true, "channels", NULL, NULL),
	    "{\"channel\":\"b\",\"connections\":0,\"workers\":[0],\"kept\":"
	    "1,"));
	assert_non_null(strstr(shown(true, "channels", NULL, NULL),
	    "{\"channel\":\"c\",\"connections\":0,\"workers\":[0],\"kept\":"
	    "1,"));
}

/* The lock does not matter, whichever process holds it. */
static void
locked(void **state)
{
	channel("a");
	SHM_STORE(h.lock->word, 0x3fffffff); /* a thread that is not there */
	assert_non_null(strstr(shown(true, "channels", NULL, NULL), "\"a\""));
	assert_int_equal(SHM_LOAD(h.lock->word), 0x3fffffff);
	lock_reset(&h);
	hub_become(&h, 0);
}

/* Memory that is not what it says is refused, whichever size is wrong. */
static void
sizes(void **state)
{
	uint32_t *const word[] = {&h.heads->sizes.lines, &h.heads->sizes.users,
	    &h.heads->sizes.channels, &h.heads->sizes.charge,
	    &h.heads->sizes.payer_bits, &h.heads->sizes.slots,
	    &h.heads->sizes.segments, &h.heads->sizes.chunks,
	    &h.heads->sizes.pages, &h.heads->sizes.subscriptions};
	static const uint32_t values[] = {0, 1, 1 << 20, 1u << 31, UINT32_MAX};
	const struct shm_sizes good = h.heads->sizes;
	char error[256];
	struct hub peek;

	for (size_t k = 0; k < sizeof(word) / sizeof(word[0]); k++)
		for (size_t v = 0; v < sizeof(values) / sizeof(values[0]);
		     v++) {
			*word[k] = values[v];
			assert_int_equal(hub_peek(&peek, memory.base,
					     memory.size, error, sizeof(error)),
			    -1);
			assert_string_equal(error, "its sizes are corrupted");
			h.heads->sizes = good;
		}
	h.heads->sizes.journal = 0;
	assert_int_equal(
	    hub_peek(&peek, memory.base, memory.size, error, sizeof(error)),
	    -1);
	h.heads->sizes = good;
	h.heads->sizes.total += 1;
	assert_int_equal(
	    hub_peek(&peek, memory.base, memory.size, error, sizeof(error)),
	    -1);
	assert_non_null(strstr(error, "it is cut off: "));
	h.heads->sizes = good;
	assert_int_equal(
	    hub_peek(&peek, memory.base, memory.size, error, sizeof(error)), 0);
}

/* Names that were written over do not reach a terminal. */
static void
words(void **state)
{
	struct hub_words w = {.door[1] = "plain", .framing[2] = "a\033[1m"};

	memset(w.transport, 'x', sizeof(w.transport));
	hub_words_put(&h, &w);
	hub_words_get(&memory.hub, &w);
	assert_string_equal(hub_word(w.door, 1), "plain");
	assert_string_equal(hub_word(w.door, 2), "?");
	assert_string_equal(hub_word(w.door, 255), "?");
	assert_string_equal(hub_word(w.framing, 2), "a");
	assert_string_equal(hub_word(w.transport, 7), "xxxxxxxxxxxxxxx");
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {TEST(journal),
	    TEST(journal_corrupted), TEST(one_connection), TEST(channels),
	    TEST(channels_full), TEST(locked), TEST(sizes), TEST(words)};

	return cmocka_run_group_tests_name("show", tests, NULL, NULL);
}
