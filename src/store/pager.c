/* pager: the process that finds stored publications for workers, by a
 * connection of its own: no commit makes it wait. It changes nothing, so that
 * it may be killed at any time: workers ask the next one again. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "answer.h"
#include "base/clock.h"
#include "base/log.h"
#include "check.h"
#include "codec/birth.h"
#include "hub/figures.h"
#include "net/link.h"
#include "store/kinds.h"

enum {
	PAGER_WAIT_MS = 100, /* life signs */
	PAGER_OPEN_MS = 100, /* between tries to open the database */
	/* Between looks whether the writer has begun another database. Larger:
	 * pages of the old one are told for longer; smaller: more system
	 * calls. */
	PAGER_LOOK_MS = 1000,
	/* Bytes of the write-ahead log with which a check is ended. Larger: it
	 * takes more of the disk; smaller: large databases under traffic are
	 * not checked to their end. */
	PAGER_WAL_MAX = 256 * 1024 * 1024,
	/* Between lines of the log of the same kind, which workers may cause.
	 * Larger: less is told; smaller: a hostile one fills the log. */
	PAGER_TELL_MS = 10000
};

/* Workers' links, and the master's behind them. */
enum { PAGER_MASTER = SHM_WORKERS, PAGER_LINKS };

static struct pager {
	struct child_start *start;
	const struct birth_store *birth;
	struct store *store; /* NULL: it is not open */
	dev_t dev;	     /* the file that is open */
	ino_t ino;
	uint64_t open_ms, look_ms; /* when to try, and to look, next */
	uint64_t told_ms;      /* since when nothing is said of that again, */
	uint64_t ignored_ms;   /* or of messages that were ignored */
	bool checked;	       /* or need not be */
	int link[PAGER_LINKS]; /* -1: none */
	struct asker asker[PAGER_LINKS];
} pager;

/* The database is spoiled, which is told once. */
static void
pager_damaged(struct pager *p, const char *why)
{
	if (SHM_LOAD(p->start->line->hand) == HAND_DAMAGED)
		return;
	SHM_TELL(p->start->line->hand, HAND_DAMAGED);
	log_error("the database is damaged: %s: what lies in its damaged pages "
		  "cannot be read, see DIAGNOSTICS in chatd-store(5)",
	    why);
}

/* Whether a line of a kind may be logged now, the last of which was at *last.
 */
static bool
pager_may_tell(uint64_t *last)
{
	const uint64_t now = clock_ms();

	if (*last != 0 && now - *last < PAGER_TELL_MS)
		return false;
	*last = now;
	return true;
}

/* Tells what is wrong with the database, which is open. */
static void
pager_tell(struct pager *p, enum store_result r)
{
	if (r == STORE_DAMAGED)
		pager_damaged(p, store_error(p->store));
	else if (r != STORE_OK && r != STORE_NONE &&
	    pager_may_tell(&p->told_ms))
		log_warn(
		    "a question is not answered: %s", store_error(p->store));
}

/* In what takes long. */
static void
pager_tick(void *arg)
{
	const struct pager *p = arg;

	child_tick(p->start);
}

/* The file that is there now; false: there is none. */
static bool
pager_file(const struct pager *p, dev_t *dev, ino_t *ino)
{
	struct stat st;

	if (stat(p->birth->path, &st) == -1)
		return false;
	*dev = st.st_dev;
	*ino = st.st_ino;
	return true;
}

/* Opens the database, if the writer has made it. */
static void
pager_open(struct pager *p, uint64_t now)
{
	const struct store_options o = {.path = p->birth->path,
	    .use = STORE_READS,
	    .search = p->birth->search,
	    .tick = pager_tick,
	    .arg = p};
	char error[1024];
	struct store_mark mark;
	bool damaged;

	p->open_ms = now + PAGER_OPEN_MS;
	if (!pager_file(p, &p->dev, &p->ino))
		return;
	if (store_open(&p->store, &o, &mark, &damaged, error, sizeof(error)) ==
	    0) {
		log_debug("pages are read from %s", p->birth->path);
		p->look_ms = now + PAGER_LOOK_MS;
		return;
	}
	p->store = NULL;
	if (damaged)
		pager_damaged(p, error);
	else if (pager_may_tell(&p->told_ms))
		log_debug("pages cannot be read yet: %s", error);
}

/* The writer has moved a damaged one aside, and begun another one, or another
 * log. */
static void
pager_look(struct pager *p, uint64_t now)
{
	dev_t dev;
	ino_t ino;

	p->look_ms = now + PAGER_LOOK_MS;
	if (!pager_file(p, &dev, &ino) ||
	    (dev == p->dev && ino == p->ino &&
		store_look(p->store) == STORE_OK))
		return;
	store_close(p->store);
	p->store = NULL;
	SHM_TELL(p->start->line->hand, HAND_NOTHING);
	pager_open(p, now);
}

