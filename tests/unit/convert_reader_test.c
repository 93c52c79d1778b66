/* convert_reader: what readers of the journal need goes over: bits of entries
 * and channels, marks, and the spill; from a program without readers, too. */
#include "convert_fixture.h"

#include "hub/line.h"

enum { A = READER_STORE, B = READER_HOOKS, BITS = 1 << A | 1 << B };
enum { LINE = SHM_WORKERS + 3 };

/* Flags of an entry. */
static uint8_t
flags_of(uint8_t readers, uint8_t required, enum presence_warmth warmth)
{
	return (uint8_t)(readers | required << PRESENCE_REQUIRED |
	    warmth << PRESENCE_WARMTH);
}

/* The limits of a memory with readers. */
static struct hub_limits
with_readers(uint64_t journal)
{
	struct hub_limits l = usual;

	l.readers = BITS;
	l.events = 1 << B;
	l.reader_share = READER_SHARE;
	l.journal_bytes = journal;
	return l;
}

/* A scene with readers: all that is said in the room is for both, B requires
 * it, and both have taken all. */
static void
readers_make(struct scene *s)
{
	static struct hub_limits l;

	l = with_readers(1 << 16);
	scene_limits = &l;
	scene_make(s);
	scene_limits = &usual;
	s->h.entry[s->room].flags = flags_of(BITS, 1 << B, PRESENCE_OPEN);
	s->h.heads->reader[A].taken = s->tail;
	s->h.heads->reader[B].taken = s->tail;
}

/* Says something in the room, for its readers. */
static void
say_required(struct scene *s, const char *text)
{
	struct publication p = {.channel = s->room,
	    .format = FORMAT_TEXT,
	    .flags = PUBLICATION_WAITS,
	    .user = "u",
	    .user_len = 1,
	    .data = text,
	    .data_len = (uint32_t)strlen(text)};
	struct entry_head *e;
	struct index_entry *x;

	hub_lock(&s->h);
	journal_append(&s->h, &p);
	hub_unlock(&s->h);
	/* as it is of a channel with those flags */
	x = &s->h.index[p.position & (s->h.n_index - 1)];
	x->at |= BITS;
	e = (void *)(s->h.journal +
	    (index_place(x->at) & (s->h.journal_size - 1)));
	e->format = FORMAT_TEXT | 1 << B << ENTRY_REQUIRED;
	s->tail = p.position;
	s->h.mine->cursor = s->tail;
}

/* An entry's head by its position. */
static struct entry_head *
head_of(struct hub *h, uint64_t position)
{
	return (void *)(h->journal +
	    index_place(h->index[position & (h->n_index - 1)].at));
}

/* Cuts a line out of the print. */
static void
print_cut(const char *line)
{
	char *at = strstr(print, line), *end;

	assert_non_null(at);
	end = strchr(at + 1, '\n');
	memmove(at, end, strlen(end) + 1);
}

/* What a program before readers does not print. */
static void
print_cut_readers(void)
{
	static const char *const later[] = {"\nshm_heads.reader ",
	    "\nshm_heads.spill_begin ", "\nshm_heads.spill_end ",
	    "\nshm_line.settled ", "\nentry_head.before ",
	    "\npresence_entry.flags ", "\nslot.awaits ", "\nmemory stream ",
	    "\nmemory spill ", "\ncount spill ", "\ncount readers ",
	    "\nREADERS ", "\nENTRY_FLAGS ", "\nAWAITS_RESULT "};

	for (size_t k = 0; k < sizeof(later) / sizeof(later[0]); k++)
		print_cut(later[k]);
}

/* From a program without readers: offsets have no gaps, and what it does not
 * have is not there. */
