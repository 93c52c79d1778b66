/* leave: a worker that retires leaves what its successor can go on with, and
 * waits for requests that only it knows; without a keeper it stays and gives
 * its sockets. */
#include "chat_fixture.h"

#include <sys/wait.h>

#include "../../src/worker/private.h"
#include "codec/message.h"
#include "conn/begin.h"
#include "conn/hold.h"
#include "conn/wait.h"
#include "net/custody.h"
#include "net/link.h"

enum { TABLE = 3, WAIT_MS = 5000 };

enum { OPEN, SILENT, HALF }; /* its connections */

/* Worker 0 with an open connection, one that has said nothing yet, and one that
 * has sent a part of its request. */
struct scene {
	struct hub h;
	struct worker *w;
	struct worker_start start;
	struct endpoints endpoints;
	int client[HALF + 1], pair[2]; /* pair: the master's link */
	uint32_t i[HALF + 1];
};

/* What they leave in this process stays in reach, or it would look like a
 * leak. */
static struct worker workers[8];
static int n_workers;

/* Turns until nothing comes any more. */
static void
scene_turn(struct scene *s)
{
	for (int k = 0; k < 3; k++) {
		assert_true(
		    event_base_loop(s->w->chat.base, EVLOOP_NONBLOCK) >= 0);
		chat_turn(&s->w->chat);
	}
}

static void
scene_begin(struct scene *s)
{
	const struct conf_live live = {.message_size = 65536,
	    .queue_bytes = 1 << 20,
	    .connection_channels = 128,
	    .ping_ms = 25000,
	    .pong_ms = 10000,
	    .handshake_ms = 10000,
	    .request_size = 8192};
	struct chat *ch;

	memset(s, 0, sizeof(*s));
	fixture_hub(&s->h, 64, 100, 1 << 20, 4 << 20, 1 << 20);
	s->h.table = TABLE;
	s->w = &workers[n_workers++];
	ch = &s->w->chat;
	s->w->start = &s->start;
	s->endpoints = endpoints_usual;
	s->start.endpoints = ch->endpoints = &s->endpoints;
	assert_int_equal(link_pair(s->pair), 0);
	s->start.control = s->pair[0];
	assert_int_equal(
	    chat_init(ch, &s->h, &live, loop_new(), batch_new(false)), 0);
	ch->endpoints = &s->endpoints;
	assert_true(chat_set_doors(ch, door_registry));
	control_init(s->w);
	for (int k = OPEN; k <= HALF; k++) {
		s->i[k] = client_comes(ch, &s->client[k]);
		conn_start(ch, s->i[k]);
	}
	assert_int_equal(conn_open(ch, s->i[OPEN], &plain_door, "alice", 5, "",
			     0, "101", 3, 0),
	    0);
	assert_int_equal(send(s->client[HALF], "GET / HT", 8, 0), 8);
	scene_turn(s);
	assert_int_equal(ch->conn[s->i[HALF]].request.len, 8);
}

static void
scene_end(struct scene *s)
{
	for (int k = OPEN; k <= HALF; k++)
		close(s->client[k]);
	close(s->pair[0]);
	close(s->pair[1]);
	hub_destroy(&s->h);
}

/* Whether a connection's slot claims its socket still. */
static bool
is_claimed(struct scene *s, int k, enum slot_state state)
{
	return slot_state(&s->h, s->i[k]) == state &&
	    slot_fd(&s->h, s->i[k]) == s->w->chat.conn[s->i[k]].fd;
}

/* A request that is half there is waited for, not for ever. What the next
 * worker can go on with stays as it is; what was read here alone is closed. */
static void
retires(void **state)
{
	struct pollfd p;
	struct scene s;

	scene_begin(&s);
	leave_retire(s.w, false);
	assert_false(leave_may_retire(s.w));
	s.w->chat.now_ms = s.w->retire_ms;
	assert_true(leave_may_retire(s.w));
	leave_forget(s.w);
	assert_true(is_claimed(&s, OPEN, SLOT_OPEN));
	assert_true(is_claimed(&s, SILENT, SLOT_ACCEPTED));
	assert_int_equal(slot_state(&s.h, s.i[HALF]), SLOT_FREE);
	p = (struct pollfd){s.client[HALF], POLLRDHUP, 0};
	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	p = (struct pollfd){s.client[SILENT], POLLRDHUP, 0};
	assert_int_equal(poll(&p, 1, 0), 0);
	scene_end(&s);
}

