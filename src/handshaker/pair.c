#include "pair.h"

#include <ctype.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DNS_NAME_MAX = 253 }; /* bytes: RFC 1035 2.3.4 */

/* "FILE PATH: WHY"; returns -1. */
static int
pair_refuse(char *error, size_t error_len, const char *what, const char *path,
    const char *why)
{
	snprintf(error, error_len, "%s %s: %s", what, path, why);
	return -1;
}

/* Why OpenSSL has refused something. */
static const char *
pair_reason(void)
{
	const unsigned long e = ERR_peek_error();
	const char *why = e != 0 ? ERR_reason_error_string(e) : NULL;

	return why != NULL ? why : "it cannot be read";
}

/* Nobody types a password here. */
static int
pair_password_cb(char *buf, int size, int writing, void *encrypted)
{
	*(bool *)encrypted = true;
	return -1;
}

/* Adds a name; one that cannot be looked for is left out. */
static int
pair_name(struct pair *p, const unsigned char *text, int len)
{
	char **more, *name;

	if (len <= 0 || len > DNS_NAME_MAX || memchr(text, '\0', (size_t)len))
		return 0;
	more = realloc(p->names, (p->n_names + 1) * sizeof(*more));
	if (more == NULL)
		return -1;
	p->names = more;
	if ((name = strndup((const char *)text, (size_t)len)) == NULL)
		return -1;
	for (char *c = name; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	p->names[p->n_names++] = name;
	return 0;
}

/* The DNS names that the certificate is for: those of subjectAltName (RFC 6125
 * 6.4.4: clients look at no others). */
static int
pair_names(struct pair *p)
{
	GENERAL_NAMES *all =
	    X509_get_ext_d2i(p->cert, NID_subject_alt_name, NULL, NULL);
	const GENERAL_NAME *one;
	int e = 0;

	for (int k = 0; e == 0 && k < sk_GENERAL_NAME_num(all); k++) {
		one = sk_GENERAL_NAME_value(all, k);
		if (one->type == GEN_DNS)
			e = pair_name(p, ASN1_STRING_get0_data(one->d.dNSName),
			    ASN1_STRING_length(one->d.dNSName));
	}
	GENERAL_NAMES_free(all);
	return e;
}

/* Reads the certificate, and those behind it. */
static const char *
pair_chain(struct pair *p, BIO *in)
{
	X509 *above;

	p->cert = PEM_read_bio_X509(in, NULL, NULL, NULL);
	if (p->cert == NULL)
		return ERR_GET_REASON(ERR_peek_error()) == PEM_R_NO_START_LINE
		    ? "there is no certificate in it"
		    : pair_reason();
	if ((p->above = sk_X509_new_null()) == NULL || pair_names(p) == -1)
		return "no memory";
	while ((above = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL)
		if (sk_X509_push(p->above, above) == 0) {
			X509_free(above);
			return "no memory";
		}
	return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE
	    ? NULL
	    : pair_reason();
}

static const char *
pair_key(struct pair *p, BIO *in)
{
	bool encrypted = false;

	p->key =
	    PEM_read_bio_PrivateKey(in, NULL, pair_password_cb, &encrypted);
	if (p->key == NULL && encrypted)
		return "it is encrypted: write it without a password "
		       "(openssl pkey -in FILE -out FILE)";
	if (p->key == NULL)
		return "there is no private key in it";
	p->type = EVP_PKEY_get_base_id(p->key);
	return NULL;
}

/* Until when a staple is good. */
static time_t
pair_staple_until(OCSP_BASICRESP *basic)
{
	OCSP_SINGLERESP *one = OCSP_resp_get0(basic, 0);
	ASN1_GENERALIZEDTIME *next = NULL;
	struct tm tm;

	if (one == NULL)
		return 0;
	(void)OCSP_single_get0_status(one, NULL, NULL, NULL, &next);
	return next != NULL && ASN1_TIME_to_tm(next, &tm) == 1 ? timegm(&tm)
							       : 0;
}

static const char *
pair_staple(struct pair *p, const struct tls_file *f)
{
	const unsigned char *at = f->bytes;
	OCSP_RESPONSE *r = d2i_OCSP_RESPONSE(NULL, &at, (long)f->len);
	OCSP_BASICRESP *basic = NULL;

	if (r != NULL &&
	    OCSP_response_status(r) == OCSP_RESPONSE_STATUS_SUCCESSFUL)
		basic = OCSP_response_get1_basic(r);
	OCSP_RESPONSE_free(r);
	if (basic == NULL)
		return "it is no OCSP response in DER that says how a "
		       "certificate stands";
	p->staple_until = pair_staple_until(basic);
	OCSP_BASICRESP_free(basic);
	if ((p->staple = malloc(f->len)) == NULL)
		return "no memory";
	memcpy(p->staple, f->bytes, f->len);
	p->staple_len = f->len;
	return NULL;
}

int
pair_take(
    struct pair *p, const struct tls_file *f, char *error, size_t error_len)
{
	static const char *const words[] = {[TLS_FILE_CHAIN] = "certificate",
	    [TLS_FILE_KEY] = "key",
	    [TLS_FILE_STAPLE] = "ocsp"};
	const char *why = NULL;
	BIO *in = NULL;

	if (f->error != 0)
		return pair_refuse(error, error_len, words[f->what], f->path,
		    strerror(f->error));
	ERR_clear_error();
	if (f->what != TLS_FILE_STAPLE &&
	    (in = BIO_new_mem_buf(f->bytes, (int)f->len)) == NULL)
		why = "no memory";
	else if (f->what == TLS_FILE_CHAIN &&
	    (p->path = strdup(f->path)) == NULL)
		why = "no memory";
	else if (f->what == TLS_FILE_CHAIN)
		why = pair_chain(p, in);
	else if (f->what == TLS_FILE_KEY)
		why = pair_key(p, in);
	else
		why = pair_staple(p, f);
	BIO_free(in);
	ERR_clear_error();
	return why == NULL
	    ? 0
	    : pair_refuse(error, error_len, words[f->what], f->path, why);
}

/* What clients will not like, and a wrong clock may cause. */
static void
pair_warn(const struct pair *p, void (*warn)(const char *line))
{
	char line[1024], when[32] = "";
	struct tm tm;
	const bool late =
	    X509_cmp_current_time(X509_get0_notAfter(p->cert)) < 0;
	const bool early =
	    X509_cmp_current_time(X509_get0_notBefore(p->cert)) > 0;
	const ASN1_TIME *t =
	    late ? X509_get0_notAfter(p->cert) : X509_get0_notBefore(p->cert);

	if (ASN1_TIME_to_tm(t, &tm) == 1)
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
	if (late || early) {
		snprintf(line, sizeof(line),
		    "certificate %s: %s %s UTC: clients will refuse it",
		    p->path,
		    late ? "it has expired on"
			 : "it is not valid "
			   "before",
		    when);
		warn(line);
	}
	if (p->staple_until != 0 && p->staple_until < time(NULL)) {
		snprintf(line, sizeof(line),
		    "certificate %s: its OCSP response is out of date, and is "
		    "not sent",
		    p->path);
		warn(line);
	}
}

int
pair_judge(const struct pair *p, void (*warn)(const char *line), char *error,
    size_t error_len)
{
	if (p->key == NULL)
		return pair_refuse(error, error_len, "certificate", p->path,
		    "there is no key for it");
	ERR_clear_error();
	if (X509_check_private_key(p->cert, p->key) != 1) {
		ERR_clear_error();
		return pair_refuse(error, error_len, "certificate", p->path,
		    "the key is another certificate's");
	}
	pair_warn(p, warn);
	return 0;
}

bool
pair_has(const struct pair *p, const char *name)
{
	for (size_t k = 0; k < p->n_names; k++)
		if (strcmp(p->names[k], name) == 0)
			return true;
	return false;
}

void
pair_free(struct pair *p)
{
	X509_free(p->cert);
	sk_X509_pop_free(p->above, X509_free);
	EVP_PKEY_free(p->key);
	for (size_t k = 0; k < p->n_names; k++)
		free(p->names[k]);
	free(p->names);
	free(p->staple);
	free(p->path);
	*p = (struct pair){.path = NULL};
}