static void
test_older(void **state)
{
	struct hub_limits l = with_readers(1 << 16);
	struct entry_head *e;
	struct scene s;
	struct hub *h;

	scene_make(&s);
	s.h.slot[s.slot].awaits = AWAITS_RESULT; /* is none of its fields */
	s.h.stream[s.room] = 7;
	s.h.entry[s.room].flags = 0xff;
	head_of(&s.h, 1)->before = 99;
	head_of(&s.h, 2)->before = 99;
	head_of(&s.h, 2)->ordinal = 0xff000005; /* all of it is the command's */
	print_cut_readers();
	h = copy(&s, &l);
	if (h == NULL)
		fail_msg("%s", error);
	judge(&s, h);
	e = head_of(h, 2);
	assert_int_equal(head_of(h, 1)->before, 0);
	assert_int_equal(e->before, 1);
	assert_int_equal(e->ordinal, 5);
	assert_int_equal(entry_required(e), 0);
	assert_int_equal(index_readers(h->index[2].at), 0);
	assert_int_equal(h->entry[e->channel].flags, 0);
	assert_true(h->stream[e->channel] == h->entry[e->channel].epoch);
	assert_int_equal(h->slot[s.slot].awaits, AWAITS_NOTHING);
	/* its readers begin at the end */
	assert_int_equal(h->heads->reader[A].taken, s.tail);
	assert_int_equal(h->heads->reader[A].end, h->heads->end);
	assert_int_equal(h->heads->spill_end, 0);
	/* a byte that names no format is none of ours either */
	hub_destroy(h);
	head_of(&s.h, 2)->format = 200;
	h = copy(&s, &l);
	assert_non_null(h);
	assert_int_equal(head_of(h, 2)->format, FORMATS - 1);
	hub_destroy(h);
	/* and an index of places that are no multiples of 8 leads nowhere */
	s.h.index[2].at += 1;
	assert_null(copy(&s, &l));
	hub_destroy(&s.h);
}

/* Bits, flags, epochs and marks go over as they are. */
static void
test_bits(void **state)
{
	struct hub_limits l = with_readers(1 << 17);
	struct entry_head *e;
	struct scene s;
	struct hub *h;

	readers_make(&s);
	say_required(&s, "one");
	say_required(&s, "two");
	s.h.stream[s.room] = 0x123456789abcdef0;
	s.h.slot[s.slot].awaits = AWAITS_RESULT;
	s.h.line[LINE].cursor = s.tail - 1;
	s.h.line[LINE].settled = s.tail - 2;
	s.h.heads->reader[A].taken = s.tail - 1;
	s.h.heads->reader[A].end = 12345;
	h = copy(&s, &l);
	if (h == NULL)
		fail_msg("%s", error);
	e = head_of(h, s.tail);
	assert_int_equal(e->before, 3);
	assert_int_equal(e->offset, 4);
	assert_int_equal(entry_format(e), FORMAT_TEXT);
	assert_int_equal(entry_required(e), 1 << B);
	assert_int_equal(entry_flags(e), PUBLICATION_WAITS);
	assert_int_equal(
	    index_readers(h->index[s.tail & (h->n_index - 1)].at), BITS);
	assert_int_equal(
	    h->entry[e->channel].flags, flags_of(BITS, 1 << B, PRESENCE_OPEN));
	assert_true(h->stream[e->channel] == 0x123456789abcdef0);
	assert_int_equal(h->slot[s.slot].awaits, AWAITS_RESULT);
	assert_int_equal(h->line[LINE].cursor, s.tail - 1);
	assert_int_equal(h->line[LINE].settled, s.tail - 2);
	assert_int_equal(h->heads->reader[A].taken, s.tail - 1);
	assert_true(h->heads->reader[A].end ==
	    index_place(h->index[s.tail & (h->n_index - 1)].at));
	assert_int_equal(h->heads->reader[B].taken, s.tail - 2);
	hub_destroy(h);
	/* further than there is */
	s.h.heads->reader[A].taken = UINT64_MAX;
	h = copy(&s, &l);
	assert_non_null(h);
	assert_int_equal(h->heads->reader[A].taken, s.tail);
	assert_int_equal(h->heads->reader[A].end, h->heads->end);
	hub_destroy(h);
	hub_destroy(&s.h);
}

/* A channel that is asked for is asked for again; one of readers that are not
 * there any more is nobody's until the rules have been looked at. */
