/* adoption: a worker that is to go on with a dead one's connections and cannot,
 * or can do only a part of it. */
#include "chat_fixture.h"

#include <fcntl.h>
#include <stdio.h>

#include "../../src/worker/private.h"
#include "codec/message.h"
#include "hub/lock.h"
#include "hub/presence.h"
#include "net/custody.h"
#include "net/link.h"

enum { DEAD = 1, GENERATION = 7 };

/* Worker 0, and a connection of worker 1, which is dead. */
struct scene {
	struct hub h;
	struct worker *w;
	struct worker_start start;
	struct node *dead;
	uint32_t i;
	int client, pair[2]; /* the master's link */
};

static void
scene_begin(struct scene *s)
{
	memset(s, 0, sizeof(*s));
	fixture_hub(&s->h, 64, 100, 1 << 20, 4 << 20, 1 << 20);
	s->dead = node_new(&s->h, DEAD);
	s->i = node_open(s->dead, "alice", &s->client);
	s->w = calloc(1, sizeof(*s->w));
	s->w->chat = node_new(&s->h, 0)->ch;
	s->w->start = &s->start;
	assert_int_equal(link_pair(s->pair), 0);
	s->start.control = s->pair[0];
	control_init(s->w);
}

static void
scene_end(struct scene *s)
{
	close(s->client);
	close(s->pair[0]);
	close(s->pair[1]);
	free(s->w);
	hub_destroy(&s->h);
}

/* The order to adopt, with that descriptor. */
static void
scene_adopt(struct scene *s, int fd)
{
	const struct message_adopt what = {
	    .worker = DEAD, .generation = GENERATION, .last = 1};

	adoption_order(&what, fd);
}

/* The worker's answer. */
static struct message_cleaned
scene_answer(struct scene *s)
{
	struct link_datagram d[LINK_BATCH];
	struct message_cleaned done;
	struct message_head head;

	assert_int_equal(link_receive(s->pair[1], d), 1);
	memcpy(&head, d[0].bytes, sizeof(head));
	assert_int_equal(head.type, MSG_CLEANED);
	assert_int_equal(d[0].len, sizeof(head) + sizeof(done));
	memcpy(&done, (const char *)d[0].bytes + sizeof(head), sizeof(done));
	assert_int_equal(done.worker, DEAD);
	assert_int_equal(done.generation, GENERATION);
	return done;
}

/* The connection is the dead worker's still, for the next try. */
static void
assert_stays(struct scene *s, const struct message_cleaned *done)
{
	assert_int_equal(done->taken, 0);
	assert_int_equal(done->left, 1);
	assert_int_equal(done->full, 1);
	assert_int_equal(slot_state(&s->h, s->i), SLOT_OPEN);
	assert_int_equal(slot_worker(&s->h, s->i), DEAD);
	assert_true(adoption_is_idle());
}

/* The link cannot be watched, as if epoll had no more room: whose sockets there
 * are is not known, so nothing is given up. */
static void
cannot_watch(void **state)
{
	struct message_cleaned done;
	struct scene s;

	scene_begin(&s);
	scene_adopt(&s, fileno(tmpfile())); /* EPERM */
	done = scene_answer(&s);
	assert_stays(&s, &done);
	scene_end(&s);
}

/* The order has lost its link: it is answered all the same. */
static void
link_lost(void **state)
{
	const struct message_adopt what = {
	    .worker = DEAD, .generation = GENERATION, .last = 1};
	struct message_cleaned done;
	struct scene s;

	scene_begin(&s);
	adoption_refuse(&what);
	done = scene_answer(&s);
	assert_stays(&s, &done);
	/* with nothing to go on with there is still something to clean */
	conn_drop(&s.dead->ch, s.i, NULL);
	chat_turn(&s.dead->ch);
	adoption_refuse(&what);
	done = scene_answer(&s);
	assert_int_equal(done.full, 1);
	assert_true(done.left > 0);
	scene_end(&s);
}

/* How many more connections the worker has room for, as the test says. */
static uint32_t room;

static uint32_t
room_of_test(const struct chat *ch)
{
	return room;
}

static struct worker *answering; /* whose link answers go to */

static bool
cleaned_of_test(struct chat *ch, const struct message_cleaned *done)
{
	return link_send(answering->start->control, MSG_CLEANED, done,
		   sizeof(*done), -1) == 0;
}

/* Begins an adoption with so much room; returns the giver's end. */
static int
scene_give(struct scene *s, uint32_t n)
{
	static const struct adoption_host host = {
	    .room = room_of_test, .cleaned = cleaned_of_test};
	int fd[2];

	room = n;
	answering = s->w;
	adoption_init(&s->w->chat, &host);
	assert_int_equal(custody_pair(fd), 0);
	scene_adopt(s, fd[0]);
	return fd[1];
}

/* What the worker asks for; 0: it does not. */
static uint32_t
scene_asked(int giver)
{
	static struct custody_note note;
	int fd[CUSTODY_MAX];

	if (custody_receive(giver, &note, fd) != 1)
		return 0;
	assert_int_equal(note.type, CUSTODY_ROOM);
	return (uint32_t)note.id[0];
}

