#include "process/passport.h"

#include <err.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory_file.h"
#include "hub/layout.h"
#include "process/identity.h"

#define PASSPORT_MAGIC 0x64696863746168ull

size_t
passport_bytes(void)
{
	return sizeof(struct passport_page);
}

void
passport_fill(struct passport_page *page, const struct child *c,
    const struct nursery *n, const void *birth, pid_t parent)
{
	const struct child_kind *kind = c->kind;

	*page = (struct passport_page){.magic = PASSPORT_MAGIC,
	    .layout = layout_number(),
	    .size = sizeof(*page),
	    .log = -1,
	    .number = c->number,
	    .at = c->at,
	    .generation = c->generation,
	    .gets = kind->gets,
	    .parent = parent,
	    .fd = {-1, -1, -1, -1, -1, -1, {-1, -1}},
	    .drop = child_identity(c, n)->drop,
	    .tried = kind->executable == NULL && n->program_is_sealed,
	    .limits = *n->limits,
	    .live = *n->live};
	if ((kind->gets & CHILD_SECRETS) == 0)
		conf_live_bare(&page->live);
	strlcpy(page->kind, kind->name, sizeof(page->kind));
	strlcpy(page->title, child_name(c), sizeof(page->title));
	memcpy(page->hash_key, n->hub->hash_key, sizeof(page->hash_key));
	if ((kind->gets & CHILD_LISTENERS) != 0)
		page->endpoints = *n->endpoints;
	for (int i = 0; i < page->endpoints.n; i++)
		page->endpoints.at[i].fd = -1;
	if (birth == NULL || kind->birth_bytes > sizeof(page->birth))
		return;
	memcpy(page->birth, birth, kind->birth_bytes);
	page->birth_bytes = (uint32_t)kind->birth_bytes;
}

int
passport_file(const struct passport_page *page)
{
	return memory_file_fill(
	    memory_file("chatd-passport"), page, sizeof(*page));
}

int
passport_family(const struct child *c, const struct nursery *n,
    const void *birth, uint32_t table)
{
	static struct passport_page page;

	passport_fill(&page, c, n, birth, getpid());
	page.table = table;
	page.fd.log = n->log;
	if ((c->kind->gets & CHILD_WIRE) != 0)
		page.fd.wire = n->wire;
	return passport_file(&page);
}

void
passport_missing(void)
{
	errx(1, "chatd starts this program, nobody else");
}

void
passport_take(int fd, const char *program, struct passport_page *page)
{
	ssize_t n = pread(fd, page, sizeof(*page), 0);

	if (n < (ssize_t)(4 * sizeof(uint64_t)) ||
	    page->magic != PASSPORT_MAGIC)
		passport_missing();
	if (page->log != -1)
		log_send_to((int)page->log);
	if (page->size == sizeof(*page) && n == (ssize_t)sizeof(*page) &&
	    page->tried)
		layout_number_is(page->layout);
	if (page->layout == layout_number() && page->size == sizeof(*page) &&
	    n == (ssize_t)sizeof(*page)) {
		page->kind[sizeof(page->kind) - 1] = '\0';
		page->title[sizeof(page->title) - 1] = '\0';
		return;
	}
	log_set_name(program);
	if (page->layout == layout_number())
		log_fatal("%s reads a passport of %zu bytes, chatd has written "
			  "%llu: install both from the same build",
		    program, sizeof(*page), (unsigned long long)page->size);
	log_fatal("%s has layout %016llx, chatd has %016llx: install both from "
		  "the same build",
	    program, (unsigned long long)layout_number(),
	    (unsigned long long)page->layout);
}

void
passport_start(const struct passport_page *page, const struct child_kind *kind,
    struct child_start *start)
{
	const struct child_row *row = child_row_named(page->kind);

	if (kind == NULL && row == NULL)
		log_fatal("this program has no processes called %s: install it "
			  "from the same build as chatd",
		    page->kind);
	*start = (struct child_start){.kind = kind != NULL ? kind : row->kind,
	    .number = page->number,
	    .generation = page->generation,
	    .link = page->fd.link,
	    .live = &page->live,
	    .endpoints =
		(page->gets & CHILD_LISTENERS) != 0 ? &page->endpoints : NULL,
	    .birth = page->birth_bytes != 0 ? page->birth : NULL};
}
