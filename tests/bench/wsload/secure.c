#include "secure.h"

#include "codec/tls.h"
#include "util.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	READ = 256 * 1024, /* bytes asked for at once */
	WRITE = 16 * 1024, /* of plaintext in a record */
	SERVER = 1,	   /* secrets that were told */
	CLIENT = 2
};

struct secure {
	SSL *ssl; /* NULL: it has shaken hands */
	uint8_t suite;
	uint8_t told, resumed;
	uint32_t have;	/* bytes of a record that has not come whole */
	uint32_t waits; /* bytes that the socket did not take */
	uint8_t *part, *out;
	uint64_t read_number, write_number;
	struct tls_key read, write;
	uint8_t secret[2][TLS_SECRET_MAX]; /* the server's, the client's */
};

static SSL_CTX *context;
static SSL_SESSION *session; /* the latest one */
static uint8_t bytes[TLS_RECORD_MAX + READ];

/* Keeps a secret of a line such as "CLIENT_TRAFFIC_SECRET_0 RANDOM SECRET". */
static void
secret_cb(const SSL *ssl, const char *line)
{
	struct secure *s = SSL_get_app_data(ssl);
	const char *hex = strrchr(line, ' ');
	const int client = strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24) == 0;
	unsigned byte;

	if (!client && strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24) != 0)
		return;
	for (int k = 0; k < TLS_SECRET_MAX && hex != NULL &&
	     sscanf(hex + 1 + 2 * k, "%2x", &byte) == 1;
	     k++)
		s->secret[client][k] = (uint8_t)byte;
	s->told |= client ? CLIENT : SERVER;
}

static int
session_cb(SSL *ssl, SSL_SESSION *new)
{
	(void)ssl;
	SSL_SESSION_free(session);
	session = new;
	return 1;
}

/* What all clients have in common. */
static void
context_new(void)
{
	context = SSL_CTX_new(TLS_client_method());
	/* all servers get the same suite */
	if (context == NULL || tls_init() == -1 ||
	    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(context,
		"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
		"TLS_CHACHA20_POLY1305_SHA256") != 1)
		die("TLS: OpenSSL fails");
	SSL_CTX_set_session_cache_mode(
	    context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
	SSL_CTX_sess_set_new_cb(context, session_cb);
	SSL_CTX_set_keylog_callback(context, secret_cb);
}

struct secure *
secure_new(int fd, int resume)
{
	struct secure *s = xcalloc(1, sizeof *s);
	SSL_SESSION *mine;

	if (context == NULL)
		context_new();
	s->ssl = SSL_new(context);
	if (s->ssl == NULL || SSL_set_fd(s->ssl, fd) != 1)
		die("SSL_new");
	SSL_set_app_data(s->ssl, s);
	SSL_set_connect_state(s->ssl);
	if (resume && session != NULL) {
		/* one of its own: OpenSSL uses each once */
		mine = SSL_SESSION_dup(session);
		if (mine == NULL || SSL_set_session(s->ssl, mine) != 1)
			die("SSL_set_session");
		SSL_SESSION_free(mine);
	}
	return s;
}

/* OpenSSL's object goes; its session can be resumed all the same. */
static void
object_free(struct secure *s)
{
	if (s->ssl != NULL)
		SSL_set_shutdown(s->ssl, SSL_SENT_SHUTDOWN);
	SSL_free(s->ssl);
	s->ssl = NULL;
}

void
secure_free(struct secure *s)
{
	object_free(s);
	free(s->part);
	free(s->out);
	free(s);
}

/* OpenSSL has shaken hands; nothing behind the server's Finished was read. */
static int
handshake_done(struct secure *s)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(s->ssl);

	s->suite = tls_suite_find(SSL_CIPHER_get_protocol_id(cipher));
	s->resumed = SSL_session_reused(s->ssl) == 1;
	if (s->told != (SERVER | CLIENT) ||
	    tls_key_of(s->suite, s->secret[0], &s->read) == -1 ||
	    tls_key_of(s->suite, s->secret[1], &s->write) == -1)
		die("TLS: no keys");
	object_free(s);
	return 1;
}

