/*
 * family: a worker (or a mover) and its two keepers, which share one table of
 * descriptors, so that no socket is lost while one of the three lives. A keeper
 * does nothing but clone, by order of the master, what is missing: a process
 * that executes the children's program anew, or the other keeper. Layer 5.
 *
 * Orders and process ids are in a page that only the master and keepers map,
 * and a process that has not read a client's byte yet. The kernel itself stores
 * a pid there, within clone() and before the child runs, so the page says for
 * certain what was carried out, whichever process has died meanwhile.
 *
 * What a process needs comes in notes over the family's link, which the master
 * sends before the order. Page and notes are a contract between two versions of
 * chatd: fields are only added, at the end.
 */
#ifndef CHATD_PROCESS_FAMILY_H
#define CHATD_PROCESS_FAMILY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct nursery;

enum {
	FAMILY_HOME = 3,    /* number of its end of the link to the master */
	FAMILY_RESERVE = 4, /* one that is closed when a number is needed */
	FAMILY_KEEPERS = 2,
	FAMILY_PAIRS = 2,    /* one that counts, one that comes or goes */
	FAMILY_REST_MAX = 64 /* descriptors in a note */
};

/* Exit statuses, besides 0: the master is gone. */
enum {
	FAMILY_FAILED = 76, /* it cannot begin, see the log; the table is
			     * as it was */
	FAMILY_SPOILT = 77  /* its table cannot be used any more */
};

enum family_what { FAMILY_PROCESS = 1, FAMILY_KEEPER, FAMILY_LEAVE };

/* The word of an order: its number above, which keeper it is about, what. */
enum {
	FAMILY_ORDER_NUMBER = 8,
	FAMILY_ORDER_ABOUT = 4,
	FAMILY_ORDER_BITS = 15
};

/* Of the filter of system calls that a family's first process makes and all
 * others inherit. Only where it is refused can a hostile process have made
 * others. */
enum family_confined {
	FAMILY_FILTER_COMES,
	FAMILY_FILTER_LOADED,
	FAMILY_FILTER_REFUSED
};

struct family_keeper {
	/* The newest order and the last one that was carried out, each in one
	 * word: an order that was overwritten before it was seen is not carried
	 * out, and none is twice. The master writes `done` only of a keeper
	 * that is not there. */
	_Atomic uint32_t order, done;
	_Atomic int32_t pid; /* stored by the kernel; 0: none */
};

struct family_page {
	uint32_t magic;
	_Atomic uint32_t cur; /* the pair that counts: keepers 2 cur, 2 cur + 1
			       */
	struct family_keeper keeper[FAMILY_PAIRS * FAMILY_KEEPERS];
	_Atomic int32_t process;       /* worker or mover */
	_Atomic uint32_t generation;   /* of the notes that it is to read */
	_Atomic int32_t master;	       /* whose children they are */
	_Atomic uint32_t confined;     /* enum family_confined */
	uint64_t home_dev, home_inode; /* of FAMILY_HOME */
	uint64_t stream_dev[3], stream_inode[3]; /* of standard streams */
	_Atomic uint64_t files; /* that each of them may have open, at least if
				 * its hard limit allows; 0: not told */
};

enum family_note_what {
	FAMILY_NOTE_PROGRAM = 1, /* to execute */
	FAMILY_NOTE_PASSPORT,
	FAMILY_NOTE_HUB,
	FAMILY_NOTE_REST, /* page, link, log, givers, listeners; which of them
			   * there are says the passport */
	FAMILY_NOTE_WIRE  /* behind FAMILY_NOTE_HUB: of a kind that gets it, if
			   * there is one */
};

struct family_note {
	uint32_t magic, generation, what, n; /* n: descriptors */
};

/* The first keeper of the pair that counts, and of the other one. */
static inline unsigned
family_pair(const struct family_page *p)
{
	return FAMILY_KEEPERS * (atomic_load(&p->cur) % FAMILY_PAIRS);
}

static inline unsigned
family_other_pair(const struct family_page *p)
{
	return FAMILY_KEEPERS - family_pair(p);
}

/* Makes a page, in a memory file of its own, for children of this process.
 * Returns the file, close-on-exec, or -1 and errno. */
int family_page_new(struct family_page **page);
/* Maps one that this or another program made; NULL and errno, EINVAL: it is no
 * such page. */
struct family_page *family_page_map(int fd);
void family_page_unmap(struct family_page *p);

/* Makes the family's link: fd[0] is the master's, fd[1] becomes FAMILY_HOME.
 * Both are close-on-exec. Returns 0, or -1 and errno. */
int family_home_pair(struct family_page *p, int fd[2]);

/* Gives keeper k an order (enum family_what); with FAMILY_KEEPER about the
 * keeper to be made. A keeper makes nothing whose pid's word (process, or
 * keeper[about].pid) is not 0. */
void
family_order(struct family_page *p, unsigned k, uint32_t what, unsigned about);
/* Whether keeper k has carried out what it was told. */
bool family_is_done(const struct family_page *p, unsigned k);
/* Keeper k is reaped, or never was: nobody has its word, and the next one does
 * not carry out what it was told. */
void family_keeper_clear(struct family_page *p, unsigned k);

/*
 * Sends one note (enum family_note_what) with its descriptors, at most
 * FAMILY_REST_MAX. Returns 0, or -1 and errno: EAGAIN: no room or memory now;
 * anything else: the table that has the other end is spoilt.
 */
int family_note_send(
    int home, uint32_t generation, uint32_t what, const int *fd, uint32_t n);
/*
 * Takes the next note of that generation, which must say `what` and have least
 * to most descriptors; notes of others are skipped. All that come are
 * close-on-exec. Returns how many, or -1 and errno: EAGAIN: there is none,
 * EPIPE: the master has gone, EMFILE: no number is free, EBADMSG: it is no such
 * note.
 */
int family_note_take(int home, uint32_t generation, uint32_t what, int *fd,
    uint32_t least, uint32_t most);

/*
 * The first process of a family: forked by the master, with the notes of
 * page->generation sent before. home: the end that becomes FAMILY_HOME, which
 * the master closes afterwards. Its pid is stored in the page, too. Returns the
 * pid, or -1 and errno.
 */
pid_t family_fork(const struct nursery *n, struct family_page *p, int home);

/* How a keeper clones. libc keeps its thread's id in that word, which the
 * kernel is to store then, too, if it says where the word is (else NULL). */
unsigned long family_clone_flags(int **thread);

/* Clones keeper k, which shares this process's table. False and errno: could
 * not. */
bool family_keeper_make(struct family_page *p, unsigned k);

/* In a clone, or in the first process: executes the program that the newest
 * notes bring. Ends with FAMILY_FAILED or FAMILY_SPOILT if it cannot. */
void family_execute(const struct family_page *p) __attribute__((noreturn));

/* The executed process of a family: takes its notes, makes its keepers, goes on
 * with its kind's main. */
void family_main(uint32_t generation) __attribute__((noreturn));

#endif
