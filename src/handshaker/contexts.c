#include "contexts.h"

#include <ctype.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "codec/message.h"
#include "codec/tls.h"
#include "context.h"
#include "pair.h"
#include "ticket.h"

/* Pairs that serve one name together, each with a key of another type, so that
 * clients that know RSA alone are served beside others. */
struct served {
	uint64_t set; /* bits of pairs */
	SSL_CTX *ctx;
};

/* A name, or "*.rest", and who serves it. */
struct served_name {
	const char *name; /* a pair's */
	SSL_CTX *ctx;
};

struct contexts {
	const struct birth_handshaker *birth; /* until all are made */
	const struct tls_tickets *ring;
	bool strict;
	struct pair pair[TLS_FILES_PAIRS];
	int n_pairs;
	struct served *served;
	size_t n_served;
	struct served_name *name; /* by name */
	size_t n_names;
	SSL_CTX *first; /* for who says no name that is known */
};

_Static_assert(TLS_FILES_PAIRS <= 64, "a set of pairs is a word");

/* For SSL_CTX_set_tlsext_status_cb(): the response about the certificate that
 * OpenSSL has chosen. */
static int
contexts_status_cb(SSL *ssl, void *arg)
{
	const struct contexts *all = arg;
	const X509 *cert = SSL_get_certificate(ssl);
	const struct pair *p = NULL;
	unsigned char *copy;

	for (int k = 0; k < all->n_pairs && p == NULL; k++)
		if (all->pair[k].cert == cert)
			p = &all->pair[k];
	if (p == NULL || p->staple == NULL ||
	    (p->staple_until != 0 && p->staple_until <= time(NULL)) ||
	    (copy = OPENSSL_memdup(p->staple, p->staple_len)) == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	if (SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)p->staple_len) ==
	    1)
		return SSL_TLSEXT_ERR_OK;
	OPENSSL_free(copy);
	return SSL_TLSEXT_ERR_NOACK;
}

/* By name. */
static int
served_compare(const void *a, const void *b)
{
	return strcmp(((const struct served_name *)a)->name,
	    ((const struct served_name *)b)->name);
}

/* Who serves exactly that name. */
static SSL_CTX *
served_exactly(const struct contexts *all, const char *name)
{
	const struct served_name key = {name, NULL}, *found;

	if (all->n_names == 0)
		return NULL;
	found = bsearch(
	    &key, all->name, all->n_names, sizeof(*all->name), served_compare);
	return found != NULL ? found->ctx : NULL;
}

/* "*.rest" of "one.rest" (RFC 6125 6.4.3), in the same bytes; NULL: it has no
 * rest. */
static char *
served_wild(char *name)
{
	char *dot = strchr(name, '.');

	if (dot == NULL || dot == name)
		return NULL;
	dot[-1] = '*';
	return dot - 1;
}

/* Who serves a name as a client has said it; NULL: nobody. */
static SSL_CTX *
served_find(const struct contexts *all, const char *said)
{
	char name[PAIR_NAME_MAX + 1], *wild;
	size_t n = 0;
	SSL_CTX *ctx;

	for (; said[n] != '\0' && n < PAIR_NAME_MAX; n++)
		name[n] = (char)tolower((unsigned char)said[n]);
	if (said[n] != '\0')
		return NULL;
	name[n] = '\0';
	if ((ctx = served_exactly(all, name)) != NULL)
		return ctx;
	wild = served_wild(name);
	return wild != NULL ? served_exactly(all, wild) : NULL;
}

/* For SSL_CTX_set_tlsext_servername_callback(): called whether or not a client
 * says a name. */
