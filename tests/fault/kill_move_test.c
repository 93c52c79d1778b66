/* kill_move: connections go on at another worker, which dies at each kill point
 * on the way, and so may the next one. In the end each is somewhere, in its
 * room, and has got everything once. */
#include "../unit/chat_fixture.h"
#include "../unit/apart.h"
#include "kill_child.h"
#include "room/event.h"

#include "room/user.h"
#include "hub/journal.h"
#include "hub/lock.h"
#include "hub/stats.h"

enum { SLOTS = 64, PEOPLE = 3, WORKERS = 3, TURNS = 100 };

static const struct adopt_fault no_fault;
static const char *const people[PEOPLE] = {"alice", "bob", "carol"};

/* Alice and bob at worker 0, carol at worker 1, all in a room. Of what was said
 * there, something is written, something appended, something is not delivered
 * yet; alice has begun to send a text. */
struct scene {
	struct hub h;
	struct node *n[WORKERS];
	uint32_t conn[PEOPLE];
	uint64_t id[PEOPLE];
	int fd[PEOPLE], client[PEOPLE]; /* fd: as a keeper has it */
	bool sent;			/* alice has sent all */
};

/* The first bytes of alice's "hello", and the rest. */
static const char begun[] = "\x81\x85\0\0\0\0hel", rest[] = "lo";

static void
scene_begin(struct scene *s)
{
	static const struct subscription terms = {
	    .flags = SUBSCRIPTION_PRESENT | SUBSCRIPTION_JOIN_LEAVE};
	struct channel_position at;
	struct pollfd p = {.events = POLLIN};
	uint32_t sub;
	int k;

	s->sent = false;
	fixture_hub(&s->h, SLOTS, 100, 1 << 20, 4 << 20, 1 << 20);
	for (k = 0; k < WORKERS; k++)
		s->n[k] = node_new(&s->h, k);
	for (k = 0; k < PEOPLE; k++) {
		s->conn[k] = node_open(s->n[k / 2], people[k], &s->client[k]);
		s->id[k] = slot_id(&s->h, s->conn[k]);
		s->fd[k] = node_fd(s->n[k / 2], s->conn[k]);
		assert_int_equal(channel_subscribe(&s->n[k / 2]->ch, s->conn[k],
				     "den", 3, &terms, &at, &sub),
		    CHANNEL_OK);
		channel_tell_join(&s->n[k / 2]->ch, sub);
	}
	node_say(s->n[0], "den", "first");
	chat_turn(&s->n[0]->ch);
	chat_turn(&s->n[1]->ch);
	node_say(s->n[0], "den", "second");
	deliver_all(&s->n[0]->ch);
	node_say(s->n[1], "den", "third");
	assert_int_equal(
	    send(s->client[0], begun, sizeof(begun) - 1, 0), sizeof(begun) - 1);
	p.fd = s->n[0]->ch.conn[s->conn[0]].fd;
	assert_int_equal(poll(&p, 1, 5000), 1);
	conn_read(&s->n[0]->ch, s->conn[0]);
}

/* READ: worker 0 reads the rest of alice's text. GIVE: worker 0 has given alice
 * to worker 1, which takes her. ADOPT_k: worker k goes on for worker 0, and
 * worker 2 for worker 1 before. */
enum act { READ, GIVE, ADOPT_1, ADOPT_2 };

/* A worker goes on for a dead one. */
static void
adopt(struct scene *s, struct node *to, int from)
{
	uint64_t id[PEOPLE];
	int fd[PEOPLE], k;
	uint32_t n = 0;

	hub_lock(&to->h);
	hub_unlock(&to->h);
	slot_recall(&to->h, from);
	move_redo(&to->h, from);
	subscription_rechain(&to->h, from);
	for (k = 0; k < PEOPLE; k++) {
		id[n] = s->id[k];
		fd[n++] = dup(s->fd[k]);
	}
	move_take(&to->ch, from, id, fd, n, &no_fault, NULL);
	chat_turn(&to->ch);
}

static void
act(struct scene *s, enum act what)
{
	int fd;

	switch (what) {
	case READ:
		conn_read(&s->n[0]->ch, s->conn[0]);
		chat_turn(&s->n[0]->ch);
		break;
	case GIVE:
		fd = dup(s->fd[0]);
		move_take(&s->n[1]->ch, 0, &s->id[0], &fd, 1, NULL, NULL);
		chat_turn(&s->n[1]->ch);
		break;
	case ADOPT_1:
		adopt(s, s->n[1], 0);
		break;
	case ADOPT_2:
		adopt(s, s->n[2], 1);
		adopt(s, s->n[2], 0);
		break;
	}
}

/* In a child that dies at kill point n, if it gets there: true. */
static bool
act_killed(struct scene *s, enum act what, uint64_t n)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		child_signals();
		kill_point_arm(n, SIGKILL);
		act(s, what);
		kill_point_arm(0, 0);
		_exit(0);
	}
	return child_was_killed(pid);
}

/* A worker is replaced. */
static void
take_over(struct scene *s, int worker)
{
	static int fd[SLOTS];
	struct node *n = node_new(&s->h, worker);
	struct adopt_result r;
	int k;

	memset(fd, 0, sizeof(fd));
	hub_lock(&n->h);
	hub_unlock(&n->h);
	slot_recall(&n->h, worker);
	for (k = 0; k < PEOPLE; k++)
		if (slot_holder(&n->h, s->conn[k]) == worker)
			fd[s->conn[k]] = dup(s->fd[k]) + 1;
	move_redo(&n->h, worker);
	node_adopt(n, fd, &no_fault, &r);
	assert_int_equal(r.lost + r.corrupted + r.closed, 0);
	s->n[worker] = n;
}

