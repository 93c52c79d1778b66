#include "pair.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* Why a file could not be read. */
static const char *
pair_unread(const struct tls_file *f)
{
	return f->error == EINVAL ? "it is no regular file"
				  : strerror(f->error);
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

	if (len <= 0 || len > PAIR_NAME_MAX || memchr(text, '\0', (size_t)len))
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

/* Seconds since 1970; 0: it is not known. */
static time_t
pair_time(const ASN1_TIME *t)
{
	struct tm tm;

	return t != NULL && ASN1_TIME_to_tm(t, &tm) == 1 ? timegm(&tm) : 0;
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
	p->until = pair_time(X509_get0_notAfter(p->cert));
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

/* What a response says of the certificate; NULL: nothing. It has its serial
 * number; that it is of the same issuer, clients see. */
static OCSP_SINGLERESP *
pair_staple_find(const struct pair *p, OCSP_BASICRESP *basic)
{
	const ASN1_INTEGER *own = X509_get0_serialNumber(p->cert);
	ASN1_INTEGER *serial;
	OCSP_SINGLERESP *one;

	for (int k = 0; k < OCSP_resp_count(basic); k++) {
		one = OCSP_resp_get0(basic, k);
		if (OCSP_id_get0_info(NULL, NULL, NULL, &serial,
			(OCSP_CERTID *)OCSP_SINGLERESP_get0_id(one)) == 1 &&
		    ASN1_INTEGER_cmp(serial, own) == 0)
			return one;
	}
	return NULL;
}

/* What is wrong with a response; NULL: nothing is. */
static const char *
pair_staple_judge(struct pair *p, OCSP_BASICRESP *basic)
{
	OCSP_SINGLERESP *one = pair_staple_find(p, basic);
	ASN1_GENERALIZEDTIME *next = NULL;
	int status;

	if (one == NULL)
		return "it is about another certificate";
	status = OCSP_single_get0_status(one, NULL, NULL, NULL, &next);
	p->staple_until = pair_time(next);
	if (status == V_OCSP_CERTSTATUS_REVOKED)
		return "it says that the certificate is revoked";
	return status == V_OCSP_CERTSTATUS_GOOD
	    ? NULL
	    : "it does not say that the certificate is good";
}

/* Takes a response in. */
static const char *
pair_staple(struct pair *p, const struct tls_file *f)
{
	const unsigned char *at = f->bytes;
	OCSP_RESPONSE *r = d2i_OCSP_RESPONSE(NULL, &at, (long)f->len);
	OCSP_BASICRESP *basic = NULL;
	const char *why;

	if (r != NULL &&
	    OCSP_response_status(r) == OCSP_RESPONSE_STATUS_SUCCESSFUL)
		basic = OCSP_response_get1_basic(r);
	OCSP_RESPONSE_free(r);
	if (basic == NULL)
		return "it is no OCSP response in DER that says how a "
		       "certificate stands";
	why = pair_staple_judge(p, basic);
	OCSP_BASICRESP_free(basic);
	if (why != NULL)
		return why;
	if ((p->staple = malloc(f->len)) == NULL)
		return "no memory";
	memcpy(p->staple, f->bytes, f->len);
	p->staple_len = f->len;
	return NULL;
}

/* Takes one in; one that is of no use keeps no certificate from being served.
 */
static void
pair_take_staple(struct pair *p, const struct tls_file *f)
{
	const char *why = f->error != 0 ? pair_unread(f) : pair_staple(p, f);

	ERR_clear_error();
	if (why != NULL)
		snprintf(p->staple_wrong, sizeof(p->staple_wrong),
		    "certificate %s: ocsp %s is not sent: %s", p->path, f->path,
		    why);
}

int
pair_take(
    struct pair *p, const struct tls_file *f, char *error, size_t error_len)
{
	static const char *const words[] = {
	    [TLS_FILE_CHAIN] = "certificate", [TLS_FILE_KEY] = "key"};
	const char *why = NULL;
	BIO *in = NULL;

	if (f->what == TLS_FILE_STAPLE) {
		pair_take_staple(p, f);
		return 0;
	}
	if (f->error != 0)
		return pair_refuse(
		    error, error_len, words[f->what], f->path, pair_unread(f));
	ERR_clear_error();
	if ((in = BIO_new_mem_buf(f->bytes, (int)f->len)) == NULL)
		why = "no memory";
	else if (f->what == TLS_FILE_CHAIN &&
	    (p->path = strdup(f->path)) == NULL)
		why = "no memory";
	else if (f->what == TLS_FILE_CHAIN)
		why = pair_chain(p, in);
	else
		why = pair_key(p, in);
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
	const time_t now = time(NULL);
	const time_t from = pair_time(X509_get0_notBefore(p->cert));
	const time_t at = from > now ? from : p->until;
	char line[1400], when[32] = "";
	struct tm tm;

	if (gmtime_r(&at, &tm) != NULL)
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
	line[0] = '\0';
	if (from > now)
		snprintf(line, sizeof(line),
		    "certificate %s: it is not valid before %s UTC: clients "
		    "will refuse it",
		    p->path, when);
	else if (p->until != 0 && p->until <= now)
		snprintf(line, sizeof(line),
		    "certificate %s: it has expired on %s UTC: clients will "
		    "refuse it",
		    p->path, when);
	else if (p->until != 0 && p->until - now < TLS_SOON_S)
		snprintf(line, sizeof(line),
		    "certificate %s: it expires on %s UTC, in %d days", p->path,
		    when, (int)((p->until - now) / TLS_DAY_S));
	if (line[0] != '\0')
		warn(line);
	if (p->staple_until != 0 && p->staple_until <= now) {
		snprintf(line, sizeof(line),
		    "certificate %s: its OCSP response is out of date, and is "
		    "not sent",
		    p->path);
		warn(line);
	}
	if (p->staple_wrong[0] != '\0')
		warn(p->staple_wrong);
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
