/*
 * kill_family: processes and keepers of a family are killed in all
 * combinations, at each kill point of their beginning, stopped, and attacked
 * from inside. After each death the family has exactly what is claimed, and
 * what is claimed is open and the same socket.
 */
#include "kill_family_master.h"

#include "base/title.h"

enum {
	ROUNDS = 1000,
	ROUNDS_MS = 12000 /* and no longer, so that a slow machine gets done */
};

/* One death or two. */
static void
round_hit(uint32_t what)
{
	const unsigned k = family_pair(m.page) + fixture_random(2);

	if (what < 20) /* the process */
		process_kill();
	else if (what < 30) { /* and the next one, wherever it is */
		process_kill();
		(void)process_order();
		usleep(fixture_random(4000));
		process_kill();
	} else if (what < 40)
		keeper_kill(k);
	else if (what < 55) { /* both at once */
		if (fixture_random(2) == 0)
			keeper_kill(k);
		process_kill();
		keeper_kill(k);
	} else if (what < 70) { /* a keeper within what it is told */
		arm(KILL_KEEPERS, "process/family_keeper",
		    1 + fixture_random(2));
		process_kill();
	} else if (what < 75) { /* stopped when it is needed */
		kill(m.page->keeper[k].pid, SIGSTOP);
		n_stopped++;
		process_kill();
	} else { /* the next process at a point of its beginning */
		arm(0, fixture_random(4) == 0 ? "tests/" : "process/family",
		    1 + fixture_random(3));
		if (fixture_random(4) == 0)
			keeper_kill(k);
		process_kill();
	}
}

/* Nothing is lost, doubled or left behind while one of three lives. */
static void
test_kills(void **state)
{
	const uint64_t begin = clock_ms();
	const uint32_t rounds = fixture_rounds(ROUNDS);
	unsigned points = 0, died = 0;
	uint32_t i;

	for (i = 0; i < rounds; i++) {
		if (getenv("LONG") == NULL && clock_ms() > begin + ROUNDS_MS)
			break;
		usleep(fixture_random(1500));
		round_hit(fixture_random(100));
		family_settle(false);
		disarm();
	}
	for (int k = 0; k < KILL_POINTS; k++) {
		points += list->entry[k].state == 2;
		died += list->entry[k].deaths > 0;
	}
	for (int k = 0; k < KILL_POINTS && getenv("POINTS") != NULL; k++)
		if (list->entry[k].state == 2)
			print_message("%s: %u deaths, %llu passes\n",
			    list->entry[k].name, list->entry[k].deaths,
			    (unsigned long long)list->entry[k].passes);
	print_message("%u rounds in %.1f s: %u processes and %u keepers "
		      "died, %u of %u points; halfway %u, other keeper asked "
		      "%u, stopped %u, hung %u; from order to HELLO %.2f ms at "
		      "least, %.2f mean\n",
	    i, (double)(clock_ms() - begin) / 1000, n_deaths, n_keepers, died,
	    points, n_halfway, n_other, n_stopped, n_hung,
	    (double)quickest_us / 1000,
	    (double)sum_us / 1000 / (n_hellos + (n_hellos == 0)));
	assert_true(i >= 30);
	assert_int_equal(n_lost, 0);
	assert_int_equal(n_hung, 0);
}

/* What is there is not made again, whichever keeper is asked. */
static void
test_twice(void **state)
{
	const unsigned pair = family_pair(m.page);

	for (unsigned k = pair; k < pair + 2; k++)
		for (unsigned about = pair; about < pair + 3; about++) {
			family_order(m.page, k,
			    about == pair + 2 ? FAMILY_PROCESS : FAMILY_KEEPER,
			    about % 4);
			while (!family_is_done(m.page, k))
				usleep(50);
		}
	assert_int_equal(children(), 3);
	/* an order that no version of the program knows is carried out, too */
	family_order(m.page, pair, 9, 9);
	while (!family_is_done(m.page, pair))
		usleep(50);
	assert_int_equal(children(), 3);
}

/* Has the process do it, and kills it if it has not ended of it. */
static void
deed_have_done(enum deed deed, bool ends)
{
	m.board->done = 0;
	m.board->keeper = m.page->keeper[family_pair(m.page)].pid;
	m.board->deed = deed;
	while (m.board->done == 0 && process_lives())
		usleep(100);
	m.board->deed = DEED_NONE;
	if (!ends)
		process_kill();
}

/* A table without a free number is served again, and what filled it is gone;
 * also if the first one that is made in it dies at any point. */
static void
test_full(void **state)
{
	n_lost = 0;
	for (int i = 0; i < 60; i++) {
		deed_have_done(DEED_FILL, false);
		if (i > 0)
			arm(i % 2 == 0 ? 0 : KILL_KEEPERS, "process/family",
			    1 + fixture_random(2));
		family_settle(false);
		disarm();
		usleep(2000);
	}
}

/* Another socket in the place of the family's link is seen before it is used,
 * whether the link has ended by that or not. */
static void
test_ruin(void **state)
{
	n_lost = 0;
	for (unsigned i = 1; i <= 6; i++) {
		deed_have_done(DEED_RUIN + i % 3, false);
		family_settle(true);
		assert_int_equal(n_lost, i);
	}
}

