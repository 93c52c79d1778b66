/*
 * pace: a test's reader of the journal that reads and does nothing with it, at
 * the pace that a file says, which CHATD_PACE names: without that there is none
 * of this kind. The first word of the file is one of
 *
 *	run	reads on
 *	stand	ticks, and does not read on
 *	blocked	the same, and says so
 *	sleep	does not tick
 *	bad	sends all workers what it should not, and reads on
 *	call	calls the system as it may not
 */
#include <fcntl.h>
#include <poll.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "codec/message.h"
#include "hub/reader.h"
#include "net/link.h"
#include "process/reader_child.h"
#include "settings.h"

enum { PACE_ROUND = 64 }; /* entries that are taken at once */

static bool
pace_wanted(const struct conf *c)
{
	return getenv("CHATD_PACE") != NULL;
}

/* Whether the file says that word. */
static bool
pace_is(const char *word)
{
	char text[16] = "";
	int fd = open(getenv("CHATD_PACE"), O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		return false;
	(void)!read(fd, text, sizeof(text) - 1);
	close(fd);
	return strncmp(text, word, strlen(word)) == 0;
}

/* Reads what there is, as far as one round goes; whether there is more. */
static bool
pace_read(struct reader *r, void *buf, size_t cap)
{
	struct publication p;
	enum reader_result result = READER_END;
	int n = 0;

	while (n++ < PACE_ROUND &&
	    (result = reader_next(r, buf, cap, &p)) != READER_END &&
	    result != READER_STOPPED)
		if (result == READER_LOST)
			log_warn("entries above %llu and below %llu are lost",
			    (unsigned long long)r->from,
			    (unsigned long long)r->to);
	reader_taken(r, r->passed);
	return result != READER_END && result != READER_STOPPED;
}

/* Tells all workers what only a worker says. */
static void
pace_misbehave(const struct reader_child *c)
{
	const uint64_t id = 1;

	for (int k = 0; k < SHM_WORKERS; k++)
		for (int n = 0; n < MESSAGE_BAD_MAX && c->link[k] != -1; n++)
			(void)link_send(
			    c->link[k], MSG_TAKEN, &id, sizeof(id), -1);
}

static void
pace_main(struct child_start *start)
{
	struct hub *h = start->hub;
	const size_t cap = h->journal_size / JOURNAL_SHARE;
	struct settings settings = {0};
	struct reader_child c;
	struct reader r;
	bool more = false;
	void *buf = malloc(cap);

	if (buf == NULL)
		log_fatal("no memory");
	reader_init(&r, h, start->kind->reader - 1u, READER_NO_MARK);
	reader_child_init(&c, start, &r);
	child_confine(start);
	child_hello(start);
	while (reader_child_turn(&c, more ? 0 : READER_CHILD_WAIT_MS)) {
		settings_look(&settings, start);
		if (pace_is("sleep"))
			(void)poll(NULL, 0, -1);
		reader_child_blocked(&c, pace_is("blocked"));
		if (pace_is("call"))
			(void)getppid();
		if (pace_is("bad"))
			pace_misbehave(&c);
		if (pace_is("stand") || pace_is("blocked")) {
			more = false;
			continue;
		}
		more = pace_read(&r, buf, cap);
	}
	while (pace_read(&r, buf, cap))
		;
	free(buf);
	child_leave();
}

static const int pace_calls[] = {
    READER_CHILD_CALLS, SCMP_SYS(openat), SCMP_SYS(read), -1};

/* A user that each Debian has, and nothing else of it. */
const struct child_kind pace_kind = {.name = "pace",
    .n = 1,
    .gets = CHILD_HUB,
    .calls = pace_calls,
    .main = pace_main,
    .wanted = pace_wanted,
    .reader = READER_ENGINE + 1,
    .still_ms = 3000,
    .user = "games"};
