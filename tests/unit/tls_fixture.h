/* tls_fixture: connections over TLS: a client of OpenSSL's in this process, and
 * this end behind the handshake, over the loopback. */
#ifndef CHATD_TESTS_TLS_FIXTURE_H
#define CHATD_TESTS_TLS_FIXTURE_H

#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/kdf.h>
#include <openssl/core_names.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "../../src/net/tls.h"
#include "tcp_pair.h"

extern const struct transport tls_transport;

/* One connection, both ends. */
struct tls_talk {
	SSL *ssl;    /* the client; */
	int client;  /* its socket */
	SSL *begins; /* the server's handshake */
	struct tls_birth birth;
	struct transport_socket s; /* this end; s.at is what is out */
};

static uint8_t talk_master[48];
static struct tls_birth *talk_birth;

static inline void
talk_hex(const char *hex, uint8_t *out, size_t n)
{
	unsigned byte;

	for (; n > 0 && sscanf(hex, "%2x", &byte) == 1; hex += 2, n--)
		*out++ = (uint8_t)byte;
}

static inline void
talk_keylog_cb(const SSL *ssl, const char *line)
{
	const char *label[] = {"CLIENT_TRAFFIC_SECRET_0 ",
	    "SERVER_TRAFFIC_SECRET_0 ", "CLIENT_RANDOM "};
	uint8_t *to[] = {
	    talk_birth->read_secret, talk_birth->write_secret, talk_master};

	for (int k = 0; k < 3; k++)
		if (strncmp(line, label[k], strlen(label[k])) == 0)
			talk_hex(strchr(line + strlen(label[k]), ' ') + 1,
			    to[k], 48);
}

/* A context with a certificate of its own. */
static inline SSL_CTX *
talk_server(void)
{
	static SSL_CTX *ctx;
	EVP_PKEY *key;
	X509 *x;

	if (ctx != NULL)
		return ctx;
	ctx = SSL_CTX_new(TLS_server_method());
	key = EVP_EC_gen("P-256");
	x = X509_new();
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 1 << 20);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
	    (const uint8_t *)"localhost", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_set_pubkey(x, key);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	assert_int_equal(SSL_CTX_use_certificate(ctx, x), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
	SSL_CTX_set_keylog_callback(ctx, talk_keylog_cb);
	EVP_PKEY_free(key);
	X509_free(x);
	return ctx;
}

