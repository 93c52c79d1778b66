#include "kill_scene.h"
#include "../unit/input_fixture.h"

#include <stdio.h>
#include <sys/mman.h>

#include "hub/lock.h"
#include "hub/presence.h"

/* Some are long. Number 0 is the lobby. */
size_t
scene_name(uint32_t i, char *out)
{
	if (i == 0)
		return (size_t)sprintf(out, "lobby");
	if (i % 4 == 0)
		return (size_t)sprintf(out, "r%0*u", 20 + (int)(i & 63), i);
	return (size_t)sprintf(out, "room%u", i);
}

static void
bytes_fill(uint8_t *to, uint64_t position, size_t n)
{
	size_t k;

	for (k = 0; k < n; k++)
		to[k] = scene_byte(position + k);
}

/* Says what is about to be done. */
static void
op_begin(struct scene *s, enum scene_op kind, uint32_t name, uint32_t c)
{
	s->note->op[s->h.self].name = name;
	s->note->op[s->h.self].c = c;
	s->note->op[s->h.self].kind = (int)kind;
}

uint32_t
scene_find(struct scene *s, uint32_t i)
{
	char name[PRESENCE_NAME_MAX + 1];
	size_t len = scene_name(i, name);

	return presence_find(&s->h, name, len);
}

void
scene_settle(struct scene *s, int worker)
{
	struct scene_note *t = s->note;
	int kind = t->op[worker].kind;
	uint32_t name = t->op[worker].name, c = t->op[worker].c, e;
	struct scene_conn *conn = &t->conn[worker][c];
	const struct scene_conn *then = &t->op[worker].conn;
	const struct input_part *part;
	uint64_t bit = 1ull << worker;

	hub_lock(&s->h);
	e = scene_find(s, name);
	hub_unlock(&s->h);
	if (kind == OP_ENTER || kind == OP_LEAVE) {
		t->mask[name] &= ~bit;
		if (e != SHM_NONE)
			t->mask[name] |= presence_mask(&s->h, e) & bit;
	} else if (kind == OP_PUBLISH) {
		if (journal_tail(&s->h) == t->op[worker].published) {
			t->published = t->op[worker].published;
			t->count[name] = t->op[worker].count;
			conn->committed = then->committed;
		}
	} else if (kind == OP_APPEND) {
		if (s->h.slot[(uint32_t)conn->id].appended == then->appended)
			*conn = *then;
	} else if (kind == OP_INPUT) {
		part = input_part(&s->h, (uint32_t)conn->id);
		if ((part == NULL ? 0 : part->end) == then->in_end)
			*conn = *then;
	}
	t->op[worker].kind = OP_NONE;
}

/* Gets a name, or loses it. */
static void
act_presence(struct scene *s, uint32_t i)
{
	char name[PRESENCE_NAME_MAX + 1];
	/* as if of an address of its worker, and of some users */
	const struct charge_terms terms = {
	    .address = (uint32_t)s->h.self + 1, .user = i % 5};
	bool has = s->note->mask[i] & 1ull << s->h.self;
	enum charge_result how;
	size_t len = scene_name(i, name);
	uint32_t e;

	if (s->h.self == 0 && has && i < 3)
		return; /* worker 0 keeps these */
	op_begin(s, has ? OP_LEAVE : OP_ENTER, i, 0);
	hub_lock(&s->h);
	if (has) {
		e = presence_find(&s->h, name, len);
		if (e == SHM_NONE)
			abort();
		presence_leave(&s->h, e, s->h.self);
	} else
		presence_enter_for(&s->h, name, len, &terms, &how);
	hub_unlock(&s->h);
	scene_settle(s, s->h.self);
}

/* One of its connections publishes. */
static void
act_publish(struct scene *s, uint32_t i, uint32_t c)
{
	struct scene_note *t = s->note;
	struct scene_conn *conn = &t->conn[s->h.self][c];
	uint8_t data[800];
	struct publication p = {.user = "u",
	    .user_len = 1,
	    .data = (char *)data,
	    .data_len =
		fixture_random(5) ? fixture_random(30) : fixture_random(800),
	    .format = FORMAT_TEXT,
	    .sender = conn->id,
	    .input_key = conn->committed + 1 + fixture_random(100)};

	if (t->mask[i] == 0)
		return;
	t->op[s->h.self].conn = *conn;
	t->op[s->h.self].conn.committed = p.input_key;
	hub_lock(&s->h);
	p.channel = scene_find(s, i);
	t->op[s->h.self].published = t->published + 1;
	t->op[s->h.self].count = s->h.entry[p.channel].offset + 1;
	op_begin(s, OP_PUBLISH, i, c);
	bytes_fill(data, t->published + 1, p.data_len);
	journal_append(&s->h, &p);
	hub_unlock(&s->h);
	scene_settle(s, s->h.self);
}

/* Something is sent to one of its connections, or the kernel takes some. */
static void
act_output(struct scene *s, uint32_t c)
{
	static uint8_t data[200000];
	struct scene_conn *conn = &s->note->conn[s->h.self][c];
	struct iovec part = {data, 1 + fixture_random(3000)}, iov[8];
	struct scene_conn *then = &s->note->op[s->h.self].conn;
	struct frame f;
	size_t asked;

	if (fixture_random(3) == 0) {
		output_gather(
		    &s->output, &s->out[c], s->slot[c], iov, 8, &asked);
		asked = fixture_random((uint32_t)asked + 1);
		conn->out_taken = output_written(&s->out[c]) + asked;
		output_wrote(&s->output, &s->out[c], s->slot[c], asked);
		return;
	}
	if (fixture_random(6) == 0)
		part.iov_len = 1 + fixture_random(sizeof(data) - 1);
	bytes_fill(data, conn->out_bytes, part.iov_len);
	if (frame_build(&s->output, &f, FRAME_SHARED, &part, 1) < 0)
		return;
	*then = *conn;
	then->appended += f.n;
	then->out_bytes += part.iov_len;
	op_begin(s, OP_APPEND, 0, c);
	output_append(&s->output, &s->out[c], s->slot[c], &f, conn->committed);
	scene_settle(s, s->h.self);
	frame_release(&s->output, &f);
}

