#include "process/executable.h"

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

void
executable_version(char out[EXECUTABLE_VERSION_MAX])
{
	snprintf(out, EXECUTABLE_VERSION_MAX,
	    "%s " CHATD_VERSION " layout %016llx passport %zu",
	    EXECUTABLE_CHILD, (unsigned long long)layout_number(),
	    passport_bytes());
}

/* A descriptor that crosses an exec. */
static int
passport_keep(int fd)
{
	int copy = fd == -1 ? -1 : fcntl(fd, F_DUPFD, STDERR_FILENO + 1);

	if (fd != -1 && copy == -1)
		log_fatal("its descriptors: %s", strerror(errno));
	return copy;
}

/* The file of the shared memory, as its kind gets it. One that is open for
 * reading only is opened anew: its mappings cannot be made writable. */
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

/* Listeners, as they are in the child. */
static void
passport_listeners(struct passport_page *page, const struct endpoints *all)
{
	for (int i = 0; i < page->endpoints.n; i++)
		page->endpoints.at[i].fd = passport_keep(all->at[i].fd);
}

/* What the kind alone is given, in its birth. */
static void
passport_own(struct passport_page *page, const struct child_kind *kind,
    const struct conf *conf)
{
	struct child_files *files = (void *)page->birth;
	char path[40];

	if (kind->bring == NULL || page->birth_bytes < sizeof(*files))
		return;
	kind->bring(conf, files);
	files->kept = page->fd.own[0] = passport_keep(files->kept);
	if (files->shared == -1)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", files->shared);
	if ((files->shared = open(path, O_RDONLY)) == -1)
		log_fatal("what it shares: %s", strerror(errno));
	page->fd.own[1] = files->shared = passport_keep(files->shared);
}

void
executable_pack(struct passport_page *page, const struct child *c,
    const struct nursery *n, const void *birth, int link, pid_t parent)
{
	passport_fill(page, c, n, birth, parent);
	passport_listeners(page, n->endpoints);
	page->fd.link = passport_keep(link);
	page->log = page->fd.log = passport_keep(n->log);
	page->fd.hub = passport_memory(c->kind, n);
	if ((c->kind->gets & CHILD_HUB) == 0 && c->at != -1)
		page->fd.page = passport_keep(n->pages);
	passport_own(page, c->kind, n->conf);
	page->fd.file = passport_file(page);
	if (page->fd.file == -1)
		log_fatal("its passport: %s", strerror(errno));
}

/* "FOLDER of binary" + where + "NAME"; false: there is no program. */
static bool
executable_beside(const char *binary, const char *where, const char *name,
    char path[PATH_MAX])
{
	const char *slash = binary != NULL ? strrchr(binary, '/') : NULL;
	int folder = slash != NULL ? (int)(slash - binary) : 0;

	return slash != NULL &&
	    snprintf(path, PATH_MAX, "%.*s/%s/%s", folder, binary, where,
		name) < PATH_MAX &&
	    access(path, F_OK) == 0;
}

int
executable_find(const char *name, const char *binary, char path[PATH_MAX],
    char *error, size_t error_len)
{
	if (!executable_beside(binary, "libexec/chatd", name, path) &&
	    !executable_beside(binary, "../libexec/chatd", name, path))
		snprintf(path, PATH_MAX, "%s/%s", CHATD_LIBEXECDIR, name);
	if (access(path, X_OK) == 0)
		return 0;
	snprintf(error, error_len,
	    "%s: %s cannot be executed: %s; install it from the same build "
	    "as chatd",
	    name, path, strerror(errno));
	return -1;
}

/* These cross the exec, all others above standard error do not. */
static void
executable_keep(const struct passport_page *page)
{
	const struct passport *fd = &page->fd;
	const int kept[] = {fd->file, fd->link, fd->log, fd->hub, fd->page,
	    fd->own[0], fd->own[1]};

	if (close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) == -1)
		log_fatal("descriptors: %s", strerror(errno));
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (kept[i] != -1)
			fcntl(kept[i], F_SETFD, 0);
	for (int i = 0; i < page->endpoints.n; i++)
		fcntl(page->endpoints.at[i].fd, F_SETFD, 0);
}

void
executable_run(const struct passport_page *page, const struct child_kind *kind,
    const struct nursery *n)
{
	char path[PATH_MAX] = "", error[512], fd[16];
	char *argv[] = {
	    (char *)EXECUTABLE_CHILD, (char *)EXECUTABLE_PLAIN, fd, NULL};

	executable_keep(page);
	snprintf(fd, sizeof(fd), "%d", page->fd.file);
	if (kind->executable != NULL) {
		argv[0] = (char *)kind->executable;
		if (executable_find(kind->executable, n->binary, path, error,
			sizeof(error)) == -1)
			log_fatal("%s", error);
		execv(path, argv);
	} else
		execveat(n->program, "", argv, environ, AT_EMPTY_PATH);
	log_fatal("%s: %s", argv[0], strerror(errno));
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

/* As it is called in the log and by ps. */
static void
executable_name(const struct passport_page *page)
{
	log_set_name(page->title);
	title_set(page->title);
	log_set_verbose(page->live.verbose != 0);
}

int
executable_main(int argc, char **argv, const struct child_kind *kind)
{
	static struct passport_page page;
	static struct hub hub;
	struct child_start start;
	struct spawn s;
	int fd;

	if (argc != 3 || strcmp(argv[1], EXECUTABLE_PLAIN) != 0 ||
	    sscanf(argv[2], "%d", &fd) != 1)
		passport_missing();
	if (kind != NULL)
		title_init(argc, argv, environ);
	passport_take(fd, argv[0], &page);
	close(fd);
	s.parent = page.parent;
	if (!spawn_tie(&s, SIGKILL))
		return 0;
	spawn_signals(NULL);
	executable_name(&page);
	passport_start(&page, kind, &start);
	executable_map(&start, &hub, &page);
	child_enter(&start, page.at);
	start.kind->main(&start);
	return 0;
}
