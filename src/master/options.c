#include "master/options.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/machine.h"
#include "codec/message.h"
#include "door/registry.h"
#include "hub/journal.h"

static const char default_file[] = CHATD_SYSCONFDIR "/chatd/chatd.conf";

/* Puts the working directory in front of a relative path. NULL: no memory. */
static char *
path_absolute(const char *path)
{
	char *here, *whole = NULL;

	if (path[0] == '/')
		return strdup(path);
	if ((here = getcwd(NULL, 0)) == NULL)
		return NULL;
	if (asprintf(&whole, "%s/%s", here, path) == -1)
		whole = NULL;
	free(here);
	return whole;
}

/* The file that this process runs, by the name that it was started by if that
 * is a path, so that a link is followed anew at an upgrade. NULL: unknown. */
static char *
binary_find(const char *name)
{
	static const char self[] = "/proc/self/exe";
	char text[PATH_MAX], *whole = NULL;
	struct stat a, b;
	ssize_t n;

	if (strchr(name, '/') != NULL)
		whole = path_absolute(name);
	if (whole != NULL && stat(whole, &a) == 0 && stat(self, &b) == 0 &&
	    a.st_dev == b.st_dev && a.st_ino == b.st_ino)
		return whole;
	free(whole);
	if ((n = readlink(self, text, sizeof(text) - 1)) == -1)
		return NULL;
	text[n] = '\0';
	return strdup(text);
}

int
options_settle(struct options *o)
{
	const char **path[] = {&o->file, &o->pidfile, &o->control};

	for (size_t i = 0; i < sizeof(path) / sizeof(path[0]); i++) {
		if (*path[i] == NULL)
			continue;
		if ((o->owned[i] = path_absolute(*path[i])) == NULL)
			return -1;
		*path[i] = o->owned[i];
	}
	if (o->binary != NULL)
		o->binary = o->owned[3] = binary_find(o->binary);
	return 0;
}

void
options_deinit(struct options *o)
{
	for (size_t i = 0; i < sizeof(o->owned) / sizeof(o->owned[0]); i++)
		free(o->owned[i]);
}

/* Replaces a string; false: no memory. */
static bool
string_set(char **to, const char *from)
{
	char *copy;

	if (from == NULL)
		return true;
	if ((copy = strdup(from)) == NULL)
		return false;
	free(*to);
	*to = copy;
	return true;
}

/* Makes a path from the configuration absolute; false: no memory. */
static bool
string_settle(char **path)
{
	char *whole;

	if (*path == NULL || (*path)[0] == '/')
		return true;
	if ((whole = path_absolute(*path)) == NULL)
		return false;
	free(*path);
	*path = whole;
	return true;
}

/* One worker for each processor, as many as there may be. */
static int
workers_choose(void)
{
	const uint32_t n = machine_processors("");

	return n < CONF_WORKERS_MAX ? (int)n : CONF_WORKERS_MAX;
}

/* Notes which keys the command line sets; false: no memory. */
static bool
places_note(struct conf *c, const struct options *o)
{
	const struct {
		bool given;
		const char *key, *option;
	} all[] = {{o->workers >= 0, "workers", "-w"},
	    {o->verbose, "log", "-v"}, {o->pidfile != NULL, "pidfile", "-p"},
	    {o->control != NULL, "control", "-s"},
	    {o->user != NULL, "user", "-u"}};
	bool good = true;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].given)
			good = good &&
			    conf_note_option(c, all[i].key, all[i].option);
	return good;
}

/* Lets the command line win; false: no memory. */
static bool
conf_override(struct conf *c, const struct options *o)
{
	if (o->n_listen > 0)
		conf_clear_listen(c);
	for (int i = 0; i < o->n_listen; i++)
		if (conf_add_listen(c, o->listen[i]) == -1 ||
		    (c->listen_where[i] = strdup("-l")) == NULL)
			return false;
	if (o->workers >= 0)
		c->workers = o->workers;
	if (c->workers == 0)
		c->workers = workers_choose();
	if (o->verbose)
		c->live.verbose = 1;
	return places_note(c, o) && string_set(&c->pidfile, o->pidfile) &&
	    string_set(&c->control, o->control) &&
	    string_set(&c->user, o->user) && string_settle(&c->pidfile) &&
	    string_settle(&c->control) && string_settle(&c->log_file);
}

bool
options_fit(const struct conf *c, const struct conf *running, char *error,
    size_t error_len)
{
	const char *wrong = conf_access_judge(c, running);
	const char *where = conf_where(c, "insecure");

	if (wrong == NULL) {
		wrong = conf_store_judge(c, running);
		where = conf_where(c, "channel");
	}
	if (wrong == NULL) {
		wrong = conf_tls_judge(c, running);
		where = NULL;
	}
	if (wrong != NULL)
		snprintf(error, error_len, "%s%s%s\n",
		    where != NULL ? where : "", where != NULL ? ": " : "",
		    wrong);
	return wrong == NULL;
}

/* Whether the words behind each address make sense. */
static bool
options_endpoints_fit(const struct conf *c, char *error, size_t error_len)
{
	struct endpoint e;
	char wrong[512];

	for (int i = 0; i < c->n_listen; i++) {
		if (endpoint_parse(&e, c->listen_words[i], door_words(), wrong,
			sizeof(wrong)) == 0)
			continue;
		snprintf(error, error_len, "%s%s: %s\n",
		    conf_listen_place(c, i), c->listen[i], wrong);
		return false;
	}
	return true;
}

/* What takes more than one line, of the file or the command line. */
static bool
conf_is_sound(const struct conf *c, char *error, size_t error_len)
{
	const char *where = conf_where(c, "message-size");
	const uint64_t entry =
	    journal_entry_bytes(UINT8_MAX, c->live.message_size);
	uint64_t ring = 1;

	/* The hub rounds the ring down to a power of two. */
	while (ring < entry * JOURNAL_SHARE)
		ring *= 2;
	if (c->journal_bytes >= ring)
		return options_endpoints_fit(c, error, error_len) &&
		    options_fit(c, c, error, error_len);
	if (where == NULL)
		where = conf_where(c, "journal");
	snprintf(error, error_len,
	    "%s%smessage-size %u needs a journal of %lluK at least (one "
	    "message "
	    "may take 1/%d of it)\n",
	    where != NULL ? where : "", where != NULL ? ": " : "",
	    c->live.message_size, (unsigned long long)ring / 1024,
	    JOURNAL_SHARE);
	return false;
}

const char *
options_file(const struct options *o, struct bundle *b)
{
	if (o->file != NULL)
		return o->file;
	return conf_exists(default_file, b) ? default_file : NULL;
}

struct conf *
options_load(
    const struct options *o, struct bundle *b, char *error, size_t error_len)
{
	const char *file = options_file(o, b);
	struct conf *c;

	if (file != NULL)
		c = conf_load_bundle(file, b, error, error_len);
	else if ((c = conf_new()) == NULL)
		snprintf(error, error_len, "no memory\n");
	if (c == NULL)
		return NULL;
	if (!conf_override(c, o))
		snprintf(error, error_len, "no memory\n");
	else if (conf_is_sound(c, error, error_len))
		return c;
	conf_free(c);
	return NULL;
}
