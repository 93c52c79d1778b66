#include "handshaker/kinds.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/memory_file.h"
#include "codec/tls_files.h"
#include "read.h"

enum {
	/* While one set is replaced, another one ends its handshakes. */
	HANDSHAKER_PLACES = 2 * CONF_HANDSHAKERS_MAX,
	/* Its files may lie on a disk that is slow. Larger: one that hangs is
	 * replaced later; smaller: one that waits for a disk is killed, and so
	 * is the next one. */
	HANDSHAKER_STILL_MS = 5000,
	/* For reading them: the watchdog would not tell which file it is. */
	HANDSHAKER_READ_MS = HANDSHAKER_STILL_MS - 1000,
	HANDSHAKER_BACKOFF_MS = 5000, /* as long nobody may get in */
	/* Libraries, certificates and some hundred handshakes. */
	HANDSHAKER_BYTES = 16 * 1024 * 1024
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

/* The files, in the order in which they are read; NULL: there are no more. */
static const char *
handshaker_file(const struct conf *c, int n, enum tls_file_what *what)
{
	const struct conf_certificate *pair = c->tls.certificate;

	for (int i = 0; i < c->tls.n_certificates; i++, pair++) {
		*what = TLS_FILE_CHAIN;
		if (n-- == 0)
			return pair->chain;
		*what = TLS_FILE_KEY;
		if (n-- == 0)
			return pair->key;
		*what = TLS_FILE_STAPLE;
		if (pair->staple != NULL && n-- == 0)
			return pair->staple;
	}
	return NULL;
}

/* A process that reads them all into a memory file, and tells by a byte of a
 * pipe that it begins with the next one. A disk may hold it for hours, so it
 * has no other descriptor. */
static void __attribute__((noreturn))
handshaker_read(const struct conf *c, int kept, int pipe, pid_t parent)
{
	enum { PIPE = STDERR_FILENO + 1, KEPT, FREE };
	struct tls_files f = {.bytes = NULL};
	enum tls_file_what what;
	const char *path;

	kept = fcntl(kept, F_DUPFD, FREE);
	pipe = fcntl(pipe, F_DUPFD, FREE);
	if (kept == -1 || pipe == -1 || dup2(pipe, PIPE) == -1 ||
	    dup2(kept, KEPT) == -1 || close_range(FREE, ~0U, 0) == -1 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() != parent)
		_exit(1);
	log_send_to(-1);
	for (int n = 0; (path = handshaker_file(c, n, &what)) != NULL; n++) {
		if (write(PIPE, "", 1) != 1)
			_exit(1);
		if (read_file(&f, what, path) == -1)
			_exit(1);
	}
	if (memory_file_fill(KEPT, f.bytes, f.len) == -1)
		_exit(1);
	tls_files_free(&f);
	_exit(0);
}

/* Waits until a pipe has ended; n counts its bytes. False: it takes too
 * long. */
static bool
handshaker_wait(int pipe, int *n)
{
	const uint64_t limit = clock_ms() + HANDSHAKER_READ_MS;
	struct pollfd p = {pipe, POLLIN, 0};
	uint64_t now;
	char bytes[64];
	ssize_t got = 1;

	while (got != 0) {
		if ((now = clock_ms()) >= limit)
			return false;
		if (poll(&p, 1, (int)(limit - now)) != 1)
			continue;
		if ((got = read(pipe, bytes, sizeof(bytes))) > 0)
			*n += (int)got;
	}
	return true;
}

/* Has certificates and keys read, unless they are there: of a predecessor that
 * was content with them. What this process has, listeners among it, is not to
 * be held by a disk. */
static void
handshaker_bring(const struct conf *c, struct child_files *files)
{
	const pid_t parent = getpid();
	int seals, pair[2], status = 0, n = 0;
	enum tls_file_what what;
	const char *path;
	pid_t pid;

	if ((seals = fcntl(files->kept, F_GET_SEALS)) == -1)
		log_fatal("certificates: %s", strerror(errno));
	if ((seals & F_SEAL_WRITE) != 0)
		return;
	if (pipe2(pair, O_CLOEXEC) == -1 || (pid = fork()) == -1)
		log_fatal("certificates: %s", strerror(errno));
	if (pid == 0)
		handshaker_read(c, files->kept, pair[1], parent);
	close(pair[1]);
	if (!handshaker_wait(pair[0], &n)) {
		kill(pid, SIGKILL);
		path = handshaker_file(c, n - 1, &what);
		log_fatal("certificates: reading %s takes longer than %d s",
		    path != NULL ? path : "them", HANDSHAKER_READ_MS / 1000);
	}
	close(pair[0]);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		log_fatal("certificates: they cannot be read: no memory, or no "
			  "descriptor is free");
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
