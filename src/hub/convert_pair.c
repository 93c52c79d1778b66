/* Two layouts side by side: which field is which, and whether this program
 * knows what it needs of the other one's. */
#include <stdio.h>
#include <string.h>

#include "convert.h"
#include "hub/journal.h"
#include "layout_line.h"

static const char *const struct_names[C_FRAMING] = {[C_HEADS] = "shm_heads",
    [C_LINE] = "shm_line",
    [C_WORKER] = "shm_worker",
    [C_INDEX] = "index_entry",
    [C_ENTRY] = "entry_head",
    [C_PRESENCE] = "presence_entry",
    [C_PIECE] = "presence_piece",
    [C_SLOT] = "slot",
    [C_CHUNK] = "chunk",
    [C_REFERENCE] = "reference",
    [C_PAGE] = "input_page",
    [C_BLOB] = "blob_head",
    [C_PART] = "input_part",
    [C_STATE] = "framing_state",
    [C_SUBSCRIPTION] = "subscription"};

#define CONVERT_FIELD(id, name) name,
static const char *const field_names[F_FIELDS] = {
    CONVERT_FIELDS(CONVERT_FIELD)[F_LATER] = CONVERT_LATER(CONVERT_FIELD)};
#undef CONVERT_FIELD

static const char *const region_names[R_REGIONS] = {[R_HEADS] = "heads",
    [R_LINE] = "line",
    [R_WORKER] = "worker",
    [R_ENTRY] = "entry",
    [R_PIECE] = "piece",
    [R_SLOT_OWNER] = "slot_owner",
    [R_SLOT_TOUCHED] = "slot_touched",
    [R_SLOT] = "slot",
    [R_CHUNK_OWNER] = "chunk_owner",
    [R_CHUNK] = "chunk",
    [R_SEGMENT_OWNER] = "segment_owner",
    [R_ARENA] = "arena",
    [R_PAGE_OWNER] = "page_owner",
    [R_PAGE] = "page",
    [R_SUBSCRIPTION_OWNER] = "subscription_owner",
    [R_SUBSCRIPTION] = "subscription",
    [R_INDEX] = "index",
    [R_JOURNAL] = "journal",
    [R_SOCKET] = "socket",
    [R_STREAM] = "stream",
    [R_SPILL] = "spill"};

static const char *const count_names[N_COUNTS] = {"users", "channels", "slots",
    "chunks", "segments", "pages", "subscriptions", "index", "journal", "spill",
    "readers"};

/* Not copied by name: what its bytes mean is another record's business. */
static const char *const apart[] = {"shm_heads.sizes", "shm_heads.entries",
    "shm_heads.hand", "shm_heads.words", "shm_heads.figures",
    "shm_heads.reader", "shm_heads.spill_begin", "shm_heads.spill_end",
    "shm_heads.sleeps", "shm_worker.used", "entry_head.format",
    "presence_entry.flags", "presence_entry.name", "chunk.ref",
    "input_page.bytes", "input_part.state"};

/* Which fields hold a value of a group; `tables`: of what a program has a table
 * of, which may lack what no connection uses. */
static const struct {
	const char *field, *group;
	bool tables;
} grouped[] = {{"slot.close_reason", "reason", false},
    {"slot.flags", "slot_flags", false}, {"slot.door", "door", true},
    {"slot.framing", "framing", true}, {"slot.transport", "transport", true},
    {"subscription.flags", "subscription_flags", false},
    {"entry_head.format", "publication_format", false}};

/* Words that are packed in a way that no name tells: the same in both. */
static const char *const packed[] = {"SHM_BLOCK", "KEY_BITS", "OUTPUT_SEGMENT",
    "OUTPUT_ANSWER", "OUTPUT_CLOSE", "SLOT_SKIPPED_MORE", "SUBSCRIPTION_HELD",
    "SHM_WORKERS"};
