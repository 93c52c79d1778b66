/*
 * The lock word is written in the kernel's own format for robust futexes
 * (Documentation/locking/robust-futexes): when its owner ends, the kernel
 * writes FUTEX_OWNER_DIED and wakes a waiter, no matter which other processes
 * are stopped or dead. All that the kernel reads for that lies in private
 * memory.
 */
#include <linux/futex.h>
#include <sys/syscall.h>

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "heads.h"
#include "hub/journal.h"
#include "hub/line.h"
#include "hub/lock.h"

enum {
	/* Looks at a lock that is taken before its taker sleeps: it is held
	 * for some 100 ns, and sleep and wake-up cost microseconds. Measured:
	 * four publishers on two cores slept 10,000 to 29,000 times in 250,000
	 * publications without, some 1,000 times with; 1,320 and 1,118 ns of
	 * CPU time each. */
	LOCK_SPINS = 100,
	/* How long a free lock is left to the worker that has waited for
	 * LOCK_TURNS. Longer: a pause if that worker is stopped or gets no
	 * processor; shorter: on a busy machine that worker is passed over. */
	LOCK_PATIENCE_MS = 5,
	/* After so many waits that ended early the waiter checks whom the word
	 * names, as after a whole slice. */
	LOCK_LOOKS = 16,
	/* Life signs of a worker that the word names, while nothing else
	 * changes, that prove that it does not hold the lock: holders give
	 * none. Fewer: the worker may have given them before it took the
	 * lock. */
	LOCK_TICKS = 2
};

/* What a waiter has seen of the worker that the word names. */
struct lock_sight {
	uint32_t word, turns;
	uint64_t tick;
};

/*
 * The kernel looks at list_op_pending + futex_offset when this process ends.
 * There is one lock: it is `pending` from before it is wanted until it has
 * been given back, and never in the list. So there is no moment in which the
 * word has this process's id and the kernel does not know.
 */
static struct robust_list_head lock_robust;

void
lock_reset(struct hub *h)
{
	SHM_STORE(h->lock->word, 0);
	SHM_STORE(h->lock->since, 0);
	for (int i = 0; i < SHM_LINES; i++)
		SHM_STORE(h->line[i].thread, 0);
}

void
lock_become(struct hub *h)
{
	lock_robust.list.next = &lock_robust.list;
	lock_robust.futex_offset = 0;
	lock_robust.list_op_pending = NULL;
	/* If that is refused, a dead owner is found by its line. */
	(void)syscall(SYS_set_robust_list, &lock_robust, sizeof(lock_robust));
	h->thread = (uint32_t)gettid();
	SHM_STORE(h->mine->thread, h->thread);
}

/* Tells the kernel which word to look at when this process ends; NULL: none. */
static void
lock_pending(void *word)
{
	atomic_signal_fence(memory_order_seq_cst);
	*(void *volatile *)&lock_robust.list_op_pending = word;
	atomic_signal_fence(memory_order_seq_cst);
}

/* The futex bit of a worker that sleeps; two workers share each bit. */
static uint32_t
lock_bit(uint32_t worker)
{
	return 1u << worker % 32;
}

/* Waits until the word changes or is given back. False: all of ms passed. */
static bool
lock_sleep(struct hub *h, uint32_t word, long ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += ms * 1000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return syscall(SYS_futex, &h->lock->word, FUTEX_WAIT_BITSET, word, &t,
		   NULL, lock_bit((uint32_t)h->self)) == 0 ||
	    errno != ETIMEDOUT;
}

/* Wakes one sleeping worker with one of these bits; false: there is none. */
static bool
lock_wake(struct hub *h, uint32_t bits)
{
	return syscall(SYS_futex, &h->lock->word, FUTEX_WAKE_BITSET, 1, NULL,
		   NULL, bits) == 1;
}

/* Wakes who has waited longest. */
static void
lock_wake_first(struct hub *h)
{
	(void)lock_wake(h, lock_bit(SHM_LOAD(h->lock->first)));
}

