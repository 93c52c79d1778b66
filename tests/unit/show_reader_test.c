/* show_reader: what is printed of the journal's readers' channels and entries.
 */
#include "hub_fixture.h"

#include <stdio.h>
#include <sys/mman.h>

#include "hub/line.h"
#include "hub/lock.h"
#include "hub/peek.h"
#include "hub/presence.h"
#include "hub/slot.h"
#include "show/memory.h"
#include "show/subject.h"

enum {
	STORE = 1 << READER_STORE,
	ENGINE = 1 << READER_ENGINE,
	HOOKS = 1 << READER_HOOKS
};

static struct hub h;
static struct memory memory;

/* For struct hub. */
static uint8_t
flags_cb(void *arg, const char *name, size_t len)
{
	return STORE | HOOKS | STORE << PRESENCE_REQUIRED;
}

/* A hub with readers that is looked at through a mapping of its own. */
static int
begin(void **state)
{
	char error[256];

	fixture_hub_readers(
	    &h, 64, 16, 65536, 1 << 20, 1 << 20, STORE | ENGINE | HOOKS, HOOKS);
	h.flags_of = flags_cb;
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
	hub_destroy(&h);
	return 0;
}

/* What is shown of a subject, or of one thing; good until the next call. */
static const char *
shown_of(bool json, const char *what, char *word)
{
	static char text[65536];
	FILE *out = fmemopen(text, sizeof(text), "w");
	struct show_from from;
	char error[256];
	struct show *s;

	memory_from(&memory, &from);
	s = show_new(&from, show_subject_find(what), json);
	assert_non_null(s);
	assert_int_equal(
	    show_ask(s, word != NULL, &word, error, sizeof(error)), 0);
	while (show_more(s, out) == 1)
		continue;
	show_free(s);
	fclose(out);
	return text;
}

