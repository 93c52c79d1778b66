/* table: after a death what slots claim stays open, and nothing else does. Each
 * test has a table of descriptors of its own. */
#include "hub_fixture.h"
#include "apart.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "hub/slot.h"
#include "hub/stats.h"
#include "net/counters.h"
#include "takeover/move.h"
#include "takeover/table.h"

enum {
	SLOTS = 256,
	TABLE = 7,
	OTHER_TABLE = 8,
	SELF = 1,
	OTHER = 2,
	MANY = 12500,
	FAR = 2000 /* a high number */
};

static struct hub h;
static struct claim slots;

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* A worker's hub, with nothing open but the family's own. */
static void
begin(uint32_t connections)
{
	static const char null[] = "/dev/null";

	close_range(3, ~0u, 0);
	assert_int_equal(open(null, O_RDONLY), 3);
	assert_int_equal(open(null, O_RDONLY), 4);
	fixture_hub(&h, connections, 16, 65536, 1 << 20, 1 << 20);
	hub_close_file(&h);
	hub_become(&h, SELF);
	h.table = TABLE;
	assert_int_equal(claim_init(&slots, h.slot_owner, h.n_slots, SELF), 0);
}

/* A slot of this worker that claims a descriptor. */
static uint32_t
claim_at(int fd, enum slot_state state)
{
	uint32_t i = slot_take(&h, &slots);

	assert_int_not_equal(i, SHM_NONE);
	slot_socket_set(&h, i, fd);
	slot_set(&h, i, state);
	return i;
}

/* Something open, at a number (-1: any). */
static int
thing(int at)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= TABLE_FIRST);
	if (at >= 0 && fd != at) {
		assert_int_equal(dup2(fd, at), at);
		close(fd);
		fd = at;
	}
	return fd;
}

static int
test_claims_run(void *arg)
{
	int fd[6], k;
	uint32_t i[6];

	begin(SLOTS);
	for (k = 0; k < 6; k++)
		fd[k] = thing(k < 5 ? 10 + 3 * k : FAR);
	for (k = 0; k < 6; k++)
		i[k] = claim_at(fd[k],
		    k == 0	? SLOT_ACCEPTED
			: k < 4 ? SLOT_OPEN
			: k < 5 ? SLOT_ENDING
				: SLOT_CLOSING);
	for (k = 5; k < 40; k++) /* gaps are filled with whatever there is */
		if (!is_open(k))
			assert_int_equal(thing(k), k);
	assert_int_equal(thing(FAR + 5), FAR + 5);
	assert_int_equal(thing(FAR + 127), FAR + 127);
	assert_int_equal(thing(FAR + 128), FAR + 128);
	assert_int_equal(thing(FAR + 3000), FAR + 3000);
	table_settle(&h);
	for (k = 0; k < FAR + 4000; k++) {
		int c = 0;

		while (c < 6 && fd[c] != k)
			c++;
		assert_int_equal(is_open(k), k < TABLE_FIRST || c < 6);
	}
	for (k = 0; k < 6; k++)
		assert_int_equal(slot_fd(&h, i[k]), fd[k]);
	assert_int_equal(table_found()->claimed, 6);
	assert_int_equal(table_found()->missing, 0);
	assert_int_equal(table_found()->doubled, 0);
	assert_int_equal(table_own(), 5);
	assert_int_equal(table_orphan(), -1);
	return 0;
}

/* What is claimed stays; gaps, and what is behind, are closed. */
static void
test_claims(void **state)
{
	assert_int_equal(apart(test_claims_run, NULL), 0);
}

static int
test_not_claims_run(void *arg)
{
	int fd[5], k;
	uint32_t i;

	begin(SLOTS);
	for (k = 0; k < 5; k++)
		fd[k] = thing(-1);
	slot_release(&h, &slots, claim_at(fd[0], SLOT_OPEN));
	(void)claim_at(fd[1], SLOT_TAKEN);
	i = claim_at(fd[2], SLOT_OPEN); /* another worker's, in its table */
	h.slot[i].life = (h.slot[i].life & ~0xff00ull) | OTHER << 8;
	i = claim_at(fd[3], SLOT_OPEN); /* this worker's, in another table */
	SHM_STORE(h.socket[i], (uint64_t)OTHER_TABLE << 32 | (uint32_t)fd[3]);
	i = claim_at(fd[4], SLOT_OPEN); /* in none: of an older program */
	SHM_STORE(h.socket[i], (uint32_t)fd[4]);
	table_settle(&h);
	for (k = 0; k < 5; k++)
		assert_false(is_open(fd[k]));
	assert_true(h.socket[i] == (uint32_t)fd[4]); /* to be pulled */
	assert_int_equal(table_found()->claimed, 0);
	assert_int_equal(table_found()->closed, 5);
	return 0;
}

