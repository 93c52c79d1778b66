/* look: whether what the configuration names is there. */
#include "look.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/sink.h"
#include "judge.h"

enum {
	LOOK_WARNING, /* as a piece's error */
	LOOK_FAULT,   /* it stops a start by itself, too */
	LOOK_UNMET,   /* it would not, but must */
	LOOK_RENEWAL  /* the same, and a reload does not apply it */
};

/* The findings of one look. */
struct look {
	const struct conf *conf;
	struct bundle *bundle;
	int n; /* so far: the name of the next piece */
};

/* Notes a finding on a key, with its place if a file sets it. */
static void __attribute__((format(printf, 4, 5)))
look_find(struct look *l, int level, const char *key, const char *fmt, ...)
{
	const char *where = conf_where(l->conf, key);
	char text[1024], name[16];
	va_list ap;
	int n;

	n = snprintf(text, sizeof(text), "%s%s%s: ", where != NULL ? where : "",
	    where != NULL ? ": " : "", key);
	if (n < 0 || (size_t)n >= sizeof(text))
		return;
	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	va_end(ap);
	snprintf(name, sizeof(name), "%d", l->n++);
	/* One that finds no memory is missing, nothing else. */
	(void)bundle_put(
	    l->bundle, BUNDLE_LOOK, name, level, text, strlen(text) + 1);
}

