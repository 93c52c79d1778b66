/* peer: links to processes by number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec/message.h"
#include "net/link.h"
#include "net/loop.h"
#include "net/peer.h"
#include "net/ready.h"

enum { MANY = 4 };

/* Numbers at the borders of the words that the set of links is made of. */
static const int number[MANY] = {0, 63, 64, READY_LINKS - 1};
static struct event_base *base;
static struct ready *ready;
static struct peers *peers;
static void *made[4][3]; /* nothing of it can be freed */
static int n_made;
static int end[MANY]; /* the peers' ends of their links */
static int came[32];  /* numbers of peers whose datagrams came, */
static int n_came, n_turn;
static bool whole;    /* all links have their part of a turn */
static int ended[32]; /* and of those whose links have ended */
static int n_ended;

/* No sockets are watched. */
static bool
ready_cb(void *arg, uint64_t key, unsigned what)
{
	fail_msg("a socket is ready");
	return true;
}

/* Two links at most have their part of a turn, unless all have. */
static bool
event_cb(void *arg)
{
	return whole || ++n_turn % 2 != 0;
}

/* Notes who has sent something. */
static void
datagram_cb(void *arg, int peer, const struct link_datagram *d)
{
	assert_in_range(n_came, 0, 31);
	came[n_came++] = peer;
	if (d->fd != -1)
		close(d->fd);
}

/* Notes whose link has ended. */
static void
ended_cb(void *arg, int peer)
{
	assert_in_range(n_ended, 0, 31);
	ended[n_ended++] = peer;
}

/* Links a peer; its end of the link is end[k]. */
static void
link_make(int k)
{
	int fd[2];

	assert_int_equal(link_pair(fd), 0);
	assert_true(peers_link(peers, number[k], 7 + (uint32_t)k, fd[0]));
	end[k] = fd[1];
}

/* All are linked. */
static int
setup(void **state)
{
	static const struct ready_host sockets = {.ready = ready_cb};
	static const struct peer_host host = {
	    .event = event_cb, .datagram = datagram_cb, .ended = ended_cb};
	bool kept;

	base = loop_new();
	ready = ready_new(base, -1, &kept, &sockets, NULL);
	assert_non_null(ready);
	assert_null(peers_new(ready, READY_LINKS + 1, &host, NULL));
	peers = peers_new(ready, READY_LINKS, &host, NULL);
	assert_non_null(peers);
	made[n_made][0] = base;
	made[n_made][1] = ready;
	made[n_made++][2] = peers;
	n_came = n_turn = n_ended = 0;
	whole = false;
	for (int k = 0; k < MANY; k++)
		link_make(k);
	return 0;
}

/* Gives all back. */
static int
teardown(void **state)
{
	peers_leave(peers);
	for (int k = 0; k < MANY; k++)
		close(end[k]);
	return 0;
}

/* A few turns. */
static void
turns(int n)
{
	while (n-- > 0)
		assert_int_equal(ready_turn(ready, 0), 0);
}

/* A peer says something. */
static void
say(int k)
{
	assert_int_equal(link_send(end[k], MSG_RELAY, "x", 1, -1), 0);
}

/* All numbers are as good as the first ones, in each set, and in turn. */
static void
test_numbers(void **state)
{
	struct iovec v = {(char *)"x", 1};
	char byte;
	int fd[2], set;

	for (int round = 0; round < 2; round++) {
		n_came = 0;
		for (int k = 0; k < MANY; k++)
			say(k);
		turns(6);
		assert_int_equal(n_came, MANY);
		for (int k = 0; k < MANY; k++)
			assert_int_equal(came[k], number[k]);
		set = ready_renew(ready);
		assert_true(set >= 0);
		close(set);
	}
	whole = true;
	turns(4);
	for (int n = 1; n <= 2; n++) { /* from the last one on, and round */
		say(3);
		turns(4);
		assert_int_equal(n_came, MANY + n);
	}
	for (int k = 0; k < MANY; k++) {
		assert_true(peers_is_linked(peers, number[k]));
		assert_int_equal(peers_generation(peers, number[k]), 7 + k);
		assert_int_equal(peers_send(peers, number[k], &v), 1);
		assert_int_equal(read(end[k], &byte, 1), 1);
	}
	assert_false(peers_is_linked(peers, 1));
	assert_int_equal(peers_send(peers, 1, &v), -1);
	assert_false(peers_message(peers, 1, MSG_TAKEN, NULL, 0, -1));
	assert_int_equal(link_pair(fd), 0);
	assert_false(peers_link(peers, READY_LINKS, 1, fd[0]));
	assert_int_equal(read(fd[1], &byte, 1), 0); /* it is closed */
	close(fd[1]);
	assert_int_equal(n_ended, 0);
}

/* A link that ends is told of once; the others go on. */
static void
test_ended(void **state)
{
	close(end[2]);
	say(1);
	say(3);
	turns(6);
	assert_int_equal(n_ended, 1);
	assert_int_equal(ended[0], number[2]);
	assert_false(peers_is_linked(peers, number[2]));
	assert_int_equal(n_came, 2);
	assert_int_equal(came[0], number[1]);
	assert_int_equal(came[1], number[3]);
	link_make(2);
	say(2);
	turns(4);
	assert_int_equal(came[2], number[2]);
	/* one in place of another */
	close(end[2]);
	link_make(2);
	assert_int_equal(n_ended, 2);
	assert_int_equal(ended[1], number[2]);
}

/* Bad messages are counted for a second; too many end the link. */
static void
test_bad(void **state)
{
	for (int n = 0; n < MESSAGE_BAD_MAX - 1; n++)
		assert_false(peers_bad(peers, number[3], 5000, "of a test"));
	assert_false(
	    peers_bad(peers, number[3], 5000 + MESSAGE_BAD_MS, "of a test"));
	for (int n = 0; n < MESSAGE_BAD_MAX - 2; n++)
		assert_false(peers_bad(
		    peers, number[3], 5001 + MESSAGE_BAD_MS, "of a test"));
	assert_true(peers_is_linked(peers, number[3]));
	assert_true(
	    peers_bad(peers, number[3], 5002 + MESSAGE_BAD_MS, "of a test"));
	assert_false(peers_is_linked(peers, number[3]));
	assert_true(peers_is_linked(peers, number[2]));
	assert_int_equal(n_ended, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_numbers, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_ended, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_bad, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
