/*
 * json_texts: texts for the tests of json, each in memory of its exact size,
 * so that a sanitizer sees a read beyond it.
 */
#ifndef CHATD_TESTS_JSON_TEXTS_H
#define CHATD_TESTS_JSON_TEXTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/json.h"

/* Copies of exact size; the last few stay alive for the values in them. */
static inline char *
exact(const char *text, size_t len)
{
	static char *kept[16];
	static unsigned at;
	char **slot = &kept[at++ % 16];

	free(*slot);
	*slot = len > 0 ? malloc(len) : NULL;
	assert_true(*slot != NULL || len == 0);
	if (len > 0)
		memcpy(*slot, text, len);
	return *slot;
}

/* Whether bytes are accepted. */
static inline bool
accepts(const char *text, size_t len)
{
	struct json_value v;
	bool good = json_validate(exact(text, len), len, &v);

	assert_true(good == (v.type != JSON_NONE));
	assert_true(good == (v.p != NULL));
	return good;
}

/* The value of a text that must be good. */
static inline struct json_value
value(const char *text)
{
	size_t len = strlen(text);
	struct json_value v;

	if (!json_validate(exact(text, len), len, &v))
		fail_msg("refused: %s", text);
	return v;
}

/* Frees the copies that are kept. */
static inline void
exact_free(void)
{
	int i;

	for (i = 0; i < 16; i++)
		exact("", 0);
}

#endif
