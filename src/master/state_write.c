/* The state of a master, written; state.c reads it. */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory_file.h"
#include "door/registry.h"
#include "hub/layout.h"
#include "master/control.h"
#include "children.h"
#include "log_child.h"
#include "order.h"
#include "private.h"
#include "tables.h"
#include "wires.h"

/* Appends a key with a text, which must not break the line. */
static void
put_text(FILE *f, const char *key, const char *text)
{
	if (text != NULL)
		fprintf(f, "%s %s\n", key, text);
}

/* What the command line said. */
static void
put_options(FILE *f, const struct options *o)
{
	fprintf(f, "foreground %d\n", o->foreground);
	fprintf(f, "option-verbose %d\n", o->verbose);
	fprintf(f, "option-workers %d\n", o->workers);
	put_text(f, "option-file", o->file);
	put_text(f, "option-pidfile", o->pidfile);
	put_text(f, "option-control", o->control);
	put_text(f, "option-user", o->user);
	put_text(f, "binary", o->binary);
	for (int i = 0; i < o->n_listen; i++)
		put_text(f, "option-listen", o->listen[i]);
}

/* How those are served who come through an endpoint. */
static const char *
put_words(const struct endpoint *e)
{
	static char words[ENDPOINT_TEXT];

	endpoint_words(e, door_words(), words);
	return words;
}

/* Lines of the layout. */
static void
put_layout_lines(FILE *f, const char *lines)
{
	for (size_t len; *lines != '\0'; lines += len + (lines[len] != '\0')) {
		len = strcspn(lines, "\n");
		fprintf(f, STATE_LAYOUT "%.*s\n", (int)len, lines);
	}
}

/* The layout of the memory that this program has made. */
static void
put_layout(FILE *f, const struct master *m)
{
	static char print[LAYOUT_MAX];

	print[layout_print_memory(&m->hub, print)] = '\0';
	put_layout_lines(f, print);
	put_layout_lines(f, tables_print());
}

/* That the memory is a copy: workers have retired, and children of other kinds
 * go on from there. */
static void
put_converted(FILE *f, const struct master *m)
{
	fprintf(f, "converted 1\n");
	for (int i = 0; i < m->n_others; i++)
		if (m->other[i].kind != NULL)
			fprintf(f, "cursor %d %" PRIu64 "\n", i,
			    SHM_LOAD(m->other[i].line->cursor));
}

/* What shared memory was made with, and the addresses. */
static void
put_memory(FILE *f, const struct master *m)
{
	const bool next = m->next.fd != -1;
	const struct hub_limits *l = next ? &m->next.limits : &m->limits;

	fprintf(f, "chatd %d\n", STATE_FORMAT);
	fprintf(f,
	    "hub %d %" PRIu32 " %" PRIu32 " %" PRIu64 " %" PRIu64 " %" PRIu64
	    " %" PRIu32 " ",
	    next ? m->next.fd : m->hub.fd, l->connections, l->users,
	    l->journal_bytes, l->output_bytes, l->input_bytes,
	    l->subscriptions);
	for (size_t i = 0; i < sizeof(m->hub.hash_key); i++)
		fprintf(f, "%02x", m->hub.hash_key[i]);
	fprintf(f, "\nchannels %" PRIu32 "\n", l->channels);
	fprintf(f, "readers %u %u %" PRIu32 "\n", l->readers, l->events,
	    l->reader_share);
	fprintf(f, "connections %" PRIu32 "\n",
	    next ? m->next.connections : m->conf->connections);
	if (!next)
		put_layout(f, m);
	for (int i = 0; i < m->conf->n_listen; i++)
		fprintf(f, "listen %s%s%s\n", m->conf->listen[i],
		    m->conf->listen_words[i] != NULL ? " " : "",
		    m->conf->listen_words[i] != NULL ? m->conf->listen_words[i]
						     : "");
	for (int i = 0; i < m->endpoints.n; i++)
		fprintf(f, "endpoint %s %s\n", m->endpoints.at[i].name,
		    put_words(&m->endpoints.at[i]));
}

