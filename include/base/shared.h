/*
 * shared: stores and loads of memory that other processes have, too, and kill
 * points: places at which a process of a test build (VARIANT=kill) can be made
 * to die. How such memory is used is said in hub/shm.h. Layer 0.
 */
#ifndef CHATD_BASE_SHARED_H
#define CHATD_BASE_SHARED_H

#include <stdatomic.h>
#include <stdint.h>

#ifdef CHATD_KILL_POINTS
/* `place` is a word of this point's own, 0 at first. */
void kill_point(uint32_t *place, const char *file, int line);
/* Dies of sig at the n-th kill point from now; 0 disarms. Returns how many
 * were passed since the last call. */
uint64_t kill_point_arm(uint64_t n, int sig);
/* Counts those in one file alone, such as "journal.c"; NULL: all. */
void kill_point_only(const char *file);
#define KILL_POINT()                                         \
	do {                                                 \
		static uint32_t kill_place;                  \
		kill_point(&kill_place, __FILE__, __LINE__); \
	} while (0)
#else
#define KILL_POINT() ((void)0)
#endif

#define SHM_STORE(field, value)                               \
	do {                                                  \
		atomic_store_explicit(                        \
		    &(field), (value), memory_order_release); \
		KILL_POINT();                                 \
	} while (0)
#define SHM_LOAD(field) atomic_load_explicit(&(field), memory_order_acquire)
/* Of a word that only this process writes. */
#define SHM_OWN(field) atomic_load_explicit(&(field), memory_order_relaxed)
/* Reads a plain word once, so that the value that was checked is the one that
 * is used, though other processes may write meanwhile. */
#define SHM_ONCE(field) (*(const volatile __typeof__(field) *)&(field))
/*
 * After bytes were copied that another process may overwrite meanwhile, and
 * before the look at the word that says whether it did. An acquire fence is not
 * enough on x86-64: gcc and libc copy by `rep movs`, and what comes behind it
 * is read before its own reads are done (seen on an AMD EPYC: one of some
 * thousand copies of 1 KiB was torn; a locked instruction did not help, lfence
 * did).
 */
static inline void
shm_copied(void)
{
#if defined(__x86_64__)
	__builtin_ia32_lfence();
#endif
	atomic_thread_fence(memory_order_acquire);
}

/* Stores a word that no code relies on: for people and tests. */
#define SHM_TELL(field, value) \
	atomic_store_explicit(&(field), (value), memory_order_relaxed)
/* A counter with one writer, for statistics only. */
#define SHM_COUNT(field, n)    \
	atomic_store_explicit( \
	    &(field), SHM_OWN(field) + (n), memory_order_relaxed)

#endif
