/* kill_point: kill points of test builds: after each store that recovery relies
 * on, and after system calls. */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/kill_list.h"
#include "base/shared.h"

#ifdef CHATD_KILL_POINTS
static uint64_t passed, fuse;
static int fuse_signal;
static const char *only; /* NULL: every file */
static struct kill_list *list;
static uint32_t self; /* line + 1 */

/* Maps the list, before the first fork. */
static void __attribute__((constructor)) list_map(void)
{
	const char *path = getenv("CHATD_KILL_LIST");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *p;

	if (fd < 0)
		return;
	p = mmap(
	    NULL, sizeof(*list), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		list = p;
	close(fd);
}

void
kill_list_become(int line)
{
	self = (uint32_t)line + 1;
}

void
kill_list_keep(void)
{
	if (self != 0 && self <= KILL_LINES - KILL_KEEPERS)
		self += KILL_KEEPERS;
}

/* The place of a point in the list, entered if need be. Several workers may
 * enter it at once. */
static uint32_t
entry_find(const char *file, int line)
{
	char name[KILL_NAME];
	uint32_t k = 0, n, free_state;
	struct kill_entry *e;
	const char *p;

	if (strncmp(file, "src/", 4) == 0)
		file += 4;
	memset(name, 0, sizeof(name));
	snprintf(name, sizeof(name), "%s:%d", file, line);
	for (p = name; *p != '\0'; p++)
		k = k * 31 + (uint8_t)*p;
	for (n = 0; n < KILL_POINTS; n++, k++) {
		e = &list->entry[k % KILL_POINTS];
		free_state = 0;
		if (atomic_compare_exchange_strong(&e->state, &free_state, 1)) {
			memcpy(e->name, name, sizeof(name));
			atomic_store(&e->state, 2);
		}
		while (atomic_load(&e->state) == 1)
			;
		if (memcmp(e->name, name, sizeof(name)) == 0)
			return k % KILL_POINTS;
	}
	abort();
}

/* Counts a pass in the list; at the armed one the worker dies. */
static void
list_pass(uint32_t *place, const char *file, int line)
{
	struct kill_arm *arm = list->arm[self - 1];
	struct kill_entry *e;
	uint32_t sig;

	if (*place == 0)
		*place = entry_find(file, line) + 1;
	e = &list->entry[*place - 1];
	atomic_fetch_add_explicit(&e->passes, 1, memory_order_relaxed);
	if (atomic_load_explicit(&arm[0].nth, memory_order_acquire) == 0 ||
	    arm[0].point != *place - 1 || atomic_fetch_sub(&arm[0].nth, 1) != 1)
		return;
	atomic_fetch_add(&e->deaths, 1);
	arm[0].point = arm[1].point;
	atomic_store(&arm[0].nth, arm[1].nth);
	atomic_store(&arm[1].nth, 0);
	sig = atomic_load(&list->signal[self - 1]);
	atomic_fetch_add(&list->fired[self - 1], 1);
	kill(getpid(), sig != 0 ? (int)sig : SIGKILL);
}

/* Counts the point; at the armed one, says where it is and dies (or stops). */
void
kill_point(uint32_t *place, const char *file, int line)
{
	const char *name = strrchr(file, '/');

	if (list != NULL && self != 0)
		list_pass(place, file, line);
	if (only != NULL && strcmp(name != NULL ? name + 1 : file, only) != 0)
		return;
	passed++;
	if (fuse == 0 || --fuse > 0)
		return;
	dprintf(STDERR_FILENO, "kill point at %s:%d\n", file, line);
	kill(getpid(), fuse_signal);
}

void
kill_word(const char *bytes, size_t len, const char *word)
{
	if (len > 0 && memmem(bytes, len, word, strlen(word)) != NULL)
		raise(SIGSEGV);
}

uint64_t
kill_point_arm(uint64_t n, int sig)
{
	uint64_t before = passed;

	passed = 0;
	fuse = n;
	fuse_signal = sig;
	return before;
}

void
kill_point_only(const char *file)
{
	only = file;
}
#else
/* Without kill points. */
void
kill_list_become(int line)
{
}

void
kill_list_keep(void)
{
}
#endif
