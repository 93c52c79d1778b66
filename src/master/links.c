#include "links.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "codec/message.h"
#include "net/link.h"
#include "private.h"

_Static_assert(
    (int)MESSAGE_PEERS == (int)SHM_LINES, "peers are named by their lines");

/* Whether a child is a worker. */
static bool
link_is_worker(const struct child *c)
{
	return c->kind != NULL && c->kind->n == CHILD_CONFIGURED;
}

/* Whether it reads the journal, answers workers' questions, or begins with
 * connections for them. */
static bool
link_is_served(const struct child *c)
{
	return c->kind != NULL &&
	    (c->kind->reader != 0 || c->kind->answers || c->kind->begins);
}

/* Gives a child one end of a link; false: not now. */
static bool
link_give(const struct child *to, const struct child *peer, int fd)
{
	const bool begins = peer->kind->begins;
	const struct message_link_asked link = {
	    {.peer = (uint32_t)peer->at, .generation = peer->generation},
	    begins ? LINK_BEGINS : LINK_ANSWERS};

	return link_send(to->link, MSG_LINK, &link,
		   peer->kind->answers || begins ? sizeof(link)
						 : sizeof(link.link),
		   fd) == 0;
}

/* Connects two children; false: not now. */
static bool
link_pair_give(const struct child *a, const struct child *b)
{
	int fd[2], saved;
	bool good;

	if (link_pair(fd) == -1)
		return false;
	good = link_give(a, b, fd[0]) && link_give(b, a, fd[1]);
	saved = errno;
	close(fd[0]);
	close(fd[1]);
	errno = saved;
	return good;
}

/* Connects a child with a worker, or notes that they are to be: without links
 * they would miss relays for ever. */
static void
links_connect(struct child *c, const struct child *worker)
{
	const uint64_t bit = 1ull << worker->number;
	char name[CHILD_NAME];

	if (link_pair_give(c, worker)) {
		c->unlinked &= ~bit;
		return;
	}
	if ((c->unlinked & bit) == 0) {
		strlcpy(name, child_name(c), sizeof(name));
		log_error("no link between %s and %s: %s, trying again", name,
		    child_name(worker), strerror(errno));
	}
	c->unlinked |= bit;
}

void
links_hello(struct child *c)
{
	struct master *m = c->master;
	struct child *worker;

	if (!link_is_worker(c) && !link_is_served(c))
		return;
	for (int i = 0; i < m->n_workers; i++) {
		worker = &m->member[i].child;
		if (worker != c && worker->ready)
			links_connect(c, worker);
	}
	for (int i = 0; i < m->n_others && link_is_worker(c); i++)
		if (link_is_served(&m->other[i]) && m->other[i].ready)
			links_connect(&m->other[i], c);
}

void
links_time(struct child *c)
{
	const struct child *worker;

	/* one that is gone is connected by its successor's HELLO */
	for (int i = 0; i < c->master->n_workers && c->unlinked != 0; i++) {
		worker = &c->master->member[i].child;
		if ((c->unlinked >> i & 1) == 0)
			continue;
		if (c->ready && worker->ready)
			links_connect(c, worker);
		else
			c->unlinked &= ~(1ull << i);
	}
}
