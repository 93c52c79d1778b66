/* conf: defaults, each key and its limits, the grammar, complaints, reload. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"

#define K 1024ULL
#define M (1024 * K)
#define G (1024 * M)

static char folder[64];
static char error[4096];

/* A path in the test's own folder; good for one call. */
static const char *
path(const char *name)
{
	static char text[4][256];
	static int turn;
	char *p = text[turn++ % 4];

	snprintf(p, sizeof(text[0]), "%s/%s", folder, name);
	return p;
}

/* Writes a file into the folder. */
static void
put_bytes(const char *name, const char *bytes, size_t len)
{
	FILE *f = fopen(path(name), "w");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

/* Writes text into a file of the folder. */
static void
put(const char *name, const char *text)
{
	put_bytes(name, text, strlen(text));
}

/* Loads a configuration that must be right. */
static struct conf *
good(const char *text)
{
	struct conf *c;

	put("t.conf", text);
	c = conf_load(path("t.conf"), error, sizeof(error));
	if (c == NULL)
		fail_msg("\"%s\" refused: %s", text, error);
	assert_string_equal(error, "");
	return c;
}

/* Loads one that must be wrong at `line`, with `what` in its first
 * complaint. */
static void
wrong(const char *text, int line, const char *what)
{
	char place[128];
	struct conf *c;

	put("t.conf", text);
	c = conf_load(path("t.conf"), error, sizeof(error));
	if (c != NULL)
		fail_msg("\"%s\" accepted", text);
	snprintf(place, sizeof(place), "%s:%d: ", path("t.conf"), line);
	if (strncmp(error, place, strlen(place)) != 0)
		fail_msg("\"%s\": not at line %d: %s", text, line, error);
	*strchrnul(error, '\n') = '\0';
	if (strstr(error, what) == NULL)
		fail_msg("\"%s\": no \"%s\" in: %s", text, what, error);
}

/* Every default is the one that the man page tells. */
static void
defaults(void **state)
{
	struct conf *c = conf_new(), *file = good("");

	assert_non_null(c);
	assert_int_equal(c->n_listen, 1);
	assert_string_equal(c->listen[0], "localhost:8080");
	assert_int_equal(c->workers, 0);
	assert_int_equal(c->connections, 65536);
	assert_int_equal(c->users, 65536);
	assert_int_equal(c->journal_bytes, 64 * M);
	assert_int_equal(c->output_bytes, 256 * M);
	assert_int_equal(c->input_bytes, 64 * M);
	assert_true(c->io_uring);
	assert_null(c->user);
	assert_null(c->pidfile);
	assert_null(c->control);
	assert_null(c->log_file);
	assert_int_equal(c->live.message_size, 64 * K);
	assert_int_equal(c->live.message_rate, 0);
	assert_int_equal(c->live.message_burst, 0);
	assert_int_equal(c->live.queue_bytes, M);
	assert_int_equal(c->live.idle_ms, 0);
	assert_int_equal(c->live.ping_ms, 25000);
	assert_int_equal(c->live.pong_ms, 10000);
	assert_int_equal(c->live.handshake_ms, 10000);
	assert_int_equal(c->live.drain_ms, 30000);
	assert_int_equal(c->live.watchdog_ms, 2000);
	assert_int_equal(c->live.echo, 0);
	assert_int_equal(c->live.verbose, 0);
	assert_int_equal(c->live.origin_len, 0);
	assert_int_equal(conf_differences(c, file, error, sizeof(error)), 0);
	assert_memory_equal(&c->live, &file->live, sizeof(c->live));
	conf_free(c);
	conf_free(file);
}

/* The sample configuration shows defaults alone, so it changes nothing. */
static void
sample(void **state)
{
	struct conf *c, *file;

	if (access("etc/chatd.conf", R_OK) == -1)
		skip(); /* not started in the project's folder */
	c = conf_new();
	file = conf_load("etc/chatd.conf", error, sizeof(error));
	if (file == NULL)
		fail_msg("%s", error);
	assert_int_equal(conf_differences(c, file, error, sizeof(error)), 0);
	assert_memory_equal(&c->live, &file->live, sizeof(c->live));
	conf_free(c);
	conf_free(file);
}

/* Every key reaches its field. */
static void
keys(void **state)
{
	struct conf *c = good("listen 127.0.0.1:1\nlisten \"[::1]:2\"\n"
			      "workers 4\nuser _chat\npidfile /run/a.pid\n"
			      "control /run/a.sock\nlog-file /var/log/a\n"
			      "log verbose\nconnections 16\nusers 17\n"
			      "journal 1M\noutput-memory 5M\n"
			      "input-memory 2M\nmessage-size 3K\n"
			      "message-rate 8/s burst 20\nqueue 40K\n"
			      "idle-timeout 10m\nping-interval 1h\n"
			      "pong-timeout 15ms\nhandshake-timeout 2s\n"
			      "drain-timeout 0\nwatchdog 100ms\necho yes\n"
			      "io-uring no\norigin https://A.example:8\n");

	assert_int_equal(c->n_listen, 2);
	assert_string_equal(c->listen[0], "127.0.0.1:1");
	assert_string_equal(c->listen[1], "[::1]:2");
	assert_int_equal(c->workers, 4);
	assert_string_equal(c->user, "_chat");
	assert_string_equal(c->pidfile, "/run/a.pid");
	assert_string_equal(c->control, "/run/a.sock");
	assert_string_equal(c->log_file, "/var/log/a");
	assert_int_equal(c->live.verbose, 1);
	assert_int_equal(c->connections, 16);
	assert_int_equal(c->users, 17);
	assert_int_equal(c->journal_bytes, M);
	assert_int_equal(c->output_bytes, 5 * M);
	assert_int_equal(c->input_bytes, 2 * M);
	assert_int_equal(c->live.message_size, 3 * K);
	assert_int_equal(c->live.message_rate, 8);
	assert_int_equal(c->live.message_burst, 20);
	assert_int_equal(c->live.queue_bytes, 40 * K);
	assert_int_equal(c->live.idle_ms, 600000);
	assert_int_equal(c->live.ping_ms, 3600000);
	assert_int_equal(c->live.pong_ms, 15);
	assert_int_equal(c->live.handshake_ms, 2000);
	assert_int_equal(c->live.drain_ms, 0);
	assert_int_equal(c->live.watchdog_ms, 100);
	assert_int_equal(c->live.echo, 1);
	assert_false(c->io_uring);
	assert_int_equal(c->live.origin_len, sizeof("https://a.example:8"));
	assert_string_equal(c->live.origin, "https://a.example:8");
	conf_free(c);
}

/* The first and last allowed value of each range, and the ones outside. */
static void
ranges(void **state)
{
	static const struct {
		const char *key, *low, *high, *below, *above, *allowed;
	} range[] = {{"workers", "0", "64", "-1", "65", "from 0 to 64"},
	    {"connections", "16", "1048576", "15", "1048577",
		"from 16 to 1048576"},
	    {"users", "16", "4194304", "15", "4194305", "from 16 to 4194304"},
	    {"journal", "1M", "16G", "1023K", "17G", "from 1M to 16G"},
	    {"output-memory", "4M", "4095M", "3M", "4G",
		"at least 4M and below 4G"},
	    {"input-memory", "1M", "4G", "1K", "5G", "from 1M to 4G"},
	    {"message-size", "1", "16M", "0", "17M", "from 1 to 16M"},
	    {"message-rate", "1/s", "1000000/s", "0/s", "1000001/s",
		"from 1/s to 1000000/s, or off"},
	    {"queue", "4K", "200M", "4095", "2G", "from 4K to 1G"},
	    {"idle-timeout", "10ms", "1000h", "9ms", "1001h",
		"from 10ms to 1000h, or off"},
	    {"ping-interval", "10ms", "24h", "0", "25h", "from 10ms to 24h"},
	    {"pong-timeout", "10ms", "1h", "9ms", "61m", "from 10ms to 1h"},
	    {"handshake-timeout", "10ms", "1h", "0", "2h", "from 10ms to 1h"},
	    {"drain-timeout", "0", "24h", "-1s", "25h", "from 0 to 24h"},
	    {"watchdog", "100ms", "60s", "99ms", "61s", "from 100ms to 60s"}};
	char text[128];
	size_t i;

	for (i = 0; i < sizeof(range) / sizeof(range[0]); i++) {
		snprintf(
		    text, sizeof(text), "%s %s\n", range[i].key, range[i].low);
		conf_free(good(text));
		snprintf(
		    text, sizeof(text), "%s %s\n", range[i].key, range[i].high);
		conf_free(good(text));
		snprintf(text, sizeof(text), "\n%s %s\n", range[i].key,
		    range[i].below);
		wrong(text, 2, range[i].allowed);
		snprintf(
		    text, sizeof(text), "%s %s", range[i].key, range[i].above);
		wrong(text, 1, range[i].allowed);
	}
}

/* What switches a limit off. */
static void
off(void **state)
{
	struct conf *c = good("idle-timeout off\nmessage-rate off\n");

	assert_int_equal(c->live.idle_ms, 0);
	assert_int_equal(c->live.message_rate, 0);
	conf_free(c);
	c = good("idle-timeout 0\nmessage-rate 0\n");
	assert_int_equal(c->live.idle_ms, 0);
	assert_int_equal(c->live.message_rate, 0);
	conf_free(c);
	c = good("message-rate 8/s\n");
	assert_int_equal(c->live.message_rate, 8);
	assert_int_equal(c->live.message_burst, 8);
	conf_free(c);
	wrong("message-rate off burst 3\n", 1, "no burst");
	wrong("ping-interval off\n", 1, "from 10ms");
}

/* Sizes and times by themselves. */
static void
units(void **state)
{
	uint64_t v = 7;
	static const char *const no_size[] = {"", "K", "-1", "1k", "1KB", "1 K",
	    " 1", "0x10", "1.5M", "18446744073709551616", "18014398509481984K",
	    "17179869184G", NULL};
	static const char *const no_time[] = {"", "s", "10", "1d", "1S", "1 s",
	    "-1s", "1.5s", "1sec", "18446744073709551615s",
	    "18446744073709551616ms", "00x", NULL};
	int i;

	for (i = 0; no_size[i] != NULL; i++)
		assert_int_equal(conf_parse_size(no_size[i], &v), -1);
	for (i = 0; no_time[i] != NULL; i++)
		assert_int_equal(conf_parse_time(no_time[i], &v), -1);
	assert_int_equal(v, 7);
	assert_int_equal(conf_parse_size("0", &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(conf_parse_size("18446744073709551615", &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(conf_parse_size("64K", &v), 0);
	assert_int_equal(v, 64 * K);
	assert_int_equal(conf_parse_size("3M", &v), 0);
	assert_int_equal(v, 3 * M);
	assert_int_equal(conf_parse_size("16G", &v), 0);
	assert_true(v == 16 * G);
	assert_int_equal(conf_parse_time("0", &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(conf_parse_time("250ms", &v), 0);
	assert_int_equal(v, 250);
	assert_int_equal(conf_parse_time("2s", &v), 0);
	assert_int_equal(v, 2000);
	assert_int_equal(conf_parse_time("10m", &v), 0);
	assert_int_equal(v, 600000);
	assert_int_equal(conf_parse_time("3h", &v), 0);
	assert_int_equal(v, 10800000);
}

/* Comments, quotes, continuation, macros, blocks. */
static void
grammar(void **state)
{
	struct conf *c;

	c = good("# a comment \\\nworkers 3 # another\n\n\t  users \\\n 99");
	assert_int_equal(c->workers, 3);
	assert_int_equal(c->users, 99);
	conf_free(c);

	c = good("host = \"127.0.0.1\"\nport=81\nlisten $host:$port\n"
		 "port=82\nlisten $host:$port\nuser 'a \"b\\' \\\\c$port'\n");
	assert_string_equal(c->listen[0], "127.0.0.1:81");
	assert_string_equal(c->listen[1], "127.0.0.1:82");
	assert_string_equal(c->user, "a \"b' \\c$port");
	conf_free(c);

	c = good("origin {\n\t\"https://a\" \"https://b\" # two\n\n"
		 "\thttp://c }\norigin { }\norigin https://d null\n"
		 "origin *\nworkers 1");
	assert_int_equal(c->live.origin_len,
	    sizeof("https://a\0https://b\0http://c\0https://d\0null\0*"));
	assert_memory_equal(c->live.origin,
	    "https://a\0https://b\0http://c\0https://d\0null\0*",
	    c->live.origin_len);
	assert_int_equal(c->workers, 1);
	conf_free(c);

	/* A value may be a word that is a key elsewhere. */
	c = good("user echo\nlog brief\n");
	assert_string_equal(c->user, "echo");
	conf_free(c);
}

/* Lines that make no sense, with the line that is at fault. */
static void
nonsense(void **state)
{
	wrong("\n\nfoo 1\n", 3, "unknown key foo");
	wrong("Workers 1\n", 1, "unknown key Workers");
	wrong("workers\n", 1, "workers: its value is missing");
	wrong("workers", 1, "workers: its value is missing");
	wrong("workers 1 2\n", 1, "unexpected \"2\"");
	wrong("workers = 1\n", 1, "takes no =");
	wrong("message-sise = 64K\n", 1, "neither a key nor a macro");
	wrong("workers 1\n#\nworkers 1\n", 3, "set twice");
	wrong("workers x\n", 1, "not a number");
	wrong("watchdog 5\n", 1, "not a time");
	wrong("queue 64k\n", 1, "not a size");
	wrong("echo on\n", 1, "neither yes nor no");
	wrong("log loud\n", 1, "neither verbose nor brief");
	wrong("message-rate 8\n", 1, "not a rate");
	wrong("message-rate 8/s burst\n", 1, "missing");
	wrong("message-rate 8/s bust 9\n", 1, "burst");
	wrong("message-rate 8/s burst 0\n", 1, "from 1 to");
	wrong("user \"\"\n", 1, "empty");
	wrong("control x.sock\n", 1, "slash");
	wrong("control /123456789012345678901234567890123456789012345678901"
	      "23456789012345678901234567890123456789012345678901234567\n",
	    1, "longer than 107");
	wrong("user \"a\n", 1, "no end");
	wrong("user \"a\x01\"\n", 1, "control character");
	wrong("user $x\n", 1, "no macro $x");
	wrong("user a;b\n", 1, "unexpected ; outside quotes");
	wrong("user \xc3\xa9\n", 1, "0xc3");
	wrong("}\n", 1, "unexpected \"}\"");
	wrong("origin {\n*\n", 3, "no }");
	wrong("origin https://a/\n", 1, "without a path");
	wrong("origin a.example\n", 1, "origin:");
	wrong("workers 1\r\n", 1, "0x0d");
	wrong("input-memory 1M\nmessage-size 2M", 2, "less than message-size");
	wrong("output-memory 4M\nqueue 5M", 2, "less than queue");
}

/* All mistakes are told, in order, up to ten. */
static void
many(void **state)
{
	char text[32 * 8 + 1] = "", *p, *line;
	int i;

	for (i = 0; i < 32; i++)
		strcat(text, "foo bar\n");
	put("t.conf", text);
	assert_null(conf_load(path("t.conf"), error, sizeof(error)));
	for (i = 0, p = error; (line = strsep(&p, "\n")) != NULL && *line;)
		assert_int_equal(atoi(line + strlen(path("t.conf")) + 1), ++i);
	assert_int_equal(i, 10);

	/* A short buffer gets whole lines, and never more than it holds. */
	put("t.conf", "foo 1\nbar 2\n");
	memset(error, 'x', sizeof(error));
	i = (int)strlen(path("t.conf:1: unknown key foo")) + 6;
	assert_null(conf_load(path("t.conf"), error, (size_t)i));
	assert_int_equal(error[strlen(error) - 1], '\n');
	assert_null(strstr(error, "bar"));
	assert_int_equal(error[i], 'x');
	assert_null(conf_load(path("t.conf"), error, 4));
	assert_int_equal(strlen(error), 3);
	assert_null(conf_load(path("t.conf"), error, 0));
	assert_null(conf_load(path("none"), error, 0));
}

/* Included files: neighbours, places, depth, what is not a file. */
static void
includes(void **state)
{
	struct conf *c;

	assert_int_equal(mkdir(path("d"), 0700), 0);
	put("d/a.conf", "include \"b.conf\" # below\nworkers 5");
	put("d/b.conf", "users 55\nport=85");
	c = good("include \"d/a.conf\"\nlisten localhost:$port\n");
	assert_int_equal(c->workers, 5);
	assert_int_equal(c->users, 55);
	assert_string_equal(c->listen[0], "localhost:85");
	conf_free(c);

	wrong("include d/a.conf\nworkers 6", 2, "d/a.conf:2");
	wrong("\ninclude none.conf", 2, "No such file");
	wrong("include d\n", 1, "Is a directory");
	assert_int_equal(mkfifo(path("fifo"), 0600), 0);
	wrong("include fifo\n", 1, "not a regular file");
	wrong("include d/b.conf workers 3\n", 1, "one file a line");
	wrong("include\n", 1, "missing");
	wrong("include t.conf\n", 1, "more than 16");

	put("d/b.conf", "\nfoo 1\n");
	put("t.conf", "include d/a.conf\n");
	assert_null(conf_load(path("t.conf"), error, sizeof(error)));
	assert_memory_equal(error, path("d/b.conf:2: unknown key foo\n"),
	    strlen(path("d/b.conf:2: unknown key foo\n")));

	unlink(path("d/a.conf"));
	unlink(path("d/b.conf"));
	unlink(path("fifo"));
	assert_int_equal(rmdir(path("d")), 0);
}

/* Files that cannot be read or are out of all bounds. */
static void
bounds(void **state)
{
	static char big[1024 * 1024 + 2];
	char line[5000];
	int i, n = 0;

	assert_null(conf_load(path("none"), error, sizeof(error)));
	assert_non_null(strstr(error, "none: No such file or directory\n"));
	assert_null(conf_load(folder, error, sizeof(error)));
	assert_non_null(strstr(error, "Is a directory"));

	put_bytes("t.conf", "workers 1\nusers\0 16\n", 20);
	assert_null(conf_load(path("t.conf"), error, sizeof(error)));
	assert_non_null(strstr(error, "t.conf:2: a NUL byte"));

	memset(line, '#', sizeof(line));
	put_bytes("t.conf", line, 4096);
	conf_free(conf_load(path("t.conf"), error, sizeof(error)));
	assert_string_equal(error, "");
	put_bytes("t.conf", line, 4097);
	assert_null(conf_load(path("t.conf"), error, sizeof(error)));
	assert_non_null(strstr(error, ":1: a line of more than 4096"));

	memset(big, '\n', sizeof(big));
	put_bytes("t.conf", big, sizeof(big) - 2);
	conf_free(conf_load(path("t.conf"), error, sizeof(error)));
	assert_string_equal(error, "");
	put_bytes("t.conf", big, sizeof(big) - 1);
	assert_null(conf_load(path("t.conf"), error, sizeof(error)));
	assert_non_null(strstr(error, "more than 1M"));

	for (i = 0; i < 257; i++)
		n += snprintf(big + n, sizeof(big) - (size_t)n, "m%d=1\n", i);
	put_bytes("t.conf", big, (size_t)n);
	assert_null(conf_load(path("t.conf"), error, sizeof(error)));
	assert_non_null(strstr(error, ":257: more than 256 macros"));

	/* A string that grows by macros has an end too. */
	memset(line, 'a', sizeof(line));
	n = snprintf(big, sizeof(big), "a=%.2000s\nuser $a$a$a\n", line);
	put_bytes("t.conf", big, (size_t)n);
	assert_null(conf_load(path("t.conf"), error, sizeof(error)));
	assert_non_null(strstr(error, ":2: a string is too long"));

	for (i = n = 0; i < 300; i++)
		n += snprintf(big + n, sizeof(big) - (size_t)n,
		    "origin https://host-%d.example\n", i);
	put_bytes("t.conf", big, (size_t)n);
	assert_null(conf_load(path("t.conf"), error, sizeof(error)));
	assert_non_null(strstr(error, "more than 4096 bytes in all"));
}

/* Addresses: form, number, and the default that gives way. */
static void
listens(void **state)
{
	struct conf *c = conf_new();
	char text[32];
	int i;

	assert_int_equal(conf_add_listen(c, "a:1"), 0);
	assert_int_equal(c->n_listen, 1);
	assert_string_equal(c->listen[0], "a:1");
	for (i = 1; i < CONF_LISTEN_MAX; i++) {
		snprintf(text, sizeof(text), "a:%d", i + 1);
		assert_int_equal(conf_add_listen(c, text), 0);
	}
	assert_int_equal(conf_add_listen(c, "a:99"), -1);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(c->n_listen, CONF_LISTEN_MAX);
	conf_clear_listen(c);
	assert_int_equal(c->n_listen, 0);
	assert_int_equal(conf_add_listen(c, "b:1"), 0);
	assert_int_equal(conf_add_listen(c, "b:2"), 0);
	assert_int_equal(c->n_listen, 2);
	conf_free(c);

	conf_free(good("listen *:0\nlisten localhost:65535\n"));
	wrong("listen 8080\n", 1, "ADDRESS:PORT");
	wrong("listen :8080\n", 1, "ADDRESS:PORT");
	wrong("listen localhost:65536\n", 1, "ADDRESS:PORT");
	wrong("listen localhost:http\n", 1, "ADDRESS:PORT");
	wrong("listen ::1:80\n", 1, "brackets");
	wrong("listen a:1\nlisten a:1\n", 2, "twice");
	wrong("listen a:1\nlisten a:2\nlisten a:3\nlisten a:4\nlisten a:5\n"
	      "listen a:6\nlisten a:7\nlisten a:8\nlisten a:9\n",
	    9, "more than 8");
}

/* What a reload can and cannot change. */
static void
differences(void **state)
{
	struct conf *a = good(""), *b;
	char out[256], few[12];

	b = good("message-size 1K\nmessage-rate 1/s\nqueue 5K\n"
		 "idle-timeout 1s\nping-interval 1s\npong-timeout 1s\n"
		 "handshake-timeout 1s\ndrain-timeout 1s\nwatchdog 1s\n"
		 "echo yes\nlog verbose\norigin *\n");
	assert_int_equal(conf_differences(a, b, out, sizeof(out)), 0);
	assert_string_equal(out, "");
	conf_free(b);

	b = good("workers 2\nuser x\nio-uring no\nlisten a:1\n");
	assert_int_equal(conf_differences(a, b, out, sizeof(out)), 4);
	assert_string_equal(out, "listen, workers, user, io-uring");
	assert_int_equal(conf_differences(a, b, few, sizeof(few)), 4);
	assert_string_equal(few, "listen");
	assert_int_equal(conf_differences(a, b, few, 0), 4);
	conf_free(b);

	b = good("pidfile /a\ncontrol /b\nlog-file /c\nconnections 99\n"
		 "users 99\njournal 2M\noutput-memory 8M\n"
		 "input-memory 8M\n");
	assert_int_equal(conf_differences(a, b, out, sizeof(out)), 8);
	conf_free(b);
	conf_free(a);
}

/* A queue always holds one message. */
static void
queue(void **state)
{
	struct conf *c = good("message-size 16M\n");

	assert_true(c->live.queue_bytes > 16 * M);
	conf_free(c);
}

/* How many descriptors this process has. */
static int
descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

/* Loads leave nothing behind: no descriptor, no key seen, no macro. */
static void
again(void **state)
{
	int i, before = descriptors();

	for (i = 0; i < 500; i++) {
		conf_free(good("m=1\nworkers $m\n"));
		wrong("workers $m\n", 1, "no macro $m");
		wrong("origin {\nworkers", 2, "origin:");
		wrong("include nothing\n", 1, "No such file");
	}
	assert_int_equal(descriptors(), before);
}

/* Makes the folder. */
static int
begin(void **state)
{
	strcpy(folder, "/tmp/chatd-conf.XXXXXX");
	return mkdtemp(folder) == NULL ? -1 : 0;
}

/* Removes it. */
static int
end(void **state)
{
	unlink(path("t.conf"));
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(defaults),
	    cmocka_unit_test(sample), cmocka_unit_test(keys),
	    cmocka_unit_test(ranges), cmocka_unit_test(off),
	    cmocka_unit_test(units), cmocka_unit_test(grammar),
	    cmocka_unit_test(nonsense), cmocka_unit_test(many),
	    cmocka_unit_test(includes), cmocka_unit_test(bounds),
	    cmocka_unit_test(listens), cmocka_unit_test(differences),
	    cmocka_unit_test(queue), cmocka_unit_test(again)};

	return cmocka_run_group_tests_name("conf", tests, begin, end);
}
