/* pull: sockets of this worker's slots come from processes that have them in
 * another table. */
#include "chat_fixture.h"

#include <fcntl.h>

#include "hub/stats.h"
#include "net/custody.h"
#include "takeover/pull.h"

enum { SLOTS = 64, OTHER = 99, PEOPLE = 3 };

/* Connections at worker 0 whose sockets its next process does not have; the
 * last one is accepted and not open. */
struct scene {
	struct hub h;
	struct node *old, *next;
	uint32_t conn[PEOPLE];
	int client[PEOPLE], was[PEOPLE];
};

static void
scene_begin(struct scene *s)
{
	static const char *const people[PEOPLE] = {"alice", "bob", "carol"};
	int k;

	fixture_hub(&s->h, SLOTS, 100, 1 << 20, 4 << 20, 1 << 20);
	s->old = node_new(&s->h, 0);
	s->old->h.table = OTHER;
	for (k = 0; k < PEOPLE; k++) {
		s->conn[k] = node_open(s->old, people[k], &s->client[k]);
		s->was[k] = s->old->ch.conn[s->conn[k]].fd;
	}
	slot_set(&s->h, s->conn[2], SLOT_ACCEPTED);
	s->next = node_new(&s->h, 0);
}

static void
scene_end(struct scene *s)
{
	for (int k = 0; k < PEOPLE; k++)
		close(s->client[k]);
	hub_destroy(&s->h);
}

/* Says something at a link as a giver does. */
static void
give(int link, uint32_t type, uint32_t n, const uint64_t *id, const int *fd)
{
	struct custody_note note = {.type = type, .n = n};

	memcpy(note.id, id, n * sizeof(*id));
	assert_int_equal(custody_send(link, &note, fd), 0);
}

/* Whether the next process has a slot's socket, and for good. */
static bool
has(struct scene *s, int k)
{
	int fd = slot_fd(&s->next->h, s->conn[k]);
	struct sockaddr_in a, b;
	socklen_t len = sizeof(a);

	if (fd < 0)
		return false;
	assert_int_equal(fcntl(fd, F_GETFD), 0);
	assert_int_not_equal(fd, s->was[k]);
	assert_int_equal(getpeername(fd, (void *)&a, &len), 0);
	assert_int_equal(getsockname(s->client[k], (void *)&b, &len), 0);
	assert_int_equal(a.sin_port, b.sin_port);
	return true;
}

/* How many descriptors are open. */
static int
n_open(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* What is asked for and is this worker's is its own; all else is closed. */
static void
test_pull(void **state)
{
	struct scene s;
	uint64_t id[6];
	int link[2], fd[6], none[BIRTH_GIVERS] = {-1, -1}, before, k;

	scene_begin(&s);
	assert_int_equal(custody_pair(link), 0);
	for (k = 0; k < PEOPLE; k++) {
		id[k] = slot_id(&s.h, s.conn[k]);
		fd[k] = s.was[k];
	}
	id[3] = id[0]; /* it comes twice */
	fd[3] = s.was[0];
	id[4] = id[1] + (1ull << 32); /* it has ended, or never was */
	fd[4] = s.was[1];
	id[5] = 7ull << 32 | SLOTS;
	fd[5] = s.was[1];
	before = n_open();
	give(link[1], CUSTODY_KEEP, 6, id, fd);
	give(link[1], CUSTODY_DONE, 0, id, NULL);
	none[1] = link[0];
	pull_all(&s.next->ch, none);
	for (k = 0; k < PEOPLE; k++)
		assert_true(has(&s, k));
	assert_int_equal(n_open(), before + PEOPLE - 1); /* but the link */
	close(link[1]);
	scene_end(&s);
}

/* Of what one giver does not have the other one has the rest, who is not asked
 * if nothing is missing. */
static void
test_two(void **state)
{
	struct custody_note note;
	struct scene s;
	uint64_t id[PEOPLE];
	int a[2], b[2], got[CUSTODY_MAX], k;

	for (int full = 0; full < 2; full++) {
		scene_begin(&s);
		assert_int_equal(custody_pair(a), 0);
		assert_int_equal(custody_pair(b), 0);
		for (k = 0; k < PEOPLE; k++)
			id[k] = slot_id(&s.h, s.conn[k]);
		give(a[1], CUSTODY_KEEP, full ? 2 : 1, id, s.was);
		give(a[1], CUSTODY_DONE, 0, id, NULL);
		give(b[1], CUSTODY_KEEP, 3, id, s.was);
		give(b[1], CUSTODY_DONE, 0, id, NULL);
		pull_all(&s.next->ch, (const int[]){a[0], b[0]});
		assert_true(has(&s, 0));
		assert_true(has(&s, 1));
		/* nobody is waited for on behalf of what is only accepted */
		assert_int_equal(has(&s, 2), !full);
		k = custody_receive(b[1], &note, got);
		assert_int_equal(k, full ? -1 : 1);
		if (k == 1)
			assert_int_equal(note.type, CUSTODY_ROOM);
		close(a[1]);
		close(b[1]);
		scene_end(&s);
	}
}

/* What nobody has is lost; what this table has is not touched. */
static void
test_nobody(void **state)
{
	struct adopt_result r;
	const struct adopt_fault none = {0};
	struct scene s;
	uint64_t id;
	int link[2];

	scene_begin(&s);
	assert_int_equal(custody_pair(link), 0);
	slot_socket_set(&s.next->h, s.conn[0], dup(s.was[0]));
	id = slot_socket(&s.h, s.conn[0]);
	give(link[1], CUSTODY_DONE, 0, &id, NULL);
	pull_all(&s.next->ch, (const int[]){link[0], -1});
	assert_true(slot_socket(&s.h, s.conn[0]) == id);
	assert_int_equal(slot_fd(&s.next->h, s.conn[1]), -1);
	adopt_all(&s.next->ch, &none, &r);
	assert_int_equal(r.adopted, 1);
	assert_int_equal(r.lost, 1);
	assert_int_equal(slot_state(&s.h, s.conn[1]), SLOT_FREE);
	assert_int_equal(slot_state(&s.h, s.conn[2]), SLOT_FREE);
	close(link[1]);
	scene_end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pull),
	    cmocka_unit_test(test_two),
	    cmocka_unit_test(test_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