/* What the client has to send leaves; what has come for it is taken. */
static inline void
talk_out(struct tls_talk *t)
{
	static uint8_t bytes[1 << 16];
	int n;

	while ((n = BIO_read(SSL_get_wbio(t->ssl), bytes, sizeof(bytes))) > 0)
		assert_int_equal(
		    send(t->client, bytes, (size_t)n, MSG_NOSIGNAL), n);
}
static inline void
talk_in(struct tls_talk *t)
{
	static uint8_t bytes[1 << 16];
	ssize_t n;

	while ((n = recv(t->client, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		assert_int_equal(
		    BIO_write(SSL_get_rbio(t->ssl), bytes, (int)n), n);
}

/* The server reads one record, so that nothing behind the handshake is read. */
static inline void
talk_record(struct tls_talk *t)
{
	static uint8_t bytes[TLS_RECORD_MAX + 2048];
	size_t n;

	if (recv(t->s.fd, bytes, TLS_HEAD, MSG_WAITALL) != TLS_HEAD)
		fail();
	n = (size_t)bytes[3] << 8 | bytes[4];
	assert_int_equal(recv(t->s.fd, bytes + TLS_HEAD, n, MSG_WAITALL), n);
	BIO_write(SSL_get_rbio(t->begins), bytes, (int)(TLS_HEAD + n));
}

/* What the server's last step has written: what is under the keys is counted,
 * and of TLS 1.2 its Finished has the nonce. */
static inline void
talk_count(struct tls_birth *b, const uint8_t *bytes, size_t n, bool old)
{
	b->read_number = b->write_number = old;
	b->nonce = 0;
	for (size_t at = 0; at + TLS_HEAD < n;
	     at += TLS_HEAD + ((size_t)bytes[at + 3] << 8 | bytes[at + 4])) {
		b->write_number += !old;
		for (int k = 0; old && k < 8; k++)
			b->nonce = b->nonce << 8 | bytes[at + TLS_HEAD + k];
	}
	b->nonce++;
}

/* The keys of TLS 1.2 (RFC 5246 6.3). */
static inline void
talk_old_keys(struct tls_talk *t)
{
	const struct tls_suite *suite = tls_suite(t->birth.suite);
	const size_t key = suite->key, iv = suite->explicit_nonce ? 4 : 12;
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
	EVP_KDF_CTX *c = EVP_KDF_CTX_new(kdf);
	uint8_t seed[64], block[88];
	char digest[] = "SHA256", digest_384[] = "SHA384",
	     label[] = "key expansion";
	OSSL_PARAM p[] = {
	    OSSL_PARAM_construct_utf8_string("digest",
		t->birth.suite == TLS_OLD_AES_256 ? digest_384 : digest, 0),
	    OSSL_PARAM_construct_octet_string("secret", talk_master, 48),
	    OSSL_PARAM_construct_octet_string("seed", label, sizeof(label) - 1),
	    OSSL_PARAM_construct_octet_string("seed", seed, sizeof(seed)),
	    OSSL_PARAM_construct_end()};

	SSL_get_server_random(t->begins, seed, 32);
	SSL_get_client_random(t->begins, seed + 32, 32);
	assert_int_equal(EVP_KDF_derive(c, block, 2 * (key + iv), p), 1);
	memcpy(t->birth.read_secret, block, key);
	memcpy(t->birth.write_secret, block + key, key);
	memcpy(t->birth.read_secret + 32, block + 2 * key, iv);
	memcpy(t->birth.write_secret + 32, block + 2 * key + iv, iv);
	EVP_KDF_CTX_free(c);
	EVP_KDF_free(kdf);
}

/* Notes in the birth where the kernel stands. */
static inline void
talk_at(struct tls_talk *t)
{
	struct counters k;

	assert_int_equal(counters_read(t->s.fd, true, &k), 0);
	t->birth.read = k.read;
	t->birth.written = k.written;
}

/* Both sides' handshake, in the suite of that name. */
static inline void
talk_handshake(struct tls_talk *t, const char *suite, bool old)
{
	SSL_CTX *client = SSL_CTX_new(TLS_client_method());
	static uint8_t bytes[1 << 14];
	int n = 0, r = 0;

	if (old) {
		SSL_CTX_set_max_proto_version(client, TLS1_2_VERSION);
		assert_int_equal(SSL_CTX_set_cipher_list(client, suite), 1);
	} else
		assert_int_equal(SSL_CTX_set_ciphersuites(client, suite), 1);
	t->ssl = SSL_new(client);
	t->begins = SSL_new(talk_server());
	SSL_CTX_free(client);
	SSL_set_bio(t->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_bio(t->begins, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_connect_state(t->ssl);
	SSL_set_accept_state(t->begins);
	talk_birth = &t->birth;
	while (r != 1) {
		SSL_do_handshake(t->ssl);
		talk_out(t);
		talk_record(t);
		r = SSL_do_handshake(t->begins);
		n = BIO_read(SSL_get_wbio(t->begins), bytes, sizeof(bytes));
		if (n > 0)
			assert_int_equal(send(t->s.fd, bytes, (size_t)n, 0), n);
		talk_in(t);
	}
	SSL_do_handshake(t->ssl);
	assert_true(SSL_is_init_finished(t->ssl));
	t->birth.suite = tls_suite_find(
	    SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(t->begins)));
	talk_count(&t->birth, bytes, n > 0 ? (size_t)n : 0, old);
	if (old)
		talk_old_keys(t);
}

static inline void
talk_begin(struct tls_talk *t, const char *suite, bool old)
{
	struct sockaddr_in a;
	const int on = 1;

	memset(t, 0, sizeof(*t));
	tcp_pair(&t->client, &t->s.fd, &a);
	setsockopt(t->s.fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	setsockopt(t->client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	t->s.conn = 7;
	t->s.state = mmap(NULL, TRANSPORT_STATE_MAX, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	t->s.rest = mmap(NULL, TRANSPORT_REST, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	talk_handshake(t, suite, old);
	talk_at(t);
	assert_int_equal(
	    tls_transport.begin(&t->s, &t->birth, sizeof(t->birth)), 0);
}

static inline void
talk_end(struct tls_talk *t)
{
	SSL_free(t->ssl);
	SSL_free(t->begins);
	close(t->client);
	close(t->s.fd);
	munmap(t->s.state, TRANSPORT_STATE_MAX);
	munmap(t->s.rest, TRANSPORT_REST);
}

/* The state; the copies in it that count. */
static inline struct tls_wire *
talk_wire(const struct tls_talk *t)
{
	return t->s.state;
}
static inline struct tls_plan *
talk_plan(const struct tls_talk *t)
{
	return &talk_wire(t)->plan[talk_wire(t)->plan_no & 1];
}
static inline struct tls_in *
talk_next(const struct tls_talk *t)
{
	return &talk_wire(t)->in[talk_wire(t)->in_no & 1];
}

/* This end seals of len bytes from s.at on what it plans, and sends `most` of
 * that at most. Returns what the kernel has taken; -1: errno. */
static inline ssize_t
talk_seal(struct tls_talk *t, const uint8_t *plain, size_t len, size_t most)
{
	static uint8_t out[TRANSPORT_SEALED_MAX];
	ssize_t n, m;

	if (len > TRANSPORT_PLAIN_MAX)
		len = TRANSPORT_PLAIN_MAX;
	n = tls_transport.seal(&t->s, plain, len, out);
	if (n <= 0)
		return n;
	if ((size_t)n > most)
		n = (ssize_t)most;
	n = send(t->s.fd, out, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n <= 0)
		return n;
	m = tls_transport.sent(&t->s, (size_t)n);
	if (m == -1)
		return -1;
	t->s.at += (uint64_t)m;
	return n;
}

/* This end sends all of len bytes, whose first is at position `from`, in pieces
 * of `most` bytes of records. */
static inline void
talk_send_from(struct tls_talk *t, const void *plain, size_t len, uint64_t from,
    size_t most)
{
	const uint8_t *p = plain;

	while (t->s.at < from + len) {
		const size_t at = (size_t)(t->s.at - from);

		assert_true(talk_seal(t, p + at, len - at, most) > 0);
	}
}
static inline void
talk_send(struct tls_talk *t, const void *plain, size_t len)
{
	talk_send_from(t, plain, len, t->s.at, SIZE_MAX);
}

/* Waits until the socket has something. */
static inline void
talk_wait(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	assert_int_equal(poll(&p, 1, 5000), 1);
}

/* The client reads: as SSL_read(). */
static inline int
talk_read(struct tls_talk *t, void *out, int len)
{
	int n;

	talk_in(t);
	n = SSL_read(t->ssl, out, len);
	talk_out(t);
	return n;
}

/* The client gets exactly that, and no more. */
static inline void
talk_got(struct tls_talk *t, const void *want, size_t len)
{
	static uint8_t got[1 << 20];
	size_t n = 0;
	int r;

	assert_true(len < sizeof(got));
	while (n < len) {
		r = talk_read(t, got + n, (int)(sizeof(got) - n));
		if (r > 0)
			n += (size_t)r;
		else {
			assert_int_equal(
			    SSL_get_error(t->ssl, r), SSL_ERROR_WANT_READ);
			talk_wait(t->client);
		}
	}
	assert_int_equal(n, len);
	assert_memory_equal(got, want, len);
}

/* The client says something. */
static inline void
talk_say(struct tls_talk *t, const void *bytes, size_t len)
{
	assert_int_equal(SSL_write(t->ssl, bytes, (int)len), len);
	talk_out(t);
}

/* This end reads exactly that, `room` bytes at a time. */
static inline void
talk_heard(struct tls_talk *t, const void *want, size_t len, size_t room)
{
	static uint8_t got[1 << 20];
	size_t n = 0;
	ssize_t r;

	assert_true(len <= sizeof(got));
	while (n < len) {
		talk_wait(t->s.fd);
		r = tls_transport.recv(
		    &t->s, got + n, len - n < room ? len - n : room);
		if (r > 0)
			n += (size_t)r;
		else
			assert_true(r == -1 && errno == EAGAIN);
	}
	assert_memory_equal(got, want, len);
}

#endif
