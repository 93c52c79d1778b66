/* The web page's image: made from what a reader has brought, mapped before any
 * fork, and given to workers that live. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bundle.h"
#include "base/log.h"
#include "base/memory_file.h"
#include "door/registry.h"
#include "page.h"
#include "private.h"

/* A memory file with these bytes, sealed; -1 and errno. */
static int
image_file(const char *bytes, size_t len)
{
	int fd = memory_file("chatd-page");

	if (fd == -1)
		return -1;
	errno = ENOSPC;
	if (write(fd, bytes, len) == (ssize_t)len &&
	    fcntl(fd, F_ADD_SEALS,
		F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0)
		return fd;
	close(fd);
	return -1;
}

bool
page_take(struct master *m, const struct bundle *b)
{
	const char *folder = m->conf->webroot;
	struct bundle_piece piece;
	int fd;

	if (folder == NULL || !bundle_get(b, BUNDLE_PAGE, folder, &piece))
		return false;
	door_files_log(folder, piece.bytes, piece.len);
	if ((fd = image_file(piece.bytes, piece.len)) == -1 ||
	    door_files_map(fd) == -1) {
		log_warn("web page of %s: %s", folder, strerror(errno));
		if (fd != -1)
			close(fd);
		return false;
	}
	page_drop(m);
	m->page = fd;
	return true;
}

void
page_boot(struct master *m, const struct bundle *b, const char *stuck)
{
	if (m->conf->webroot != NULL && !page_take(m, b))
		log_warn("%s; the web page that is built in is served", stuck);
}

void
page_drop(struct master *m)
{
	if (m->page != -1)
		close(m->page);
	m->page = -1;
}
