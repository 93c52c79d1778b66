/* The new program in the child that copies the memory; see conversion.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/kill_list.h"
#include "base/shared.h"
#include "conversion.h"
#include "hub/convert.h"
#include "limits.h"
#include "master/resume.h"
#include "process/identity.h"
#include "process/spawn.h"
#include "state.h"
#include "tables.h"

enum { TEXT_MAX = 512 };

/* Says how it went, and leaves. */
static int
conversion_say(int link, const char *what, const char *text)
{
	char all[TEXT_MAX];
	int n = snprintf(all, sizeof(all), "%s%s", what, text);

	n = n < TEXT_MAX ? n : TEXT_MAX - 1;
	return send(link, all, (size_t)n, MSG_NOSIGNAL) == n ? 0 : 1;
}

/* Waits for the master's next word; false: it has gone. */
static bool
conversion_hear(int link, char text[TEXT_MAX])
{
	ssize_t n = recv(link, text, TEXT_MAX - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* If memory runs out the kernel shall take this process, and the old program
 * goes on. */
static void
conversion_volunteer(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd == -1)
		return;
	(void)!write(fd, "1000", 4);
	close(fd);
}

/* Becomes the user that workers are; an older master does not say who. If the
 * master has died meanwhile, this process does, too. */
static int
conversion_assume(const char *line, const struct spawn *s)
{
	struct identity id = {.drop = false};
	unsigned uid, gid;
	int drop;

	if (line == NULL ||
	    sscanf(line + 1, RESUME_IDENTITY, &drop, &uid, &gid) != 3)
		return 0;
	id.drop = drop != 0;
	id.uid = (uid_t)uid;
	id.gid = (gid_t)gid;
	if (spawn_assume(&id) == -1)
		return -1;
	errno = ESRCH; /* if the master has died meanwhile */
	return spawn_tie(s, SIGKILL) ? 0 : -1;
}

/* How large the memory is to be. False with a message. */
static bool
conversion_hear_task(int link, struct hub_limits *l, char error[TEXT_MAX])
{
	const struct spawn s = {.parent = getppid()};
	char text[TEXT_MAX];
	uint32_t connections;

	if (!conversion_hear(link, text) ||
	    !limits_read(text, l, &connections)) {
		strlcpy(error, "its task is not understood", TEXT_MAX);
		return false;
	}
	if (conversion_assume(strchr(text, '\n'), &s) == 0) {
		KILL_POINT();
		return true;
	}
	snprintf(error, TEXT_MAX, "user: %s", strerror(errno));
	return false;
}

/* Copies, when the master says so. */
static int
conversion_copy(struct convert *c, int link)
{
	struct convert_result r;
	char text[TEXT_MAX], error[TEXT_MAX] = "";
	uint64_t began;

	if (!conversion_hear(link, text) || strcmp(text, "copy") != 0)
		return 1;
	KILL_POINT();
	began = clock_ms();
	if (convert_run(c, &r, error, sizeof(error)) == -1)
		return conversion_say(link, "no ", error);
	KILL_POINT();
	snprintf(text, sizeof(text),
	    "%u connections, %u subscriptions, %u users and channels, %" PRIu64
	    " messages in %" PRIu64 " ms (corrupted %u)",
	    r.connections, r.subscriptions, r.entries, r.messages,
	    clock_ms() - began, r.spoilt);
	if (conversion_say(link, "done ", text) != 0)
		return 1;
	KILL_POINT(); /* the master has the copy without this process */
	return 0;
}

int
conversion_child(int state, int link, int memory)
{
	struct hub_limits limits;
	char error[TEXT_MAX] = "";
	struct convert *c;
	struct state s;

	kill_list_become(KILL_COPIER);
	conversion_volunteer();
	KILL_POINT();
	if (state_read_print(state, &s, error, sizeof(error)) == -1 ||
	    !conversion_hear_task(link, &limits, error) ||
	    (c = convert_open(s.hub, s.print, STATE_LAYOUT, tables_print(),
		 error, sizeof(error))) == NULL ||
	    convert_prepare(
		c, memory, &limits, s.hash_key, error, sizeof(error)) == -1)
		return conversion_say(link, "no ", error);
	KILL_POINT();
	if (conversion_say(link, "ready", "") != 0)
		return 1;
	KILL_POINT();
	return conversion_copy(c, link);
}
