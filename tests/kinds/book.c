/* book: see book.h. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/shared.h"
#include "book.h"

enum { FIELDS = 16 };

/* A field of a line that was read. */
struct field {
	const char *at;
	size_t len;
};

/* Room for so many bytes more in what is to be written. */
static char *
book_room(struct book *b, size_t len)
{
	if (b->room - b->len < len) {
		b->room = 2 * b->room + len;
		b->line = realloc(b->line, b->room);
		if (b->line == NULL)
			log_fatal("ledger: no memory");
	}
	return b->line + b->len;
}

/* Adds to the line. */
static void __attribute__((format(printf, 2, 3)))
book_put(struct book *b, const char *fmt, ...)
{
	enum { LINE = 512 };
	va_list ap;

	va_start(ap, fmt);
	b->len += (size_t)vsnprintf(book_room(b, LINE), LINE, fmt, ap);
	va_end(ap);
}

/* Adds a text as a field. */
static void
book_text(struct book *b, const char *text, size_t len)
{
	char *out = book_room(b, 3 * len + 1);

	*out++ = '\t';
	for (size_t k = 0; k < len; k++) {
		const uint8_t c = (uint8_t)text[k];

		if (c < ' ' || c == 0x7f || c == '%')
			out += sprintf(out, "%%%02x", c);
		else
			*out++ = (char)c;
	}
	b->len = (size_t)(out - b->line);
}

/* The bytes of a field; returns how many. */
static size_t
field_text(const struct field *f, char *out)
{
	size_t n = 0;
	unsigned c;

	for (size_t k = 0; k < f->len; k++) {
		if (f->at[k] != '%' || k + 2 >= f->len ||
		    sscanf(f->at + k + 1, "%2x", &c) != 1) {
			out[n++] = f->at[k];
			continue;
		}
		out[n++] = (char)c;
		k += 2;
	}
	return n;
}

static uint64_t
field_number(const struct field *f)
{
	return strtoull(f->at, NULL, 10);
}

struct book_shelf *
book_find(struct book *b, const char *name, size_t len)
{
	struct book_shelf **at, *s;
	uint32_t hash = 0;

	for (size_t k = 0; k < len; k++)
		hash = hash * 31 + (uint8_t)name[k];
	at = &b->shelf[hash % BOOK_SHELVES];
	for (s = *at; s != NULL; s = s->next)
		if (s->len == len && memcmp(s->name, name, len) == 0)
			return s;
	if ((s = calloc(1, sizeof(*s) + len)) == NULL)
		log_fatal("ledger: no memory");
	memcpy(s->name, name, len);
	s->len = len;
	s->next = *at;
	*at = s;
	return s;
}

/* A copy of a publication, without what its sender's token says. */
static struct book_copy *
copy_make(struct book_shelf *s, const struct publication *p)
{
	struct book_copy *c = malloc(sizeof(*c) + p->user_len + p->data_len);

	if (c == NULL)
		log_fatal("ledger: no memory");
	c->next = NULL;
	c->shelf = s;
	c->p = *p;
	c->p.info_len = c->p.sub_info_len = c->p.tags_len = 0;
	c->p.info = c->p.sub_info = c->p.tags = NULL;
	memcpy(c->text, p->user, p->user_len);
	memcpy(c->text + p->user_len, p->data, p->data_len);
	c->p.user = c->text;
	c->p.data = c->text + p->user_len;
	return c;
}

/* What follows from a message's line: its channel stands there. The copy of a
 * proposal. */
static const struct book_copy *
book_took(struct book *b, struct book_shelf *s, const struct publication *p)
{
	struct book_copy **place = &s->newest[s->n++ % BOOK_NEWEST], *c;

	free(*place);
	*place = copy_make(s, p);
	s->top = p->offset;
	if ((p->flags & PUBLICATION_PROPOSED) == 0)
		return NULL;
	c = copy_make(s, p);
	*b->last = c;
	b->last = &c->next;
	return c;
}

/* What follows from such a line: these need not be delivered any more. */
static void
book_forget(struct book *b, uint64_t position)
{
	struct book_copy *c;

	b->delivered = position;
	while ((c = b->first) != NULL && c->p.position <= position) {
		b->first = c->next;
		free(c);
	}
	if (b->first == NULL)
		b->last = &b->first;
}

