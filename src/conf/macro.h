/*
 * macro: names that stand for a value in the configuration. Private to
 * src/conf; the strings are the parser's.
 */
#ifndef CHATD_CONF_MACRO_H
#define CHATD_CONF_MACRO_H

enum { MACROS_MAX = 256 };

struct macro {
	const char *name, *value;
};

struct macros {
	struct macro macro[MACROS_MAX];
	int n;
};

/* The value of that name, or NULL. */
const char *macro_find(const struct macros *m, const char *name);

/* Defines a macro, or gives it another value from here on. Returns NULL or
 * what is wrong (conf_complain's text). */
const char *macro_define(struct macros *m, const char *name, const char *value);

#endif