/* After an end that was not clean, which the writer tells, the database is
 * checked beside all else. */
static void
pager_check(struct pager *p)
{
	const struct figures *f = figures_of(p->start->hub);
	const char *why;
	enum store_result r;

	if (!p->checked && p->store != NULL &&
	    SHM_LOAD(f->state) == FIGURES_OK) {
		p->checked = true;
		if (SHM_LOAD(f->unclean_ms) != 0 &&
		    !check_begin(p->birth->path))
			log_warn("the database is not checked: no thread");
	}
	if (SHM_LOAD(f->wal_bytes) > PAGER_WAL_MAX)
		check_stop();
	r = check_ended(&why);
	if (r == STORE_OK)
		log_info("the database is sound, after an end that was not "
			 "clean");
	else if (r == STORE_DAMAGED)
		pager_damaged(p, why);
	else if (r != STORE_NONE)
		log_warn("the database could not be checked: %s", why);
}

/* What the master says to it besides what it says to all: links. */
static void
pager_link_take(void *arg, int type, const void *payload, size_t len, int fd)
{
	struct pager *p = arg;
	struct message_link link;

	if (type == MSG_LINK) {
		memcpy(&link, payload, sizeof(link));
		if (link.peer < SHM_WORKERS) {
			if (p->link[link.peer] != -1)
				close(p->link[link.peer]);
			p->link[link.peer] = fd;
			p->asker[link.peer].unread = 0;
			return;
		}
	}
	if (fd != -1)
		close(fd);
}

/* Whether a question is one that nobody waits for any more. */
static bool
pager_is_late(const void *payload)
{
	struct message_ask ask;

	memcpy(&ask, payload, sizeof(ask));
	return (uint32_t)clock_ms() - ask.asked_ms > ASK_WAIT_MS;
}

/* Answers what has come over a worker's link, which may be hostile. */
static void
pager_serve(struct pager *p, int worker)
{
	struct link_datagram d[LINK_BATCH];
	const int link = p->link[worker], n = link_receive(link, d);
	const void *payload;
	const char *why;
	size_t len;

	for (int k = 0; k < n; k++) {
		if (message_check(d[k].bytes, d[k].len, d[k].n_fds, PARTY_ASKER,
			&payload, &len, &why) == MSG_ASK) {
			if (!pager_is_late(payload))
				pager_tell(p,
				    answer_ask(p->store, payload, link,
					&p->asker[worker]));
		} else if (pager_may_tell(&p->ignored_ms))
			log_warn(
			    "message from worker %d ignored: %s", worker, why);
		if (d[k].fd != -1)
			close(d[k].fd);
		child_tick(p->start);
	}
	if (n < 0) {
		close(link);
		p->link[worker] = -1;
	}
}

/* Waits for questions; until the database is open they wait in their links.
 * What is no link is left out: poll() takes no more places than there may be
 * open files. */
static void
pager_wait(struct pager *p)
{
	struct pollfd wait[PAGER_LINKS];
	int link[PAGER_LINKS], ready;
	nfds_t n = 0;

	for (int k = p->store != NULL ? 0 : PAGER_MASTER; k < PAGER_LINKS; k++)
		if (p->link[k] != -1) {
			link[n] = k;
			wait[n++] = (struct pollfd){p->link[k], POLLIN, 0};
		}
	ready = poll(wait, n, PAGER_WAIT_MS);
	if (ready == -1 && errno != EINTR)
		log_fatal("poll() of %u links failed: %s", (unsigned)n,
		    strerror(errno));
	if (ready <= 0)
		return;
	for (nfds_t k = 0; k < n; k++)
		if (wait[k].revents != 0 && link[k] != PAGER_MASTER)
			pager_serve(p, link[k]);
}

/* What is due by the clock. */
static void
pager_due(struct pager *p)
{
	const uint64_t now = clock_ms();

	if (p->store == NULL && now >= p->open_ms)
		pager_open(p, now);
	else if (p->store != NULL && now >= p->look_ms)
		pager_look(p, now);
	pager_check(p);
}

void
store_read_main(struct child_start *start)
{
	struct pager *p = &pager;

	p->start = start;
	p->birth = start->birth;
	for (int k = 0; k < PAGER_LINKS; k++)
		p->link[k] = -1;
	p->link[PAGER_MASTER] = start->link;
	SHM_TELL(start->line->hand, HAND_NOTHING);
	child_hello(start);
	while (!child_read(start, pager_link_take, p)) {
		child_tick(start);
		log_more();
		pager_due(p);
		pager_wait(p);
	}
	child_leave();
}
