/* kill_claim: a worker dies at each kill point of what it does with a socket.
 * Its table of descriptors lives on, as with keepers: then what a slot claims
 * is open, and is that very connection's socket, and none is lost sight of. */
#include "../unit/chat_fixture.h"
#include "../unit/apart.h"
#include "kill_child.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>

#include "hub/stats.h"
#include "net/counters.h"
#include "net/custody.h"
#include "takeover/pull.h"
#include "takeover/table.h"

enum { SLOTS = 64, PEOPLE = 3, TOP = 200, ELSEWHERE = 99 };

/* Alice and bob are open at worker 0, carol at worker 1; dave's and erin's
 * sockets are accepted and have no slot yet. */
struct scene {
	struct hub h;
	struct node *n[2];
	uint32_t conn[PEOPLE];
	int client[PEOPLE], listener;
	struct sockaddr_in at;
	int new[2], new_client[2];
	int copy;     /* of alice's socket, as worker 1 gets it */
	int giver[2]; /* link to a process that gives sockets */
};

enum act { ACCEPT, OPEN, REFUSE, DROP, END, RESET, GIVE, TAKE, PULL, ACTS };
static const char *const act_names[ACTS] = {
    "accept", "open", "refuse", "drop", "end", "reset", "give", "take", "pull"};

/* What one run is to do. */
struct run {
	enum act what;
	uint64_t at; /* kill point */
};

/* A connection to a listener: the client's end, and ours in *fd. */
static int
connection(const struct scene *s, int *fd)
{
	int client = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(
	    connect(client, (const void *)&s->at, sizeof(s->at)), 0);
	*fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK);
	assert_true(*fd >= TABLE_FIRST);
	return client;
}

/* Takes up one that is accepted, with its own peer. */
static uint32_t
take_up(struct node *n, int fd)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	uint32_t i;

	assert_int_equal(getpeername(fd, (void *)&a, &len), 0);
	i = conn_accept(&n->ch, 0, fd, (void *)&a);
	assert_int_not_equal(i, SHM_NONE);
	return i;
}

/* Opens one that is taken up. */
static void
open_up(struct node *n, uint32_t i, const char *user)
{
	assert_int_equal(conn_open(&n->ch, i, &plain_door, user, strlen(user),
			     "", 0, "101", 3, 0),
	    0);
}

static void
scene_begin(struct scene *s)
{
	static const char *const people[PEOPLE] = {"alice", "bob", "carol"};
	socklen_t len = sizeof(s->at);
	int k, fd;

	fixture_hub(&s->h, SLOTS, 100, 1 << 20, 4 << 20, 1 << 20);
	for (k = 0; k < 2; k++)
		s->n[k] = node_new(&s->h, k);
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	s->at = (struct sockaddr_in){
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(s->listener, (void *)&s->at, sizeof(s->at)), 0);
	assert_int_equal(listen(s->listener, 16), 0);
	assert_int_equal(getsockname(s->listener, (void *)&s->at, &len), 0);
	for (k = 0; k < PEOPLE; k++) {
		s->client[k] = connection(s, &fd);
		s->conn[k] = take_up(s->n[k / 2], fd);
		open_up(s->n[k / 2], s->conn[k], people[k]);
	}
	for (k = 0; k < 2; k++) {
		s->new_client[k] = connection(s, &s->new[k]);
		chat_turn(&s->n[k]->ch);
	}
}

/* Ends bob's connection to the last, as its events would. */
static void
end_all(struct scene *s)
{
	struct chat *ch = &s->n[0]->ch;
	struct pollfd p = {ch->conn[s->conn[1]].fd, POLLIN, 0};

	conn_end(ch, s->conn[1], CLOSE_GOING_AWAY, REASON_GOING_AWAY);
	chat_turn(ch);
	if (ch->conn[s->conn[1]].phase == CONN_CLOSING)
		conn_linger(ch, s->conn[1]);
	assert_int_equal(ch->conn[s->conn[1]].phase, CONN_LINGER);
	close(s->client[1]);
	assert_int_equal(poll(&p, 1, 5000), 1);
	closing_read(ch, s->conn[1]);
	assert_int_equal(ch->conn[s->conn[1]].phase, CONN_NONE);
}

static void
act(struct scene *s, enum act what)
{
	struct chat *ch = &s->n[0]->ch;
	uint64_t id = slot_id(&s->h, s->conn[0]);
	uint32_t i;

	switch (what) {
	case ACCEPT:
		(void)take_up(s->n[0], s->new[0]);
		break;
	case OPEN:
		open_up(s->n[0], take_up(s->n[0], s->new[0]), "dave");
		break;
	case REFUSE:
		i = take_up(s->n[0], s->new[0]);
		conn_refuse(ch, i, "no", 2);
		conn_drop(ch, i, NULL);
		break;
	case DROP:
		conn_drop(ch, s->conn[1], NULL);
		break;
	case END:
		end_all(s);
		break;
	case RESET:
		conn_reset(ch, s->conn[1]);
		break;
	case TAKE:
		(void)move_take(&s->n[1]->ch, 0, &id, &s->copy, 1, NULL, NULL);
		break;
	case GIVE:
		give_done(ch, 1, id);
		break;
	case PULL:
		pull_all(ch, (const int[]){s->giver[0], -1});
		return;
	default:
		break;
	}
	/* its number is used again at once */
	if (what != TAKE)
		(void)take_up(s->n[0], dup(s->new[1]));
	chat_turn(&s->n[what == TAKE]->ch);
}

