/*
 * reader: clients that also say something in a room that a reader of the
 * journal has to do with (tests/kinds/ledger.c, or the store): in one of four,
 * by their numbers. Each has one such message on its way. What comes in a room
 * has one order for all, which is that of the reader's book.
 */
#include <dirent.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "soak.h"

enum { ROOMS = 4 };

static const char *const names[ROOMS] = {"told", "kept", "acked", "strict"};

/* A room's order. */
static struct room {
	struct said *said;
	uint32_t n, cap;
} rooms[ROOMS];

/* Where a client stands in its room. */
static struct member {
	bool located, pending, left;
	uint32_t at;	/* the newest that it has heard */
	uint32_t said;	/* numbers used */
	uint32_t next;	/* of its own, in the room's order */
	uint32_t heard; /* of its own, in it */
	uint32_t id;	/* the command's, at the Centrifugo door */
	uint32_t refused, maybe;
} members[CLIENTS_MAX];

struct reader_counts reader_counts;

const char *
reader_room(uint32_t i)
{
	return names[i % ROOMS];
}

void
reader_folder(char *path, size_t size)
{
	snprintf(path, size, "%s/ledger", daemon_.dir);
}

void
reader_prepare(void)
{
	char path[96];

	reader_folder(path, sizeof(path));
	/* children have another user */
	if (chmod(daemon_.dir, 0755) != 0 || mkdir(path, 0777) != 0 ||
	    chmod(path, 0777) != 0)
		err(2, "%s", path);
	setenv("CHATD_LEDGER_DIR", path, 1);
}

void
reader_forget(void)
{
	char path[96];
	struct dirent *e;
	DIR *d;

	reader_folder(path, sizeof(path));
	if ((d = opendir(path)) == NULL)
		return;
	while ((e = readdir(d)) != NULL)
		unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	rmdir(path);
}

/* One more of it is on its way. */
static int
member_next(uint32_t i, char *text)
{
	struct member *m = &members[i];

	m->pending = true;
	reader_counts.said++;
	return sprintf(text, "r%u:%u", i, m->said++);
}

void
reader_say(uint32_t i)
{
	struct client *c = &client[i];
	char text[32], line[256];
	int n;

	if (members[i].pending)
		return;
	member_next(i, text);
	if (!c->json) {
		n = sprintf(line, "/to %s %s", reader_room(i), text);
		message_put(c, line, (size_t)n);
		return;
	}
	n = sprintf(line,
	    "{\"id\":%u,\"publish\":{\"channel\":\"%s\",\"data\":"
	    "{\"text\":\"%s\"}}}",
	    ++c->id, reader_room(i), text);
	message_put(c, line, (size_t)n);
	members[i].id = c->id;
	expect(c, A_REPLY, c->id);
}

void
reader_begin(void)
{
	for (uint32_t i = 0; i < set.clients; i++) {
		members[i].located = true;
		members[i].at = UINT32_MAX;
	}
}

void
reader_joined(uint32_t i)
{
	members[i].located = members[i].pending = false;
}

void
reader_gone(uint32_t i)
{
	struct member *m = &members[i];

	m->located = false;
	if (m->pending)
		m->maybe++;
	m->pending = false;
}

/* Puts one behind the room's order. */
static void
room_add(struct room *r, uint32_t from, uint32_t seq, uint32_t by)
{
	struct member *m = &members[from];

	if (r->n == r->cap) {
		r->cap = r->cap ? 2 * r->cap : 4096;
		r->said = realloc(r->said, r->cap * sizeof(*r->said));
		if (r->said == NULL)
			err(2, "no memory");
	}
	if (seq < m->next)
		fault(F_DOUBLED, "client %u: %u of %u, which is at %u", by, seq,
		    from, m->next);
	m->next = seq + 1;
	m->heard++;
	r->said[r->n++] = (struct said){from, seq, by};
}

/* Whether one of a room's order is that. */
static bool
said_is(const struct said *s, uint32_t from, uint32_t seq)
{
	return s->from == from && s->seq == seq;
}

/* Where in the order a client is: one that is ahead of all who know where they
 * are does not know. */
static void
member_locate(uint32_t i, const struct room *r, uint32_t from, uint32_t seq)
{
	struct member *m = &members[i];
	uint32_t k = r->n;

	while (k > 0 && !said_is(&r->said[k - 1], from, seq))
		k--;
	m->located = k > 0;
	m->at = k - 1;
}

void
reader_heard(uint32_t i, uint32_t from, const char *text, size_t len)
{
	struct member *m = &members[i];
	struct room *r = &rooms[i % ROOMS];
	char head[32];
	uint32_t who, seq;

	snprintf(head, sizeof(head), "%.*s", len < 30 ? (int)len : 30, text);
	if (sscanf(head, "r%u:%u", &who, &seq) != 2 || who != from ||
	    from >= set.clients || from % ROOMS != i % ROOMS ||
	    seq >= members[from].said) {
		fault(F_CORRUPT, "client %u in %s: %s of %u", i, reader_room(i),
		    head, from);
		return;
	}
	if (!m->located)
		member_locate(i, r, from, seq);
	else if (++m->at == r->n)
		room_add(r, from, seq, i);
	else if (!said_is(&r->said[m->at], from, seq)) {
		fault(F_ORDER, "client %u at %u of %s: hears %s, not %u of %u",
		    i, m->at, reader_room(i), head, r->said[m->at].seq,
		    r->said[m->at].from);
		m->located = false;
	}
	if (from == i && !client[i].json && seq + 1 == m->said)
		m->pending = false;
}