/* All that is shown of a subject. */
static const char *
shown(bool json, const char *what)
{
	return shown_of(json, what, NULL);
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

/* Its readers, where it stands with them, and an epoch of 64 bits. */
static void
channels(void **state)
{
	const uint32_t e = channel("a");
	char wanted[1024];

	h.stream[e] = 0x1234567890;
	h.entry[e].offset = 7;
	snprintf(wanted, sizeof(wanted),
	    "CONNECTIONS WORKERS               HISTORY          OFFSET EPOCH   "
	    " "
	    "STATE   READERS            REQUIRED BY        CHANNEL\n"
	    "          0 0                           0               7 "
	    "1234567890 cold    store,hooks        store              a\n");
	assert_string_equal(shown(false, "channels"), wanted);
	assert_string_equal(shown(true, "channels"),
	    "[{\"channel\":\"a\",\"connections\":0,\"workers\":[0],\"kept\":0,"
	    "\"history\":null,\"offset\":7,\"epoch\":\"1234567890\","
	    "\"state\":\"cold\",\"readers\":[\"store\",\"hooks\"],"
	    "\"required_by\":[\"store\"]}]\n");
	hub_lock(&h);
	assert_true(presence_is_cold(&h, e));
	hub_unlock(&h);
	assert_non_null(
	    strstr(shown(true, "channels"), "\"state\":\"opening\""));
	h.entry[e].flags = 0;
	assert_non_null(strstr(shown(false, "channels"),
	    " open    -                  -                  a\n"));
	/* a state that there is not */
	h.entry[e].flags = 0xff;
	assert_non_null(strstr(shown(false, "channels"),
	    " ?       store,engine,hooks store,engine,hooks a\n"));
}

/* Entries of all kinds, with whom they are for. */
static void
journal(void **state)
{
	static const char *const kinds[] = {"result", "open", "opened",
	    "online", "offline", "occupied", "vacated", "connect", "disconnect",
	    "delivered"};
	const uint32_t e = channel("a");
	struct publication p = {.channel = e,
	    .format = FORMAT_TEXT,
	    .flags = PUBLICATION_WAITS,
	    .sender = 0x100000003,
	    .time_ms = 1234567890123,
	    .data = "secret",
	    .data_len = 6};
	char line[64];
	const char *text;

	assert_int_equal(journal_tail(&h), 1);
	hub_lock(&h);
	journal_append(&h, &p);
	hub_unlock(&h);
	text = shown(false, "journal");
	assert_non_null(strstr(text,
	    "KIND       WORKERS         SENDER           "
	    "READERS            REQUIRED BY        "
	    "ASKS     CHANNEL\n"));
	assert_non_null(strstr(text,
	    "6 text       0               0000000100000003 store,hooks        "
	    "store              answer   a\n"));
	assert_non_null(strstr(text,
	    "1 occupied                   -                hooks              "
	    "-                  -        a\n"));
	text = shown(true, "journal");
	assert_non_null(strstr(text,
	    "\"sender\":\"0000000100000003\",\"channel\":\"a\","
	    "\"readers\":[\"store\",\"hooks\"],\"required_by\":[\"store\"],"
	    "\"asks\":\"answer\"}"));
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		p = (struct publication){.channel = e,
		    .format = (uint8_t)(FORMAT_RESULT + k),
		    .data = ""};
		hub_lock(&h);
		journal_append_event(&h, &p, ENGINE, 0);
		hub_unlock(&h);
		snprintf(line, sizeof(line), "\"kind\":\"%s\"", kinds[k]);
		text = shown(true, "journal");
		assert_non_null(strstr(text, line));
		assert_null(strstr(text, "\"kind\":\"?\""));
	}
	p = (struct publication){
	    .channel = e, .format = FORMAT_LEAP, .data = ""};
	hub_lock(&h);
	journal_append_event(&h, &p, ENGINE, 0);
	hub_unlock(&h);
	assert_non_null(strstr(shown(true, "journal"), "\"kind\":\"leap\""));
	p.format = FORMAT_LEAP - 1; /* none has that name */
	hub_lock(&h);
	journal_append_event(&h, &p, ENGINE, 0);
	hub_unlock(&h);
	assert_non_null(strstr(shown(true, "journal"), "\"kind\":\"?\""));
	/* what is for all workers is for those that there are */
	h.line[1].state = WORKER_RUNNING;
	hub_lock(&h);
	journal_append_event(&h, &p, 0, UINT64_MAX);
	hub_unlock(&h);
	assert_non_null(strstr(
	    shown(true, "journal"), "\"kind\":\"?\",\"workers\":[0,1],"));
}

/* Whether a connection waits for a reader, and that readers know of it. */
static void
connection(void **state)
{
	struct claim slots;
	char word[17];
	uint32_t i;

	assert_int_equal(claim_init(&slots, h.slot_owner, 64, 0), 0);
	i = slot_take(&h, &slots);
	h.slot[i].user = SHM_NONE;
	h.slot[i].chunk = UINT32_MAX;
	slot_set(&h, i, SLOT_OPEN);
	snprintf(
	    word, sizeof(word), "%016llx", (unsigned long long)slot_id(&h, i));
	assert_non_null(strstr(
	    shown_of(true, "connection", word), "\"awaits\":\"nothing\""));
	h.slot[i].awaits = AWAITS_RESULT;
	h.slot[i].flags = SLOT_TOLD | 5;
	assert_non_null(strstr(
	    shown_of(true, "connection", word), "\"awaits\":\"result\""));
	assert_non_null(strstr(shown_of(true, "connection", word),
	    "\"flags\":[\"told\"],\"door_flags\":5,"));
	h.slot[i].awaits = AWAITS_DONE + 1;
	assert_non_null(
	    strstr(shown_of(true, "connection", word), "\"awaits\":\"done\""));
	claim_deinit(&slots);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(channels, begin, end),
	    cmocka_unit_test_setup_teardown(journal, begin, end),
	    cmocka_unit_test_setup_teardown(connection, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
