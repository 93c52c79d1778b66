/* mover: a process that gives the sockets of a place without a worker, over a
 * made-up hub whose slots claim real sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "codec/message.h"
#include "hub/slot.h"
#include "hub/stats.h"
#include "hub_fixture.h"
#include "mover/mover.h"
#include "net/custody.h"
#include "net/link.h"
#include "process/family.h"
#include "tcp_pair.h"
#include "valgrind.h"

enum { PLACE = 1, TABLE = 7, GENERATION = 3, CLIENTS = 5, WAIT_MS = 5000 };

/* A place whose worker is gone. The processes share no table here: what the
 * mover closes is seen at the clients' ends, once this process has closed its
 * own. */
struct scene {
	struct hub h;
	int client[CLIENTS], server[CLIENTS];
	int master[2]; /* the mover's link to the master, who is this */
	pid_t pid;
};

static struct custody_note note;
static int got[CUSTODY_MAX];

/* A life word. */
static uint64_t
life(uint32_t use, int worker, enum slot_state state)
{
	return (uint64_t)use << 16 | (uint64_t)worker << 8 | (uint64_t)state;
}

/* What the slot of client k says. */
static void
claim(struct scene *s, uint32_t k, int worker, enum slot_state state)
{
	s->h.slot_touched[k / SHM_BLOCK] = 1;
	slot_socket_set(&s->h, k, s->server[k]);
	SHM_STORE(s->h.slot[k].life, life(k + 1, worker, state));
}

static uint64_t
id_of(uint32_t k)
{
	return (uint64_t)(k + 1) << 32 | k;
}

/* All clients are open in their slots. */
static void
scene_begin(struct scene *s)
{
	struct sockaddr_in a;

	if (valgrind_runs())
		skip(); /* the filter */
	memset(s, 0, sizeof(*s));
	fixture_hub(&s->h, 64, 100, 1 << 20, 4 << 20, 1 << 20);
	s->h.table = TABLE;
	assert_int_equal(link_pair(s->master), 0);
	for (uint32_t k = 0; k < CLIENTS; k++) {
		tcp_pair(&s->client[k], &s->server[k], &a);
		claim(s, k, PLACE, SLOT_OPEN);
	}
}

/* The mover, that may open so many descriptors more besides the reserve (-1:
 * any number). */
static void __attribute__((noreturn)) mover_run(struct scene *s, int more)
{
	struct child_start start = {.kind = &mover_kind,
	    .number = PLACE,
	    .generation = GENERATION,
	    .link = s->master[1],
	    .hub = &s->h};
	struct rlimit files;
	int fd;

	close(s->master[0]);
	for (uint32_t k = 0; k < CLIENTS; k++)
		close(s->client[k]);
	if (more >= 0) {
		while ((fd = dup(FAMILY_RESERVE)) < 300)
			;
		assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
		files.rlim_cur = (rlim_t)(fd + 1 + more);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	}
	child_enter(&start, PLACE);
	mover_kind.main(&start);
	_exit(99);
}

/* Something comes over a link. */
static void
await(int fd)
{
	struct pollfd p = {fd, POLLIN, 0};

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
}

/* Starts it and waits until it is ready; the sockets are its own then. */
static void
scene_start_limited(struct scene *s, int more)
{
	struct link_datagram d[LINK_BATCH];
	struct message_hello hello;
	const void *payload;
	const char *why;
	size_t len;

	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0)
		mover_run(s, more);
	close(s->master[1]);
	for (uint32_t k = 0; k < CLIENTS; k++)
		close(s->server[k]);
	await(s->master[0]);
	assert_int_equal(link_receive(s->master[0], d), 1);
	assert_int_equal(message_check(d[0].bytes, d[0].len, d[0].n_fds,
			     PARTY_WORKER, &payload, &len, &why),
	    MSG_HELLO);
	memcpy(&hello, payload, sizeof(hello));
	assert_int_equal(hello.worker, PLACE);
	assert_int_equal(hello.generation, GENERATION);
}

static void
scene_start(struct scene *s)
{
	scene_start_limited(s, -1);
}

