/*
 * kill_family_master: a small master of one family. It waits where the real one
 * must not, and judges as that does.
 */
#ifndef CHATD_TESTS_KILL_FAMILY_MASTER_H
#define CHATD_TESTS_KILL_FAMILY_MASTER_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/kill_list.h"
#include "kill_family_process.h"
#include "net/link.h"
#include "process/identity.h"
#include "process/passport.h"

enum { PATIENCE_MS = 20000 };

static struct {
	struct hub hub;
	struct board *board;
	struct nursery nursery;
	struct endpoints endpoints;
	struct child child;
	struct family_page *page;
	int page_fd, home, link, program;
	uint32_t cur; /* when the process was ordered */
	bool ready;
	pid_t process; /* 0: none, or it is reaped */
	int status;
} m = {.status = SIGKILL};
static struct kill_list *list;
static uint64_t order_us, quickest_us = UINT64_MAX, sum_us;
static unsigned n_hellos, n_lost, n_deaths, n_keepers, n_halfway, n_other,
    n_stopped, n_hung;

/* Whether that keeper lives; one that is dead is reaped. */
static bool
keeper_lives(unsigned k)
{
	const pid_t pid = m.page->keeper[k].pid;

	if (pid == 0)
		return false;
	if (waitpid(pid, NULL, WNOHANG) != pid)
		return true;
	family_keeper_clear(m.page, k);
	return false;
}

/* Kills it and sees it dead. */
static void
keeper_kill(unsigned k)
{
	const pid_t pid = m.page->keeper[k].pid;

	if (pid == 0)
		return;
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	family_keeper_clear(m.page, k);
	n_keepers++;
}

/* Whether the process lives. */
static bool
process_lives(void)
{
	if (m.process == 0)
		m.process = m.page->process;
	if (m.process == 0 ||
	    waitpid(m.process, &m.status, WNOHANG) != m.process)
		return m.process != 0;
	m.page->process = m.process = 0;
	n_deaths++;
	return false;
}

/* Waits until a word is not 0. */
static bool
word_appears(_Atomic int32_t *word, int ms)
{
	const uint64_t end = clock_ms() + (uint64_t)ms;

	while (*word == 0 && clock_ms() < end)
		usleep(50);
	return *word != 0;
}

/* Sends one note. False: nobody has the other end any more. */
static bool
note_send(uint32_t what, const int *fd, uint32_t n)
{
	if (family_note_send(m.home, m.child.generation, what, fd, n) == 0)
		return true;
	assert_int_equal(errno, EPIPE);
	return false;
}

/* What the next process is to know. False: as above. */
static bool
notes_send(void)
{
	struct passport_page passport;
	int pair[2], rest[3], file;
	bool sent;

	assert_int_equal(link_pair(pair), 0);
	if (m.link != -1)
		close(m.link);
	m.link = pair[0];
	m.page->generation = ++m.child.generation;
	passport_fill(&passport, &m.child, &m.nursery, NULL, getpid());
	assert_int_not_equal(file = passport_file(&passport), -1);
	rest[0] = m.page_fd;
	rest[1] = pair[1];
	rest[2] = m.endpoints.at[0].fd;
	sent = note_send(FAMILY_NOTE_PROGRAM, &m.program, 1) &&
	    note_send(FAMILY_NOTE_PASSPORT, &file, 1) &&
	    note_send(FAMILY_NOTE_HUB, &m.hub.fd, 1) &&
	    note_send(FAMILY_NOTE_REST, rest, 3);
	close(file);
	close(pair[1]);
	m.ready = false;
	m.cur = m.page->cur;
	return sent;
}