/* Those that an older program does not have: the same in both, if it has. */
static const char *const packed_later[] = {"READER_STORE", "READER_ENGINE",
    "READER_HOOKS", "READERS", "ENTRY_FLAGS", "ENTRY_REQUIRED", "FORMATS",
    "PUBLICATION_WAITS", "PUBLICATION_PROPOSED", "PUBLICATION_AGAIN",
    "PRESENCE_REQUIRED", "PRESENCE_WARMTH", "PRESENCE_OPEN", "PRESENCE_COLD",
    "PRESENCE_OPENING", "AWAITS_NOTHING", "AWAITS_RESULT", "AWAITS_DONE",
    "RESULT_OK", "RESULT_TEMPORARY", "RESULT_UNKNOWN"};

/*
 * What processes of the old program that have sockets say and are told when the
 * new program's workers get them: the same in both, for ever.
 */
static const char *const spoken_values[] = {"CUSTODY_KEEP", "CUSTODY_ROOM",
    "CUSTODY_DONE", "CUSTODY_MAX", "KEEPER_LINK", "MSG_STOP", "MSG_GIVE_BACK"};
static const char *const spoken_fields[] = {"custody_note.type",
    "custody_note.n", "custody_note.id", "message_head.type",
    "message_head.length"};

/* Whether a constant of both is the same. */
static bool
value_same(struct convert *c, const char *name)
{
	const struct print_line *a = print_value(&c->theirs, name);
	const struct print_line *b = print_value(&c->mine, name);

	if (a != NULL && b != NULL && a->at == b->at)
		return true;
	return convert_fail(c,
	    "%s differs: %lld in the program that runs, %lld in this one", name,
	    a != NULL ? (long long)a->at : -1,
	    b != NULL ? (long long)b->at : -1);
}

/* Whether a field of both is in the same place. */
static bool
field_same(struct convert *c, const char *name)
{
	const struct print_line *a = print_field(&c->theirs, name);
	const struct print_line *b = print_field(&c->mine, name);

	return (a != NULL && b != NULL && a->at == b->at &&
		   a->size == b->size) ||
	    convert_fail(c,
		"%s differs: notes and messages of the program that runs are "
		"not understood",
		name);
}

/* Whether the two can work together at all. */
static bool
constants_check(struct convert *c)
{
	for (size_t i = 0; i < sizeof(packed) / sizeof(packed[0]); i++)
		if (!value_same(c, packed[i]))
			return false;
	for (size_t i = 0; i < sizeof(packed_later) / sizeof(packed_later[0]);
	     i++)
		if (print_value(&c->theirs, packed_later[i]) != NULL &&
		    !value_same(c, packed_later[i]))
			return false;
	for (size_t i = 0; i < sizeof(spoken_values) / sizeof(spoken_values[0]);
	     i++)
		if (!value_same(c, spoken_values[i]))
			return false;
	for (size_t i = 0; i < sizeof(spoken_fields) / sizeof(spoken_fields[0]);
	     i++)
		if (!field_same(c, spoken_fields[i]))
			return false;
	return true;
}

/* Whether this program knows every value of a group that a field may have; of a
 * table, whether both have it. */
static bool
group_check(struct convert *c, const char *name, bool table)
{
	const struct print_line *a = print_group(&c->theirs, name), *v = NULL;
	const struct print_line *b = print_group(&c->mine, name);

	if (a == NULL || b == NULL || a->kind != b->kind)
		return convert_fail(c, "the values of %s are not known", name);
	while (!table && (v = print_group_next(&c->theirs, a, v)) != NULL)
		if (print_group_value(&c->mine, b, v->name) == NULL)
			return convert_fail(c,
			    "the program that runs has %s (%s), which this one "
			    "does not know",
			    v->name, name);
	return true;
}

/* What a life word's state becomes. */
static bool
states_pair(struct convert *c)
{
	const struct print_line *a, *b, *v = NULL, *w;

	if (!group_check(c, "slot_state", false))
		return false;
	a = print_group(&c->theirs, "slot_state");
	b = print_group(&c->mine, "slot_state");
	while ((v = print_group_next(&c->theirs, a, v)) != NULL) {
		w = print_group_value(&c->mine, b, v->name);
		if (v->at >= 8 || w->at >= 8)
			return convert_fail(c, "%s is not below 8", v->name);
		c->slot_state[v->at] = (uint8_t)w->at;
	}
	return true;
}

