/* The web page's image: made from what a reader has brought, and given to
 * workers: to each that starts, and to all when it changes. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/bundle.h"
#include "base/log.h"
#include "base/memory_file.h"
#include "door/registry.h"
#include "page.h"
#include "private.h"

bool
page_take(struct master *m, const struct bundle *b)
{
	const char *folder = m->conf->webroot;
	struct bundle_piece piece;
	int fd;

	if (folder == NULL || !bundle_get(b, BUNDLE_PAGE, folder, &piece))
		return false;
	door_files_log(folder, piece.bytes, piece.len);
	fd =
	    memory_file_fill(memory_file("chatd-page"), piece.bytes, piece.len);
	if (fd == -1 || door_files_map(fd) == -1) {
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