int
secure_handshake(struct secure *s)
{
	int r, why;

	ERR_clear_error();
	r = SSL_do_handshake(s->ssl);
	if (r == 1)
		return handshake_done(s);
	why = SSL_get_error(s->ssl, r);
	return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0
									 : -1;
}

const char *
secure_error(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	return text != NULL ? text : "connection closed by the server";
}

int
secure_resumed(const struct secure *s)
{
	return s->resumed;
}

void
secure_flush(struct secure *s, int fd)
{
	ssize_t n;

	if (s->waits == 0)
		return;
	n = send(fd, s->out, s->waits, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n <= 0) /* recv tells what is wrong */
		return;
	s->waits -= (uint32_t)n;
	memmove(s->out, s->out + n, s->waits);
}

ssize_t
secure_send(struct secure *s, int fd, const void *p, size_t len)
{
	static uint8_t out[WRITE + TLS_OVERHEAD_MAX];
	ssize_t n, sent;

	if (s == NULL)
		return send(fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	secure_flush(s, fd);
	errno = EAGAIN;
	if (s->waits > 0)
		return -1;
	len = len < WRITE ? len : WRITE;
	n = tls_seal(
	    s->suite, &s->write, s->write_number, 0, TLS_DATA, p, len, out);
	if (n < 0)
		die("TLS: a record cannot be sealed");
	sent = send(fd, out, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0)
		return -1; /* the number is not used */
	s->write_number++;
	if (sent < n) {
		s->waits = (uint32_t)(n - sent);
		s->out = xrealloc(s->out, s->waits);
		memcpy(s->out, out + sent, s->waits);
	}
	return (ssize_t)len;
}

/* Opens all whole records of the n bytes into p. Returns bytes of data, or -1:
 * errno. *end: close_notify was among them. */
static ssize_t
records_open(struct secure *s, size_t n, uint8_t *p, int *end)
{
	size_t at = 0, put = 0, length;
	ssize_t r;
	int type;

	errno = EPROTO;
	while (!*end) {
		r = tls_record_length(s->suite, bytes + at, n - at);
		if (r < 0)
			return -1;
		if (r == 0 || (size_t)r > n - at)
			break;
		type = tls_open(s->suite, &s->read, s->read_number++,
		    bytes + at, (size_t)r, p + put, &length);
		if (type == TLS_DATA)
			put += length;
		else if (type == TLS_ALERT)
			*end = 1;
		else if (type != TLS_HANDSHAKE) /* a ticket */
			return -1;
		at += (size_t)r;
	}
	s->have = (uint32_t)(n - at);
	if (s->have > 0) {
		s->part = xrealloc(s->part, s->have);
		memcpy(s->part, bytes + at, s->have);
	}
	return (ssize_t)put;
}

ssize_t
secure_recv(struct secure *s, int fd, void *p, size_t len, int *more)
{
	int end = 0;
	ssize_t n;

	*more = 0;
	if (s == NULL)
		return recv(fd, p, len, 0);
	if (len < sizeof bytes)
		die("TLS: no room for a record");
	memcpy(bytes, s->part, s->have);
	n = recv(fd, bytes + s->have, READ, 0);
	if (n <= 0)
		return n;
	*more = n == READ;
	n = records_open(s, s->have + (size_t)n, p, &end);
	if (n != 0 || end)
		return n;
	errno = EAGAIN; /* a part of a record, or tickets */
	return -1;
}

void
secure_session(int fd)
{
	const struct timeval wait = {.tv_sec = 1};
	struct secure *s = secure_new(fd, 0);
	char none[64];

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
	if (SSL_do_handshake(s->ssl) != 1)
		die("TLS: %s", secure_error());
	(void)SSL_read(s->ssl, none, 1);
	if (session == NULL)
		die("TLS: the server gives no ticket");
	secure_free(s);
}
