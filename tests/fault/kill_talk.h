/* kill_talk: a talker's worker, and perhaps a reader of the journal in the same
 * process, that die at each kill point on the way; so do their successors. */
#ifndef CHATD_TESTS_KILL_TALK_H
#define CHATD_TESTS_KILL_TALK_H

#include "../unit/talker.h"
#include "kill_points.h"

#include "hub/lock.h"

enum { TALK_TURNS = 300 };

/* What the process does: turns of its worker, `node`, until nothing is left to
 * do; `next`: it follows one that has died. True: all is done. */
typedef bool talk_act(struct talker *t, struct node *node, bool next);

/* A process that acts, and dies at kill point n if it gets there: true. */
static inline bool
talk_killed(struct talker *t, talk_act *act, bool next, uint64_t n)
{
	struct node *node = t->n;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid != 0)
		return child_was_killed(pid);
	child_signals();
	hub_become(&t->n->h, 0); /* its own thread, for the lock */
	kill_point_arm(n, SIGKILL);
	if (next) {
		hub_lock(&t->n->h); /* as takeover() does */
		hub_unlock(&t->n->h);
		node = talk_take_over(t);
	}
	_exit(act(t, node, next) ? 0 : 1);
}

/* All is said; who carries it out dies, and in the end one gets through. False:
 * there are not so many points. */
static inline bool
talk_die(struct talker *t, talk_act *act, const struct deaths *d)
{
	bool died;

	talk_send(t, TALK_MAX);
	died = talk_killed(t, act, false, d->n);
	if (died && d->again != 0)
		(void)talk_killed(t, act, true, d->again);
	if (died)
		assert_false(talk_killed(t, act, true, 0));
	return died;
}

/* Hears all that is left to be heard: each answer, and so many pushes. */
static inline void
talk_heard_all(struct talker *t, uint32_t pushes)
{
	while (t->answered < t->asked || t->pushes < pushes)
		assert_true(talk_listen(t, 5000));
	assert_false(talk_listen(t, 0));
	assert_int_equal(t->answered, t->asked);
	assert_int_equal(t->pushes, pushes);
}

#endif