/* What a process puts in the place of standard streams does not stay there. */
static void
test_streams(void **state)
{
	struct stat mine, its;
	char path[40];

	n_lost = 0;
	deed_have_done(DEED_STREAMS, false);
	family_settle(false);
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d",
		    m.page->keeper[family_pair(m.page)].pid, i);
		assert_int_equal(fstat(i, &mine), 0);
		assert_int_equal(stat(path, &its), 0);
		assert_false(S_ISSOCK(its.st_mode));
	}
}

/* With as many processes as are allowed, those that follow still have two
 * keepers, and none is lost. */
static void
test_no_room(void **state)
{
	struct rlimit was, three;

	if (geteuid() != 0)
		skip(); /* its user has other processes */
	assert_int_equal(getrlimit(RLIMIT_NPROC, &was), 0);
	three = (struct rlimit){3, was.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NPROC, &three), 0);
	setup(state);
	assert_int_equal(setrlimit(RLIMIT_NPROC, &was), 0);
	for (int i = 0; i < 20; i++) {
		if (i >= 10)
			keeper_kill(family_pair(m.page) + (unsigned)i % 2);
		process_kill();
		family_settle(false);
	}
	teardown(state);
}

/* What reaches others ends the process that tries it, and nobody else. */
static void
test_forbidden(void **state)
{
#ifdef CHATD_SANITIZED
	skip();
#endif
	n_lost = 0;
	for (enum deed deed = DEED_FORK; deed < DEEDS; deed++) {
		const unsigned pair = family_pair(m.page);

		deed_have_done(deed, true);
		print_message("deed %d: status %x\n", (int)deed, m.status);
		assert_true(
		    WIFSIGNALED(m.status) && WTERMSIG(m.status) == SIGSYS);
		assert_true(keeper_lives(pair) && keeper_lives(pair + 1));
		family_settle(false);
	}
}

/* Without its keepers a process goes on; all three dead are a new family. */
static void
test_all_dead(void **state)
{
	const unsigned pair = family_pair(m.page);

	n_lost = 0;
	keeper_kill(pair);
	keeper_kill(pair + 1);
	usleep(2000);
	assert_true(process_lives());
	process_kill();
	family_settle(true);
	assert_int_equal(n_lost, 1);
}

/* They end with their master. */
static void
test_orphans(void **state)
{
	pid_t pid[3], child = fork();

	if (child == 0) {
		family_new();
		family_settle(true);
		for (int k = 0; k < 2; k++)
			m.board->own[k] =
			    (uint32_t)m.page
				->keeper[(int)family_pair(m.page) + k]
				.pid;
		m.board->keeper = m.process;
		_exit(0);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
	pid[0] = m.board->keeper;
	pid[1] = (pid_t)m.board->own[0];
	pid[2] = (pid_t)m.board->own[1];
	for (int k = 0; k < 3; k++) {
		assert_true(pid[k] > 0);
		for (int i = 0; i < 5000 && kill(pid[k], 0) == 0; i++)
			usleep(1000);
		assert_int_equal(kill(pid[k], 0), -1);
	}
}

/* What the master gives: memory, a listener, the program. */
static void
master_begin(char *path)
{
	/* whose processes are counted: no other run's */
	static struct identity user = {.gid = 54321};
	static const struct conf_live live;
	static struct hub_limits limits = {.connections = 64,
	    .users = 64,
	    .channels = 64,
	    .journal_bytes = 1 << 20,
	    .output_bytes = 1 << 20,
	    .input_bytes = 1 << 20};
	const struct rlimit few = {TABLE, TABLE};
	int fd = mkstemp(path);

	if (fd == -1 || ftruncate(fd, sizeof(*list)) == -1 ||
	    fchmod(fd, 0666) == -1)
		abort();
	user.uid = 100000 + (uid_t)getpid();
	user.drop = geteuid() == 0;
	list = mmap(
	    NULL, sizeof(*list), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	setenv("CHATD_KILL_LIST", path, 1);
	if (hub_create(&m.hub, &limits) == -1 ||
	    setrlimit(RLIMIT_NOFILE, &few) == -1)
		abort();
	m.board = (struct board *)m.hub.stage;
	m.program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	m.endpoints.n = 1;
	m.endpoints.at[0].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	m.nursery = (struct nursery){.hub = &m.hub,
	    .limits = &limits,
	    .identity = &user,
	    .live = &live,
	    .endpoints = &m.endpoints,
	    .pages = -1,
	    .log = -1};
	m.link = -1;
	child_init(&m.child, &kinds[0], 0, 0);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_kills, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_twice, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_full, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_ruin, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_streams, setup, teardown),
	    cmocka_unit_test(test_no_room),
	    cmocka_unit_test_setup_teardown(test_forbidden, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_all_dead, setup, teardown),
	    cmocka_unit_test(test_orphans),
	};
	char path[] = "/tmp/kill_family.XXXXXX";
	int r;

	child_kinds_use(kinds);
	if (argc == 3 && strcmp(argv[1], "-F") == 0) {
		title_init(argc, argv, environ);
		family_main((uint32_t)strtoul(argv[2], NULL, 10));
	}
	master_begin(path);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return r;
}