/* Alice's and bob's sockets are in another table, whose process gives them. */
static void
prepare_pull(struct scene *s)
{
	struct custody_note note = {.type = CUSTODY_KEEP, .n = 2};
	int fd[2], k;

	assert_int_equal(custody_pair(s->giver), 0);
	for (k = 0; k < 2; k++) {
		note.id[k] = slot_id(&s->h, s->conn[k]);
		fd[k] = s->n[0]->ch.conn[s->conn[k]].fd;
		SHM_STORE(s->h.socket[s->conn[k]],
		    (uint64_t)ELSEWHERE << 32 | (uint32_t)fd[k]);
	}
	assert_int_equal(custody_send(s->giver[1], &note, fd), 0);
	note = (struct custody_note){.type = CUSTODY_DONE};
	assert_int_equal(custody_send(s->giver[1], &note, NULL), 0);
}

/* Before the worker that is to die begins. */
static void
prepare(struct scene *s, enum act what)
{
	uint64_t id = slot_id(&s->h, s->conn[0]);

	if (what == PULL)
		prepare_pull(s);
	if (what != TAKE && what != GIVE)
		return;
	assert_int_equal(give_freeze(&s->n[0]->ch, 1), s->conn[0]);
	s->copy = fcntl(s->n[0]->ch.conn[s->conn[0]].fd, F_DUPFD_CLOEXEC, 100);
	assert_true(s->copy >= 0);
	if (what == GIVE)
		assert_int_equal(
		    move_take(&s->n[1]->ch, 0, &id, &s->copy, 1, NULL, NULL),
		    1);
}

/* Runs it in a process that shares this one's table, as keepers do. */
static bool
act_killed(struct scene *s, const struct run *r)
{
	pid_t pid =
	    (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);

	assert_true(pid >= 0);
	if (pid == 0) {
		child_signals();
		kill_point_arm(r->at, SIGKILL);
		act(s, r->what);
		kill_point_arm(0, 0);
		_exit(0);
	}
	return child_was_killed(pid);
}

/* What a slot claims is open, and its peer is the slot's. True: it claims. */
static bool
claim_check(struct scene *s, uint32_t i, int *fd)
{
	const int holder = slot_holder(&s->h, i);
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	s->h.table = (uint32_t)holder + 1;
	*fd = slot_fd(&s->h, i);
	if (slot_socket(&s->h, i) >> 32 == ELSEWHERE)
		return false;
	if (slot_state(&s->h, i) == SLOT_FREE ||
	    slot_state(&s->h, i) == SLOT_TAKEN)
		return false;
	assert_true(*fd >= 0);
	assert_true(fcntl(*fd, F_GETFD) >= 0);
	/* a connection that was reset has no peer any more */
	if (getpeername(*fd, (void *)&a, &len) == 0)
		assert_int_equal(ntohs(a.sin_port), s->h.slot[i].peer_port);
	else
		assert_int_equal(i, s->conn[1]);
	return true;
}

/* Whether a descriptor would be taken for one that was accepted here: it is
 * open, stays over an exec, is nobody's, and nothing says that it came. */
static bool
is_orphan(int fd, const bool *claimed)
{
	const int flags = fcntl(fd, F_GETFD);

	return flags >= 0 && (flags & FD_CLOEXEC) == 0 && !claimed[fd] &&
	    !counters_has_come(fd);
}

/* Nothing that came over the link would be taken for one that was accepted. */
static void
pull_check(struct scene *s, const bool *claimed)
{
	int fd, known;

	for (fd = s->giver[1] + 1; fd < TOP; fd++)
		assert_false(is_orphan(fd, claimed));
	for (known = 0; known < 2; known++)
		assert_int_equal(slot_state(&s->h, s->conn[known]), SLOT_OPEN);
}

/* What is true wherever a worker died; each descriptor is claimed once. */
static void
check(struct scene *s, enum act what)
{
	static bool claimed[TOP];
	uint32_t i;
	int fd;

	move_redo(&s->h, 0);
	move_redo(&s->h, 1);
	for (i = 0; i < SLOTS; i++)
		if (claim_check(s, i, &fd)) {
			assert_in_range(fd, TABLE_FIRST, TOP - 1);
			assert_false(claimed[fd]);
			claimed[fd] = true;
			/* else an exec would close it */
			assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
		}
	if (s->copy != 0)
		assert_false(is_orphan(s->copy, claimed));
	if (what == PULL)
		pull_check(s, claimed);
}

static int
run(void *arg)
{
	const struct run *r = arg;
	struct scene s;
	bool killed;

	alarm(60);
	s.copy = 0;
	scene_begin(&s);
	prepare(&s, r->what);
	killed = act_killed(&s, r);
	check(&s, r->what);
	return killed;
}

static void
test_each(void **state)
{
	struct run r;

	for (r.what = ACCEPT; r.what < ACTS; r.what++) {
		for (r.at = 1; apart(run, &r) == 1; r.at++)
			;
		printf(
		    "%s: %d kill points\n", act_names[r.what], (int)r.at - 1);
		assert_in_range(r.at, 5, 1000);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_each)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
