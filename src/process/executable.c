#include "process/executable.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "base/title.h"
#include "hub/layout.h"
#include "process/child.h"
#include "process/spawn.h"

#define PASSPORT_OPTION "-C" /* with the passport's descriptor */
#define PASSPORT_MAGIC 0x64696863746168ull

/* What the executable has to know, in a memory file. The first words, which
 * are the same in every layout, say whether it can read the rest, and where it
 * can say that it cannot. */
struct passport_page {
	uint64_t magic, layout, size;
	int64_t log;
	struct passport fd;
	struct hub_limits limits;
	uint8_t hash_key[16];
	struct conf_live live;
	pid_t parent;
	int number, at;
	uint32_t generation;
	unsigned gets;
};

/* A descriptor that crosses an exec. */
static int
passport_keep(int fd)
{
	int copy = fd == -1 ? -1 : fcntl(fd, F_DUPFD, STDERR_FILENO + 1);

	if (fd != -1 && copy == -1)
		log_fatal("its descriptors: %s", strerror(errno));
	return copy;
}

/* The file of the shared memory, as its kind gets it. */
static int
passport_memory(const struct child_kind *kind, const struct nursery *n)
{
	char path[40];
	int fd;

	if ((kind->gets & CHILD_HUB) != 0)
		return passport_keep(n->hub->fd);
	if ((kind->gets & CHILD_HUB_LOOK) == 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", n->hub->fd);
	if ((fd = open(path, O_RDONLY)) == -1)
		log_fatal("shared memory: %s", strerror(errno));
	return fd;
}

void
passport_write(struct passport *p, const struct child *c,
    const struct nursery *n, int link, pid_t parent)
{
	struct passport_page page = {.magic = PASSPORT_MAGIC,
	    .layout = layout_number(),
	    .size = sizeof(page),
	    .limits = *n->limits,
	    .live = *n->live,
	    .parent = parent,
	    .number = c->number,
	    .at = c->at,
	    .generation = c->generation,
	    .gets = c->kind->gets};

	memcpy(page.hash_key, n->hub->hash_key, sizeof(page.hash_key));
	*p = (struct passport){.file = memfd_create("chatd-passport", 0),
	    .link = passport_keep(link),
	    .log = passport_keep(n->log),
	    .hub = passport_memory(c->kind, n),
	    .page = (c->kind->gets & CHILD_HUB) == 0 ? passport_keep(n->pages)
						     : -1};
	page.fd = *p;
	page.log = p->log;
	if (p->file == -1 ||
	    pwrite(p->file, &page, sizeof(page), 0) != (ssize_t)sizeof(page))
		log_fatal("its passport: %s", strerror(errno));
}

int
executable_find(const struct child_kind *kind, const char *binary,
    char path[PATH_MAX], char *error, size_t error_len)
{
	const char *slash = binary != NULL ? strrchr(binary, '/') : NULL;
	int folder = slash != NULL ? (int)(slash - binary) : 0;

	if (slash != NULL &&
	    snprintf(path, PATH_MAX, "%.*s/../libexec/chatd/%s", folder, binary,
		kind->executable) < PATH_MAX &&
	    access(path, X_OK) == 0)
		return 0;
	snprintf(path, PATH_MAX, "%s/%s", CHATD_LIBEXECDIR, kind->executable);
	if (access(path, X_OK) == 0)
		return 0;
	snprintf(error, error_len,
	    "%s: %s/%s cannot be executed: %s; install it from the same build "
	    "as chatd",
	    kind->name, CHATD_LIBEXECDIR, kind->executable, strerror(errno));
	return -1;
}

void
executable_run(
    const struct passport *p, const struct child_kind *kind, const char *binary)
{
	const int kept[] = {p->file, p->link, p->log, p->hub, p->page};
	char path[PATH_MAX], error[512], fd[16];
	char *argv[] = {
	    (char *)kind->executable, (char *)PASSPORT_OPTION, fd, NULL};
	int first = STDERR_FILENO + 1;

	if (executable_find(kind, binary, path, error, sizeof(error)) == -1)
		log_fatal("%s", error);
	/* what is not kept is closed by the exec, or here */
	for (int i = first; i < first + 1024; i++) {
		bool keep = false;

		for (size_t k = 0; k < sizeof(kept) / sizeof(kept[0]); k++)
			keep = keep || kept[k] == i;
		if (!keep)
			fcntl(i, F_SETFD, FD_CLOEXEC);
	}
	snprintf(fd, sizeof(fd), "%d", p->file);
	execv(path, argv);
	log_fatal("%s: %s", path, strerror(errno));
}

/* Reads the passport; leaves if there is none for this program. */
static void
passport_read(int fd, const struct child_kind *kind, struct passport_page *p)
{
	ssize_t n = pread(fd, p, sizeof(*p), 0);

	if (n < (ssize_t)(4 * sizeof(uint64_t)) || p->magic != PASSPORT_MAGIC)
		errx(1, "chatd starts this program, nobody else");
	if (p->log != -1)
		log_send_to((int)p->log);
	log_set_name(kind->name);
	if (p->layout == layout_number() && p->size == sizeof(*p) &&
	    n == (ssize_t)sizeof(*p))
		return;
	log_fatal("%s has layout %016llx, chatd has %016llx: install both from "
		  "the same build",
	    kind->executable, (unsigned long long)layout_number(),
	    (unsigned long long)p->layout);
}

/* Maps what the kind gets. */
static void
executable_map(
    struct child_start *start, struct hub *hub, const struct passport_page *p)
{
	char error[256];

	if (p->fd.hub != -1) {
		if (hub_attach(hub, p->fd.hub, &p->limits, p->hash_key,
			(p->gets & CHILD_HUB) == 0, error, sizeof(error)) == -1)
			log_fatal("%s", error);
		hub_close_file(hub);
		start->hub = hub;
	}
	if (p->fd.page == -1)
		return;
	start->line = mmap(NULL, SHM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
	    p->fd.page, (off_t)(p->at - SHM_WORKERS) * SHM_PAGE);
	if (start->line == MAP_FAILED)
		log_fatal("its line: %s", strerror(errno));
	close(p->fd.page);
}

int
executable_main(int argc, char **argv, const struct child_kind *kind)
{
	static struct passport_page p;
	static struct hub hub;
	struct child_start start = {.kind = kind, .live = &p.live};
	struct spawn s;
	int fd;

	if (argc != 3 || strcmp(argv[1], PASSPORT_OPTION) != 0 ||
	    sscanf(argv[2], "%d", &fd) != 1)
		errx(1, "chatd starts this program, nobody else");
	title_init(argc, argv, environ);
	passport_read(fd, kind, &p);
	close(fd);
	s.parent = p.parent;
	if (!spawn_tie(&s, SIGKILL))
		return 0;
	spawn_signals(NULL);
	title_set(kind->name);
	log_set_verbose(p.live.verbose != 0);
	start.number = p.number;
	start.generation = p.generation;
	start.link = p.fd.link;
	executable_map(&start, &hub, &p);
	child_enter(&start, p.at);
	kind->main(&start);
	return 0;
}
