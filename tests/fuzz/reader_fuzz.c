/*
 * reader_fuzz: two readers of the journal and a publisher, while any words of
 * journal, spill and marks are written over. They come to an end, and go on
 * once the lock has been taken and the marks are their own again. Three bytes
 * are one step: what, and two numbers.
 */
#include "ring.h"

#include "hub/line.h"
#include "hub/lock.h"
#include "hub/publisher.h"
#include "hub/reader.h"

enum { LOOKS = 8192, READER_LINE = 1 };

struct scene {
	struct hub h;
	struct publisher pub;
	struct reader r[2];
};

/* Readers by the names of channels: of "0" none, of "1" HOOKS, of "2" STORE and
 * HOOKS, which requires it; "3" both require. */
static uint8_t
flags_cb(void *arg, const char *name, size_t len)
{
	static const uint8_t flags[] = {
	    0, 1 << READER_HOOKS, 0x05 | 0x20, 0x05 | 0x28};

	return flags[name[0] % 4];
}

static void
scene_begin(struct scene *s)
{
	memset(s, 0, sizeof(*s));
	ring_hub(&s->h, 1 << READER_STORE | 1 << READER_HOOKS);
	s->h.flags_of = flags_cb;
	s->pub = (struct publisher){.hub = &s->h, .wall_ms = 1};
	for (int k = 0; k < 2; k++) {
		hub_become(&s->h, READER_LINE + k);
		reader_init(&s->r[k], &s->h,
		    k == 0 ? READER_STORE : READER_HOOKS, READER_NO_MARK);
	}
	hub_become(&s->h, 0);
}

/* Publishes so many bytes, perhaps waiting or proposed. */
static void
publish_bytes(struct scene *s, uint8_t to, uint8_t len)
{
	static const char bytes[256];
	const char name = (char)('0' + to % 4);
	const struct publishing what = {.conn = SHM_NONE,
	    .format = FORMAT_TEXT,
	    .flags = to >> 4 & 3,
	    .command = to >> 6,
	    .user = "",
	    .data = bytes,
	    .len = len};
	struct publication p;
	uint64_t mask;

	(void)publisher_publish(
	    &s->pub, &name, 1, PUBLISH_MAKE, &what, &p, &mask);
}

/* Opens what is asked for. */
static void
opening_cb(void *arg, uint32_t channel, uint32_t epoch)
{
	const struct publication pub = {
	    .offset = 5, .before = 4, .format = FORMAT_TEXT, .data = ""};
	const struct reader_opening o = {
	    .stream = 7, .top = 6, .leap = 60, .pubs = &pub, .n = 1};

	(void)reader_opened(arg, channel, epoch, &o);
}

static void
unsettled_cb(void *arg, const struct publication *p, bool delivered)
{
	struct reader_answer a = reader_answer_to(p, RESULT_OK);

	if (p->flags & PUBLICATION_PROPOSED)
		a.deliver = p;
	(void)reader_answer(arg, &a, 1);
}

static void
lost_cb(void *arg, uint32_t channel, uint32_t epoch, uint64_t offset)
{
	struct reader *r = arg;

	REQUIRE(channel < r->h->n_entries && epoch != 0);
}

/* A reader goes on, for at most so many entries; it answers all. Returns the
 * newest position that it has found. */
static uint64_t
read_some(struct scene *s, int which, uint32_t most)
{
	struct reader *r = &s->r[which];
	char buf[RING / JOURNAL_SHARE];
	enum reader_result what;
	struct publication p;
	uint64_t newest = 0;
	uint32_t n;

	hub_become(&s->h, READER_LINE + which);
	for (n = 0; n < most; n++) {
		REQUIRE(n < LOOKS);
		what = reader_next(r, buf, sizeof(buf), &p);
		if (what == READER_END || what == READER_STOPPED)
			break;
		if (what == READER_LOST)
			reader_lost_each(r, r->from, r->to, lost_cb, r);
		if (what != READER_FOUND)
			continue;
		REQUIRE(p.position == r->position);
		newest = r->position;
		if (p.format == FORMAT_OPEN)
			opening_cb(r, p.channel, p.epoch);
		else if (reader_is_asked(r, &p))
			unsettled_cb(r, &p, false);
	}
	reader_taken(r, r->passed);
	hub_become(&s->h, 0);
	return newest;
}

/* A reader dies and another one begins. */
static void
reader_again(struct scene *s, int which)
{
	struct reader *r = &s->r[which];
	char buf[RING / JOURNAL_SHARE];

	hub_become(&s->h, READER_LINE + which);
	reader_init(r, &s->h, r->number, READER_NO_MARK);
	reader_opening(r, opening_cb, r);
	REQUIRE(reader_unsettled(r, buf, sizeof(buf), unsettled_cb, r) == 0);
	hub_become(&s->h, 0);
}

/* Writes over a word. */
static void
scribble(struct scene *s, uint8_t what, uint8_t a, uint8_t b)
{
	struct shm_heads *w = s->h.heads;
	struct index_entry *x = &s->h.index[a % s->h.n_index];
	_Atomic uint64_t *const word[] = {&x->at, &x->mask, &w->tail,
	    &w->oldest, &w->redone, &w->end, &w->spill_begin, &w->spill_end,
	    &w->reader[READER_STORE].taken, &w->reader[READER_STORE].end,
	    &w->reader[READER_HOOKS].taken, &w->reader[READER_HOOKS].end,
	    &s->h.line[READER_LINE + a % 2].cursor,
	    &s->h.line[READER_LINE + a % 2].settled};
	const uint32_t n = sizeof(word) / sizeof(word[0]);

	if (what % 16 < n)
		*word[what % 16] ^= 1ull << b % 64;
	else if (what % 16 == n)
		s->h.journal[(uint32_t)(a << 4 | b % 16)] = b;
	else
		s->h.spill[(uint32_t)(a << 4 | b % 16) % s->h.spill_size] = b;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char bytes[64];
	struct publication p = {.format = FORMAT_TEXT,
	    .user = "",
	    .data = bytes,
	    .data_len = sizeof(bytes)};
	struct publication event = {
	    .format = FORMAT_CONNECT, .user = "", .data = ""};
	struct scene s;

	scene_begin(&s);
	for (; size >= 3; data += 3, size -= 3)
		if (data[0] < 96)
			publish_bytes(&s, data[1], data[2]);
		else if (data[0] < 160)
			(void)read_some(&s, data[1] % 2, data[2]);
		else if (data[0] < 176)
			reader_again(&s, data[1] % 2);
		else
			scribble(&s, data[0], data[1], data[2]);
	/* what is published from now on is found */
	for (int k = 0; k < 2; k++) {
		hub_lock(&s.h);
		(void)journal_append(&s.h, &p);
		hub_unlock(&s.h);
		(void)read_some(&s, k, LOOKS);
		hub_lock(&s.h);
		(void)journal_append_event(&s.h, &event, s.r[k].bit, 0);
		hub_unlock(&s.h);
		REQUIRE(read_some(&s, k, LOOKS) == event.position);
	}
	hub_destroy(&s.h);
	return 0;
}