static void
test_flags(void **state)
{
	const struct {
		uint8_t was, is;
	} cases[] = {
	    {flags_of(BITS, 0, PRESENCE_COLD),
		flags_of(BITS, 0, PRESENCE_COLD)},
	    {flags_of(BITS, BITS, PRESENCE_OPENING),
		flags_of(BITS, BITS, PRESENCE_COLD)},
	    {flags_of(1 << READER_ENGINE, 0, PRESENCE_COLD), 0},
	    {flags_of(1 << A, 1 << READER_ENGINE, PRESENCE_OPEN), 0},
	};
	struct hub_limits l = with_readers(1 << 16);
	struct scene s;
	struct hub *h;

	readers_make(&s);
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		s.h.entry[s.room].flags = cases[k].was;
		h = copy(&s, &l);
		if (h == NULL)
			fail_msg("%zu: %s", k, error);
		assert_int_equal(
		    h->entry[head_of(h, s.tail)->channel].flags, cases[k].is);
		hub_destroy(h);
	}
	hub_destroy(&s.h);
}

/* Whether the spill has those texts, and no more. */
static void
judge_spill(struct hub *h, const char *const *texts, size_t n)
{
	struct publication p;
	uint64_t at = h->heads->spill_begin;

	for (size_t k = 0; k < n; k++) {
		assert_true(at < h->heads->spill_end);
		at += publication_decode(
		    h->spill + at, (size_t)(h->heads->spill_end - at), &p);
		assert_int_equal(p.data_len, strlen(texts[k]));
		assert_memory_equal(p.data, texts[k], p.data_len);
		assert_int_equal(p.required, 1 << B);
		assert_int_equal(p.flags, PUBLICATION_WAITS);
		assert_int_equal(p.offset, p.before + 1);
	}
	assert_true(at == h->heads->spill_end);
}

/* Puts one of the ring's entries behind the spill's. */
static void
spill_put(struct scene *s, uint64_t position)
{
	struct hub *h = &s->h;
	struct entry_head *e = head_of(h, position);
	size_t n = journal_entry_bytes(e->user_len, e->data_len);
	uint64_t at = h->heads->spill_end;

	if (at % h->spill_size + n > h->spill_size) {
		memset(h->spill + at % h->spill_size, 0, 8);
		at += h->spill_size - at % h->spill_size;
	}
	memcpy(h->spill + at % h->spill_size, e, n);
	h->heads->spill_end = at + n;
}

/* What a reader still needs is set aside if the ring has no room for it, and
 * what was set aside stays. */
static void
test_spill(void **state)
{
	static const char *const texts[] = {
	    "needed one", "needed two, which is some bytes longer"};
	struct hub_limits l = with_readers(1 << 12);
	struct scene s;
	struct hub *h;
	struct entry_head *stale;
	uint64_t needed;
	size_t n;

	readers_make(&s);
	say_required(&s, texts[0]);
	needed = s.tail;
	say_required(&s, texts[1]);
	for (int k = 0; k < 50; k++)
		say(&s.h, s.user, "what nobody but workers needs");
	s.tail = s.h.mine->cursor = journal_tail(&s.h);
	h = copy(&s, &l);
	if (h == NULL)
		fail_msg("%s", error);
	assert_true(journal_oldest(h) > needed + 1);
	judge_spill(h, texts, 2);
	assert_int_equal(h->heads->reader[B].taken, needed - 1);
	assert_int_equal(h->heads->reader[B].end, 0);
	hub_destroy(h);
	/* the first one is taken by B, the other one by A alone */
	s.h.heads->reader[B].taken = needed;
	s.h.heads->reader[A].taken = s.tail;
	h = copy(&s, &l);
	assert_non_null(h);
	judge_spill(h, texts + 1, 1);
	hub_destroy(h);
	/* both in the spill, the first one twice, as after a death; its end
	 * lies between them, and what was there before behind the first; the
	 * second one is in the ring once more */
	n = journal_entry_bytes(1, strlen(texts[0]));
	s.h.heads->spill_begin = s.h.heads->spill_end =
	    3 * s.h.spill_size - 3 * n - 8;
	spill_put(&s, needed);
	spill_put(&s, needed);
	stale = (void *)(s.h.spill + s.h.spill_size - n);
	memcpy(stale, head_of(&s.h, needed), n);
	stale->position = needed + 1;
	spill_put(&s, needed + 1);
	assert_true(s.h.heads->spill_end / s.h.spill_size == 3);
	s.h.heads->reader[B].taken = needed - 1;
	s.h.heads->oldest = needed + 1;
	h = copy(&s, &l);
	assert_non_null(h);
	judge_spill(h, texts, 2);
	hub_destroy(h);
	s.h.heads->oldest = needed + 2;
	h = copy(&s, &l);
	assert_non_null(h);
	judge_spill(h, texts, 2);
	hub_destroy(h);
	/* nobody needs it where that reader is not any more */
	l.readers = l.events = 1 << A;
	h = copy(&s, &l);
	assert_non_null(h);
	assert_int_equal(h->heads->spill_end, 0);
	hub_destroy(h);
	hub_destroy(&s.h);
}

