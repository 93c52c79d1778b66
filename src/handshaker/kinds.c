#include "handshaker/kinds.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/machine.h"
#include "base/memory_file.h"
#include "codec/tls_files.h"

enum {
	/* While one set is replaced, another one ends its handshakes. */
	HANDSHAKER_PLACES = 2 * CONF_HANDSHAKERS_MAX,
	/* Its files may lie on a disk that is slow. Larger: one that hangs is
	 * replaced later; smaller: one that waits for a disk is killed, and so
	 * is the next one. */
	HANDSHAKER_STILL_MS = 5000,
	HANDSHAKER_BACKOFF_MS = 5000, /* as long nobody may get in */
	/* Libraries, certificates and some hundred handshakes. */
	HANDSHAKER_BYTES = 16 * 1024 * 1024,
	/* Bytes of a file: a chain of certificates has 4 to 8 K. Larger:
	 * nothing; smaller: long chains are refused. */
	HANDSHAKER_FILE_MAX = 64 * 1024
};

#define HANDSHAKER_PROGRAM "chatd-handshaker"
#define HANDSHAKER_USER "chatd-tls"
#define HANDSHAKER_TRANSPORT "tls"

_Static_assert(
    (int)CONF_CERTIFICATES_MAX <= (int)TLS_FILES_PAIRS, "all of them fit");
_Static_assert(offsetof(struct birth_handshaker, files) ==
	    offsetof(struct child_files, kept) &&
	offsetof(struct birth_handshaker, tickets) ==
	    offsetof(struct child_files, shared),
    "its birth begins as the birth of a kind with files does");
_Static_assert(2 + 3 * CONF_CERTIFICATES_MAX <= CHILD_TRIES,
    "all certificates can be tried");

/* Whether clients come by TLS; a reload does not change that. */
static bool
handshaker_is_wanted(const struct conf *c)
{
	return conf_listen_has(c, HANDSHAKER_TRANSPORT);
}

/* How many there are at a time. */
static int
handshaker_count(const struct conf *c)
{
	const uint32_t n = c->tls.handshakers != 0 ? c->tls.handshakers
						   : machine_processors("");

	return n < CONF_HANDSHAKERS_MAX ? (int)n : CONF_HANDSHAKERS_MAX;
}

/* The lists of names, for a birth or a try. */
static void
handshaker_words(const struct conf *c, char ciphers[TLS_FILES_WORDS],
    char groups[TLS_FILES_WORDS])
{
	(void)conf_names_text(c, "tls-ciphers", ':', ciphers, TLS_FILES_WORDS);
	(void)conf_names_text(c, "tls-groups", ':', groups, TLS_FILES_WORDS);
}

/* What it is told of the configuration. */
static void
handshaker_birth(const struct conf *c, void *out)
{
	struct birth_handshaker *b = out;
	char protocols[16];

	*b = (struct birth_handshaker){.files = -1, .tickets = -1};
	(void)conf_names_text(
	    c, "tls-protocols", ' ', protocols, sizeof(protocols));
	if (strstr(protocols, "1.2") != NULL)
		b->protocols |= TLS_FILES_12;
	if (strstr(protocols, "1.3") != NULL)
		b->protocols |= TLS_FILES_13;
	b->strict = c->tls.strict_sni;
	handshaker_words(c, b->ciphers, b->groups);
}

/* All bytes of a file that is not too long: their number, or -1 and errno. */
static ssize_t
handshaker_file_read(const char *path, uint8_t out[HANDSHAKER_FILE_MAX + 1])
{
	size_t len = 0;
	ssize_t n = 1;
	int fd, saved;

	/* not to wait for the writer of a pipe */
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) == -1)
		return -1;
	while (n > 0 && len <= HANDSHAKER_FILE_MAX)
		if ((n = read(fd, out + len, HANDSHAKER_FILE_MAX + 1 - len)) >
		    0)
			len += (size_t)n;
	saved = n == -1 ? errno : EFBIG;
	close(fd);
	errno = saved;
	return n == -1 || len > HANDSHAKER_FILE_MAX ? -1 : (ssize_t)len;
}

/* Adds a file's bytes, or the error that came instead. */
static void
handshaker_file_add(
    struct tls_files *f, enum tls_file_what what, const char *path)
{
	static uint8_t bytes[HANDSHAKER_FILE_MAX + 1];
	const ssize_t n = handshaker_file_read(path, bytes);
	const int r = tls_files_put(
	    f, what, path, n == -1 ? errno : 0, bytes, n == -1 ? 0 : (size_t)n);

	explicit_bzero(bytes, sizeof(bytes));
	if (r == -1)
		log_fatal("certificates: %s", strerror(errno));
}

/* Reads certificates and keys, unless they are there: of a predecessor that was
 * content with them. */
static void
handshaker_bring(const struct conf *c, struct child_files *files)
{
	const struct conf_certificate *pair = c->tls.certificate;
	struct tls_files f = {.bytes = NULL};
	int seals;

	if ((seals = fcntl(files->kept, F_GET_SEALS)) == -1)
		log_fatal("certificates: %s", strerror(errno));
	if ((seals & F_SEAL_WRITE) != 0)
		return;
	for (int i = 0; i < c->tls.n_certificates; i++, pair++) {
		handshaker_file_add(&f, TLS_FILE_CHAIN, pair->chain);
		handshaker_file_add(&f, TLS_FILE_KEY, pair->key);
		if (pair->staple != NULL)
			handshaker_file_add(&f, TLS_FILE_STAPLE, pair->staple);
	}
	if (memory_file_fill(files->kept, f.bytes, f.len) == -1)
		log_fatal("certificates: %s", strerror(errno));
	tls_files_free(&f);
}

/* What its program is to judge. */
static int
handshaker_tries(
    const struct conf *c, const char **key, const char *words[CHILD_TRIES])
{
	static char ciphers[TLS_FILES_WORDS], groups[TLS_FILES_WORDS];
	const struct conf_certificate *pair = c->tls.certificate;
	int n = 0;

	*key = "certificate";
	if (!handshaker_is_wanted(c))
		return 0;
	handshaker_words(c, ciphers, groups);
	words[n++] = ciphers;
	words[n++] = groups;
	for (int i = 0; i < c->tls.n_certificates; i++, pair++) {
		words[n++] = pair->chain;
		words[n++] = pair->key;
		words[n++] = pair->staple != NULL ? pair->staple : "";
	}
	return n;
}

const struct child_kind handshaker_kind = {.name = "handshaker",
    .n = HANDSHAKER_PLACES,
    .count = handshaker_count,
    .gets = CHILD_LISTENERS,
    .begins = true,
    .calls = handshaker_calls,
    .executable = HANDSHAKER_PROGRAM,
    .birth_bytes = sizeof(struct birth_handshaker),
    .birth = handshaker_birth,
    .bring = handshaker_bring,
    .wanted = handshaker_is_wanted,
    .tries = handshaker_tries,
    .tries_as_master = true,
    .backoff_max_ms = HANDSHAKER_BACKOFF_MS,
    .bytes = HANDSHAKER_BYTES,
    .still_ms = HANDSHAKER_STILL_MS,
    .user = HANDSHAKER_USER};
