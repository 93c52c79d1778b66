#include "secret.h"

#include <string.h>

enum { CHANGE_CIPHER_SPEC = 20 };

/* The value of a digit; -1: it is none. */
static int
secret_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads digits into a secret. */
static void
secret_read(const char *hex, uint8_t out[TLS_SECRET_MAX])
{
	int high, low;

	for (int k = 0; k < TLS_SECRET_MAX; k++) {
		if ((high = secret_digit(hex[2 * k])) == -1 ||
		    (low = secret_digit(hex[2 * k + 1])) == -1)
			return;
		out[k] = (uint8_t)(high << 4 | low);
	}
}

void
secret_log_cb(const SSL *ssl, const char *line)
{
	static const char of_client[] = "CLIENT_TRAFFIC_SECRET_0 ";
	static const char of_server[] = "SERVER_TRAFFIC_SECRET_0 ";
	const size_t n = sizeof(of_client) - 1;
	struct secrets *s = SSL_get_app_data(ssl);
	const bool read = strncmp(line, of_client, n) == 0;
	const char *hex;

	if (s == NULL || (!read && strncmp(line, of_server, n) != 0) ||
	    (hex = strchr(line + n, ' ')) == NULL)
		return;
	secret_read(hex + 1, read ? s->read : s->write);
	s->seen |= read ? SECRET_READ : SECRET_WRITE;
}

void
secret_watch(struct secrets *s, const uint8_t *records, size_t len)
{
	size_t n;

	for (size_t at = 0; at + TLS_HEAD <= len; at += n) {
		n = TLS_HEAD + ((size_t)records[at + 3] << 8 | records[at + 4]);
		if (n > len - at)
			return;
		if (records[at] == TLS_HANDSHAKE && s->changed &&
		    s->finished_len == 0 && n <= sizeof(s->finished)) {
			memcpy(s->finished, records + at, n);
			s->finished_len = n;
		}
		s->changed = s->changed || records[at] == CHANGE_CIPHER_SPEC;
	}
}