/* Looks for a folder. */
static void
look_folder(struct look *l, int level, const char *key, const char *path)
{
	struct stat st;

	if (stat(path, &st) == -1)
		look_find(l, level, key, "%s: %s", path, strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		look_find(l, level, key, "%s is not a folder", path);
}

/* Looks for the folder of a file that chatd makes. */
static void
look_parent(struct look *l, const char *key, const char *path)
{
	char *folder = strdup(path);
	char *slash = folder != NULL ? strrchr(folder, '/') : NULL;

	if (slash != NULL && slash != folder) {
		*slash = '\0';
		look_folder(l, LOOK_FAULT, key, folder);
	}
	free(folder);
}

/* Looks for the log's file, as sink_open() will. */
static void
look_log_file(struct look *l, const char *path)
{
	struct stat st;

	if (sink_stream(path) != -1)
		return;
	look_parent(l, "log-file", path);
	if (lstat(path, &st) == -1)
		return;
	if (S_ISLNK(st.st_mode))
		look_find(l, LOOK_FAULT, "log-file",
		    "%s is a symbolic link; name the file itself", path);
	else if (S_ISDIR(st.st_mode))
		look_find(l, LOOK_FAULT, "log-file", "%s is a folder", path);
}

/* Looks for keys of the store while there is none. */
static void
look_store(struct look *l)
{
	static const char *const keys[] = {"store-sync", "store-wait",
	    "store-age", "store-size", "store-search", "store-full",
	    "store-backup"};
	const struct conf *c = l->conf;
	const struct conf_channel *ch = conf_store_wanted(&c->live);

	if (c->store == NULL) {
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			if (conf_where(c, keys[i]) != NULL)
				look_find(l, LOOK_WARNING, keys[i],
				    "has no effect without store PATH");
		if (ch != NULL)
			look_find(l, LOOK_WARNING, "channel",
			    "\"%s\" has a rule store, which has no effect "
			    "without store PATH",
			    ch->pattern);
	} else {
		if (ch == NULL)
			look_find(l, LOOK_WARNING, "store",
			    "no channel is stored: one is by a rule store yes "
			    "in its block");
	}
	if (c->store_backup != NULL)
		look_folder(l, LOOK_WARNING, "store-backup", c->store_backup);
}

/* Looks for keys that have no effect without another one. */
static void
look_effect(struct look *l)
{
	static const char *const of_tokens[] = {
	    "token-audience", "token-issuer"};
	const struct conf *c = l->conf;

	if (c->live.token_key[0] != '\0')
		return;
	for (size_t i = 0; i < 2; i++)
		if (conf_where(c, of_tokens[i]) != NULL)
			look_find(l, LOOK_WARNING, of_tokens[i],
			    "has no effect without a token-key");
	if (!conf_insecure(c))
		look_find(l, LOOK_WARNING, "token-key",
		    "there is none, and insecure does not hold: no client can "
		    "come in");
}

/* Looks who else may read the file that sets a key, or change it. */
static void
look_secret(struct look *l, const char *key)
{
	const char *where = conf_where(l->conf, key);
	char *file = where != NULL ? strdup(where) : NULL;
	struct stat st;

	if (file != NULL) {
		*strrchr(file, ':') = '\0';
		if (stat(file, &st) == 0 && S_ISREG(st.st_mode) &&
		    (st.st_mode & (S_IROTH | S_IWOTH)) != 0)
			look_find(l, LOOK_WARNING, key,
			    "every user of this machine may %s it (mode %03o): "
			    "chmod o= %s",
			    st.st_mode & S_IWOTH ? "change" : "read",
			    (unsigned)st.st_mode & 07777, file);
	}
	free(file);
}

/* What a program has found in a file. */
static void
look_judged(
    void *arg, enum judge_finding what, const char *key, const char *why)
{
	static const int level[] = {[JUDGE_WARNING] = LOOK_WARNING,
	    [JUDGE_REFUSED] = LOOK_UNMET,
	    [JUDGE_RENEWAL] = LOOK_RENEWAL};

	look_find(arg, level[what], key, "%s", why);
}

/* Looks for keys, ended by NULL, that are for addresses with a word, while no
 * address has it. */
static void
look_address(struct look *l, const char *word, const char *const *keys)
{
	if (conf_listen_has(l->conf, word))
		return;
	for (; *keys != NULL; keys++)
		if (conf_where(l->conf, *keys) != NULL)
			look_find(l, LOOK_WARNING, *keys,
			    "has no effect without an address with %s: listen "
			    "ADDRESS:PORT %s",
			    word, word);
}

/* Looks for keys of TLS, and of what sends clients there. */
static void
look_tls(struct look *l)
{
	static const char *const tls[] = {"certificate", "tls-protocols",
	    "tls-ciphers", "tls-groups", "tls-handshakers", "tls-strict-sni",
	    "hsts", NULL};
	static const char *const redirect[] = {
	    "tls-redirect-port", "acme-challenge", NULL};

	look_address(l, "tls", tls);
	look_address(l, "tls-redirect", redirect);
	if (l->conf->tls.challenge != NULL)
		look_folder(
		    l, LOOK_WARNING, "acme-challenge", l->conf->tls.challenge);
}

void
look_at(const struct conf *c, const struct options *o,
    const struct identity *children, struct bundle *b)
{
	struct look l = {.conf = c, .bundle = b};
	uint64_t stamp;

	if (c->webroot != NULL)
		look_folder(&l, LOOK_UNMET, "webroot", c->webroot);
	if (c->log_file != NULL)
		look_log_file(&l, c->log_file);
	if (c->control != NULL)
		look_parent(&l, "control", c->control);
	if (c->pidfile != NULL)
		look_parent(&l, "pidfile", c->pidfile);
	look_effect(&l);
	look_store(&l);
	look_tls(&l);
	stamp = judge_stamp(c, b);
	(void)bundle_put(b, BUNDLE_STAMP, "", 0, &stamp, sizeof(stamp));
	judge_files(c, b, o, children, look_judged, &l);
	look_secret(&l, "token-key");
	look_secret(&l, "api-key");
}

/* The finding of that number; false: there is none. */
static bool
look_get(const struct bundle *b, int n, struct bundle_piece *out)
{
	char name[16];

	snprintf(name, sizeof(name), "%d", n);
	return bundle_get(b, BUNDLE_LOOK, name, out);
}

void
look_log(const struct bundle *b)
{
	struct bundle_piece p;

	for (int i = 0; look_get(b, i, &p); i++)
		if (p.error == LOOK_WARNING)
			log_warn("%.*s", (int)p.len, p.bytes);
}

bool
look_renewal(const struct bundle *b, char *text, size_t text_len)
{
	struct bundle_piece p;
	size_t len = 0;

	for (int i = 0; look_get(b, i, &p); i++)
		if (p.error == LOOK_RENEWAL && len < text_len)
			len += (size_t)snprintf(text + len, text_len - len,
			    "%.*s\n", (int)p.len - 1, p.bytes);
	return len == 0;
}

uint64_t
look_stamp(const struct bundle *b)
{
	struct bundle_piece p;
	uint64_t stamp = 0;

	if (bundle_get(b, BUNDLE_STAMP, "", &p) && p.len == sizeof(stamp))
		memcpy(&stamp, p.bytes, sizeof(stamp));
	return stamp;
}

bool
look_print_unmet(const struct bundle *b)
{
	struct bundle_piece p;
	bool any = false;

	for (int i = 0; look_get(b, i, &p); i++)
		if (p.error >= LOOK_UNMET) {
			fprintf(stderr, "%.*s\n", (int)p.len, p.bytes);
			any = true;
		}
	return any;
}

bool
look_print(const struct bundle *b)
{
	struct bundle_piece p;
	bool good = true;

	for (int i = 0; look_get(b, i, &p); i++) {
		fprintf(stderr, "%s%.*s\n",
		    p.error == LOOK_WARNING ? "warning: " : "", (int)p.len,
		    p.bytes);
		good = good && p.error == LOOK_WARNING;
	}
	return good;
}
