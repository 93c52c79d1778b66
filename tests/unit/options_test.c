/* options: the command line wins over the file, and the whole is sound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "master/options.h"

static char file[64];
static char error[1024];

/* Writes a configuration file. */
static void
file_write(const char *text)
{
	FILE *f;

	snprintf(
	    file, sizeof(file), "/tmp/chatd-options-%d.conf", (int)getpid());
	f = fopen(file, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* Removes it. */
static int
teardown(void **state)
{
	unlink(file);
	return 0;
}

/* What the file says holds where the command line is silent. */
static void
file_counts(void **state)
{
	const struct options o = {.file = file, .workers = -1};
	struct conf *c;

	file_write("workers 3\nlisten localhost:1\nlog brief\n");
	c = options_load(&o, NULL, error, sizeof(error));
	assert_non_null(c);
	assert_int_equal(c->workers, 3);
	assert_int_equal(c->n_listen, 1);
	assert_string_equal(c->listen[0], "localhost:1");
	assert_int_equal(c->live.verbose, 0);
	conf_free(c);
}

/* What both say, the command line decides. */
static void
command_line_wins(void **state)
{
	const struct options o = {.file = file,
	    .workers = 5,
	    .n_listen = 2,
	    .listen = {"localhost:2", "localhost:3"},
	    .verbose = true,
	    .control = "/run/c",
	    .pidfile = "/run/p",
	    .user = "somebody"};
	struct conf *c;

	file_write("workers 3\nlisten localhost:1\nlog brief\n"
		   "control \"/run/x\"\npidfile \"/run/y\"\nuser nobody\n");
	c = options_load(&o, NULL, error, sizeof(error));
	assert_non_null(c);
	assert_int_equal(c->workers, 5);
	assert_int_equal(c->n_listen, 2);
	assert_string_equal(c->listen[0], "localhost:2");
	assert_string_equal(c->listen[1], "localhost:3");
	assert_string_equal(c->control, "/run/c");
	assert_string_equal(c->pidfile, "/run/p");
	assert_string_equal(c->user, "somebody");
	assert_int_equal(c->live.verbose, 1);
	conf_free(c);
}

/* 0 and nothing mean one worker per processor. */
static void
workers_are_resolved(void **state)
{
	struct options o = {.file = file, .workers = 0};
	struct conf *c;

	file_write("workers 3\n");
	c = options_load(&o, NULL, error, sizeof(error));
	assert_non_null(c);
	assert_in_range(c->workers, 1, CONF_WORKERS_MAX);
	conf_free(c);
	file_write("");
	o.workers = -1;
	c = options_load(&o, NULL, error, sizeof(error));
	assert_non_null(c);
	assert_in_range(c->workers, 1, CONF_WORKERS_MAX);
	conf_free(c);
}

/* A message must fit into the journal's share. */
static void
message_fits_the_journal(void **state)
{
	const struct options o = {.file = file, .workers = -1};
	struct conf *c;

	file_write("journal 1M\nmessage-size 128K\n");
	assert_null(options_load(&o, NULL, error, sizeof(error)));
	assert_non_null(strstr(error, ".conf:2: message-size 131072"));
	assert_non_null(strstr(error, "2048K"));
	file_write("\njournal 1M\n\n");
	assert_non_null(c = options_load(&o, NULL, error, sizeof(error)));
	conf_free(c);
	/* The ring is rounded down to a power of two. */
	file_write("journal 1999K\nmessage-size 128K\n");
	assert_null(options_load(&o, NULL, error, sizeof(error)));
	file_write("journal 2M\nmessage-size 128K\n");
	c = options_load(&o, NULL, error, sizeof(error));
	assert_non_null(c);
	conf_free(c);
}

/* What the file says of insecure must go with the command line's addresses. */
static void
insecure_is_guarded(void **state)
{
	struct options o = {
	    .file = file, .workers = -1, .n_listen = 1, .listen = {"*:2"}};
	struct conf *c;

	file_write("\ninsecure yes\n");
	assert_null(options_load(&o, NULL, error, sizeof(error)));
	assert_non_null(strstr(error, ".conf:2: insecure yes: "));
	file_write("insecure public\n");
	c = options_load(&o, NULL, error, sizeof(error));
	assert_non_null(c);
	conf_free(c);
	o.listen[0] = "192.168.1.5:2";
	file_write("listen *:1\ninsecure yes\n");
	c = options_load(&o, NULL, error, sizeof(error));
	assert_non_null(c);
	conf_free(c);
}

/* A named file has to be there, and right. */
static void
bad_files_are_told(void **state)
{
	struct options o = {.file = "/nonexistent/chatd.conf", .workers = -1};

	assert_null(options_load(&o, NULL, error, sizeof(error)));
	assert_non_null(strstr(error, "/nonexistent/chatd.conf"));
	file_write("workers 3\nwrokers 4\n");
	o.file = file;
	assert_null(options_load(&o, NULL, error, sizeof(error)));
	assert_non_null(strstr(error, ":2: "));
}

/* Relative paths are taken from where chatd was started. */
static void
paths_are_settled(void **state)
{
	struct options o = {
	    .file = "a.conf", .pidfile = "/b.pid", .workers = -1};
	char *here = getcwd(NULL, 0), whole[4096];

	assert_non_null(here);
	snprintf(whole, sizeof(whole), "%s/a.conf", here);
	assert_int_equal(options_settle(&o), 0);
	assert_string_equal(o.file, whole);
	assert_string_equal(o.pidfile, "/b.pid");
	assert_null(o.control);
	options_deinit(&o);
	free(here);
}

/* Words behind an address are judged, and told with their line. */
static void
words_are_judged(void **state)
{
	const struct options o = {.file = file, .workers = -1};
	char want[128];
	struct conf *c;

	file_write("workers 3\nlisten localhost:1 websocket public\n"
		   "listen localhost:2\n");
	c = options_load(&o, NULL, error, sizeof(error));
	assert_non_null(c);
	assert_string_equal(c->listen[0], "localhost:1");
	assert_string_equal(c->listen_words[0], "websocket public");
	assert_null(c->listen_words[1]);
	assert_true(conf_listen_is(c, 0, "localhost:1 websocket public"));
	assert_false(conf_listen_is(c, 0, "localhost:1"));
	assert_false(conf_listen_is(c, 0, "localhost:1 websocket"));
	assert_true(conf_listen_is(c, 1, "localhost:2"));
	assert_false(conf_listen_is(c, 1, "localhost:2 tcp"));
	conf_free(c);
	file_write("workers 3\nlisten localhost:1 tcp\n"
		   "listen localhost:2 tcp smoke\n");
	assert_null(options_load(&o, NULL, error, sizeof(error)));
	snprintf(
	    want, sizeof(want), "%s:3: listen: localhost:2: \"smoke\"", file);
	assert_non_null(strstr(error, want));
	assert_non_null(strstr(error,
	    "known words are public clients admin "
	    "tls-redirect tcp"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(file_counts, teardown),
	    cmocka_unit_test_teardown(command_line_wins, teardown),
	    cmocka_unit_test_teardown(workers_are_resolved, teardown),
	    cmocka_unit_test_teardown(message_fits_the_journal, teardown),
	    cmocka_unit_test_teardown(insecure_is_guarded, teardown),
	    cmocka_unit_test_teardown(bad_files_are_told, teardown),
	    cmocka_unit_test_teardown(words_are_judged, teardown),
	    cmocka_unit_test(paths_are_settled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