/* Whether a field is copied by its name. */
static bool
is_apart(const char *name)
{
	for (size_t i = 0; i < sizeof(apart) / sizeof(apart[0]); i++)
		if (strcmp(apart[i], name) == 0)
			return true;
	return false;
}

/* Whether a group has the same values in both, so that words go as they are. */
static bool
group_is_same(const struct convert *c, const struct print_line *a,
    const struct print_line *b)
{
	const struct print_line *v = NULL, *w;

	while ((v = print_group_next(&c->theirs, a, v)) != NULL) {
		w = print_group_value(&c->mine, b, v->name);
		if (w == NULL || w->at != v->at)
			return false;
	}
	return true;
}

/* Gives a pair of fields its group, if it has one. */
static bool
copy_group(struct convert *c, struct convert_copy *copy)
{
	const struct print_line *a, *b;

	for (size_t i = 0; i < sizeof(grouped) / sizeof(grouped[0]); i++) {
		if (strcmp(copy->to->name, grouped[i].field) != 0)
			continue;
		if (grouped[i].tables &&
		    print_group(&c->theirs, grouped[i].group) == NULL)
			continue; /* an older program */
		if (!group_check(c, grouped[i].group, grouped[i].tables))
			return false;
		a = print_group(&c->theirs, grouped[i].group);
		b = print_group(&c->mine, grouped[i].group);
		if (!group_is_same(c, a, b)) {
			copy->from_group = a;
			copy->to_group = b;
		}
	}
	return true;
}

/* Whether the other program does not have the framing of a struct. */
static bool
framing_is_new(struct convert *c, const char *name)
{
	const struct print_line *group = print_group(&c->theirs, "framing");
	char value[FRAMING_STRUCT];

	snprintf(value, sizeof(value), "framing.%s", strchr(name, '_') + 1);
	return group != NULL &&
	    print_group_value(&c->theirs, group, value) == NULL;
}

/* Pairs the fields of a struct. */
static bool
struct_pair(struct convert *c, enum convert_struct s)
{
	char framing[FRAMING_STRUCT];
	const char *name = s < C_FRAMING
	    ? struct_names[s]
	    : framing_struct((uint8_t)(s - C_FRAMING), framing);
	const struct print_line *a = print_struct(&c->theirs, name), *to;
	struct convert_rule *r = &c->rule[s];
	size_t len = strlen(name);
	bool number;

	if (s >= C_FRAMING &&
	    (print_struct(&c->mine, name) == NULL ||
		(a == NULL && framing_is_new(c, name))))
		return true; /* what it keeps goes as bytes */
	if (s >= C_FRAMING && a != NULL &&
	    a->size > c->field[F_PART_STATE]->size)
		return convert_fail(c, "%s does not fit into its part", name);
	if (a == NULL)
		return convert_fail(c, "its layout lacks struct %s", name);
	c->stride[s] = (uint32_t)a->size;
	for (uint32_t i = 0; i < c->mine.n; i++) {
		struct convert_copy *copy = &r->copy[r->n];

		to = &c->mine.line[i];
		if (to->kind < PRINT_UNSIGNED || to->kind > PRINT_BYTES ||
		    strncmp(to->name, name, len) != 0 || to->name[len] != '.' ||
		    is_apart(to->name))
			continue;
		*copy = (struct convert_copy){
		    .from = print_field(&c->theirs, to->name), .to = to};
		if (copy->from == NULL)
			continue;
		number = copy->from->kind != PRINT_BYTES;
		if (number != (to->kind != PRINT_BYTES))
			return convert_fail(c,
			    "%s is a number in one of the "
			    "two only",
			    to->name);
		if (!copy_group(c, copy))
			return false;
		if (++r->n == CONVERT_COPIES)
			return convert_fail(c, "%s has too many fields", name);
	}
	return true;
}

/* Finds what the copy itself reads. */
static bool
fields_find(struct convert *c)
{
	for (int f = 0; f < F_FIELDS; f++)
		if ((c->field[f] = print_field(&c->theirs, field_names[f])) ==
			NULL &&
		    f < F_LATER)
			return convert_fail(
			    c, "its layout lacks %s", field_names[f]);
	if (c->field[F_SLOT_CHUNK] == NULL && c->field[F_SLOT_FIRST] == NULL)
		return convert_fail(
		    c, "its layout lacks %s", field_names[F_SLOT_CHUNK]);
	return true;
}