/* What is free, or another's, or in another table, claims nothing. */
static void
test_not_claims(void **state)
{
	assert_int_equal(apart(test_not_claims_run, NULL), 0);
}

static int
test_hostile_run(void *arg)
{
	static const int64_t numbers[] = {0, 1, 2, 3, 4, 9, TABLE_END - 1,
	    TABLE_END, TABLE_END + 1, INT32_MAX, 0x80000000, 0xffffffff};
	enum { N = sizeof(numbers) / sizeof(numbers[0]) };
	uint32_t i[N];
	int k, good;

	begin(SLOTS);
	good = thing(-1);
	for (k = 0; k < N; k++) {
		i[k] = claim_at(5, SLOT_OPEN);
		SHM_STORE(h.socket[i[k]],
		    (uint64_t)TABLE << 32 | (uint32_t)numbers[k]);
	}
	SHM_STORE(h.me->watch, (uint64_t)TABLE << 32 | 3);
	(void)claim_at(good, SLOT_OPEN);
	table_settle(&h);
	for (k = 0; k < TABLE_FIRST; k++)
		assert_true(is_open(k));
	for (k = 0; k < N; k++)
		assert_int_equal(slot_fd(&h, i[k]), -1);
	assert_true(is_open(good));
	assert_true(SHM_LOAD(h.me->watch) == 0);
	/* 9 and TABLE_END - 1 could be sockets', and are not open */
	assert_int_equal(table_found()->missing, 2);
	assert_int_equal(table_found()->claimed, 1);
	return 0;
}

/* Numbers that are not open, are no socket's, or none at all. */
static void
test_hostile(void **state)
{
	assert_int_equal(apart(test_hostile_run, NULL), 0);
}

static int
test_missing_run(void *arg)
{
	uint32_t i;
	int fd;

	begin(SLOTS);
	i = claim_at(TABLE_FIRST, SLOT_OPEN);
	table_settle(&h);
	fd = thing(-1); /* the next thing that is opened is not its socket */
	assert_int_equal(fd, TABLE_FIRST);
	assert_int_equal(slot_fd(&h, i), -1);
	return 0;
}

/* A claim that is not open is none, whatever is opened there later. */
static void
test_missing(void **state)
{
	assert_int_equal(apart(test_missing_run, NULL), 0);
}

static int
test_twice_run(void *arg)
{
	uint32_t a, b, c, d;
	int twice, once;

	begin(SLOTS);
	twice = thing(-1);
	once = thing(-1);
	a = claim_at(twice, SLOT_OPEN);
	b = claim_at(once, SLOT_OPEN);
	c = claim_at(twice, SLOT_ENDING);
	d = claim_at(twice, SLOT_OPEN);
	table_settle(&h);
	assert_false(is_open(twice));
	assert_true(is_open(once));
	assert_int_equal(slot_fd(&h, a), -1);
	assert_int_equal(slot_fd(&h, b), once);
	assert_int_equal(slot_fd(&h, c), -1);
	assert_int_equal(slot_fd(&h, d), -1);
	assert_int_equal(table_found()->doubled, 2);
	assert_int_equal(table_found()->claimed, 2);
	return 0;
}

/* Nobody gets what more than one claims. */
static void
test_twice(void **state)
{
	assert_int_equal(apart(test_twice_run, NULL), 0);
}