/* Ends what is left of a family, and begins a new one: its sockets are lost. */
static void
family_new(void)
{
	int home[2];

	if (m.page != NULL) {
		if (process_lives()) {
			kill(m.process, SIGKILL);
			assert_int_equal(
			    waitpid(m.process, NULL, 0), m.process);
		}
		for (unsigned k = 0; k < 4; k++)
			keeper_kill(k);
		family_page_unmap(m.page);
		close(m.page_fd);
		close(m.home);
	}
	m.process = 0;
	for (int i = 0; i < CLAIMS; i++)
		m.board->claim[i].fd = 0;
	assert_int_not_equal(m.page_fd = family_page_new(&m.page), -1);
	assert_int_equal(family_home_pair(m.page, home), 0);
	m.home = home[0];
	assert_true(notes_send());
	m.process = family_fork(&m.nursery, m.page, home[1]);
	assert_true(m.process > 0);
	close(home[1]);
}

/* The pair to be asked; the other one is dead and reaped then. False: there is
 * none. */
static bool
pair_choose(void)
{
	unsigned pair = family_pair(m.page), other = family_other_pair(m.page);
	const bool mine = keeper_lives(pair) | keeper_lives(pair + 1);
	const bool others = keeper_lives(other) | keeper_lives(other + 1);

	if (!mine && others && m.page->cur == m.cur && !m.ready) {
		m.page->cur = 1 - m.page->cur % 2;
		pair = other;
		other = family_other_pair(m.page);
	}
	n_halfway += mine && others;
	keeper_kill(other);
	keeper_kill(other + 1);
	return keeper_lives(pair) | keeper_lives(pair + 1);
}

/* Has a keeper make the process. False: none could. */
static bool
process_order(void)
{
	unsigned k, pair;

	if (!pair_choose() || !notes_send())
		return false;
	pair = family_pair(m.page);
	k = pair + fixture_random(2);
	for (int tries = 0; tries < 2; tries++, k ^= 1) {
		if (!keeper_lives(k))
			continue;
		n_other += tries;
		order_us = clock_us();
		family_order(m.page, k, FAMILY_PROCESS, 0);
		if (word_appears(&m.page->process, 30))
			return true;
		kill(m.page->keeper[k].pid, SIGCONT);
		if (word_appears(&m.page->process, 2000))
			return true;
		n_hung += keeper_lives(k);
		keeper_kill(k);
		if (m.page->process != 0)
			return true;
	}
	return false;
}

/* Has HELLO of the newest generation come? */
static bool
hello_came(void)
{
	struct link_datagram d[LINK_BATCH];
	const int n = link_receive(m.link, d);

	if (n > 0 && order_us != 0) {
		order_us = clock_us() - order_us;
		quickest_us = order_us < quickest_us ? order_us : quickest_us;
		sum_us += order_us;
		n_hellos++;
	}
	if (n > 0) {
		m.ready = true;
		order_us = 0;
	}
	return m.ready;
}

/* What a process that has ended by itself says of its table. False: it is to be
 * given up. */
static bool
table_is_good(void)
{
	const int status = WIFEXITED(m.status) ? WEXITSTATUS(m.status) : -1;

	m.status = SIGKILL; /* of the one that comes, if it is never seen */
	/* it has executed what others than its master wanted */
	assert_int_not_equal(status, 0);
	if (status == FAMILY_FAILED)
		usleep(10000);
	return status != FAMILY_SPOILT;
}

/* Sees to it that there is a process that serves. `may_lose`: all three may
 * have died. */
static void
process_bring(bool may_lose)
{
	const uint64_t end = clock_ms() + PATIENCE_MS;

	for (;;) {
		assert_true(clock_ms() < end);
		if (process_lives()) {
			for (unsigned k = 0; k < 4; k++)
				(void)keeper_lives(k);
			if (hello_came())
				return;
			usleep(50);
		} else if (!table_is_good() || !process_order()) {
			assert_true(may_lose);
			n_lost++;
			family_new();
		}
	}
}