/* Finds regions and counts. */
static bool
regions_find(struct convert *c)
{
	const struct print_line *l;

	for (int r = 0; r < R_REGIONS; r++) {
		l = print_memory(&c->theirs, region_names[r]);
		if (l == NULL && r >= R_SOCKET)
			continue;
		if (l == NULL)
			return convert_fail(c, "its layout lacks the region %s",
			    region_names[r]);
		c->region[r] = c->base + l->at;
		c->region_size[r] = l->size;
	}
	l = print_struct(&c->theirs, "reader_mark");
	if (l != NULL && c->field[F_HEADS_READER] != NULL &&
	    c->field[F_HEADS_READER]->size >= l->size * READERS)
		c->mark = l->size;
	for (int n = 0; n < N_COUNTS; n++) {
		l = print_count(&c->theirs, count_names[n]);
		if (l == NULL && n >= N_SPILL)
			continue;
		if (l == NULL ||
		    l->at > (uint64_t)UINT32_MAX
			    << (n == N_JOURNAL || n == N_SPILL ? 16 : 0))
			return convert_fail(
			    c, "its layout lacks a count: %s", count_names[n]);
		c->count[n] = l->at;
	}
	if ((c->count[N_INDEX] & (c->count[N_INDEX] - 1)) != 0 ||
	    (c->count[N_JOURNAL] & (c->count[N_JOURNAL] - 1)) != 0 ||
	    c->count[N_INDEX] == 0 || c->count[N_JOURNAL] == 0 ||
	    c->count[N_JOURNAL] > c->region_size[R_JOURNAL] ||
	    c->count[N_SPILL] > c->region_size[R_SPILL] ||
	    c->count[N_SPILL] % 8 != 0 || convert_entries(c) >= UINT32_MAX)
		return convert_fail(c, "its counts make no sense");
	return true;
}

bool
convert_pair(struct convert *c)
{
	if (!fields_find(c) || !regions_find(c) || !constants_check(c) ||
	    !states_pair(c))
		return false;
	for (int s = 0; s < C_STRUCTS; s++)
		if (!struct_pair(c, (enum convert_struct)s))
			return false;
	c->format = (struct convert_copy){
	    .to = print_field(&c->mine, field_names[F_ENTRY_FORMAT])};
	if (!copy_group(c, &c->format))
		return false;
	if (c->region_size[R_HEADS] < c->stride[C_HEADS] ||
	    c->field[F_PAGE_BYTES]->size <= c->stride[C_BLOB] ||
	    c->field[F_PART_STATE]->size < c->stride[C_STATE] ||
	    c->stride[C_PART] * 2 >= c->field[F_PAGE_BYTES]->size ||
	    c->field[F_CHUNK_REF]->size < c->stride[C_REFERENCE])
		return convert_fail(c, "its structs do not fit together");
	return true;
}

/* Whether a table of this program's has all that the other one's has, under the
 * same numbers. */
static bool
table_is_same(
    const struct print *theirs, const struct print *mine, const char *name)
{
	const struct print_line *a = print_group(theirs, name), *v = NULL, *w;
	const struct print_line *b = print_group(mine, name);

	if (a == NULL) /* an older program: numbers go as they are */
		return true;
	if (b == NULL)
		return false;
	while ((v = print_group_next(theirs, a, v)) != NULL) {
		w = print_group_value(mine, b, v->name);
		if (w == NULL || w->at != v->at)
			return false;
	}
	return true;
}

bool
convert_tables_differ(const char *print, const char *prefix, const char *tables)
{
	static struct print theirs, mine;
	char error[256];
	bool same = true;

	if (print_parse(&theirs, print, prefix, UINT64_MAX, error,
		sizeof(error)) == -1 ||
	    print_parse(&mine, tables, "", 0, error, sizeof(error)) == -1)
		return false;
	for (size_t i = 0; i < sizeof(grouped) / sizeof(grouped[0]); i++)
		if (grouped[i].tables)
			same = same &&
			    table_is_same(&theirs, &mine, grouped[i].group);
	return !same;
}
