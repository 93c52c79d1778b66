#include "secure.h"

#include "util.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

static SSL_CTX *context;

struct ssl_st *
secure_new(int fd)
{
	SSL *ssl;

	if (context == NULL) {
		context = SSL_CTX_new(TLS_client_method());
		if (context == NULL)
			die("SSL_CTX_new");
		/* many clients, small buffers; what is sent again may lie
		 * elsewhere */
		SSL_CTX_set_mode(context,
		    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
			SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
		SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	}
	ssl = SSL_new(context);
	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
		die("SSL_new");
	SSL_set_connect_state(ssl);
	return ssl;
}

void
secure_free(struct ssl_st *ssl)
{
	SSL_free(ssl);
}

int
secure_handshake(struct ssl_st *ssl)
{
	int r, why;

	ERR_clear_error();
	r = SSL_do_handshake(ssl);
	if (r == 1)
		return 1;
	why = SSL_get_error(ssl, r);
	return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0
									 : -1;
}

const char *
secure_error(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	return text != NULL ? text : "connection closed by the server";
}

/* What a call of libssl's has come to. */
static ssize_t
result(struct ssl_st *ssl, int r)
{
	int why;

	if (r > 0)
		return r;
	why = SSL_get_error(ssl, r);
	if (why == SSL_ERROR_ZERO_RETURN)
		return 0;
	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
		errno = EAGAIN;
	else if (why != SSL_ERROR_SYSCALL || errno == 0)
		errno = EPROTO;
	return -1;
}

ssize_t
secure_send(struct ssl_st *ssl, int fd, const void *p, size_t len)
{
	if (ssl == NULL)
		return send(fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	ERR_clear_error();
	return result(ssl, SSL_write(ssl, p, (int)len));
}

ssize_t
secure_recv(struct ssl_st *ssl, int fd, void *p, size_t len)
{
	if (ssl == NULL)
		return recv(fd, p, len, 0);
	ERR_clear_error();
	return result(ssl, SSL_read(ssl, p, (int)len));
}
