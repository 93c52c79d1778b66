/* report_archive: what `chatctl store` says in each state of the database. */
#include "hub_fixture.h"

#include <event2/buffer.h>
#include <stdio.h>
#include <string.h>

#include "../../src/master/private.h"
#include "base/clock.h"
#include "hub/figures.h"
#include "hub/line.h"
#include "master/report.h"

static struct master *m;
static struct conf *conf;

static const struct child_kind writer = {
    .name = "store", .n = 1, .reader = READER_STORE + 1};
static const struct child_kind pager = {.name = "store-read", .n = 1};

/* A master with a process that writes and one that reads. */
static int
begin(void **state)
{
	m = calloc(1, sizeof(*m));
	conf = conf_new();
	assert_non_null(m);
	assert_non_null(conf);
	fixture_hub(&m->hub, 64, 16, 65536, 1 << 20, 1 << 20);
	conf->store = strdup("/var/a \"b\".db");
	m->conf = conf;
	m->n_others = 2;
	m->other[0] = (struct child){.kind = &writer,
	    .pid = 7,
	    .ready = true,
	    .line = &m->hub.line[SHM_WORKERS]};
	m->other[1] = (struct child){.kind = &pager,
	    .pid = 8,
	    .ready = true,
	    .line = &m->hub.line[SHM_WORKERS + 1]};
	return 0;
}

static int
end(void **state)
{
	hub_destroy(&m->hub);
	conf_free(conf);
	free(m);
	return 0;
}

/* What it says; good until the next call. */
static const char *
shown(bool json)
{
	static char text[8192];
	struct evbuffer *out = evbuffer_new();
	struct report *r = report_new(m, "store", json);
	size_t n;

	assert_non_null(r);
	while (report_more(r, out) == 1)
		;
	report_free(r);
	n = evbuffer_get_length(out);
	assert_true(n < sizeof(text));
	evbuffer_remove(out, text, n);
	text[n] = '\0';
	evbuffer_free(out);
	return text;
}

/* Checks the state, and that its reason has these words; "": is empty. */
static void
state_check(const char *word, const char *why)
{
	char begins[64];
	const char *text = shown(true), *reason;

	snprintf(
	    begins, sizeof(begins), "{\"state\":\"%s\",\"reason\":\"", word);
	if (strncmp(text, begins, strlen(begins)) != 0)
		fail_msg("%s: %s", word, text);
	reason = text + strlen(begins);
	if (*why == '\0' ? *reason != '"' : strstr(reason, why) == NULL)
		fail_msg("%s: %s", why, text);
}

static void
test_states(void **state)
{
	struct figures *f = figures_of(&m->hub);

	state_check("off", "");
	figures_tell(f, FIGURES_OPENING, NULL);
	state_check("opening", "");
	figures_tell(f, FIGURES_FULL, "5 % are left");
	state_check("full", "5 % are left");
	/* what is over is not told any more */
	figures_tell(f, FIGURES_OK, NULL);
	state_check("ok", "");
	SHM_TELL(f->behind_ms, clock_ms() - 5000);
	state_check("slow", "disk");
	SHM_TELL(f->behind_ms, clock_ms() - 10);
	state_check("ok", "");
	SHM_TELL(f->behind_ms, 0);
	SHM_TELL(m->other[1].line->hand, HAND_DAMAGED);
	state_check("damaged", "reading");
	SHM_TELL(m->other[1].line->hand, HAND_NOTHING);
	m->other[0].ready = false;
	state_check("starting", "process");
	m->other[0].pid = 0;
	state_check("waiting", "process");
	m->other[0].pid = 7;
	m->other[0].ready = true;
	SHM_TELL(f->state, 77);
	state_check("?", "5 %");
	SHM_TELL(f->state, FIGURES_OK);
}

static void
test_json(void **state)
{
	struct figures *f = figures_of(&m->hub);

	SHM_TELL(f->rows, 3);
	SHM_TELL(f->bytes, 8192);
	SHM_TELL(f->wal_bytes, 4096);
	SHM_TELL(f->free_bytes, 1 << 20);
	SHM_TELL(f->stored, 4);
	SHM_TELL(f->pruned, 1);
	SHM_TELL(f->holes, 2);
	figures_tell(f, FIGURES_OK, NULL);
	SHM_TELL(f->state_ms, clock_ms());
	figures_commit(f, 1500);
	assert_string_equal(shown(true),
	    "{\"state\":\"ok\",\"reason\":\"\",\"state_s\":0,"
	    "\"path\":\"/var/a \\\"b\\\".db\",\"rows\":3,\"bytes\":8192,"
	    "\"wal_bytes\":4096,\"free_bytes\":1048576,\"behind\":0,"
	    "\"behind_ms\":0,\"stored\":4,\"commits\":1,"
	    "\"commit_ms\":{\"p50\":1.50,\"p99\":1.50,\"max\":1.50},"
	    "\"failures\":0,\"holes\":2,\"pruned\":1,\"erased\":0}\n");
	assert_non_null(strstr(shown(false), "\nrows "));
	assert_non_null(strstr(shown(false), "state                  ok\n"));
	assert_null(strstr(shown(false), "reason"));
}

/* Without a database there is nothing else to tell. */
static void
test_off(void **state)
{
	m->n_others = 0;
	assert_string_equal(shown(true),
	    "{\"state\":\"off\",\"reason\":\"no store in the "
	    "configuration\"}\n");
	assert_string_equal(shown(false),
	    "state                  off\n"
	    "reason                 no store in the configuration\n");
	m->n_others = 2;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_states),
	    cmocka_unit_test(test_json),
	    cmocka_unit_test(test_off),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
