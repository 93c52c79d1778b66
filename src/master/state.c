#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "door/registry.h"
#include "master/control.h"
#include "children.h"
#include "log_child.h"
#include "order.h"
#include "others.h"
#include "private.h"

enum { STATE_MAX = 1024 * 1024 /* bytes */ };

/* "0f..." into 16 bytes. */
static bool
key_parse(const char *hex, uint8_t key[16])
{
	unsigned byte;

	for (int i = 0; i < 16; i++, hex += 2) {
		if (sscanf(hex, "%2x", &byte) != 1)
			return false;
		key[i] = (uint8_t)byte;
	}
	return true;
}

/* A line "former ...", after its slot's "member". */
static bool
former_parse(struct master *m, const char *line)
{
	int slot, pid, link;
	struct child *c;

	if (sscanf(line, "%d %d %d", &slot, &pid, &link) != 3 || slot < 0 ||
	    slot >= m->n_workers)
		return false;
	c = &m->member[slot].giver[GIVER_WORKER];
	c->pid = pid;
	c->link = link;
	return true;
}

/* A line "cursor ...". */
static bool
cursor_parse(struct master *m, const char *line)
{
	uint64_t cursor;
	int i;

	if (sscanf(line, "%d %" SCNu64, &i, &cursor) != 2 || i < 0 ||
	    i >= SHM_OTHERS)
		return false;
	m->cursor[i] = cursor;
	return true;
}

/* The hub's line. */
static bool
hub_parse(struct state *s, const char *line)
{
	struct hub_limits *l = &s->limits;
	char hex[33] = "";

	return sscanf(line,
		   "%d %" SCNu32 " %" SCNu32 " %" SCNu64 " %" SCNu64 " %" SCNu64
		   " %" SCNu32 " %32s",
		   &s->hub, &l->connections, &l->users, &l->journal_bytes,
		   &l->output_bytes, &l->input_bytes, &l->subscriptions,
		   hex) == 8 &&
	    key_parse(hex, s->hash_key);
}

/* The readers of the journal. */
static bool
readers_parse(struct hub_limits *l, const char *line)
{
	return sscanf(line, "%" SCNu8 " %" SCNu8 " %" SCNu32, &l->readers,
		   &l->events, &l->reader_share) == 3;
}

/* "FD PATH"; the path stays in place. */
static bool
path_parse(const char *line, int *fd, const char **path)
{
	int used = 0;

	if (sscanf(line, "%d %n", fd, &used) != 1 || used == 0)
		return false;
	*path = line + used;
	return true;
}

/* "FD WORD ..."; a program before endpoints has written no words. */
static bool
listener_parse(struct endpoints *all, const char *line)
{
	struct endpoint e = {.fd = -1};
	char error[ENDPOINT_TEXT];
	int used = 0, fd;

	return sscanf(line, "%d%n", &fd, &used) == 1 &&
	    endpoint_parse(
		&e, line + used, door_words(), error, sizeof(error)) == 0 &&
	    endpoints_add(all, &e, fd);
}

/* "NAME WORD ...", of a listener that the service manager keeps. */
static bool
kept_parse(struct endpoints *all, const char *line)
{
	size_t len = strcspn(line, " ");
	char error[ENDPOINT_TEXT];
	struct endpoint *e;

	if (all->n == ENDPOINTS_MAX || len >= sizeof(e->name))
		return false;
	e = &all->at[all->n++];
	e->fd = -1;
	memcpy(e->name, line, len);
	e->name[len] = '\0';
	return endpoint_parse(
		   e, line + len, door_words(), error, sizeof(error)) == 0;
}

/* The log process. */
static bool
log_parse(struct log_child *log, const char *line)
{
	return sscanf(line, "%d %d %d %d %d", &log->now.pid, &log->now.control,
		   &log->lines[0], &log->lines[1], &log->buffer) == 5;
}

/* What dead workers have counted; one that is not known here is passed over.
 * Older programs wrote the counter's number for its name. */
static bool
buried_parse(struct master *m, const char *line)
{
	char name[32], *end;
	uint64_t n;
	long number;

	if (sscanf(line, "%31s %" SCNu64, name, &n) != 2)
		return false;
	number = strtol(name, &end, 10);
	for (int i = 0; i < STATS_COUNTERS; i++)
		if (strcmp(name, stats_rows[i].name) == 0 ||
		    (*end == '\0' && number == i))
			m->buried[i] = n;
	return true;
}