bool
reader_line(uint32_t i, const char *text, size_t len)
{
	static const char busy[] = "* busy, try again";
	static const char unknown[] = "* outcome unknown";
	struct member *m = &members[i];

	if (len == sizeof(busy) - 1 && memcmp(text, busy, len) == 0) {
		m->refused++;
		reader_counts.refused++;
	} else if (len == sizeof(unknown) - 1 &&
	    memcmp(text, unknown, len) == 0) {
		m->maybe += m->pending;
		reader_counts.unknown++;
	} else
		return false;
	m->pending = false;
	return true;
}

bool
reader_reply(uint32_t i, uint32_t id, const char *line, size_t len)
{
	struct member *m = &members[i];
	bool failed = memmem(line, len, "\"error\"", 7) != NULL;

	if (id != m->id || !m->pending)
		return false;
	m->pending = false;
	if (!failed)
		return false;
	if (memmem(line, len, "\"temporary\":true", 16) != NULL) {
		m->refused++;
		reader_counts.refused++;
	} else if (memmem(line, len, "outcome unknown", 15) != NULL) {
		m->maybe++;
		reader_counts.unknown++;
	} else
		return false;
	return true;
}

bool
reader_is_quiet(uint32_t i)
{
	const struct member *m = &members[i];

	return !m->pending && (!m->located || m->at + 1 == rooms[i % ROOMS].n);
}

/* The room of a name that ends at a tab or blank; ROOMS: none. */
static unsigned
room_of(const char *name)
{
	const size_t len = strcspn(name, "\t ");
	unsigned k = 0;

	while (k < ROOMS &&
	    (strlen(names[k]) != len || strncmp(name, names[k], len) != 0))
		k++;
	return k;
}

/* What is written down next in a room, behind `met` that were met. */
static void
room_written(unsigned k, uint32_t *met, const char *line)
{
	const char *text = strrchr(line, 'r'); /* TEXT, or {"text":"TEXT"} */
	const struct room *r = &rooms[k];
	unsigned from, seq;

	if (text == NULL || sscanf(text, "r%u:%u", &from, &seq) != 2) {
		fault(F_CORRUPT, "what was written: %.200s", line);
		return;
	}
	if (*met < r->n && said_is(&r->said[*met], from, seq)) {
		++*met;
		return;
	}
	fault(F_ORDER, "written in %s: %u of %u, clients heard %u of %u",
	    names[k], seq, from, *met < r->n ? r->said[*met].seq : 0,
	    *met < r->n ? r->said[*met].from : 0);
}

static uint32_t met[ROOMS]; /* of each room's order, in what was written */

/* A line of the book. */
static void
book_line(const char *line, unsigned *holes)
{
	unsigned long long position;
	int n = 0;
	unsigned k;

	if (strncmp(line, "hole\t", 5) == 0 || strncmp(line, "gap\t", 4) == 0)
		++*holes;
	if (sscanf(line, "message\t%llu\t%n", &position, &n) != 1 || n == 0)
		return;
	k = room_of(line + n);
	if (k < ROOMS)
		room_written(k, &met[k], line);
}

/* A row of the database: the room's name and the text. */
static bool
room_row(char *line, unsigned n)
{
	unsigned k = room_of(line);

	(void)n;
	if (k < ROOMS)
		room_written(k, &met[k], line);
	return true;
}

/* All of the book. */
static unsigned
book_judge(void)
{
	static char line[4096];
	unsigned holes = 0;
	char path[128];
	FILE *f;

	reader_folder(path, sizeof(path));
	strcat(path, "/book");
	if ((f = fopen(path, "r")) == NULL) {
		fault(F_LOST, "no book");
		return 0;
	}
	while (fgets(line, sizeof(line), f) != NULL)
		book_line(line, &holes);
	fclose(f);
	return holes;
}

/* Each client's own are all in the order. */
static void
members_judge(void)
{
	const struct member *m;
	uint32_t i, least;

	for (i = 0; i < set.clients; i++) {
		m = &members[i];
		least = m->said - m->refused - m->maybe;
		if (m->heard < least || m->heard > m->said - m->refused)
			fault(m->heard < least ? F_LOST : F_DOUBLED,
			    "client %u in %s: said %u, refused %u, perhaps %u, "
			    "heard %u",
			    i, reader_room(i), m->said, m->refused, m->maybe,
			    m->heard);
	}
}

void
reader_judge(void)
{
	unsigned holes = 0;

	members_judge();
	if (set.store)
		database_judge(room_row);
	else
		holes = book_judge();
	for (unsigned k = 0; k < ROOMS; k++)
		if (met[k] != rooms[k].n)
			fault(F_LOST, "written are %u of %u in %s", met[k],
			    rooms[k].n, names[k]);
	printf("reader: %llu said to it (%u, %u, %u, %u), %u refused, %u "
	       "unknown, %u holes; killed %u times\n",
	    (unsigned long long)reader_counts.said, rooms[0].n, rooms[1].n,
	    rooms[2].n, rooms[3].n, reader_counts.refused,
	    reader_counts.unknown, holes, reader_counts.killed);
}