/* Where the spill begins and ends was written over. */
static void
test_scribbled(void **state)
{
	static const uint64_t ends[][2] = {{1, 0}, {0, UINT64_MAX},
	    {UINT64_MAX - 100, UINT64_MAX}, {UINT64_MAX - 7, 8}, {3, 200}};
	struct hub_limits l = with_readers(1 << 16);
	struct scene s;
	struct hub *h;

	readers_make(&s);
	s.h.heads->reader[B].taken = 0;
	memset(s.h.spill, 0xff, 1024);
	for (size_t k = 0; k < sizeof(ends) / sizeof(ends[0]); k++) {
		s.h.heads->spill_begin = ends[k][0];
		s.h.heads->spill_end = ends[k][1];
		h = copy(&s, &l);
		if (h == NULL)
			fail_msg("%zu: %s", k, error);
		assert_int_equal(h->heads->spill_end, 0);
		hub_destroy(h);
	}
	hub_destroy(&s.h);
}

/* More than the spill has room for. */
static void
test_too_much(void **state)
{
	struct hub_limits l = with_readers(1 << 12);
	struct scene s;

	readers_make(&s);
	for (int k = 0; k < 100; k++)
		say_required(&s, "what a reader needs");
	assert_null(copy(&s, &l));
	assert_non_null(strstr(error, "a reader still needs the message at"));
	hub_destroy(&s.h);
}

/* A channel whose name a reader still needs is kept before others. */
static void
test_names(void **state)
{
	struct hub_limits l = with_readers(1 << 16);
	uint32_t needed;
	struct scene s;
	struct convert *c;
	struct hub *h;
	struct presence_view v;

	readers_make(&s);
	hub_lock(&s.h);
	for (int k = 0; k < 20; k++) {
		char name[24];

		snprintf(name, sizeof(name), "other%d", k);
		needed = presence_make(&s.h, name, strlen(name));
	}
	hub_unlock(&s.h);
	s.h.entry[needed].flags = flags_of(1 << B, 1 << B, PRESENCE_OPEN);
	s.h.entry[needed].newest = 1;
	s.h.heads->oldest = 2;
	s.h.heads->reader[B].taken = 0;
	l.channels = 2;
	c = convert_open(s.h.fd, print, "", tables, error, sizeof(error));
	assert_non_null(c);
	assert_true(convert_fits(c, &l, error, sizeof(error)));
	l.channels = 1;
	assert_false(convert_fits(c, &l, error, sizeof(error)));
	convert_close(c);
	l.channels = 2;
	h = copy(&s, &l);
	if (h == NULL)
		fail_msg("%s", error);
	assert_int_not_equal(presence_find(h, "other19", 7), SHM_NONE);
	assert_true(presence_read(h, presence_find(h, "other19", 7), &v));
	assert_int_equal(presence_find(h, "other18", 7), SHM_NONE);
	hub_destroy(h);
	hub_destroy(&s.h);
}

/* What is packed otherwise is not copied. */
static void
test_packed(void **state)
{
	struct scene s;

	readers_make(&s);
	print_change("\nENTRY_REQUIRED 5\n", "\nENTRY_REQUIRED 4\n");
	assert_null(copy(&s, &usual));
	assert_non_null(strstr(error, "ENTRY_REQUIRED differs"));
	hub_destroy(&s.h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_older),
	    cmocka_unit_test(test_bits),
	    cmocka_unit_test(test_flags),
	    cmocka_unit_test(test_spill),
	    cmocka_unit_test(test_scribbled),
	    cmocka_unit_test(test_too_much),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_packed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
