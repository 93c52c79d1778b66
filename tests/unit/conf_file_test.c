/* conf: the grammar, complaints with their place, include, bounds. */

#include <dirent.h>
#include <sys/stat.h>

#include "conf_files.h"

/* Comments, quotes, continuation, macros, blocks. */
static void
grammar(void **state)
{
	struct conf *c;

	c = good("# a comment \\\nworkers 3 # another\n\n\t  users \\\n 99");
	assert_int_equal(c->workers, 3);
	assert_int_equal(c->users, 99);
	conf_free(c);

	c = good("at = \"127.0.0.1\"\nport=81\nlisten $at:$port\n"
		 "port=82\nlisten $at:$port\nuser 'a \"b\\' \\\\c$port'\n");
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

	/* Lines as other systems end them. */
	c = good("# a \\\r\nworkers 3 # b\r\n\r\nusers \\\r\n 99\r\n"
		 "a = 'x y'\r\nuser $a\r\norigin {\r\n\"http://c\"\r\n}\r\n"
		 "control \"/a\"\r\n");
	assert_int_equal(c->workers, 3);
	assert_int_equal(c->users, 99);
	assert_string_equal(c->user, "x y");
	assert_string_equal(c->live.origin, "http://c");
	assert_string_equal(c->control, "/a");
	conf_free(c);
	wrong("workers 3\r\n\r\nfoo bar\r\n", 3, "unknown key foo");
	wrong("user \"a\r\n\"", 1, "no end");

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
	wrong("message-sise = 64K\n", 1, "did you mean message-size");
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
	wrong("wrokers 4\n", 1, "unknown key wrokers; did you mean workers?");
	wrong("\nmessag-sise 64K\n", 2, "did you mean message-size?");
	wrong("incldue a\n", 1, "did you mean include?");
	wrong("channel a {\nsubscrbe all\n}\n", 2, "did you mean subscribe?");
	wrong("origin a.example\n", 1, "origin:");
	wrong("workers 1\r 2\n", 1, "0x0d");
	wrong("user \"a\rb\"\n", 1, "control character");
	wrong("input-memory 1M\nmessage-size 2M\n\n", 2, "must hold a message");
	wrong("message-size 100K\ninput-memory 1M\nqueue 5M\n"
	      "output-memory 4M\n\n",
	    3, "must hold a queue");
	wrong("\nmessage-size 3M\noutput-memory 47M\n\n", 2,
	    "message-size 3145728 needs an output-memory of 49152K");
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

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(grammar),
	    cmocka_unit_test(nonsense), cmocka_unit_test(many),
	    cmocka_unit_test(includes), cmocka_unit_test(bounds),
	    cmocka_unit_test(again)};

	return cmocka_run_group_tests_name("conf files", tests, begin, end);
}