static int
test_watch_run(void *arg)
{
	const int fails = *(const int *)arg;
	struct epoll_event e = {.events = EPOLLIN};
	int set, mine, gone;
	uint32_t i;

	begin(SLOTS);
	set = epoll_create1(0);
	mine = thing(-1);
	gone = thing(-1);
	assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, mine, &e), 0);
	assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, gone, &e), 0);
	i = claim_at(fails == 1 ? set : mine, SLOT_OPEN);
	SHM_STORE(h.me->watch, table_word(&h, fails == 2 ? set + 100 : set));
	/* a keeper still has what is closed: it must not be told of for ever */
	assert_int_equal(fcntl(gone, F_DUPFD, 3000), 3000);
	table_settle(&h);
	assert_false(is_open(gone));
	if (fails == 0) {
		assert_true(is_open(set));
		assert_int_equal(table_fd(&h, SHM_LOAD(h.me->watch)), set);
		assert_int_equal(epoll_wait(set, &e, 1, 0), 1);
		assert_int_equal(epoll_ctl(set, EPOLL_CTL_DEL, mine, NULL), 0);
		assert_int_equal(epoll_wait(set, &e, 1, 0), 0);
	} else {
		assert_true(SHM_LOAD(h.me->watch) == 0);
		assert_int_equal(is_open(set), fails == 1);
	}
	assert_int_equal(slot_fd(&h, i), fails == 1 ? set : mine);
	return 0;
}

/* The clients' epoll set stays, without what is closed; not if a slot says that
 * it is its socket, or if it is not there. */
static void
test_watch(void **state)
{
	for (int fails = 0; fails < 3; fails++)
		assert_int_equal(apart(test_watch_run, &fails), 0);
}

/* Clients, in a process of their own, whose sockets nobody sweeps: n of them,
 * of which those from `speak` on send a byte. */
static pid_t
clients(const struct sockaddr_in *a, int n, int speak)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid != 0)
		return pid;
	for (int k = 0; k < n; k++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		if (connect(fd, (const void *)a, sizeof(*a)) != 0 ||
		    (k >= speak && write(fd, "x", 1) != 1))
			_exit(1);
	}
	for (;;)
		pause();
}

/* A listener, and its address. */
static int
listener(struct sockaddr_in *a)
{
	socklen_t len = sizeof(*a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	*a = (struct sockaddr_in){
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(fd, (void *)a, sizeof(*a)), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, (void *)a, &len), 0);
	return fd;
}

enum { NEW, UNREAD, READ, WRITTEN, COMING, CLAIMED, KINDS };

static int
test_orphans_run(void *arg)
{
	struct pollfd p = {.events = POLLIN};
	struct sockaddr_in a;
	int lis, fd[KINDS], k, got[KINDS], n = 0, pair[2];
	uint32_t i;
	pid_t pid;
	char c;

	begin(SLOTS);
	lis = listener(&a);
	pid = clients(&a, KINDS, UNREAD);
	for (k = 0; k < KINDS; k++) {
		fd[k] = accept(lis, NULL, NULL);
		assert_true(fd[k] >= 0);
		p.fd = fd[k];
		assert_int_equal(poll(&p, 1, k >= UNREAD ? 5000 : 0), k >= 1);
	}
	assert_int_equal(read(fd[READ], &c, 1), 1);
	assert_int_equal(write(fd[WRITTEN], "y", 1), 1);
	assert_int_equal(counters_came(dup(fd[COMING])), 0);
	i = claim_at(fd[CLAIMED], SLOT_ACCEPTED);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_true(eventfd(0, 0) >= 0);
	assert_true(socket(AF_INET, SOCK_DGRAM, 0) >= 0);
	assert_true(thing(-1) >= 0); /* TCP, and no connection */
	table_settle(&h);
	assert_int_equal(slot_fd(&h, i), fd[CLAIMED]);
	assert_true(is_open(fd[CLAIMED]));
	assert_int_equal(table_own(), 5);
	while (n < KINDS && (got[n] = table_orphan()) >= 0)
		n++;
	assert_int_equal(n, 2);
	assert_int_equal(got[0] + got[1], fd[NEW] + fd[UNREAD]);
	for (k = 0; k < KINDS; k++)
		assert_int_equal(
		    is_open(fd[k]), k == NEW || k == UNREAD || k == CLAIMED);
	assert_false(is_open(lis));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return 0;
}

/* What was accepted and neither read nor written is kept for a slot; not what
 * came from another table. */
static void
test_orphans(void **state)
{
	assert_int_equal(apart(test_orphans_run, NULL), 0);
}