static bool
count_cb(const struct channel_member *m, void *arg)
{
	++*(int *)arg;
	return true;
}

/* How often each got a text. */
static void
got(const char *all, size_t len, const char *text, int times, int who)
{
	const int n = text_count(all, len, text);

	if (n != times)
		print_message("%s got \"%s\" %d times\n", people[who], text, n);
	assert_int_equal(n, times);
}

/* Alice sends the rest of her text, which comes to a worker. */
static void
rest_send(struct scene *s, int worker)
{
	struct pollfd p = {s->n[worker]->ch.conn[s->conn[0]].fd, POLLIN, 0};

	assert_int_equal(send(s->client[0], rest, 2, 0), 2);
	assert_int_equal(poll(&p, 1, 5000), 1);
	s->sent = true;
}

/* Whichever worker has them, all connections are there and get everything, each
 * once. */
static void
check(struct scene *s)
{
	struct channel_position at;
	int k, w, members = 0;
	const char *all;
	size_t len;

	for (k = 0; k < PEOPLE; k++) {
		assert_int_equal(slot_find(&s->h, s->id[k]), s->conn[k]);
		assert_int_equal(slot_state(&s->h, s->conn[k]), SLOT_OPEN);
		assert_int_equal(subscription_count(&s->h, s->conn[k]), 1);
	}
	assert_int_equal(
	    channel_find(&s->n[0]->ch, "den", 3, false, &at), CHANNEL_OK);
	channel_members(&s->n[0]->ch, &at, 10, count_cb, &members);
	assert_int_equal(members, PEOPLE);
	w = slot_worker(&s->h, s->conn[0]);
	if (!s->sent)
		rest_send(s, w);
	conn_read(&s->n[w]->ch, s->conn[0]);
	node_say(s->n[w], "den", "the end");
	/* a turn ends when its time is over, on a busy machine too early */
	for (w = 0; w < WORKERS; w++)
		for (k = 0; k < TURNS && chat_turn(&s->n[w]->ch) == 0; k++)
			;
	for (k = 0; k < PEOPLE; k++) {
		all = client_all(s->client[k], "the end", &len);
		got(all, len, "first", 1, k);
		got(all, len, "second", 1, k);
		got(all, len, "third", 1, k);
		got(all, len, "hello", 1, k);
	}
	for (w = 0; w < WORKERS; w++) {
		members = 0;
		for (k = 0; k < PEOPLE; k++)
			members += slot_worker(&s->h, s->conn[k]) == w;
		assert_int_equal(s->n[w]->ch.n_conns, members);
		assert_int_equal(
		    s->n[w]->ch.rooms->members[at.channel], members);
		assert_int_equal(
		    s->n[w]->ch.rooms->subscriptions.n_used, members);
		assert_int_equal(s->n[w]->ch.output.chunks.n_used,
		    s->n[w]->ch.output.n_spare_chunks);
		assert_int_equal(
		    presence_mask(&s->h, at.channel) >> w & 1, members > 0);
	}
}

/* The first act dies at point n, each further one at a point of its own (0:
 * that is left out). */
struct acts {
	enum act first;
	uint64_t n, further[2];
};

/* For apart(): does them; then all are replaced, or the giver goes on. 0: the
 * first act has not so many points. */
static int
acts_cb(void *arg)
{
	const struct acts *a = arg;
	const enum act first = a->first;
	const uint64_t *further = a->further;
	struct scene s;
	bool died;

	scene_begin(&s);
	if (first == GIVE)
		assert_int_equal(give_freeze(&s.n[0]->ch, 1), s.conn[0]);
	else if (first == READ)
		rest_send(&s, 0);
	died = act_killed(&s, first, a->n);
	for (int k = 0; k < 2; k++)
		if (further[k] != 0)
			(void)act_killed(&s, ADOPT_1 + k, further[k]);
	if (first == GIVE && further[1] == 0)
		give_back(&s.n[0]->ch, 1);
	else
		take_over(&s, 0);
	take_over(&s, 1);
	if (further[1] != 0)
		take_over(&s, 2);
	check(&s);
	return died;
}

/* Dies at each point. */
static void
every_point(enum act first, bool adopted, bool again)
{
	struct acts a = {.first = first};

	do {
		a.n++;
		a.further[0] = adopted ? 1 + fixture_random(150) : 0;
		a.further[1] = again ? 1 + fixture_random(300) : 0;
	} while (apart(acts_cb, &a));
	print_message("%llu kill points\n", (unsigned long long)a.n - 1);
	assert_true(a.n > 19);
}

static void
test_give(void **state)
{
	every_point(GIVE, false, false);
}

static void
test_give_and_adopt(void **state)
{
	for (uint32_t k = 0; k < fixture_rounds(1); k++)
		every_point(GIVE, false, true);
}

static void
test_adopt(void **state)
{
	every_point(ADOPT_1, false, false);
}

static void
test_adopt_again(void **state)
{
	for (uint32_t k = 0; k < fixture_rounds(1); k++)
		every_point(ADOPT_1, false, true);
}

static void
test_read_and_adopt(void **state)
{
	for (uint32_t k = 0; k < fixture_rounds(3); k++)
		every_point(READ, true, false);
}

static void
test_read_and_adopt_again(void **state)
{
	for (uint32_t k = 0; k < fixture_rounds(3); k++)
		every_point(READ, true, true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_give),
	    cmocka_unit_test(test_give_and_adopt),
	    cmocka_unit_test(test_adopt),
	    cmocka_unit_test(test_adopt_again),
	    cmocka_unit_test(test_read_and_adopt),
	    cmocka_unit_test(test_read_and_adopt_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