/* Two keepers again, and none of the pair before. */
static void
keepers_bring(void)
{
	const unsigned pair = family_pair(m.page);

	keeper_kill(family_other_pair(m.page));
	keeper_kill(family_other_pair(m.page) + 1);
	for (unsigned k = pair; k < pair + 2; k++) {
		if (keeper_lives(k))
			continue;
		assert_true(keeper_lives(k ^ 1));
		family_order(m.page, k ^ 1, FAMILY_KEEPER, k);
		for (int i = 0; !word_appears(&m.page->keeper[k].pid, 1000);
		     i++) {
			/* the one that was asked has died of it */
			if (!keeper_lives(k ^ 1) || i == 10)
				fail_msg("no keeper has come");
			kill(m.page->keeper[k ^ 1].pid, SIGCONT);
		}
	}
}

/* Adds what a process has open to a set; returns how many there are. */
static int
numbers_read(pid_t pid, bool has[TABLE])
{
	char path[40];
	struct dirent *e;
	int n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	assert_non_null(d = opendir(path));
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.') {
			assert_true(atoi(e->d_name) < TABLE);
			has[atoi(e->d_name)] = true;
			n++;
		}
	closedir(d);
	return n;
}

/* How many children this process has. */
static int
children(void)
{
	char path[64];
	int pid, n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	assert_non_null(f = fopen(path, "r"));
	while (fscanf(f, "%d", &pid) == 1)
		n++;
	fclose(f);
	return n;
}

/* The family has what is claimed, and its fixed numbers, and nothing else; and
 * this process has no other children. */
static void
table_check(void)
{
	bool want[TABLE] = {true, true, true, true, true};
	int n = 5;

	for (int i = 0; i < CLAIMS; i++)
		if (m.board->claim[i].fd != 0) {
			want[m.board->claim[i].fd] = true;
			n++;
		}
	for (int i = 0; i < OWN; i++, n++)
		want[m.board->own[i]] = true;
	for (unsigned k = family_pair(m.page); k <= family_pair(m.page) + 1;
	     k++) {
		bool has[TABLE] = {false};

		assert_int_equal(numbers_read(m.page->keeper[k].pid, has), n);
		assert_memory_equal(has, want, sizeof(has));
	}
	assert_int_equal(m.board->wrong, 0);
	assert_int_equal(children(), 3);
}

/* Serves with both keepers, and may act. */
static void
family_settle(bool may_lose)
{
	process_bring(may_lose);
	keepers_bring();
	if (m.board->go == m.child.generation)
		return; /* it has not been away */
	table_check();
	m.board->go = m.child.generation;
}

static void
process_kill(void)
{
	if (process_lives())
		kill(m.process, SIGKILL);
	while (process_lives())
		usleep(20);
}

/* Arms a kill point that has been passed, of these files: the one that was
 * armed least. */
static void
arm(int line, const char *files, uint32_t nth)
{
	static uint32_t tried[KILL_LINES][KILL_POINTS];
	uint32_t at = fixture_random(KILL_POINTS), best = KILL_POINTS;

	for (int n = 0; n < KILL_POINTS; n++, at = (at + 1) % KILL_POINTS)
		if (list->entry[at].state == 2 &&
		    strncmp(list->entry[at].name, files, strlen(files)) == 0 &&
		    (best == KILL_POINTS ||
			tried[line][at] < tried[line][best]))
			best = at;
	if (best == KILL_POINTS)
		return;
	tried[line][best]++;
	list->arm[line][0].point = best;
	list->arm[line][0].nth = nth;
}

static void
disarm(void)
{
	for (int line = 0; line < KILL_LINES; line++)
		list->arm[line][0].nth = list->arm[line][1].nth = 0;
}

static int
setup(void **state)
{
	family_new();
	family_settle(true);
	return 0;
}

static int
teardown(void **state)
{
	disarm();
	m.board->deed = DEED_NONE;
	process_kill();
	for (unsigned k = 0; k < 4; k++)
		keeper_kill(k);
	family_page_unmap(m.page);
	close(m.page_fd);
	close(m.home);
	m.page = NULL;
	return 0;
}

#endif