/* Everything. */
static void
put_all(FILE *f, const struct master *m)
{
	put_memory(f, m);
	if (m->nursery.wire != -1)
		fprintf(f, "wire %d %s\n", m->nursery.wire, wires_print());
	put_options(f, m->options);
	for (int i = 0; i < m->endpoints.n; i++)
		fprintf(f, "listener %d %s\n", m->endpoints.at[i].fd,
		    put_words(&m->endpoints.at[i]));
	fprintf(f, "control %d %s\n", control_fd(m->control),
	    control_path(m->control));
	if (m->pidfile.fd != -1)
		fprintf(f, "pidfile %d %s\n", m->pidfile.fd, m->pidfile.path);
	if (m->log.lines[1] != -1)
		fprintf(f, "log %d %d %d %d %d\n", (int)m->log.now.pid,
		    m->log.now.control, m->log.lines[0], m->log.lines[1],
		    m->log.buffer);
	fprintf(f, "verbose %d\n", m->live.verbose);
	fprintf(f, "started %" PRIu64 "\n", m->started_ms);
	fprintf(f, "clock %" PRIu64 "\n", master_clock_ms(m));
	fprintf(f, "respawns %" PRIu64 "\n", m->respawns);
	fprintf(f, "renewals %" PRIu64 "\n", m->renewals);
	fprintf(f, "drain %" PRIu32 "\n", m->drain_rate);
	fprintf(f, "order %" PRIu64 "\n", m->order_number);
	fprintf(f, "tables %" PRIu32 "\n", m->table_number);
	errands_save(m, f);
	if (m->bundle != -1)
		fprintf(f, "bundle %d\n", m->bundle);
	fprintf(f, "reload %d\n", m->reload_is_due);
	for (int i = 0; i < STATS_COUNTERS; i++)
		fprintf(f, "buried %s %" PRIu64 "\n", stats_rows[i].name,
		    m->buried[i]);
	if (m->nursery.pages != -1 && m->next.fd == -1)
		fprintf(f, "lines %d\n", m->nursery.pages);
	children_save(m, f);
	if (m->next.fd != -1)
		put_converted(f, m);
	order_save(m, f);
}

/* Whether no text has broken a line: a path may hold anything. */
static bool
lines_are_whole(const struct master *m)
{
	const struct options *o = m->options;
	const char *text[] = {o->file, o->pidfile, o->control, o->user,
	    o->binary, control_path(m->control),
	    m->pidfile.fd != -1 ? m->pidfile.path : NULL};

	for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++)
		if (text[i] != NULL && strchr(text[i], '\n') != NULL)
			return false;
	return true;
}

/* A memory file with what put() writes. -1 with a message. */
static int
file_write(const struct master *m, void (*put)(FILE *, const struct master *),
    char *error, size_t error_len)
{
	int fd = memory_file("chatd-state"), copy = -1;
	FILE *f = NULL;

	if (fd == -1 || (copy = fcntl(fd, F_DUPFD_CLOEXEC, 0)) == -1 ||
	    (f = fdopen(copy, "w")) == NULL)
		goto fail;
	put(f, m);
	copy = -1; /* closed with f */
	if (fclose(f) == 0)
		return fd;
fail:
	snprintf(error, error_len, "state: %s", strerror(errno));
	if (copy != -1)
		close(copy);
	if (fd != -1)
		close(fd);
	return -1;
}

int
state_write(const struct master *m, char *error, size_t error_len)
{
	if (lines_are_whole(m))
		return file_write(m, put_all, error, error_len);
	snprintf(error, error_len, "a path holds a line feed");
	return -1;
}

int
state_write_memory(const struct master *m, char *error, size_t error_len)
{
	return file_write(m, put_memory, error, error_len);
}