/* Whether a word says that the lock is free. This process does not hold it
 * when it asks: its own id is a remnant, or another process's error. */
static bool
lock_is_free(const struct hub *h, uint32_t word)
{
	uint32_t owner = word & FUTEX_TID_MASK;

	return owner == 0 || owner == h->thread;
}

/* Takes the lock if the word is still that one. */
static bool
lock_take(struct hub *h, uint32_t word, uint32_t waiters)
{
	return atomic_compare_exchange_strong(&h->lock->word, &word,
	    h->thread | (word & FUTEX_WAITERS) | waiters);
}

/* Whether a waiter has waited for so many turns that all who have waited for
 * fewer than `age` leave the lock to that one. */
static bool
lock_is_owed(const struct hub *h, uint32_t age)
{
	uint32_t since = SHM_LOAD(h->lock->since);
	uint32_t waited = SHM_LOAD(h->lock->turns) - since;

	return since != 0 && waited > LOCK_TURNS && waited > age + 1;
}

/* The line of the worker with that thread, or -1. In tests one process is
 * several workers: the one that wants the lock comes first. */
static int
lock_line(const struct hub *h, uint32_t thread)
{
	int found = -1;

	for (int i = 0; i < SHM_LINES && thread != 0; i++) {
		if (SHM_LOAD(h->line[i].thread) != thread)
			continue;
		if (SHM_LOAD(h->line[i].lock_state) == LOCK_WANTED)
			return i;
		if (found == -1)
			found = i;
	}
	return found;
}

/*
 * Takes the lock if the word is corrupted: it names no worker's thread (the
 * master clears a dead worker's line when it reaps it), or a worker that gives
 * life signs while the word and the number of turns stay the same.
 */
static bool
lock_rescue(struct hub *h, struct lock_sight *sight)
{
	uint32_t word = SHM_LOAD(h->lock->word);
	uint32_t turns = SHM_LOAD(h->lock->turns);
	int line = lock_line(h, word & FUTEX_TID_MASK);
	uint64_t tick;

	if (line == -1)
		return lock_take(h, word, FUTEX_WAITERS);
	tick = SHM_LOAD(h->line[line].tick);
	if (sight->word == word && sight->turns == turns)
		return tick - sight->tick >= LOCK_TICKS &&
		    lock_take(h, word, FUTEX_WAITERS);
	*sight = (struct lock_sight){word, turns, tick};
	return false;
}

/* Stores in `since` the worker that has waited longest and has not missed its
 * turn. */
static void
lock_queue(struct hub *h)
{
	uint32_t turns = SHM_LOAD(h->lock->turns), since = 0, age, most = 0;
	uint32_t limit = turns - SHM_LOAD(h->lock->passed), first = 0;

	for (uint32_t i = 0; i < SHM_LINES; i++) {
		if (SHM_LOAD(h->line[i].lock_state) != LOCK_WAITING)
			continue;
		age = turns - SHM_LOAD(h->line[i].wait_turn);
		if (age < limit && age >= most) {
			most = age;
			since = (turns - age) | 1;
			first = i;
		}
	}
	SHM_TELL(h->lock->first, first);
	SHM_TELL(h->lock->since, since);
}

/* The lock was free, and the worker that has waited longest did not take it: it
 * is stopped, or dead. The others do not leave the lock to it any more. */
static void
lock_pass_over(struct hub *h)
{
	SHM_TELL(h->lock->passed, SHM_LOAD(h->lock->turns));
	lock_queue(h);
}

/* Takes the lock if it is free and not left to others that have waited for
 * longer. */
static bool
lock_try(struct hub *h, uint32_t age, uint32_t waiters)
{
	uint32_t word = SHM_LOAD(h->lock->word);

	return lock_is_free(h, word) && !lock_is_owed(h, age) &&
	    lock_take(h, word, waiters);
}

