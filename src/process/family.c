/* family: its page, orders in it, and its link. */
#include "process/family.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/memory_file.h"
#include "base/shared.h"
#include "net/link.h"

#define FAMILY_MAGIC 0x46616d31u
#define PAGE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

enum { FAMILY_PAGE = 4096 };

/* Whether a file is one that a page can be in. */
static bool
page_fits(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size == FAMILY_PAGE &&
	    (fcntl(fd, F_GET_SEALS) & PAGE_SEALS) == PAGE_SEALS;
}

struct family_page *
family_page_map(int fd)
{
	struct family_page *p;

	if (!page_fits(fd)) {
		errno = EINVAL;
		return NULL;
	}
	p = mmap(NULL, FAMILY_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return NULL;
	if (p->magic == FAMILY_MAGIC)
		return p;
	family_page_unmap(p);
	errno = EINVAL;
	return NULL;
}

/* What the standard streams of all of a family are. */
static void
page_streams(struct family_page *p)
{
	struct stat st;

	for (int i = 0; i <= STDERR_FILENO; i++)
		if (fstat(i, &st) == 0) {
			p->stream_dev[i] = st.st_dev;
			p->stream_inode[i] = st.st_ino;
		}
}

int
family_page_new(struct family_page **page)
{
	const uint32_t magic = FAMILY_MAGIC;
	int fd = memory_file("chatd-family");
	int saved;

	if (fd == -1)
		return -1;
	if (ftruncate(fd, FAMILY_PAGE) == 0 &&
	    pwrite(fd, &magic, sizeof(magic), 0) == (ssize_t)sizeof(magic) &&
	    fcntl(fd, F_ADD_SEALS, PAGE_SEALS) == 0 &&
	    (*page = family_page_map(fd)) != NULL) {
		atomic_store(&(*page)->master, getpid());
		page_streams(*page);
		return fd;
	}
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

void
family_page_unmap(struct family_page *p)
{
	if (p != NULL)
		munmap(p, FAMILY_PAGE);
}

int
family_home_pair(struct family_page *p, int fd[2])
{
	struct stat st;

	if (link_pair(fd) == -1)
		return -1;
	if (fstat(fd[1], &st) == -1) {
		close(fd[0]);
		close(fd[1]);
		return -1;
	}
	p->home_dev = st.st_dev;
	p->home_inode = st.st_ino;
	return 0;
}

void
family_order(struct family_page *p, unsigned k, uint32_t what, unsigned about)
{
	struct family_keeper *keeper = &p->keeper[k];
	const uint32_t number =
	    (atomic_load(&keeper->order) >> FAMILY_ORDER_NUMBER) + 1;

	SHM_STORE(keeper->order,
	    number << FAMILY_ORDER_NUMBER | about << FAMILY_ORDER_ABOUT | what);
	syscall(SYS_futex, &keeper->order, FUTEX_WAKE, 1, NULL, NULL, 0);
}

bool
family_is_done(const struct family_page *p, unsigned k)
{
	return atomic_load(&p->keeper[k].order) ==
	    atomic_load(&p->keeper[k].done);
}

void
family_keeper_clear(struct family_page *p, unsigned k)
{
	SHM_STORE(p->keeper[k].done, atomic_load(&p->keeper[k].order));
	SHM_STORE(p->keeper[k].pid, 0);
}
