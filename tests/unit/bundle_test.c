/* bundle: what is put in is found; what is not whole is refused. A
 * configuration loaded from one is that of the files. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bundle.h"
#include "conf/conf.h"

static char folder[] = "/tmp/chatd-bundle-XXXXXX";
static char error[1024], rebuilt[1024];
static int begun; /* files that were read */

/* Notes that a file is read. */
static void
begin(void *arg, const char *name)
{
	begun++;
}

/* A file's path. */
static const char *
path(const char *name)
{
	static char text[128];

	snprintf(text, sizeof(text), "%s/%s", folder, name);
	return text;
}

/* Writes a file. */
static void
put(const char *name, const char *text)
{
	FILE *f = fopen(path(name), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* Pieces of all lengths are found by kind and name, the first of a name. */
static void
pieces(void **state)
{
	struct bundle b = {.bytes = NULL};
	struct bundle_piece piece;
	char name[16], bytes[100];

	memset(bytes, 'x', sizeof(bytes));
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "%d", i);
		assert_int_equal(
		    bundle_put(&b, BUNDLE_FILE, name, i % 3, bytes, (size_t)i),
		    0);
	}
	assert_int_equal(bundle_put(&b, BUNDLE_FILE, "7", 0, NULL, 0), 0);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "%d", i);
		assert_true(bundle_get(&b, BUNDLE_FILE, name, &piece));
		assert_int_equal(piece.len, i);
		assert_int_equal(piece.error, i % 3);
		assert_memory_equal(piece.bytes, bytes, (size_t)i);
		assert_false(bundle_get(&b, BUNDLE_PAGE, name, &piece));
	}
	assert_false(bundle_get(&b, BUNDLE_FILE, "100", &piece));
	assert_int_equal(
	    bundle_put(&b, BUNDLE_FILE, "large", 0, bytes, BUNDLE_MAX), -1);
	assert_int_equal(errno, EFBIG);
	bundle_free(&b);
	assert_false(bundle_get(&b, BUNDLE_FILE, "7", &piece));
}

/* Whatever bytes come, they are refused or their pieces lie inside. */
static void
spoilt(void **state)
{
	struct bundle b = {.bytes = NULL}, other;
	struct bundle_piece piece;
	char *copy;

	for (int i = 0; i < 3; i++)
		assert_int_equal(
		    bundle_put(&b, BUNDLE_FILE, "abc", 0, "0123456789", 10), 0);
	for (size_t len = 1; len < b.len; len++) {
		copy = malloc(len); /* the sanitizer sees what lies outside */
		assert_non_null(copy);
		memcpy(copy, b.bytes, len);
		if (bundle_adopt(&other, copy, len) == -1) {
			assert_int_equal(errno, EBADMSG);
			free(copy);
		} else
			bundle_free(&other);
	}
	for (size_t at = 0; at < b.len; at++)
		for (int bit = 0; bit < 8; bit++) {
			copy = malloc(b.len);
			assert_non_null(copy);
			memcpy(copy, b.bytes, b.len);
			copy[at] ^= (char)(1 << bit);
			if (bundle_adopt(&other, copy, b.len) == -1) {
				free(copy);
				continue;
			}
			(void)bundle_get(&other, BUNDLE_PAGE, "", &piece);
			bundle_free(&other);
		}
	bundle_free(&b);
}

/* A configuration from a bundle: the same as from the files, and without
 * them; a file that is included twice is read once. */
static void
configuration(void **state)
{
	struct bundle b = {.begin = begin};
	struct conf *c;

	put("main.conf",
	    "include part.conf\nworkers 3\ninclude twice.conf\n"
	    "include twice.conf\n");
	put("part.conf", "users 55\n");
	put("twice.conf", "listen localhost:1\n");
	begun = 0;
	c = conf_load_bundle(path("main.conf"), &b, error, sizeof(error));
	assert_null(c); /* that address is there twice */
	assert_int_equal(begun, 3);
	unlink(path("main.conf"));
	unlink(path("part.conf"));
	unlink(path("twice.conf"));
	b.begin = NULL;
	assert_null(
	    conf_load_bundle(path("main.conf"), &b, rebuilt, sizeof(rebuilt)));
	assert_string_equal(error, rebuilt);
	assert_non_null(strstr(error, "twice.conf:1: listen"));
	bundle_free(&b);

	b.begin = begin;
	put("main.conf", "include part.conf\n");
	assert_false(conf_exists(path("none.conf"), &b));
	assert_true(conf_exists(path("main.conf"), &b));
	assert_null(
	    conf_load_bundle(path("main.conf"), &b, error, sizeof(error)));
	assert_non_null(strstr(error, "part.conf: No such file"));
	b.begin = NULL;
	put("part.conf", "users 55\n"); /* too late */
	assert_false(conf_exists(path("none.conf"), &b));
	assert_null(
	    conf_load_bundle(path("main.conf"), &b, rebuilt, sizeof(rebuilt)));
	assert_string_equal(error, rebuilt);
	bundle_free(&b);

	/* What a bundle does not have is not read. */
	b.begin = NULL;
	assert_null(
	    conf_load_bundle(path("main.conf"), &b, error, sizeof(error)));
	assert_non_null(strstr(error, "main.conf: No data available"));
	b.begin = begin;
	c = conf_load_bundle(path("main.conf"), &b, error, sizeof(error));
	assert_non_null(c);
	assert_int_equal(c->users, 55);
	conf_free(c);
	bundle_free(&b);
	unlink(path("main.conf"));
	unlink(path("part.conf"));
}

/* A FIFO is refused by its name, wherever it stands. */
static void
fifos(void **state)
{
	assert_int_equal(mkfifo(path("fifo.conf"), 0600), 0);
	assert_null(conf_load(path("fifo.conf"), error, sizeof(error)));
	assert_non_null(strstr(error, "fifo.conf: not a regular file\n"));
	unlink(path("fifo.conf"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pieces),
	    cmocka_unit_test(spoilt),
	    cmocka_unit_test(configuration),
	    cmocka_unit_test(fifos),
	};
	int r;

	if (mkdtemp(folder) == NULL)
		return 1;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return r;
}
