/* differ: which keys differ between two configurations. */

#include <stdio.h>
#include <string.h>

#include "parse.h"

/* Whether two texts, of which each may be missing, differ. */
static bool
differ_text(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a != b;
	return strcmp(a, b) != 0;
}

/* Whether certificates differ, or their order does. */
static bool
differ_certificates(const struct conf_tls *a, const struct conf_tls *b)
{
	const struct conf_certificate *ca = a->certificate;
	const struct conf_certificate *cb = b->certificate;

	if (a->n_certificates != b->n_certificates)
		return true;
	for (int i = 0; i < a->n_certificates; i++, ca++, cb++)
		if (differ_text(ca->chain, cb->chain) ||
		    differ_text(ca->key, cb->key) ||
		    differ_text(ca->staple, cb->staple))
			return true;
	return false;
}

/* Whether lists of names differ, or their order does. */
static bool
differ_names(const struct conf_names *a, const struct conf_names *b)
{
	return a->n != b->n || memcmp(a->at, b->at, a->n) != 0;
}

/* Whether a key differs that lies outside conf_live. */
static bool
differ_key(
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
			if (strcmp(a->listen[i], b->listen[i]) != 0 ||
			    differ_text(a->listen_words[i], b->listen_words[i]))
				return true;
		return false;
	case CONF_KIND_TEXT:
	case CONF_KIND_PATH:
		memcpy(&ta, pa, sizeof(ta));
		memcpy(&tb, pb, sizeof(tb));
		return differ_text(ta, tb);
	case CONF_KIND_CERTIFICATE:
		return differ_certificates(&a->tls, &b->tls);
	case CONF_KIND_NAMES:
		return differ_names((const void *)pa, (const void *)pb);
	default:
		return memcmp(pa, pb, key->size) != 0;
	}
}

/* Whether a key of conf_live differs. */
static bool
differ_live_key(const struct conf_live *a, const struct conf_live *b,
    const struct conf_key *key)
{
	const size_t at = key->offset - offsetof(struct conf, live);

	if (key->kind == CONF_KIND_PREFIX && a->n_exempt != b->n_exempt)
		return true;
	if (key->kind == CONF_KIND_RATE && a->message_burst != b->message_burst)
		return true;
	if (key->kind == CONF_KIND_INSECURE && a->insecure && b->insecure &&
	    a->insecure_public != b->insecure_public)
		return true;
	return memcmp((const char *)a + at, (const char *)b + at, key->size) !=
	    0;
}

/* A list of keys' names, which may be cut between two of them. */
struct differ_list {
	char *out;
	size_t out_len, used;
	int n;
};

/* Begins an empty list. */
static struct differ_list
differ_begin(char *out, size_t out_len)
{
	if (out_len > 0)
		out[0] = '\0';
	return (struct differ_list){.out = out, .out_len = out_len};
}

/* Appends a key's name to a list. */
static void
differ_add(struct differ_list *l, const char *name)
{
	int len = snprintf(l->out + l->used, l->out_len - l->used, "%s%s",
	    l->n++ == 0 ? "" : ", ", name);

	if (len > 0 && (size_t)len < l->out_len - l->used)
		l->used += (size_t)len;
	else if (l->out_len > l->used)
		l->out[l->used] = '\0';
}

/* Names the keys that differ and lie outside conf_live, in conf_tls or not. */
static int
differ_list_keys(const struct conf *old, const struct conf *new, bool tls,
    char *out, size_t out_len)
{
	struct differ_list l = differ_begin(out, out_len);

	for (const struct conf_key *key = conf_keys; key->name != NULL; key++)
		if (!conf_key_is_live(key) && conf_key_is_tls(key) == tls &&
		    differ_key(old, new, key))
			differ_add(&l, key->name);
	return l.n;
}

int
conf_differences(
    const struct conf *old, const struct conf *new, char *out, size_t out_len)
{
	return differ_list_keys(old, new, false, out, out_len);
}

int
conf_tls_differences(
    const struct conf *old, const struct conf *new, char *out, size_t out_len)
{
	return differ_list_keys(old, new, true, out, out_len);
}

/* Names the keys that differ and lie in conf_live. */
int
conf_live_differences(const struct conf_live *old, const struct conf_live *new,
    char *out, size_t out_len)
{
	struct differ_list l = differ_begin(out, out_len);

	for (const struct conf_key *key = conf_keys; key->name != NULL; key++)
		if (conf_key_is_live(key) && differ_live_key(old, new, key))
			differ_add(&l, key->name);
	return l.n;
}
