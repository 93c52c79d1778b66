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
	    cmocka_unit_test(full_at_the_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