static int
contexts_name_cb(SSL *ssl, int *alert, void *arg)
{
	const struct contexts *all = arg;
	const char *said = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	SSL_CTX *ctx = said != NULL ? served_find(all, said) : NULL;

	if (ctx == NULL && all->strict) {
		ERR_raise(ERR_LIB_SSL, SSL_R_TLSV1_UNRECOGNIZED_NAME);
		*alert = SSL_AD_UNRECOGNIZED_NAME;
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	if (ctx == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	if (ctx != SSL_get_SSL_CTX(ssl) && SSL_set_SSL_CTX(ssl, ctx) == NULL)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	return SSL_TLSEXT_ERR_OK;
}

const struct tls_tickets *
ticket_ring(const SSL_CTX *c)
{
	const struct contexts *all = SSL_CTX_get_app_data(c);

	return all->ring;
}

/* Puts a pair into a context. */
static int
contexts_put(SSL_CTX *c, const struct pair *p, char *error, size_t error_len)
{
	const char *why;

	ERR_clear_error();
	if (SSL_CTX_use_cert_and_key(c, p->cert, p->key, p->above, 1) == 1)
		return 0;
	why = ERR_reason_error_string(ERR_peek_last_error());
	snprintf(error, error_len, "certificate %s: %s", p->path,
	    why != NULL ? why : "OpenSSL refuses it");
	ERR_clear_error();
	return -1;
}

/* The context of a set of pairs, made if need be. */
static SSL_CTX *
contexts_of(struct contexts *all, uint64_t set, char *error, size_t error_len)
{
	struct served *more;
	SSL_CTX *c;

	for (size_t k = 0; k < all->n_served; k++)
		if (all->served[k].set == set)
			return all->served[k].ctx;
	more = realloc(all->served, (all->n_served + 1) * sizeof(*more));
	if (more == NULL) {
		snprintf(error, error_len, "certificates: no memory");
		return NULL;
	}
	all->served = more;
	if ((c = context_new(all->birth, all, error, error_len)) == NULL)
		return NULL;
	all->served[all->n_served++] = (struct served){set, c};
	for (; set != 0; set &= set - 1)
		if (contexts_put(c, &all->pair[__builtin_ctzll(set)], error,
			error_len) == -1)
			return NULL;
	SSL_CTX_set_tlsext_servername_callback(c, contexts_name_cb);
	SSL_CTX_set_tlsext_servername_arg(c, all);
	SSL_CTX_set_tlsext_status_cb(c, contexts_status_cb);
	SSL_CTX_set_tlsext_status_arg(c, all);
	if (ticket_use(c) == 0)
		return c;
	snprintf(error, error_len, "session tickets: OpenSSL has no AES");
	return NULL;
}

/* Adds to a set the first pair of each type that is for that name and whose
 * type is not in the set. */
static uint64_t
contexts_choose(const struct contexts *all, uint64_t set, const char *name)
{
	uint64_t s;

	for (int k = 0; k < all->n_pairs; k++) {
		if (!pair_has(&all->pair[k], name))
			continue;
		for (s = set; s != 0; s &= s - 1)
			if (all->pair[__builtin_ctzll(s)].type ==
			    all->pair[k].type)
				break;
		if (s == 0)
			set |= UINT64_C(1) << k;
	}
	return set;
}

/* Finds who serves a name: pairs that have it, and those that have it by a star
 * where there is none of their type. */
static int
contexts_serve(
    struct contexts *all, const char *name, char *error, size_t error_len)
{
	char copy[PAIR_NAME_MAX + 1];
	uint64_t set = contexts_choose(all, 0, name);
	const char *wild;
	SSL_CTX *c;

	strlcpy(copy, name, sizeof(copy));
	if (copy[0] != '*' && (wild = served_wild(copy)) != NULL)
		set = contexts_choose(all, set, wild);
	if ((c = contexts_of(all, set, error, error_len)) == NULL)
		return -1;
	all->name[all->n_names++] = (struct served_name){name, c};
	return 0;
}

/* Makes all that is needed for the names that there are. */
static int
contexts_make(struct contexts *all, char *error, size_t error_len)
{
	const struct pair *first = &all->pair[0];
	uint64_t set = 1;
	size_t n = 0;
	const char *name;
	int e = 0;

	if (first->n_names > 0)
		set = contexts_choose(all, set, first->names[0]);
	all->first = contexts_of(all, set, error, error_len);
	if (all->first == NULL)
		return -1;
	for (int k = 0; k < all->n_pairs; k++)
		n += all->pair[k].n_names;
	all->name = calloc(n + 1, sizeof(*all->name));
	if (all->name == NULL) {
		snprintf(error, error_len, "certificates: no memory");
		return -1;
	}
	n = 0;
	for (int k = 0; k < all->n_pairs; k++)
		for (size_t j = 0; j < all->pair[k].n_names; j++)
			all->name[n++].name = all->pair[k].names[j];
	qsort(all->name, n, sizeof(*all->name), served_compare);
	/* each name once, in its place: those that are served stay in order */
	for (size_t k = 0; e == 0 && k < n; k++) {
		name = all->name[k].name;
		if (all->n_names == 0 ||
		    strcmp(all->name[all->n_names - 1].name, name) != 0)
			e = contexts_serve(all, name, error, error_len);
	}
	return e;
}

/* Takes the files in. */
static int
contexts_read(struct contexts *all, const struct tls_files *f, char *error,
    size_t error_len)
{
	struct tls_file file;
	size_t at = 0;
	int r;

	while ((r = tls_files_next(f, &at, &file)) == 1) {
		if (file.what == TLS_FILE_CHAIN &&
		    all->n_pairs == TLS_FILES_PAIRS) {
			snprintf(error, error_len,
			    "certificate: there are more than %d",
			    TLS_FILES_PAIRS);
			return -1;
		}
		all->n_pairs += file.what == TLS_FILE_CHAIN;
		if (all->n_pairs == 0)
			break;
		if (pair_take(&all->pair[all->n_pairs - 1], &file, error,
			error_len) == -1)
			return -1;
	}
	if (r == 0 && all->n_pairs > 0)
		return 0;
	snprintf(error, error_len, "certificate: there is none");
	return -1;
}

struct contexts *
contexts_new(const struct birth_handshaker *b, const struct tls_files *f,
    const struct tls_tickets *ring, void (*warn)(const char *line), char *error,
    size_t error_len)
{
	struct contexts *all = calloc(1, sizeof(*all));
	bool good;

	OPENSSL_init_ssl(
	    OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL);
	if (all == NULL || tls_init() == -1) {
		snprintf(error, error_len, "TLS: no memory");
		free(all);
		return NULL;
	}
	all->birth = b;
	all->ring = ring;
	all->strict = b->strict != 0;
	good = contexts_read(all, f, error, error_len) == 0;
	for (int k = 0; good && k < all->n_pairs; k++)
		good = pair_judge(&all->pair[k], warn, error, error_len) == 0;
	if (good && contexts_make(all, error, error_len) == 0) {
		all->birth = NULL;
		return all;
	}
	contexts_free(all);
	return NULL;
}

void
contexts_free(struct contexts *all)
{
	if (all == NULL)
		return;
	for (size_t k = 0; k < all->n_served; k++)
		SSL_CTX_free(all->served[k].ctx);
	for (int k = 0; k < all->n_pairs; k++)
		pair_free(&all->pair[k]);
	free(all->served);
	free(all->name);
	free(all);
}

void
contexts_until(const struct contexts *all, struct message_until *out)
{
	*out = (struct message_until){.n = 0};
	for (int k = 0; k < all->n_pairs && k < MESSAGE_FILES; k++) {
		out->certificate[k] = all->pair[k].until;
		if (all->pair[k].staple != NULL)
			out->staple[k] = all->pair[k].staple_until;
		out->n++;
	}
}

SSL *
contexts_begin(const struct contexts *all)
{
	SSL *ssl = SSL_new(all->first);
	struct tls_ticket_key key;

	if (ssl == NULL ||
	    (all->ring != NULL && tls_tickets_newest(all->ring, &key))) {
		OPENSSL_cleanse(&key, sizeof(key));
		return ssl;
	}
	(void)SSL_set_num_tickets(ssl, 0);
	SSL_set_options(ssl, SSL_OP_NO_TICKET);
	return ssl;
}
