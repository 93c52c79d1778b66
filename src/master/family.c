#include "family.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "children.h"
#include "hub/stats.h"
#include "member.h"
#include "private.h"
#include "process/process.h"

void
family_init(struct family *f, struct member *w)
{
	memset(f, 0, sizeof(*f));
	f->member = w;
	f->page_file = f->home = f->first_home = -1;
	for (int j = 0; j < FAMILY_KEEPERS; j++) {
		child_init(&f->keeper[j], child_row_of(CHILD_EACH_WORKER),
		    w->place, -1);
		f->keeper[j].master = w->master;
		f->keeper[j].ready = true;
	}
}

pid_t
family_pid(const struct family *f, int keeper)
{
	return f->page != NULL ? atomic_load(&f->page->keeper[keeper].pid) : 0;
}

void
family_kill(pid_t pid, const char *what)
{
	if (pid > 0)
		(void)process_kill(pid, what);
}

bool
family_names(const struct family *f, pid_t pid)
{
	if (f->page == NULL)
		return false;
	for (int k = 0; k < FAMILY_PAIRS * FAMILY_KEEPERS; k++)
		if (family_pid(f, k) == pid)
			return true;
	return atomic_load(&f->page->process) == pid;
}

int
family_keepers(const struct family *f)
{
	int n = 0;

	for (int j = 0; j < FAMILY_KEEPERS; j++)
		n += f->keeper[j].pid != 0;
	return n;
}

bool
family_holds(const struct family *f)
{
	return f->table != 0 && family_keepers(f) > 0;
}

/* The link has something to say, which is nothing that it should, or has
 * ended: those who die with it are waited for. */
static void
family_home_cb(int fd, short what, void *arg)
{
	struct family *f = arg;
	char byte;
	ssize_t n = recv(fd, &byte, sizeof(byte), MSG_DONTWAIT);

	if (n > 0 || (n == -1 && (errno == EAGAIN || errno == EINTR)))
		return;
	event_del(f->event);
	f->eof_ms = clock_ms();
}

/* For the timer of the next step. */
static void
family_timer_cb(int fd, short what, void *arg)
{
	family_go(arg);
}

/* Listens to the link. Returns 0, or -1. */
static int
family_listen(struct family *f)
{
	struct event_base *base = f->member->master->base;

	f->event = event_new(
	    base, f->home, EV_READ | EV_PERSIST, family_home_cb, f);
	f->timer = event_new(base, -1, 0, family_timer_cb, f);
	return f->event != NULL && f->timer != NULL &&
		event_add(f->event, NULL) == 0
	    ? 0
	    : -1;
}

void
family_wake(struct family *f, uint64_t ms)
{
	const struct timeval t = {
	    (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};

	if (f->timer != NULL)
		event_add(f->timer, &t);
}

void
family_close(struct family *f)
{
	if (f->event != NULL)
		event_free(f->event);
	if (f->timer != NULL)
		event_free(f->timer);
	f->event = f->timer = NULL;
	family_page_unmap(f->page);
	f->page = NULL;
	if (f->page_file != -1)
		close(f->page_file);
	if (f->home != -1)
		close(f->home);
	if (f->first_home != -1)
		close(f->first_home);
	f->page_file = f->home = f->first_home = -1;
	f->table = 0;
	f->noted = f->ready = false;
	f->eof_ms = 0;
	for (int j = 0; j < FAMILY_KEEPERS; j++)
		f->keeper[j].pid = 0;
}

int
family_make(struct family *f)
{
	struct master *m = f->member->master;
	int home[2] = {-1, -1};

	f->page_file = family_page_new(&f->page);
	if (f->page_file == -1 || family_home_pair(f->page, home) == -1) {
		family_close(f);
		return -1;
	}
	f->home = home[0];
	f->first_home = home[1];
	f->table = ++m->table_number;
	f->pair = family_pair(f->page) / FAMILY_KEEPERS;
	if (family_listen(f) == 0)
		return 0;
	family_close(f);
	errno = ENOMEM;
	return -1;
}

/* Kills all keepers; they are reaped as unknown. */
static void
keepers_kill(struct family *f)
{
	for (int k = 0; k < FAMILY_PAIRS * FAMILY_KEEPERS; k++)
		family_kill(family_pid(f, k), "a keeper whose family ends");
	SHM_STORE(f->member->master->hub.worker[f->member->place].keeper, 0);
}

void
family_forget(struct family *f)
{
	family_leave(f);
	if (f->next == NULL)
		return;
	/* the next process is the first one of another family */
	family_step(f, FAMILY_CLEARS);
	family_go(f);
}

void
family_leave(struct family *f)
{
	if (f->table == 0)
		return;
	keepers_kill(f);
	if (f->next != NULL && f->next->pid == 0)
		family_kill(atomic_load(&f->page->process),
		    "a process of a family that ends");
	f->step = FAMILY_RESTS;
	family_close(f);
}

void
family_end(struct family *f, uint64_t limit_ms)
{
	pid_t pid[FAMILY_PAIRS * FAMILY_KEEPERS + 1];
	int n = 0;

	if (f->page == NULL)
		return;
	for (int k = 0; k < FAMILY_PAIRS * FAMILY_KEEPERS; k++)
		pid[n++] = family_pid(f, k);
	pid[n++] = atomic_load(&f->page->process);
	for (int i = 0; i < n; i++)
		family_kill(pid[i], "a family that ends");
	for (int i = 0; i < n; i++)
		process_end(pid[i], "a process of a family", limit_ms);
	family_close(f);
}

void
family_drop(struct family *f)
{
	family_close(f);
}

int
family_adopt(struct family *f)
{
	if (f->table == 0)
		return 0;
	if ((f->page = family_page_map(f->page_file)) == NULL)
		return -1;
	f->pair = family_pair(f->page) / FAMILY_KEEPERS;
	family_look(f);
	return family_listen(f);
}

void
family_descriptors(const struct family *f, void (*each)(int fd))
{
	if (f->page_file != -1)
		each(f->page_file);
	if (f->home != -1)
		each(f->home);
}

void
families_look(struct master *m)
{
	for (int i = 0; i < m->n_workers; i++)
		family_look(&m->member[i].family);
}

bool
families_reaped(struct master *m, pid_t pid)
{
	for (int i = 0; i < m->n_workers; i++)
		if (family_reaped(&m->member[i].family, pid))
			return true;
	return false;
}

void
families_go(struct master *m)
{
	for (int i = 0; i < m->n_workers; i++)
		if (m->member[i].family.step != FAMILY_RESTS)
			family_go(&m->member[i].family);
}