const struct book_copy *
book_message(struct book *b, struct book_shelf *s, const struct publication *p)
{
	struct publication kept = *p;

	if (p->flags & PUBLICATION_PROPOSED) {
		/* above the channel's own, too, which has perhaps been there
		 * before it had a reader */
		kept.before = s->top > p->before ? s->top : p->before;
		kept.offset = kept.before + 1;
	}
	book_put(b, "message\t%" PRIu64, p->position);
	book_text(b, s->name, s->len);
	book_put(b,
	    "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%u\t%u\t%" PRIu64
	    "\t%" PRIu64 "\t%u\t%" PRId64 "\t%u\t%u",
	    kept.offset, kept.before, s->stream, p->format, p->flags, p->sender,
	    p->input_key, p->command, p->time_ms, p->channel, p->epoch);
	book_text(b, p->user, p->user_len);
	book_text(b, p->data, p->data_len);
	book_put(b, "\n");
	return book_took(b, s, &kept);
}

void
book_refuse(struct book *b, struct book_shelf *s, const struct publication *p)
{
	book_put(b, "refused\t%" PRIu64, p->position);
	book_text(b, s->name, s->len);
	book_text(b, p->user, p->user_len);
	book_text(b, p->data, p->data_len);
	book_put(b, "\n");
}

void
book_event(struct book *b, const struct publication *p, const char *channel,
    size_t len)
{
	book_put(b, "event\t%" PRIu64 "\t%u", p->position, p->format);
	book_text(b, channel, len);
	book_put(b, "\t%" PRIu64 "\t%" PRIu64, p->mask, p->sender);
	book_text(b, p->user, p->user_len);
	book_text(b, p->data, p->data_len);
	book_put(b, "\n");
}

void
book_opening(
    struct book *b, struct book_shelf *s, uint64_t stream, uint64_t top)
{
	s->stream = stream;
	s->top = top;
	book_put(b, "open");
	book_text(b, s->name, s->len);
	book_put(b, "\t%" PRIu64 "\t%" PRIu64 "\n", stream, top);
}

void
book_hole(struct book *b, uint64_t from, uint64_t to)
{
	book_put(b, "hole\t%" PRIu64 "\t%" PRIu64 "\n", from, to);
}

void
book_gap(struct book *b, const char *channel, size_t len, uint64_t after,
    uint64_t before)
{
	book_put(b, "gap");
	book_text(b, channel, len);
	book_put(b, "\t%" PRIu64 "\t%" PRIu64 "\n", after, before);
}

void
book_delivered(struct book *b, uint64_t position)
{
	if (position <= b->delivered)
		return;
	book_put(b, "delivered\t%" PRIu64 "\n", position);
	book_forget(b, position);
}

void
book_clean(struct book *b)
{
	book_put(b, "clean\n");
}

void
book_commit(struct book *b, uint64_t mark)
{
	size_t done = 0;
	ssize_t n;

	book_put(b, "mark\t%" PRIu64 "\n", mark);
	KILL_POINT();
	while (done < b->len) {
		n = write(b->fd, b->line + done, b->len - done);
		if (n == -1 && errno != EINTR)
			log_fatal("ledger: %s", strerror(errno));
		done += n > 0 ? (size_t)n : 0;
	}
	KILL_POINT();
	b->len = 0;
	b->mark = mark;
}

/* Splits a line into fields; returns how many. */
static int
line_split(const char *at, size_t len, struct field f[FIELDS])
{
	const char *end = at + len, *tab;
	int n = 0;

	for (; n < FIELDS; at = tab + 1) {
		tab = memchr(at, '\t', (size_t)(end - at));
		f[n].at = at;
		f[n++].len = (size_t)((tab != NULL ? tab : end) - at);
		if (tab == NULL)
			break;
	}
	return n;
}

/* The channel that a field names. */
static struct book_shelf *
field_shelf(struct book *b, const struct field *f)
{
	char name[1024];

	return book_find(b, name, field_text(f, name));
}