/* More of an unfinished message comes, or it ends. */
static void
act_input(struct scene *s, uint32_t c)
{
	struct scene_conn *conn = &s->note->conn[s->h.self][c];
	struct scene_conn *then = &s->note->op[s->h.self].conn;
	struct framing_state state = {.word = {conn->in_end}};
	uint8_t data[3000];
	uint32_t n = fixture_random(sizeof(data));

	*then = *conn;
	if (fixture_random(4) == 0) {
		then->in_end = then->in_bytes = 0;
		op_begin(s, OP_INPUT, 0, c);
		input_release(&s->input, s->slot[c]);
	} else {
		bytes_fill(data, conn->in_bytes, n);
		then->in_end += 1 + n;
		then->in_bytes += n;
		op_begin(s, OP_INPUT, 0, c);
		input_save(
		    &s->input, s->slot[c], &state, then->in_end, data, n);
	}
	scene_settle(s, s->h.self);
}

/* A connection comes. */
static void
conn_open(struct scene *s, uint32_t c)
{
	struct scene_conn *conn = &s->note->conn[s->h.self][c];

	s->slot[c] = slot_take(&s->h, &s->slots);
	if (output_open(&s->output, &s->out[c], s->slot[c]) < 0)
		abort();
	memset(conn, 0, sizeof(*conn));
	conn->id = slot_id(&s->h, s->slot[c]);
	slot_set(&s->h, s->slot[c], SLOT_OPEN);
}

/* A connection goes. */
static void
conn_close(struct scene *s, uint32_t c)
{
	s->note->conn[s->h.self][c].id = 0;
	slot_set(&s->h, s->slot[c], SLOT_CLOSING);
	input_release(&s->input, s->slot[c]);
	output_close(&s->output, &s->out[c], s->slot[c]);
	slot_release(&s->h, &s->slots, s->slot[c]);
}

struct next {
	struct scene *s;
	uint32_t c;
};

static bool
next_cb(void *arg, struct output **o, uint32_t *slot)
{
	struct next *n = arg;

	if (n->c == SCENE_CONNS)
		return false;
	*o = &n->s->out[n->c];
	*slot = n->s->slot[n->c++];
	return true;
}

void
scene_act(struct scene *s, uint32_t n)
{
	struct next next;
	uint32_t c;

	for (c = 0; c < SCENE_CONNS; c++)
		conn_open(s, c);
	for (; n > 0; n--) {
		c = fixture_random(SCENE_CONNS);
		switch (fixture_random(9)) {
		case 0:
		case 1:
			act_presence(s, fixture_random(SCENE_NAMES));
			break;
		case 2:
		case 3:
		case 4:
			act_publish(s,
			    fixture_random(2) ? fixture_random(3)
					      : fixture_random(SCENE_NAMES),
			    c);
			break;
		case 5:
		case 6:
			act_output(s, c);
			break;
		case 7:
			act_input(s, c);
			break;
		default:
			if (fixture_random(2)) {
				next = (struct next){s, 0};
				output_compact(&s->output, next_cb, &next);
			} else if (fixture_random(4) == 0) {
				conn_close(s, c);
				conn_open(s, c);
			}
			break;
		}
	}
	for (c = 0; c < SCENE_CONNS; c++)
		conn_close(s, c);
}

void
scene_become(struct scene *s, int worker)
{
	hub_become(&s->h, worker);
	if (claim_init(&s->slots, s->h.slot_owner, s->h.n_slots, worker) < 0 ||
	    output_pool_init(&s->output, &s->h) < 0 ||
	    input_pool_init(&s->input, &s->h) < 0)
		abort();
}

/* Drops what is private. */
static void
scene_leave(struct scene *s)
{
	claim_deinit(&s->slots);
	output_pool_deinit(&s->output);
	input_pool_deinit(&s->input);
}

void
scene_new(struct scene *s)
{
	uint32_t i, k;

	memset(s, 0, sizeof(*s));
	s->note = mmap(NULL, sizeof(*s->note), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(s->note != MAP_FAILED);
	fixture_hub(&s->h, SCENE_SLOTS, SCENE_USERS, SCENE_JOURNAL, 4 << 20,
	    256 * 1024);
	/* so few lines that names lie beyond their own */
	s->h.n_user_lines = 0;
	s->h.n_lines = 3;
	memset((void *)s->h.bucket, 0, 64 * s->h.n_lines);
	memset(s->h.entry, 0, sizeof(*s->h.entry));
	presence_init(&s->h);
	scene_become(s, 0);
	/* all entries were used by somebody; some still are */
	for (k = 0; k < 2; k++)
		for (i = SCENE_NAMES - 1; i > SCENE_NAMES - 39; i--)
			act_presence(s, i);
	for (i = 0; i < 3; i++)
		act_presence(s, i);
	for (i = 40; i < SCENE_NAMES; i += 3)
		act_presence(s, i);
}

void
scene_free(struct scene *s)
{
	scene_leave(s);
	hub_destroy(&s->h);
	munmap(s->note, sizeof(*s->note));
}
