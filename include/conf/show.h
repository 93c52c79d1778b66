/*
 * show: what each key is set to, as people write it. Layer 1, pure.
 */
#ifndef CHATD_CONF_SHOW_H
#define CHATD_CONF_SHOW_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"

enum { CONF_WORD_TEXT = CONF_PATH_BYTES + 1 };

/* A key. Texts live as long as the configuration. */
struct conf_shown {
	const char *name;
	const char *usual; /* the default; NULL: none */
	const char *where; /* "file:line", or the option; NULL: nowhere */
	const char *words; /* what the key is for, in words */
	bool reloads;	   /* a reload applies it; else a restart does */
	bool list;	   /* its value may be several words */
};

/* The key of a number, from 0 on; false: there are no more. */
bool conf_show_key(const struct conf *c, int number, struct conf_shown *out);

/*
 * The word of a number, from 0 on, of that key's value: what workers were told
 * is in *live, the rest in *c. Of a secret it is "set". False: there are no
 * more, as of a key that is not set.
 */
bool conf_show_word(const struct conf *c, const struct conf_live *live, int key,
    int number, char out[CONF_WORD_TEXT]);

#endif