/* lock_try() of a worker that is waiting already: others may wait, too. */
static bool
lock_try_again(struct hub *h)
{
	return lock_try(h,
	    SHM_LOAD(h->lock->turns) - SHM_OWN(h->mine->wait_turn),
	    FUTEX_WAITERS);
}

/* Waits for at most a slice. False: the word has not changed. */
static bool
lock_await(struct hub *h)
{
	uint32_t word = SHM_LOAD(h->lock->word);
	uint32_t turns = SHM_LOAD(h->lock->turns);
	bool free = lock_is_free(h, word);

	if (free) {
		lock_queue(h);
		if (!lock_is_owed(h, turns - SHM_OWN(h->mine->wait_turn)))
			return true;
	}
	if (!(word & FUTEX_WAITERS) &&
	    !atomic_compare_exchange_strong(
		&h->lock->word, &word, word | FUTEX_WAITERS))
		return true;
	if (free)
		lock_wake_first(h); /* the worker that is owed the lock may
				     * sleep, and no owner will wake it */
	if (lock_sleep(h, word | FUTEX_WAITERS,
		free ? LOCK_PATIENCE_MS : LOCK_SLICE_MS))
		return true;
	if (free && SHM_LOAD(h->lock->turns) == turns)
		lock_pass_over(h);
	return false;
}

/* Waits in slices, until this worker has the lock; the slices show the watchdog
 * that it waits and is not hung. */
static void
lock_wait(struct hub *h)
{
	struct lock_sight sight = {0};
	unsigned n = 0;

	SHM_STORE(h->mine->wait_turn, SHM_LOAD(h->lock->turns));
	SHM_STORE(h->mine->lock_state, LOCK_WAITING);
	if (SHM_LOAD(h->lock->since) == 0)
		lock_queue(h);
	while (!lock_try_again(h)) {
		if ((!lock_await(h) || ++n % LOCK_LOOKS == 0) &&
		    lock_rescue(h, &sight))
			break;
		line_tick(h);
	}
	SHM_STORE(h->mine->lock_state, LOCK_WANTED);
	lock_queue(h);
}

/* A moment for the other one. */
static inline void
relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ __volatile__("yield");
#endif
}

/* Takes the lock if it becomes free within some looks. */
static bool
lock_spin(struct hub *h)
{
	for (int n = 0; n < LOCK_SPINS; n++) {
		relax();
		if (lock_try(h, 0, 0))
			return true;
	}
	return false;
}

void
hub_lock(struct hub *h)
{
	SHM_STORE(h->mine->lock_state, LOCK_WANTED);
	lock_pending(&h->lock->word);
	if ((lock_is_owed(h, 0) || !lock_take(h, 0, 0)) && !lock_spin(h))
		lock_wait(h);
	KILL_POINT();
	SHM_TELL(h->lock->turns, SHM_OWN(h->lock->turns) + 1);
	journal_redo(h);
}

/* Gives back a lock that others wait for, or whose word is corrupted: then
 * waiters find out whether it is another worker's or free. */
static void
lock_pass(struct hub *h)
{
	uint32_t word = SHM_LOAD(h->lock->word);

	while ((word & FUTEX_TID_MASK) == h->thread &&
	    !atomic_compare_exchange_strong(&h->lock->word, &word, 0))
		;
	KILL_POINT();
	if (lock_is_owed(h, 0))
		lock_wake_first(h);
	else if (!lock_wake(h, FUTEX_BITSET_MATCH_ANY))
		lock_queue(h); /* the worker that was woken may not run yet */
}

void
hub_unlock(struct hub *h)
{
	uint32_t word = h->thread;

	KILL_POINT();
	if (!atomic_compare_exchange_strong(&h->lock->word, &word, 0))
		lock_pass(h);
	lock_pending(NULL);
	SHM_STORE(h->mine->lock_state, LOCK_NONE);
}

int
lock_holder(const struct hub *h)
{
	return lock_line(h, SHM_LOAD(h->lock->word) & FUTEX_TID_MASK);
}