/* It has left, of its own will. */
static void
assert_left(struct scene *s)
{
	int status;

	assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
scene_end(struct scene *s)
{
	assert_int_equal(link_send(s->master[0], MSG_STOP, NULL, 0, -1), 0);
	assert_left(s);
	close(s->master[0]);
	for (uint32_t k = 0; k < CLIENTS; k++)
		close(s->client[k]);
	hub_destroy(&s->h);
}

/* A link for who goes on with the connections. */
static int
scene_link(struct scene *s)
{
	int link[2];

	assert_int_equal(custody_pair(link), 0);
	assert_int_equal(
	    link_send(s->master[0], MSG_GIVE_BACK, NULL, 0, link[0]), 0);
	close(link[0]);
	return link[1];
}

/* The next note. */
static void
note_take(int link)
{
	await(link);
	assert_int_equal(custody_receive(link, &note, got), 1);
}

/* So many connections, by number from `first` on; what came is closed. */
static void
note_expect(int link, uint32_t first, uint32_t n)
{
	note_take(link);
	assert_int_equal(note.type, CUSTODY_KEEP);
	assert_int_equal(note.n, n);
	for (uint32_t k = 0; k < n; k++) {
		assert_true(note.id[k] == id_of(first + k));
		close(got[k]);
	}
}

/* Whether nobody has a client's other end any more. */
static bool
client_is_closed(const struct scene *s, uint32_t k, int wait_ms)
{
	struct pollfd p = {s->client[k], POLLRDHUP, 0};

	return poll(&p, 1, wait_ms) == 1;
}

/* What goes on elsewhere is given as it is asked for, and closed when its taker
 * asks for more. */
static void
gives(void **state)
{
	struct scene s;
	int link;

	scene_begin(&s);
	scene_start(&s);
	link = scene_link(&s);
	assert_int_equal(custody_ask(link, 2), 0);
	note_take(link);
	assert_int_equal(note.n, 2);
	assert_true(note.id[0] == id_of(0) && note.id[1] == id_of(1));
	assert_int_equal(send(s.client[1], "x", 1, 0), 1);
	await(got[1]); /* it is that client's */
	close(got[0]);
	close(got[1]);
	SHM_STORE(s.h.slot[0].life, life(1, 0, SLOT_OPEN));
	SHM_STORE(s.h.slot[1].life, life(2, 0, SLOT_ENDING));
	assert_int_equal(custody_ask(link, 100), 0);
	note_expect(link, 2, 3);
	/* the look came before these left */
	assert_true(client_is_closed(&s, 0, 0));
	assert_true(client_is_closed(&s, 1, 0));
	assert_false(client_is_closed(&s, 2, 0));
	note_take(link);
	assert_int_equal(note.type, CUSTODY_DONE);
	close(link);
	scene_end(&s);
}

/* What its taker had no room for is given to the next one, and nothing that
 * the first one took. */
static void
gives_the_rest(void **state)
{
	struct scene s;
	int link, next;

	scene_begin(&s);
	scene_start(&s);
	link = scene_link(&s);
	assert_int_equal(custody_ask(link, 4), 0);
	note_expect(link, 0, 4);
	SHM_STORE(s.h.slot[0].life, life(1, 2, SLOT_OPEN));
	SHM_STORE(s.h.slot[1].life, life(2, 2, SLOT_OPEN));
	next = scene_link(&s); /* while the first one is still there */
	assert_int_equal(custody_ask(next, 100), 0);
	note_expect(next, 2, 3);
	note_take(next);
	assert_int_equal(note.type, CUSTODY_DONE);
	close(next);
	close(link);
	scene_end(&s);
}

/* What ends, or goes on elsewhere without a word, is closed all the same. */
static void
looks(void **state)
{
	struct scene s;
	int link;

	scene_begin(&s);
	scene_start(&s);
	assert_false(client_is_closed(&s, 0, 150));
	SHM_STORE(s.h.slot[0].life, life(2, 0, SLOT_FREE));
	assert_true(client_is_closed(&s, 0, WAIT_MS));
	SHM_STORE(s.h.slot[1].life, life(2, 4, SLOT_OPEN));
	assert_true(client_is_closed(&s, 1, WAIT_MS));
	/* the slot is another connection's, of this place */
	SHM_STORE(s.h.slot[2].life, life(9, PLACE, SLOT_OPEN));
	assert_true(client_is_closed(&s, 2, WAIT_MS));
	/* on its way to another worker it is this place's still */
	SHM_STORE(
	    s.h.slot[3].life, (uint64_t)PLACE << 48 | life(4, 5, SLOT_MOVING));
	assert_false(client_is_closed(&s, 3, 150));
	assert_false(client_is_closed(&s, 4, 0));
	/* what is closed is not given, whatever its slot says later */
	SHM_STORE(s.h.slot[0].life, life(1, PLACE, SLOT_OPEN));
	link = scene_link(&s);
	assert_int_equal(custody_ask(link, 100), 0);
	note_expect(link, 3, 2);
	close(link);
	scene_end(&s);
}

/* Connections that no other worker takes stay: a request, one that is closed,
 * and those of which this place has no socket. */
static void
keeps(void **state)
{
	struct scene s;
	int link;

	scene_begin(&s);
	claim(&s, 0, PLACE, SLOT_ACCEPTED);
	claim(&s, 1, PLACE, SLOT_CLOSING);
	claim(&s, 2, 0, SLOT_OPEN); /* another worker's */
	SHM_STORE(s.h.socket[3], (uint64_t)(TABLE + 1) << 32 | 20);
	scene_start(&s);
	link = scene_link(&s);
	assert_int_equal(custody_ask(link, 100), 0);
	note_expect(link, 4, 1);
	note_take(link);
	assert_int_equal(note.type, CUSTODY_DONE);
	for (uint32_t k = 0; k < CLIENTS; k++)
		assert_false(client_is_closed(&s, k, k == 0 ? 150 : 0));
	close(link);
	scene_end(&s);
}

/* A slot may claim anything. */
static void
hostile_claims(void **state)
{
	const uint64_t word = (uint64_t)TABLE << 32;
	struct scene s;
	int link;

	scene_begin(&s);
	SHM_STORE(s.h.socket[0], word | (uint32_t)s.master[1]);
	SHM_STORE(s.h.socket[1], word | UINT32_MAX);
	SHM_STORE(s.h.socket[2], word | INT32_MAX);
	for (uint32_t i = CLIENTS; i < 32; i++) {
		SHM_STORE(s.h.socket[i], word | (i << 23));
		SHM_STORE(s.h.slot[i].life, life(1, PLACE, SLOT_OPEN));
	}
	slot_socket_set(&s.h, 3, s.server[4]); /* and slot 4 does, too */
	SHM_STORE(s.h.worker[PLACE].watch, word | (uint32_t)s.master[1]);
	scene_start(&s);
	link = scene_link(&s);
	assert_int_equal(custody_ask(link, 100), 0);
	note_expect(link, 3, 1);
	note_take(link);
	assert_int_equal(note.type, CUSTODY_DONE);
	close(link);
	scene_end(&s);
}

/* A worker that is gone has written over all slots: that costs its clients, and
 * not the process. */
static void
scribbled_slots(void **state)
{
	struct scene s;
	int link;
	uint32_t round;

	for (round = 0; round < fixture_rounds(20); round++) {
		scene_begin(&s);
		fixture_fill(s.h.slot, s.h.n_slots * sizeof(*s.h.slot));
		fixture_fill(s.h.socket, s.h.n_slots * sizeof(*s.h.socket));
		for (uint32_t i = 0; i < s.h.n_slots; i++) {
			SHM_STORE(s.h.socket[i],
			    (uint64_t)TABLE << 32 | fixture_random(40));
			if (i % 2 == 0)
				SHM_STORE(s.h.slot[i].life,
				    life(i, PLACE, SLOT_OPEN));
		}
		scene_start(&s);
		link = scene_link(&s);
		assert_int_equal(custody_ask(link, UINT32_MAX), 0);
		do {
			note_take(link);
			for (uint32_t k = 0;
			     note.type == CUSTODY_KEEP && k < note.n; k++)
				close(got[k]);
			fixture_fill(s.h.slot, s.h.n_slots * sizeof(*s.h.slot));
		} while (note.type != CUSTODY_DONE);
		close(link);
		scene_end(&s);
	}
}

/* Nonsense over both links is passed over. */
static void
hostile_notes(void **state)
{
	const struct custody_note keep = {.type = CUSTODY_KEEP, .n = 1};
	const uint32_t head[2] = {MSG_LINK, 8};
	struct scene s;
	int link, next;

	scene_begin(&s);
	scene_start_limited(&s, 1);
	assert_int_equal(send(s.master[0], head, sizeof(head), 0), 8);
	assert_int_equal(send(s.master[0], "x", 1, 0), 1);
	assert_int_equal(
	    link_send(s.master[0], MSG_PAGE, NULL, 0, STDERR_FILENO), 0);
	link = scene_link(&s);
	assert_int_equal(send(link, "x", 1, 0), 1);
	assert_int_equal(custody_send(link, &keep, &s.client[0]), 0);
	assert_int_equal(custody_ask(link, 1), 0);
	note_expect(link, 0, 1);
	/* there is a number free for another link: none of all that is kept */
	next = scene_link(&s);
	assert_int_equal(custody_ask(next, 1), 0);
	note_expect(next, 0, 1);
	close(link);
	close(next);
	scene_end(&s);
}

/* Who asks is gone at once: the next one is served. */
static void
taker_dies(void **state)
{
	struct scene s;
	int link;

	scene_begin(&s);
	scene_start(&s);
	for (uint32_t k = 0; k < 5; k++) {
		link = scene_link(&s);
		assert_int_equal(custody_ask(link, k), 0);
		close(link);
	}
	link = scene_link(&s);
	assert_int_equal(custody_ask(link, 100), 0);
	note_expect(link, 0, CLIENTS);
	close(link);
	scene_end(&s);
}

/* In a full table the link finds the number that is kept for it, again and
 * again. */
static void
full_table(void **state)
{
	struct scene s;
	int link;

	scene_begin(&s);
	scene_start_limited(&s, 0);
	for (uint32_t k = 0; k < 3; k++) {
		link = scene_link(&s);
		/* not more, whatever the one before had asked for */
		assert_int_equal(custody_ask(link, 2), 0);
		note_expect(link, 0, 2);
		assert_int_equal(custody_ask(link, 100), 0);
		note_expect(link, 2, CLIENTS - 2);
		note_take(link);
		assert_int_equal(note.type, CUSTODY_DONE);
		close(link);
	}
	scene_end(&s);
}

/* The worker's set of watched clients is closed, since what goes on elsewhere
 * could not be taken out of it. */
static void
set_is_closed(void **state)
{
	struct scene s;
	int set = epoll_create1(0), outer = epoll_create1(EPOLL_CLOEXEC);

	assert_true(set >= 0 && outer >= 0);
	scene_begin(&s);
	SHM_STORE(s.h.worker[PLACE].watch, table_word(&s.h, set));
	scene_start(&s);
	assert_true(SHM_LOAD(s.h.worker[PLACE].watch) == 0);
	close(set);
	close(outer);
	scene_end(&s);
}

/* Without a master it leaves. */
static void
master_dies(void **state)
{
	struct scene s;

	scene_begin(&s);
	scene_start(&s);
	close(s.master[0]);
	assert_left(&s);
	for (uint32_t k = 0; k < CLIENTS; k++)
		close(s.client[k]);
	hub_destroy(&s.h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(gives),
	    cmocka_unit_test(gives_the_rest),
	    cmocka_unit_test(looks),
	    cmocka_unit_test(keeps),
	    cmocka_unit_test(hostile_claims),
	    cmocka_unit_test(scribbled_slots),
	    cmocka_unit_test(hostile_notes),
	    cmocka_unit_test(taker_dies),
	    cmocka_unit_test(full_table),
	    cmocka_unit_test(set_is_closed),
	    cmocka_unit_test(master_dies),
	};

	/* what a family has there */
	while (open("/dev/null", O_RDWR) < FAMILY_RESERVE)
		;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