/* A message's line, as it was written. */
static void
book_reread(struct book *b, const struct field *f)
{
	struct book_shelf *s = field_shelf(b, &f[2]);
	char *text = malloc(f[14].len + f[15].len + 1);
	struct publication p = {.position = field_number(&f[1]),
	    .offset = field_number(&f[3]),
	    .before = field_number(&f[4]),
	    .format = (uint8_t)field_number(&f[6]),
	    .flags = (uint8_t)field_number(&f[7]),
	    .sender = field_number(&f[8]),
	    .input_key = field_number(&f[9]),
	    .command = (uint32_t)field_number(&f[10]),
	    .time_ms = (int64_t)field_number(&f[11]),
	    .channel = (uint32_t)field_number(&f[12]),
	    .epoch = (uint32_t)field_number(&f[13]),
	    .user = text};

	if (text == NULL)
		log_fatal("ledger: no memory");
	s->stream = field_number(&f[5]);
	p.user_len = (uint8_t)field_text(&f[14], text);
	p.data = text + p.user_len;
	p.data_len = (uint32_t)field_text(&f[15], text + p.user_len);
	book_took(b, s, &p);
	free(text);
}

/* Whether a line is of that kind, with so many fields. */
static bool
line_is(const struct field *f, int n, const char *kind, int fields)
{
	return n == fields && f[0].len == strlen(kind) &&
	    memcmp(f[0].at, kind, f[0].len) == 0;
}

/* A line as it was written, without its end. */
static void
book_line(struct book *b, const char *at, size_t len, const char *journal)
{
	struct field f[FIELDS];
	const int n = line_split(at, len, f);
	struct book_shelf *s;

	if (line_is(f, n, "mark", 2)) {
		b->mark = field_number(&f[1]);
		return;
	}
	b->clean = line_is(f, n, "clean", 1);
	if (line_is(f, n, "message", 16)) {
		book_reread(b, f);
	} else if (line_is(f, n, "open", 4)) {
		s = field_shelf(b, &f[1]);
		s->stream = field_number(&f[2]);
		s->top = field_number(&f[3]);
	} else if (line_is(f, n, "delivered", 2)) {
		book_forget(b, field_number(&f[1]));
	} else if (line_is(f, n, "journal", 2)) {
		b->same = f[1].len == strlen(journal) &&
		    memcmp(f[1].at, journal, f[1].len) == 0;
		book_forget(b, UINT64_MAX); /* of the one before */
		b->delivered = 0;
	}
}

/* Where the last line ends that counts. */
static size_t
book_end(const char *text, size_t len)
{
	static const char mark[] = "\nmark\t";
	const size_t n = sizeof(mark) - 1;

	for (; len > n; len--)
		if (text[len - 1] == '\n') {
			const char *line = memrchr(text, '\n', len - 1);

			if (line != NULL && memcmp(line, mark, n) == 0)
				return len;
			if (line == NULL)
				break;
			len = (size_t)(line - text) + 2;
		}
	return 0;
}

/* Reads it, and cuts off what does not count. */
static void
book_read(struct book *b, const char *journal)
{
	struct stat st;
	const char *text, *at, *end;
	size_t len;

	if (fstat(b->fd, &st) == -1)
		log_fatal("ledger: %s", strerror(errno));
	if (st.st_size == 0)
		return;
	text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, b->fd, 0);
	if (text == MAP_FAILED)
		log_fatal("ledger: %s", strerror(errno));
	len = book_end(text, (size_t)st.st_size);
	for (at = text; at < text + len; at = end + 1) {
		end = memchr(at, '\n', (size_t)(text + len - at));
		book_line(b, at, (size_t)(end - at), journal);
	}
	munmap((void *)(uintptr_t)text, (size_t)st.st_size);
	if (ftruncate(b->fd, (off_t)len) == -1)
		log_fatal("ledger: %s", strerror(errno));
}

void
book_open(struct book *b, const char *path, const char *journal)
{
	memset(b, 0, sizeof(*b));
	b->last = &b->first;
	b->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (b->fd == -1)
		log_fatal("ledger: %s: %s", path, strerror(errno));
	book_read(b, journal);
	if (!b->same) {
		book_put(b, "journal\t%s\n", journal);
		b->mark = 0;
	}
}
