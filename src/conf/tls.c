/* tls: certificates, and which versions, ciphers and groups of TLS are spoken:
 * names of fixed sets. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "parse.h"

/* What there is of each, under the names that OpenSSL has for it. */
static const char *const tls_protocols[] = {"1.2", "1.3", NULL};
static const char *const tls_ciphers[] = {"TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305", NULL};
static const char *const tls_groups[] = {
    "X25519", "P-256", "P-384", "P-521", "X448", NULL};

static const struct {
	const char *key;
	const char *const *names;
} tls_sets[] = {{"tls-protocols", tls_protocols}, {"tls-ciphers", tls_ciphers},
    {"tls-groups", tls_groups}};

_Static_assert(
    sizeof(tls_ciphers) / sizeof(tls_ciphers[0]) - 1 <= CONF_NAMES_MAX,
    "a list may have each name once");

const char *const *
conf_key_names(const struct conf_key *key)
{
	for (size_t i = 0; i < sizeof(tls_sets) / sizeof(tls_sets[0]); i++)
		if (strcmp(tls_sets[i].key, key->name) == 0)
			return tls_sets[i].names;
	return NULL;
}

/* Complains about a name that is not of a key's set. */
static const char *
names_unknown(const struct conf_key *key, const char *name)
{
	struct nearest n = {.word = name};
	char all[160] = "";

	for (const char *const *s = conf_key_names(key); *s != NULL; s++) {
		nearest_offer(&n, *s);
		strlcat(all, all[0] != '\0' ? " " : "", sizeof(all));
		strlcat(all, *s, sizeof(all));
	}
	if (n.best != NULL)
		return conf_complain(
		    "%s: \"%.64s\" is unknown; did you mean %s?", key->name,
		    name, n.best);
	return conf_complain("%s: \"%.64s\" is unknown; %s are known",
	    key->name, name, strlen(all) < 64 ? all : "those in chatd.conf(5)");
}

/* Adds a name; the first one of a file takes the defaults' place. */
const char *
conf_add_name(struct conf *c, const struct conf_key *key, const char *name)
{
	struct conf_names *list = (void *)((char *)c + key->offset);
	const char *const *set = conf_key_names(key);
	uint8_t k = 0;

	if (!list->given)
		list->n = 0;
	list->given = 1;
	while (set[k] != NULL && strcasecmp(set[k], name) != 0)
		k++;
	if (set[k] == NULL)
		return names_unknown(key, name);
	if (memchr(list->at, k, list->n) != NULL)
		return conf_complain("%s: %s is there twice", key->name, name);
	list->at[list->n++] = k;
	return NULL;
}

const char *
conf_names_text(const struct conf *c, const char *key, char separator,
    char *out, size_t out_len)
{
	const char between[2] = {separator, '\0'};
	const struct conf_key *row = conf_keys;
	const struct conf_names *list;

	if (out_len > 0)
		out[0] = '\0';
	while (row->name != NULL && strcmp(row->name, key) != 0)
		row++;
	if (row->name == NULL || row->kind != CONF_KIND_NAMES)
		return out;
	list = (const void *)((const char *)c + row->offset);
	for (int i = 0; i < list->n; i++) {
		strlcat(out, i > 0 ? between : "", out_len);
		strlcat(out, conf_key_names(row)[list->at[i]], out_len);
	}
	return out;
}

/* What is wrong with a file's path. */
static const char *
certificate_path(const char *what, const char *path)
{
	if (*path != '/')
		return conf_complain(
		    "certificate: %s \"%.128s\" does not begin "
		    "with a slash",
		    what, path);
	if (strlen(path) > CONF_PATH_BYTES)
		return conf_complain("certificate: %s is longer than %d bytes",
		    what, CONF_PATH_BYTES);
	return NULL;
}

const char *
conf_certificate_begin(
    struct conf_certificate_draft *d, const struct conf *c, const char *chain)
{
	*d = (struct conf_certificate_draft){.chain = chain};
	if (c->tls.n_certificates == CONF_CERTIFICATES_MAX)
		return conf_complain(
		    "certificate: more than %d of them", CONF_CERTIFICATES_MAX);
	return certificate_path("its file", chain);
}

const char *
conf_certificate_set(
    struct conf_certificate_draft *d, const char *word, const char *file)
{
	const bool key = strcmp(word, "key") == 0;
	const char **to = key ? &d->key : &d->staple;

	if (!key && strcmp(word, "ocsp") != 0)
		return conf_complain(
		    "certificate: \"%.64s\" is neither key nor "
		    "ocsp",
		    word);
	if (*to != NULL)
		return conf_complain("certificate: %s is there twice", word);
	*to = file;
	return certificate_path(word, file);
}

const char *
conf_certificate_end(const struct conf_certificate_draft *d, struct conf *c)
{
	if (d->key == NULL)
		return conf_complain("certificate %.128s: its private key is "
				     "missing: certificate \"FILE\" key "
				     "\"FILE\"",
		    d->chain);
	if (conf_add_certificate(c, d->chain, d->key, d->staple) == 0)
		return NULL;
	return conf_complain("certificate: %s", strerror(errno));
}

int
conf_add_certificate(
    struct conf *c, const char *chain, const char *key, const char *staple)
{
	struct conf_certificate new = {NULL, NULL, NULL};

	if (c->tls.n_certificates == CONF_CERTIFICATES_MAX) {
		errno = ENOSPC;
		return -1;
	}
	if ((new.chain = strdup(chain)) != NULL &&
	    (new.key = strdup(key)) != NULL &&
	    (staple == NULL || (new.staple = strdup(staple)) != NULL)) {
		c->tls.certificate[c->tls.n_certificates++] = new;
		return 0;
	}
	free(new.chain);
	free(new.key);
	errno = ENOMEM;
	return -1;
}

void
conf_tls_free(struct conf_tls *tls)
{
	for (int i = 0; i < tls->n_certificates; i++) {
		free(tls->certificate[i].chain);
		free(tls->certificate[i].key);
		free(tls->certificate[i].staple);
	}
	tls->n_certificates = 0;
	free(tls->challenge);
	tls->challenge = NULL;
}

void
conf_tls_swap(struct conf *a, struct conf *b)
{
	const struct conf_tls tls = a->tls;

	a->tls = b->tls;
	b->tls = tls;
}

/* Whether a word is one of those behind an address. */
static bool
words_have(const char *words, const char *word)
{
	const size_t len = strlen(word);

	for (size_t n; words != NULL && *words != '\0'; words += n) {
		words += strspn(words, " ");
		n = strcspn(words, " ");
		if (n == len && memcmp(words, word, n) == 0)
			return true;
	}
	return false;
}

bool
conf_listen_has(const struct conf *c, const char *word)
{
	for (int i = 0; i < c->n_listen; i++)
		if (words_have(c->listen_words[i], word))
			return true;
	return false;
}

const char *
conf_tls_judge(const struct conf *c, const struct conf *running)
{
	for (int i = 0; i < running->n_listen && c->tls.n_certificates == 0;
	     i++)
		if (words_have(running->listen_words[i], "tls"))
			return conf_complain("listen %.64s tls: there is no "
					     "certificate; add a line "
					     "certificate \"FILE\" key "
					     "\"FILE\"",
			    running->listen[i]);
	return NULL;
}