static int
test_moves_run(void *arg)
{
	uint32_t given, coming, taken;
	uint64_t id;
	int fd[3], k;

	begin(SLOTS);
	for (k = 0; k < 3; k++)
		fd[k] = thing(-1);
	given = claim_at(fd[0], SLOT_OPEN);
	assert_true(slot_pass(&h, given, SELF, SLOT_OPEN, OTHER, SLOT_MOVING));
	/* one that was on its way here is its giver's, in its table */
	coming = claim_at(fd[1], SLOT_OPEN);
	h.slot[coming].life = (h.slot[coming].life & ~0xff00ull) | OTHER << 8;
	assert_true(slot_pass(&h, coming, OTHER, SLOT_OPEN, SELF, SLOT_MOVING));
	/* one that was taken, and the word does not say so yet */
	taken = claim_at(0, SLOT_OPEN);
	id = slot_id(&h, taken);
	SHM_STORE(h.socket[taken], (uint64_t)OTHER_TABLE << 32 | 5);
	SHM_STORE(h.me->move_socket, table_word(&h, fd[2]));
	SHM_STORE(h.me->move_id, id);
	table_settle(&h);
	assert_int_equal(slot_state(&h, given), SLOT_OPEN);
	assert_int_equal(slot_holder(&h, given), SELF);
	assert_int_equal(slot_state(&h, coming), SLOT_MOVING);
	assert_true(is_open(fd[0]));
	assert_false(is_open(fd[1]));
	assert_true(is_open(fd[2]));
	assert_int_equal(slot_fd(&h, given), fd[0]);
	assert_int_equal(slot_fd(&h, taken), fd[2]);
	assert_true(SHM_LOAD(h.me->move_id) == 0);
	return 0;
}

/* Connections that were on their way. */
static void
test_moves(void **state)
{
	assert_int_equal(apart(test_moves_run, NULL), 0);
}

/* Milliseconds of processor time that a sweep takes, of n sockets with things
 * between them. */
static double
sweep_ms(int n, int gap)
{
	struct timespec a, b;
	int k, fd;

	begin((uint32_t)n + 64);
	for (k = 0; k < n; k++) {
		fd = thing(-1);
		if (gap == 0 || k % gap != 0)
			(void)claim_at(fd, SLOT_OPEN);
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	table_settle(&h);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	for (k = 0; k < n; k++)
		assert_int_equal(
		    is_open(TABLE_FIRST + k), gap == 0 || k % gap != 0);
	return (double)(b.tv_sec - a.tv_sec) * 1e3 +
	    (double)(b.tv_nsec - a.tv_nsec) / 1e6;
}

static int
test_many_run(void *arg)
{
	struct rlimit files = {MANY + 100, MANY + 100};

	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		return 1;
	printf("%d sockets: swept in %.2f ms\n", MANY, sweep_ms(MANY, 0));
	printf("%d sockets, each hundredth nobody's: swept in %.2f ms\n", MANY,
	    sweep_ms(MANY, 100));
	fflush(stdout);
	return 0;
}

/* As many as a large worker has. */
static void
test_many(void **state)
{
	if (apart(test_many_run, NULL) == 1)
		skip();
}

static int
test_full_run(void *arg)
{
	struct rlimit files = {64, 64};
	int fd, k, claimed = 0;

	begin(SLOTS);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	while ((fd = socket(AF_INET, SOCK_STREAM, 0)) >= 0)
		if (fd % 2 == 0) {
			(void)claim_at(fd, SLOT_OPEN);
			claimed++;
		}
	files.rlim_cur = 8; /* its worker lowered it */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	table_settle(&h);
	for (k = TABLE_FIRST; k < 64; k++)
		assert_int_equal(is_open(k), k % 2 == 0);
	assert_int_equal(table_found()->claimed, claimed);
	return 0;
}

/* A table that is full, under a limit that is lower: nothing is opened. */
static void
test_full(void **state)
{
	assert_int_equal(apart(test_full_run, NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_claims),
	    cmocka_unit_test(test_not_claims),
	    cmocka_unit_test(test_hostile),
	    cmocka_unit_test(test_missing),
	    cmocka_unit_test(test_twice),
	    cmocka_unit_test(test_watch),
	    cmocka_unit_test(test_orphans),
	    cmocka_unit_test(test_moves),
	    cmocka_unit_test(test_many),
	    cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