/* What the command line said. */
static bool
option_parse(struct options *o, const char *key, char *value)
{
	const struct {
		const char *key;
		const char **text;
	} texts[] = {
	    {"option-file", &o->file},
	    {"option-pidfile", &o->pidfile},
	    {"option-control", &o->control},
	    {"option-user", &o->user},
	    {"binary", &o->binary},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcmp(key, texts[i].key) == 0)
			*texts[i].text = value;
	if (strcmp(key, "foreground") == 0)
		o->foreground = *value == '1';
	else if (strcmp(key, "option-verbose") == 0)
		o->verbose = *value == '1';
	else if (strcmp(key, "option-workers") == 0)
		o->workers = atoi(value);
	else if (strcmp(key, "option-listen") == 0) {
		if (o->n_listen == CONF_LISTEN_MAX)
			return false;
		o->listen[o->n_listen++] = value;
	}
	return true;
}

/* One line; false: it makes no sense. */
static bool
line_parse(struct master *m, struct state *s, const char *key, char *value)
{
	enum child_load load;

	if (strcmp(key, "chatd") == 0)
		return atoi(value) >= STATE_FORMAT_FIRST &&
		    atoi(value) <= STATE_FORMAT;
	if (strcmp(key, "hub") == 0)
		return hub_parse(s, value);
	if (strcmp(key, "wire") == 0)
		return path_parse(value, &m->nursery.wire, &s->wire_text);
	if (strcmp(key, "channels") == 0)
		return sscanf(value, "%" SCNu32, &s->limits.channels) == 1;
	if (strcmp(key, "readers") == 0)
		return readers_parse(&s->limits, value);
	if (strcmp(key, "connections") == 0)
		return sscanf(value, "%" SCNu32, &s->connections) == 1;
	if (strcmp(key, "listener") == 0)
		return listener_parse(&m->endpoints, value);
	if (strcmp(key, "endpoint") == 0)
		return kept_parse(&s->endpoints, value);
	if (strcmp(key, "listen") == 0) {
		if (s->n_listen == CONF_LISTEN_MAX)
			return false;
		s->listen[s->n_listen++] = value;
		return true;
	}
	if (strcmp(key, "control") == 0)
		return path_parse(value, &s->control, &s->control_path);
	if (strcmp(key, "pidfile") == 0)
		return path_parse(value, &m->pidfile.fd, &m->pidfile.path);
	if (strcmp(key, "log") == 0)
		return log_parse(&m->log, value);
	if (strcmp(key, "bundle") == 0)
		return sscanf(value, "%d", &s->bundle) == 1;
	if (strcmp(key, "former") == 0)
		return former_parse(m, value);
	if (strcmp(key, "cursor") == 0)
		return cursor_parse(m, value);
	if (strcmp(key, "converted") == 0)
		s->converted = *value == '1';
	else if (strcmp(key, "reload") == 0)
		s->reload = *value == '1';
	else if (strcmp(key, "verbose") == 0)
		s->verbose = *value == '1';
	else if (strcmp(key, "started") == 0)
		return sscanf(value, "%" SCNu64, &m->started_ms) == 1;
	else if (strcmp(key, "clock") == 0)
		return sscanf(value, "%" SCNu64, &m->watchdog.clock_ms) == 1;
	else if (strcmp(key, "respawns") == 0)
		return sscanf(value, "%" SCNu64, &m->respawns) == 1;
	else if (strcmp(key, "renewals") == 0)
		return sscanf(value, "%" SCNu64, &m->renewals) == 1;
	else if (strcmp(key, "drain") == 0)
		return sscanf(value, "%" SCNu32, &m->drain_rate) == 1;
	else if (strcmp(key, "tables") == 0)
		return sscanf(value, "%" SCNu32, &m->table_number) == 1;
	else if (strcmp(key, "keepers") == 0)
		return true; /* of a program that had no families */
	else if (strcmp(key, "order") == 0)
		return sscanf(value, "%" SCNu64, &m->order_number) == 1;
	else if (strcmp(key, "pending") == 0)
		return order_load(m, value);
	else if (strcmp(key, "buried") == 0)
		return buried_parse(m, value);
	else if (strcmp(key, "lines") == 0)
		return sscanf(value, "%d", &m->nursery.pages) == 1;
	else if (strcmp(key, "errand") == 0)
		return errand_load(m, value);
	else if (strcmp(key, "child") == 0)
		return others_load(m, value);
	load = children_load(m, key, value);
	if (load != CHILD_NOT_MINE)
		return load == CHILD_LOADED;
	return option_parse(&s->options, key, value);
}

