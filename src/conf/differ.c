/* differ: which keys differ between two configurations. */

#include <stdio.h>
#include <string.h>

#include "parse.h"

/* Whether a reload would have to change a key that needs a restart. */
static bool
key_differs(
    const struct conf *a, const struct conf *b, const struct conf_key *key)
{
	const char *pa = (const char *)a + key->offset;
	const char *pb = (const char *)b + key->offset;
	const char *ta, *tb;
	int i;

	switch (key->kind) {
	case CONF_KIND_LISTEN:
		if (a->n_listen != b->n_listen)
			return true;
		for (i = 0; i < a->n_listen; i++)
			if (strcmp(a->listen[i], b->listen[i]) != 0)
				return true;
		return false;
	case CONF_KIND_TEXT:
	case CONF_KIND_PATH:
		memcpy(&ta, pa, sizeof(ta));
		memcpy(&tb, pb, sizeof(tb));
		if (ta == NULL || tb == NULL)
			return ta != tb;
		return strcmp(ta, tb) != 0;
	default:
		return memcmp(pa, pb, key->size) != 0;
	}
}

/* Appends a key's name to a list that may be cut between two. */
static void
name_add(char *out, size_t out_len, size_t *used, const char *name, bool first)
{
	int n = snprintf(
	    out + *used, out_len - *used, "%s%s", first ? "" : ", ", name);

	if (n > 0 && (size_t)n < out_len - *used)
		*used += (size_t)n;
	else if (out_len > *used)
		out[*used] = '\0';
}

/* Names the keys that differ and lie outside conf_live. */
int
conf_differences(
    const struct conf *old, const struct conf *new, char *out, size_t out_len)
{
	const struct conf_key *key;
	size_t used = 0;
	int n = 0;

	if (out_len > 0)
		out[0] = '\0';
	for (key = conf_keys; key->name != NULL; key++)
		if (key->offset < offsetof(struct conf, live) &&
		    key_differs(old, new, key))
			name_add(out, out_len, &used, key->name, n++ == 0);
	return n;
}

/* Whether a key of conf_live differs. */
static bool
live_key_differs(const struct conf_live *a, const struct conf_live *b,
    const struct conf_key *key)
{
	const size_t at = key->offset - offsetof(struct conf, live);

	if (key->kind == CONF_KIND_RATE && a->message_burst != b->message_burst)
		return true;
	if (key->kind == CONF_KIND_INSECURE && a->insecure && b->insecure &&
	    a->insecure_public != b->insecure_public)
		return true;
	return memcmp((const char *)a + at, (const char *)b + at, key->size) !=
	    0;
}

/* Names the keys that differ and lie in conf_live. */
int
conf_live_differences(const struct conf_live *old, const struct conf_live *new,
    char *out, size_t out_len)
{
	const struct conf_key *key;
	size_t used = 0;
	int n = 0;

	if (out_len > 0)
		out[0] = '\0';
	for (key = conf_keys; key->name != NULL; key++)
		if (key->offset >= offsetof(struct conf, live) &&
		    live_key_differs(old, new, key))
			name_add(out, out_len, &used, key->name, n++ == 0);
	return n;
}