/* One that waits for another process has its answer first, whatever that is. */
static void
held_is_waited_for(void **state)
{
	struct scene s;
	struct chat *ch;

	scene_begin(&s);
	ch = &s.w->chat;
	leave_retire(s.w, false);
	conn_hold(ch, s.i[HALF]);
	ch->now_ms = s.w->retire_ms;
	assert_false(leave_may_retire(s.w));
	ch->now_ms += HOLD_RESULT_MS;
	assert_false(leave_may_retire(s.w));
	ch->now_ms += HOLD_ROWS_MS;
	assert_true(leave_may_retire(s.w));
	ch->now_ms = s.w->retire_ms;
	conn_hold_end(ch, s.i[HALF], HOLD_READY);
	assert_false(leave_may_retire(s.w));
	conn_wait(ch, s.i[HALF], false);
	assert_true(leave_may_retire(s.w));
	scene_end(&s);
}

/* Nobody waits for a client that says nothing. */
static void
silence_keeps_nobody(void **state)
{
	struct scene s;

	scene_begin(&s);
	conn_drop(&s.w->chat, s.i[HALF], NULL);
	assert_int_equal(s.w->chat.n_pending, 1);
	leave_retire(s.w, false);
	assert_true(leave_may_retire(s.w));
	scene_end(&s);
}

/* Who leaves for good drops that one, too. */
static void
stops(void **state)
{
	struct scene s;

	scene_begin(&s);
	leave_forget(s.w);
	assert_int_equal(slot_state(&s.h, s.i[SILENT]), SLOT_FREE);
	assert_int_equal(slot_state(&s.h, s.i[HALF]), SLOT_FREE);
	assert_true(is_claimed(&s, OPEN, SLOT_OPEN));
	scene_end(&s);
}

/* The next message of a worker. */
static int
scene_message(struct scene *s)
{
	struct pollfd p = {s->pair[1], POLLIN, 0};
	struct link_datagram d[LINK_BATCH];
	const void *payload;
	const char *why;
	size_t len;

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	assert_int_equal(link_receive(s->pair[1], d), 1);
	return message_check(d[0].bytes, d[0].len, d[0].n_fds, PARTY_WORKER,
	    &payload, &len, &why);
}

/* The next note from a worker that holds its sockets. */
static uint32_t
scene_note(int link, struct custody_note *note, int *fd)
{
	struct pollfd p = {link, POLLIN, 0};

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	assert_int_equal(custody_receive(link, note, fd), 1);
	return note->type;
}

/* Without a keeper it holds its sockets, and gives them as they are asked for,
 * to each that asks, until it is told to stop. */
static void
holds(void **state)
{
	static struct custody_note note;
	static int fd[CUSTODY_MAX];
	int link[2], status, k;
	struct scene s;
	pid_t pid;

	scene_begin(&s);
	leave_retire(s.w, true);
	assert_true(s.w->holds);
	leave_forget(s.w);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(s.pair[1]);
		leave_hold(s.w);
	}
	assert_int_equal(scene_message(&s), MSG_RETIRED);
	for (k = 0; k < 2; k++) {
		assert_int_equal(custody_pair(link), 0);
		assert_int_equal(
		    link_send(s.pair[1], MSG_GIVE_BACK, NULL, 0, link[0]), 0);
		close(link[0]);
		assert_int_equal(custody_ask(link[1], 1), 0);
		assert_int_equal(scene_note(link[1], &note, fd), CUSTODY_KEEP);
		assert_int_equal(note.n, 1);
		assert_true(note.id[0] == slot_id(&s.h, s.i[OPEN]));
		close(fd[0]);
		assert_int_equal(custody_ask(link[1], 10), 0);
		assert_int_equal(scene_note(link[1], &note, fd), CUSTODY_KEEP);
		assert_int_equal(note.n, 1);
		assert_true(note.id[0] == slot_id(&s.h, s.i[SILENT]));
		close(fd[0]);
		assert_int_equal(scene_note(link[1], &note, fd), CUSTODY_DONE);
		close(link[1]);
	}
	assert_int_equal(link_send(s.pair[1], MSG_STOP, NULL, 0, -1), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	scene_end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(retires),
	    cmocka_unit_test(held_is_waited_for),
	    cmocka_unit_test(silence_keeps_nobody),
	    cmocka_unit_test(stops),
	    cmocka_unit_test(holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