/* The whole file, terminated; NULL and errno. */
static char *
file_read(int fd)
{
	struct stat st;
	char *text;

	if (fstat(fd, &st) == -1)
		return NULL;
	if (st.st_size == 0 || st.st_size > STATE_MAX) {
		errno = EINVAL;
		return NULL;
	}
	if ((text = malloc((size_t)st.st_size + 1)) == NULL)
		return NULL;
	if (pread(fd, text, (size_t)st.st_size, 0) != st.st_size) {
		free(text);
		errno = EIO;
		return NULL;
	}
	text[st.st_size] = '\0';
	return text;
}

/* Reads all lines. */
static int
file_parse(
    int fd, struct master *m, struct state *s, char *error, size_t error_len)
{
	char *rest, *line, *value;

	memset(s, 0, sizeof(*s));
	TAILQ_INIT(&m->orders);
	log_child_init(m);
	beginners_init(m);
	s->hub = s->control = s->bundle = -1;
	m->pidfile.fd = m->ready_pipe = m->page = m->bundle = m->next.fd = -1;
	m->nursery.pages = m->nursery.log = m->nursery.program =
	    m->nursery.wire = -1;
	s->options.workers = -1;
	s->limits.reader_share = READER_SHARE; /* an older program has none */
	if ((s->text = file_read(fd)) == NULL ||
	    (s->print = strdup(s->text)) == NULL) {
		free(s->text);
		s->text = NULL;
		snprintf(error, error_len, "state: %s", strerror(errno));
		return -1;
	}
	rest = s->text;
	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		if ((value = strchr(line, ' ')) != NULL)
			*value++ = '\0';
		if (value == NULL || !line_parse(m, s, line, value)) {
			snprintf(
			    error, error_len, "state: %s not understood", line);
			return -1;
		}
	}
	return 0;
}

int
state_read(
    int fd, struct master *m, struct state *s, char *error, size_t error_len)
{
	if (file_parse(fd, m, s, error, error_len) == -1)
		return -1;
	if (s->hub == -1 || s->control == -1 || m->n_workers == 0) {
		snprintf(error, error_len, "state: not complete");
		return -1;
	}
	m->options = &s->options;
	return 0;
}

int
state_read_print(int fd, struct state *s, char *error, size_t error_len)
{
	struct master *none = calloc(1, sizeof(*none));
	int r;

	if (none == NULL) {
		snprintf(error, error_len, "no memory");
		return -1;
	}
	r = file_parse(fd, none, s, error, error_len);
	if (r == 0 && s->hub == -1) {
		snprintf(error, error_len, "state: not complete");
		r = -1;
	}
	order_drop(none);
	free(none);
	if (r == -1) {
		free(s->text);
		free(s->print);
		s->text = s->print = NULL;
	}
	return r;
}

int
state_read_memory(int fd, struct state *s, char *error, size_t error_len)
{
	int r = state_read_print(fd, s, error, error_len);

	free(s->print); /* only who has another layout needs it */
	s->print = NULL;
	return r;
}

void
state_descriptors(const struct master *m, void (*f)(int fd))
{
	f(m->next.fd != -1 ? m->next.fd : m->hub.fd);
	if (m->nursery.wire != -1)
		f(m->nursery.wire);
	if (m->bundle != -1)
		f(m->bundle);
	f(control_fd(m->control));
	if (m->pidfile.fd != -1)
		f(m->pidfile.fd);
	for (int i = 0; i < 2 && m->log.lines[i] != -1; i++)
		f(m->log.lines[i]);
	if (m->log.buffer != -1)
		f(m->log.buffer);
	if (m->log.now.control != -1)
		f(m->log.now.control);
	for (int i = 0; i < m->endpoints.n; i++)
		f(m->endpoints.at[i].fd);
	if (m->nursery.pages != -1 && m->next.fd == -1)
		f(m->nursery.pages);
	for (int i = 0; i < m->n_workers; i++) {
		family_descriptors(&m->member[i].family, f);
		giver_descriptors(&m->member[i], f);
	}
	children_descriptors(m, f);
	beginners_descriptors(m, f);
}