/* Sends a note to the worker, which takes it up. */
static void
scene_note(
    struct scene *s, int giver, const struct custody_note *note, const int *fd)
{
	assert_int_equal(custody_send(giver, note, fd), 0);
	event_base_loop(s->w->chat.base, EVLOOP_NONBLOCK);
}

/* A connection goes on here. The giver is asked for as many as there is room
 * for, and for more only when these are taken up; when it has no more the dead
 * worker is cleaned up after. */
static void
takes_what_it_asked_for(void **state)
{
	const struct custody_note all = {.type = CUSTODY_DONE};
	struct custody_note note = {.type = CUSTODY_KEEP, .n = 1};
	struct message_cleaned done;
	struct scene s;
	int giver;

	scene_begin(&s);
	giver = scene_give(&s, 7);
	assert_int_equal(scene_asked(giver), 7);
	adoption_turn();
	assert_int_equal(scene_asked(giver), 0);
	room = CUSTODY_MAX + 1;
	note.id[0] = slot_id(&s.h, s.i);
	scene_note(&s, giver, &note, &s.dead->ch.conn[s.i].fd);
	assert_int_equal(slot_worker(&s.h, s.i), 0);
	assert_int_equal(s.w->chat.conn[s.i].phase, CONN_OPEN);
	assert_int_equal(scene_asked(giver), CUSTODY_MAX);
	scene_note(&s, giver, &all, NULL);
	done = scene_answer(&s);
	assert_int_equal(done.taken, 1);
	assert_int_equal(done.left, 0);
	assert_int_equal(done.full, 0);
	assert_int_equal(done.ended, 0);
	assert_true(adoption_is_idle());
	close(giver);
	scene_end(&s);
}

/* The giver is gone: what it had not given is nobody's loss, its family has it
 * still. */
static void
giver_dies(void **state)
{
	struct message_cleaned done;
	struct scene s;
	int giver;

	scene_begin(&s);
	giver = scene_give(&s, 7);
	close(giver);
	event_base_loop(s.w->chat.base, EVLOOP_NONBLOCK);
	done = scene_answer(&s);
	assert_int_equal(done.taken, 0);
	assert_int_equal(done.left, 1);
	assert_int_equal(done.full, 0);
	assert_int_equal(done.ended, 1);
	assert_int_equal(slot_state(&s.h, s.i), SLOT_OPEN);
	assert_int_equal(slot_worker(&s.h, s.i), DEAD);
	assert_true(adoption_is_idle());
	scene_end(&s);
}

/* The giver has given all that it had: a connection without a socket is
 * lost. */
static void
lost_at_the_last(void **state)
{
	const struct custody_note all = {.type = CUSTODY_DONE};
	struct message_cleaned done;
	struct scene s;
	int giver;

	scene_begin(&s);
	giver = scene_give(&s, 7);
	scene_note(&s, giver, &all, NULL);
	done = scene_answer(&s);
	assert_int_equal(done.left, 0);
	assert_int_equal(done.ended, 0);
	assert_int_equal(slot_state(&s.h, s.i), SLOT_FREE);
	close(giver);
	scene_end(&s);
}

/* Without room nothing is asked for: it stays where it was. */
static void
no_room(void **state)
{
	struct message_cleaned done;
	struct scene s;
	int giver;

	scene_begin(&s);
	giver = scene_give(&s, 0);
	assert_int_equal(scene_asked(giver), 0);
	done = scene_answer(&s);
	assert_stays(&s, &done);
	assert_int_equal(done.ended, 0);
	close(giver);
	scene_end(&s);
}

/* There was no room for more, and no more was left: the dead worker is cleaned
 * up after. */
static void
full_at_the_last(void **state)
{
	const struct custody_note all = {.type = CUSTODY_DONE};
	struct message_cleaned done;
	struct scene s;
	int fd[2];

	scene_begin(&s);
	conn_drop(&s.dead->ch, s.i, NULL);
	chat_turn(&s.dead->ch);
	hub_lock(&s.dead->h);
	presence_set(&s.dead->h, PRESENCE_LOBBY);
	hub_unlock(&s.dead->h);
	assert_int_equal(presence_mask(&s.h, PRESENCE_LOBBY), 1 << DEAD);
	assert_int_equal(custody_pair(fd), 0);
	scene_adopt(&s, fd[0]);
	/* a note that has lost its descriptors is taken for want of room */
	assert_int_equal(send(fd[1], "x", 1, 0), 1);
	assert_int_equal(custody_send(fd[1], &all, NULL), 0);
	event_base_loop(s.w->chat.base, EVLOOP_NONBLOCK);
	event_base_loop(s.w->chat.base, EVLOOP_NONBLOCK);
	done = scene_answer(&s);
	assert_int_equal(done.left, 0);
	assert_int_equal(presence_mask(&s.h, PRESENCE_LOBBY), 0);
	close(fd[1]);
	scene_end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(cannot_watch),
	    cmocka_unit_test(link_lost),
	    cmocka_unit_test(takes_what_it_asked_for),
	    cmocka_unit_test(giver_dies),
	    cmocka_unit_test(lost_at_the_last),
	    cmocka_unit_test(no_room),
	    cmocka_unit_test(full_at_the_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
