/* errand: the process that does one of chatctl's commands with the database,
 * answers it, and ends. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "codec/command.h"
#include "store/kinds.h"
#include "task.h"

enum {
	/* For its command, which was sent at its start. */
	TASK_WAIT_MS = 10000
};

/* Cuts the words apart; false: they are none. */
static bool
errand_cut(struct task *t, size_t len)
{
	const char *at = t->words, *end = t->words + len;

	t->json = strcmp(at, CONTROL_JSON) == 0;
	for (at += strlen(at) + 1; at < end && t->argc < TASK_WORDS;
	     at += strlen(at) + 1)
		t->argv[t->argc++] = at;
	return t->argc > 0;
}

/* Takes the command. */
static void
errand_take(void *arg, int type, const void *payload, size_t len, int fd)
{
	struct task *t = arg;

	if (type != MSG_ERRAND || t->fd != -1) {
		if (fd != -1)
			close(fd);
		return;
	}
	memcpy(t->words, payload, len);
	t->words[len] = '\0';
	t->fd = fd;
	if (fcntl(fd, F_SETFL, 0) == -1 || (t->out = fdopen(fd, "w")) == NULL ||
	    !errand_cut(t, len))
		log_fatal("its command: %s", strerror(errno));
}

/* Does it. */
static void
errand_run(struct task *t)
{
	if (strcmp(t->argv[0], "backup") == 0)
		task_backup(t);
	else if (strcmp(t->argv[0], "export") == 0 && t->argc > 1)
		task_export(t);
	else
		task_refuse(t, "no such command");
}

void
store_task_main(struct child_start *start)
{
	static struct task t;
	struct pollfd p = {start->link, POLLIN, 0};
	bool leave = false;

	t.fd = -1;
	t.birth = start->birth;
	while (t.fd == -1 && !leave && poll(&p, 1, TASK_WAIT_MS) == 1)
		leave = child_read(start, errand_take, &t);
	if (t.fd != -1)
		errand_run(&t);
	child_leave();
}
