#include "erase.h"

#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "codec/message.h"
#include "master/control.h"
#include "net/link.h"
#include "private.h"

/* What no chatd reaches, for people and programs. */
#define UNREACHED                                                           \
	"backups and exports made before, what clients have received, and " \
	"what others wrote to or about the user"

/* The child that erases; NULL: none is there. */
static const struct child *
erase_child(const struct master *m)
{
	const struct child *c;

	for (int i = 0; i < m->n_others; i++) {
		c = &m->other[i];
		if (c->kind != NULL && c->kind->erases && c->ready &&
		    c->link != -1)
			return c;
	}
	return NULL;
}

const char *
erase_refuse(const struct master *m)
{
	if (m->erasing.child != NULL)
		return "another user is being erased: try again";
	if (erase_child(m) == NULL)
		return "nothing is erased: no database is written now (the key "
		       "store; chatctl store)";
	return NULL;
}

/* Its end is told, and another one may begin. */
static void
erase_end(struct master *m, const char *why)
{
	struct erasing *e = &m->erasing;

	e->child = NULL;
	control_finish(e->wait, why == NULL, "%s", why != NULL ? why : "");
	e->wait = NULL;
}

void
erase_begin(struct master *m, const char *user, size_t len, bool json,
    struct control_wait *wait)
{
	struct erasing *e = &m->erasing;
	struct message_erase erase = {
	    .number = ++m->order_number, .user_len = (uint8_t)len};

	memcpy(erase.user, user, len);
	*e = (struct erasing){.wait = wait,
	    .child = erase_child(m),
	    .number = erase.number,
	    .json = json};
	memcpy(e->user, user, len);
	if (link_send(e->child->link, MSG_ERASE, &erase, sizeof(erase), -1) ==
	    -1)
		erase_end(m,
		    "nothing is erased: the process that writes the database "
		    "cannot be told now; try again");
}

/* Tells who asked. */
static void
erase_tell(struct erasing *e, const struct message_erased *a)
{
	if (e->json)
		control_finish(e->wait, true,
		    "{\"messages\":%" PRIu64 ",\"events\":%" PRIu64
		    ",\"journal\":%" PRIu64
		    ",\"log_emptied\":%s,\"unreached\":[\"backups\","
		    "\"exports\",\"clients\",\"messages of others\"]}\n",
		    a->rows, a->events, a->journal,
		    a->logged ? "false" : "true");
	else
		control_finish(e->wait, true,
		    "erased of %s: %" PRIu64 " messages and %" PRIu64
		    " events in the database, %" PRIu64
		    " messages in the journal\n%snot reached: " UNREACHED "\n",
		    e->user, a->rows, a->events, a->journal,
		    a->logged ? "the database's log (-wal) may have them "
				"until no other program reads it: erase once "
				"more then\n"
			      : "");
	e->wait = NULL;
	e->child = NULL;
}

const char *
erase_message(struct child *c, int type, const void *payload)
{
	struct erasing *e = &c->master->erasing;
	struct message_erased a;

	if (type != MSG_ERASED || !c->kind->erases)
		return "not from such a process";
	memcpy(&a, payload, sizeof(a));
	/* one that the program before this one asked for, or that died since */
	if (e->child != c || e->number != a.number)
		return NULL;
	if (a.result != RESULT_DONE) {
		erase_end(c->master,
		    "not all is erased: the database cannot be written now "
		    "(chatctl store says why); try again then");
		return NULL;
	}
	log_info("%s erased: %" PRIu64 " messages and %" PRIu64
		 " events in the database, %" PRIu64 " in the journal",
	    log_text(e->user, strlen(e->user)), a.rows, a.events, a.journal);
	erase_tell(e, &a);
	return NULL;
}

void
erase_died(const struct child *c)
{
	if (c->master->erasing.child == c)
		erase_end(c->master,
		    "not all may be erased: the process that does it has "
		    "ended; try again");
}
