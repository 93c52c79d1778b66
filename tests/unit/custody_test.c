/* custody: notes with descriptors over a link, what goes back as there is room,
 * and the words that say which keeper has what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hub_fixture.h"
#include "net/custody.h"
#include "valgrind.h"

static int pair[2];
static struct custody_note note;
static int got[CUSTODY_MAX];

/* A new link. */
static int
setup(void **state)
{
	return custody_pair(pair);
}

/* Closes it. */
static int
teardown(void **state)
{
	close(pair[0]);
	close(pair[1]);
	return 0;
}

/* Closes the descriptors of the note that was received. */
static void
got_close(void)
{
	for (uint32_t k = 0; k < note.n && note.type == CUSTODY_KEEP; k++)
		close(got[k]);
}

/* What custody_at() says: every third number has nothing. */
static bool
third_at(void *arg, uint32_t i, uint64_t *id, int *fd)
{
	*id = i + 1;
	*fd = *(const int *)arg;
	return i % 3 != 2;
}

/* Descriptors come back as far as they were asked for, each once, then DONE. */
static void
gives_as_there_is_room(void **state)
{
	struct custody_giver g = {.n = 900};
	uint32_t n = 0, asked = 0, last = 0;
	int fd = pair[0];
	bool done = false;

	assert_int_equal(
	    custody_give(&g, pair[0], third_at, &fd), CUSTODY_IDLE);
	assert_int_equal(custody_receive(pair[1], &note, got), 0);
	while (!done) {
		g.room += 70;
		asked += 70;
		assert_int_equal(
		    custody_give(&g, pair[0], third_at, &fd), CUSTODY_IDLE);
		while (custody_receive(pair[1], &note, got) > 0) {
			done = note.type == CUSTODY_DONE;
			for (uint32_t k = 0; k < note.n; k++) {
				assert_true(note.id[k] > last);
				last = (uint32_t)note.id[k];
				n++;
			}
			got_close();
		}
		assert_true(n <= asked);
	}
	assert_int_equal(n, 600);
	assert_true(g.next > g.n);
	g.room = 10;
	assert_int_equal(
	    custody_give(&g, pair[0], third_at, &fd), CUSTODY_IDLE);
	assert_int_equal(custody_receive(pair[1], &note, got), 0);
}

/* A full link is not the end: it goes on where it stopped. */
static void
gives_over_a_full_link(void **state)
{
	struct custody_giver g = {.n = 60000, .room = UINT32_MAX};
	enum custody_given r;
	uint32_t n = 0, full = 0, last = 0;
	int fd = pair[0], size = 4608;

	assert_int_equal(
	    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	do {
		r = custody_give(&g, pair[0], third_at, &fd);
		full += r == CUSTODY_FULL;
		while (custody_receive(pair[1], &note, got) > 0) {
			if (note.type != CUSTODY_KEEP)
				continue;
			assert_true(note.id[0] > last);
			last = (uint32_t)note.id[note.n - 1];
			n += note.n;
			got_close();
		}
	} while (r == CUSTODY_FULL);
	assert_int_equal(r, CUSTODY_IDLE);
	assert_true(full > 0);
	assert_int_equal(n, 40000);
}

/* The other side is gone. */
static void
gives_nobody(void **state)
{
	struct custody_giver g = {.n = 10, .room = 10};
	int fd = pair[0];

	close(pair[1]);
	pair[1] = -1;
	assert_int_equal(
	    custody_give(&g, pair[0], third_at, &fd), CUSTODY_ENDED);
	assert_int_equal(custody_ask(pair[0], 1), -1);
	assert_true(custody_is_gone(errno));
}

/* An error of a note is not one of the link. */
static void
bad_descriptor(void **state)
{
	const int bad = -1;

	note = (struct custody_note){.type = CUSTODY_KEEP, .n = 1, .id = {7}};
	assert_int_equal(custody_send(pair[0], &note, &bad), -1);
	assert_int_equal(errno, EBADF);
	assert_false(custody_is_gone(errno));
	assert_int_equal(custody_send(pair[0], &note, &pair[0]), 0);
	assert_int_equal(custody_receive(pair[1], &note, got), 1);
	assert_true(note.id[0] == 7);
	got_close();
}

/* Sends bytes as they are. */
static void
raw(const void *bytes, size_t len)
{
	assert_int_equal(send(pair[0], bytes, len, 0), (ssize_t)len);
}

/* What is no note is told, and what follows is read all the same. */
static void
nonsense(void **state)
{
	struct custody_note bad = {.type = CUSTODY_KEEP, .n = 1};
	const size_t head = offsetof(struct custody_note, id);

	raw(&bad, head + sizeof(bad.id[0])); /* a descriptor is missing */
	bad.n = 0;
	bad.type = CUSTODY_ROOM;
	raw(&bad, head);
	bad.type = CUSTODY_DONE + 1;
	raw(&bad, head);
	bad.type = CUSTODY_KEEP + 1; /* what keepers once were told */
	raw(&bad, head);
	bad.type = CUSTODY_DONE;
	bad.n = UINT32_MAX;
	raw(&bad, sizeof(bad));
	raw("x", 1);
	for (int k = 0; k < 6; k++) {
		assert_int_equal(custody_receive(pair[1], &note, got), -1);
		assert_int_equal(errno, EBADMSG);
	}
	assert_int_equal(custody_ask(pair[0], 3), 0);
	assert_int_equal(custody_receive(pair[1], &note, got), 1);
	assert_int_equal(note.type, CUSTODY_ROOM);
	assert_true(note.id[0] == 3);
}

/* Without a free descriptor a note is lost, the link is not. */
static void
no_descriptor_free(void **state)
{
	struct rlimit old, few;
	int next = dup(pair[0]);

	close(next);
	if (valgrind_runs())
		skip();
	note = (struct custody_note){.type = CUSTODY_KEEP, .n = 1, .id = {7}};
	assert_int_equal(custody_send(pair[0], &note, &pair[0]), 0);
	assert_int_equal(custody_ask(pair[0], 3), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = old;
	few.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(custody_receive(pair[1], &note, got), -1);
	assert_int_equal(errno, EBADMSG);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(custody_receive(pair[1], &note, got), 1);
	assert_int_equal(note.type, CUSTODY_ROOM);
}

/* Who closed with something unread is read to the end. */
static void
end_behind_a_reset(void **state)
{
	assert_int_equal(custody_ask(pair[1], 1), 0); /* never read */
	assert_int_equal(custody_ask(pair[0], 2), 0);
	close(pair[0]);
	pair[0] = -1;
	assert_int_equal(custody_receive(pair[1], &note, got), 1);
	assert_true(note.id[0] == 2);
	assert_int_equal(custody_receive(pair[1], &note, got), -1);
	assert_int_equal(errno, 0);
}

#define CUSTODY_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CUSTODY_TEST(gives_as_there_is_room),
	    CUSTODY_TEST(gives_over_a_full_link),
	    CUSTODY_TEST(gives_nobody),
	    CUSTODY_TEST(bad_descriptor),
	    CUSTODY_TEST(nonsense),
	    CUSTODY_TEST(no_descriptor_free),
	    CUSTODY_TEST(end_behind_a_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
