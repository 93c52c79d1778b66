#include "show/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "core.h"
#include "hub/journal.h"
#include "hub/line.h"
#include "hub/peek.h"
#include "hub/slot.h"
#include "hub/stats.h"

/* Opens the one file of that name that a folder of /proc links to. Returns the
 * descriptor, or -1: there is none (error is ""), or a sentence. */
static int
memory_scan(const char *folder, char *error, size_t error_len)
{
	char path[PATH_MAX], link[PATH_MAX], first[PATH_MAX] = "";
	struct stat st, was = {0};
	struct dirent *e;
	DIR *dir = opendir(folder);
	ssize_t n;

	*error = '\0';
	while (dir != NULL && (e = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		n = readlink(path, link, sizeof(link) - 1);
		if (n != sizeof(MEMORY_NAME) - 1 ||
		    memcmp(link, MEMORY_NAME, (size_t)n) != 0 ||
		    stat(path, &st) == -1)
			continue;
		if (*first == '\0')
			strlcpy(first, path, sizeof(first));
		else if (st.st_ino != was.st_ino)
			snprintf(error, error_len,
			    "it has more than one such memory: name one of "
			    "them, such as %.64s or %.64s",
			    first, path);
		was = st;
	}
	if (dir != NULL)
		closedir(dir);
	return *first != '\0' && *error == '\0'
	    ? open(first, O_RDONLY | O_CLOEXEC)
	    : -1;
}

/* The parent of a process; 0: it has none, or it is not known. */
static int
memory_parent(int pid)
{
	char path[64], line[128];
	int parent = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if ((f = fopen(path, "re")) == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "PPid: %d", &parent) == 1)
			break;
	fclose(f);
	return parent;
}

/* Opens the memory of a process: by its descriptors, by its mappings (which
 * takes root), or of its parent, as chatd's children close the descriptor. */
static int
memory_of_process(int pid, char *error, size_t error_len)
{
	char folder[64];
	int fd = -1;

	snprintf(folder, sizeof(folder), "/proc/%d", pid);
	if (access(folder, F_OK) == -1) {
		snprintf(error, error_len, "there is no process %d", pid);
		return -1;
	}
	for (int k = 0; k < 3 && fd == -1; k++) {
		if (k == 2 && (pid = memory_parent(pid)) <= 1)
			break;
		snprintf(folder, sizeof(folder), "/proc/%d/%s", pid,
		    k == 1 ? "map_files" : "fd");
		fd = memory_scan(folder, error, error_len);
		if (*error != '\0')
			return -1;
	}
	if (fd == -1)
		snprintf(error, error_len,
		    "the process has no shared memory of chatd, or only root "
		    "and its own user may see that");
	return fd;
}

/* Maps a whole file for reading. */
static int
memory_map(struct memory *m, int fd, char *error, size_t error_len)
{
	struct stat st;

	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || st.st_size <= 0) {
		snprintf(error, error_len, "it is not a file with anything");
		return -1;
	}
	m->lives = st.st_nlink == 0; /* only processes have it */
	m->size = (size_t)st.st_size;
	m->base =
	    mmap(NULL, m->size, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (m->base != MAP_FAILED)
		return 0;
	snprintf(error, error_len, "%s", strerror(errno));
	return -1;
}

/* The number of a process that a word is; 0: it is a file. */
static int
memory_pid(const char *what)
{
	const char *problem;
	long long pid = strtonum(what, 1, INT_MAX, &problem);

	return problem == NULL ? (int)pid : 0;
}

int
memory_open(struct memory *m, const char *what, char *error, size_t error_len)
{
	const int pid = memory_pid(what);
	int fd, r;

	*m = (struct memory){.lives = false};
	fd = pid != 0 ? memory_of_process(pid, error, error_len)
		      : open(what, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1) {
		if (pid == 0)
			snprintf(error, error_len, "%s", strerror(errno));
		return -1;
	}
	r = core_is(fd) ? core_read(fd, &m->base, &m->size, error, error_len)
			: memory_map(m, fd, error, error_len);
	close(fd);
	if (r == -1)
		return -1;
	if (hub_peek(&m->hub, m->base, m->size, error, error_len) == 0)
		return 0;
	memory_close(m);
	return -1;
}

void
memory_close(struct memory *m)
{
	munmap(m->base, m->size);
}

/* What a worker's line says of it. */
static void
memory_worker(const struct show_from *from, int i, struct show_worker *out)
{
	const struct shm_line *line = &from->hub->line[i];

	out->role = "worker";
	out->pid = (int)SHM_LOAD(line->pid);
	out->generation = SHM_LOAD(line->generation);
	out->keepers[0] = (int)SHM_LOAD(from->hub->worker[i].keeper);
	out->uptime_s = out->pid != 0
	    ? show_age_s(from->now_ms, SHM_LOAD(line->started_ms))
	    : 0;
}

/* What a reader's line says of it; its kind is known to the master alone. */
static bool
memory_reader(const struct show_from *from, int i, struct show_worker *out)
{
	const struct shm_line *line = &from->hub->line[i];

	if (from->hub->readers == 0 || SHM_LOAD(line->state) == WORKER_STOPPED)
		return false;
	*out = (struct show_worker){.role = "reader",
	    .pid = (int)SHM_LOAD(line->pid),
	    .generation = SHM_LOAD(line->generation)};
	if (out->pid != 0)
		out->uptime_s =
		    show_age_s(from->now_ms, SHM_LOAD(line->started_ms));
	return true;
}

/* The newest time that anything in the memory tells, of clock_ms(): that of a
 * dead daemon's last sign of life. */
static uint64_t
memory_newest_ms(const struct hub *h)
{
	uint64_t newest = 0, at;
	const struct slot *s;

	for (int i = 0; i < SHM_LINES; i++) {
		at = SHM_LOAD(h->line[i].started_ms);
		newest = at > newest ? at : newest;
	}
	for (uint32_t i = slot_ever(h, 0); i < h->n_slots;
	     i = slot_ever(h, i + 1)) {
		s = &h->slot[i];
		if (!slot_in_use(h, i))
			continue;
		at = SHM_ONCE(s->connected_ms);
		at += SHM_ONCE(s->heard_ms) - (uint32_t)at;
		newest = at > newest ? at : newest;
	}
	return newest;
}

/* The time of the newest publication; 0: there is none. */
static int64_t
memory_newest_wall_ms(const struct hub *h)
{
	struct publication p;

	return journal_peek(h, journal_tail(h), &p) == JOURNAL_OK ? p.time_ms
								  : 0;
}

void
memory_from(const struct memory *m, struct show_from *from)
{
	const struct hub *h = &m->hub;

	*from = (struct show_from){.hub = h,
	    .alive = UINT64_MAX,
	    .now_ms = m->lives ? clock_ms() : memory_newest_ms(h),
	    .wall_ms = m->lives ? clock_wall_ms() : memory_newest_wall_ms(h),
	    .worker = memory_worker,
	    .reader = memory_reader};
	hub_words_get(h, &from->words);
	for (int i = 0; i < SHM_WORKERS; i++)
		if (SHM_LOAD(h->line[i].state) != WORKER_STOPPED ||
		    SHM_LOAD(h->line[i].pid) != 0)
			from->n_workers = i + 1;
}
