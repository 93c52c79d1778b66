/* What the tests of conf share: a folder, files in it, and their judgement. */
#ifndef CHATD_TESTS_UNIT_CONF_FILES_H
#define CHATD_TESTS_UNIT_CONF_FILES_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"

#define K 1024ULL
#define M (1024 * K)
#define G (1024 * M)

static char folder[64];
static char error[4096];

/* A path in the test's own folder; good for one call. */
static inline const char *
path(const char *name)
{
	static char text[4][256];
	static int turn;
	char *p = text[turn++ % 4];

	snprintf(p, sizeof(text[0]), "%s/%s", folder, name);
	return p;
}

/* Writes a file into the folder. */
static inline void
put_bytes(const char *name, const char *bytes, size_t len)
{
	FILE *f = fopen(path(name), "w");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

/* Writes text into a file of the folder. */
static inline void
put(const char *name, const char *text)
{
	put_bytes(name, text, strlen(text));
}

/* Loads a configuration that must be right. */
static inline struct conf *
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
static inline void
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

/* Makes the folder. */
static inline int
begin(void **state)
{
	strcpy(folder, "/tmp/chatd-conf.XXXXXX");
	return mkdtemp(folder) == NULL ? -1 : 0;
}

/* Removes it. */
static inline int
end(void **state)
{
	unlink(path("t.conf"));
	return rmdir(folder);
}

#endif
