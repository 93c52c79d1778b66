#include "errand.h"

#include <errno.h>
#include <stdalign.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "client.h"
#include "codec/message.h"
#include "net/link.h"
#include "own_user.h"
#include "private.h"
#include "process/child.h"
#include "process/passport.h"
#include "process/process.h"
#include "process/spawn.h"

/* Their kind; NULL: this program has none. */
static const struct child_row *
errand_row(void)
{
	const struct child_row *row;

	for (unsigned k = 0; (row = child_row(k)) != NULL; k++)
		if ((row->kind->gets & CHILD_ERRAND) != 0)
			return row;
	return NULL;
}

void
errands_take_user(struct master *m, const struct bundle *b)
{
	const struct child_row *row = errand_row();

	m->errands.identity.drop = false;
	if (m->identity.drop && row != NULL && row->kind->user != NULL &&
	    !own_user_get(b, row->kind->user, &m->errands.identity))
		m->errands.identity.drop = false;
}

/* The command's words, as a request has them. Their length; 0: too long. */
static size_t
errand_words(char *out, size_t room, bool json, int argc, char **argv)
{
	const char *word = json ? CONTROL_JSON : CONTROL_TEXT;
	size_t used = 0, n;

	for (int i = 0; i <= argc; i++) {
		n = strlen(word) + 1;
		if (n > room - used)
			return 0;
		memcpy(out + used, word, n);
		used += n;
		word = argv[i]; /* argv[argc] is NULL and not looked at */
	}
	return used;
}

/* Who does not read its answer for so long goes without, since it keeps a
 * transaction of the process open. */
static int
errand_limit(int client)
{
	const struct timeval limit = {.tv_sec = CONTROL_CLIENT_MS / 1000};

	return setsockopt(
	    client, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

/* Starts a process, and hands it the connection with the words. Returns it, or
 * -1 and errno. */
static pid_t
errand_start(struct master *m, const struct child_kind *kind, int client,
    const char *words, size_t len)
{
	alignas(8) static uint8_t birth[PASSPORT_BIRTH];
	struct child c;
	pid_t pid;

	child_init(&c, &(struct child_row){.kind = kind}, 0, -1);
	c.master = m;
	if (m->errands.identity.drop)
		c.identity = &m->errands.identity;
	if (kind->birth != NULL)
		kind->birth(m->conf, birth);
	if ((pid = spawn_child(&c, &m->nursery, birth, &c.link)) == -1)
		return -1;
	if (errand_limit(client) == -1 ||
	    link_send(c.link, MSG_ERRAND, words, len, client) == -1) {
		const int saved = errno;

		(void)process_kill(pid, "a process without its task");
		close(c.link);
		errno = saved;
		return -1;
	}
	close(c.link);
	return pid;
}

const char *
errand_begin(
    struct master *m, struct answer *a, bool json, int argc, char **argv)
{
	const struct child_row *row = errand_row();
	char words[MESSAGE_ERRAND_MAX];
	size_t len = errand_words(words, sizeof(words), json, argc, argv);
	int i = 0;
	pid_t pid;

	if (row == NULL || !child_is_wanted(row->kind, m->conf))
		return "nothing is stored: no store in the configuration";
	if (len == 0)
		return "the request is too long";
	while (i < ERRANDS_MAX && m->errands.pid[i] != 0)
		i++;
	if (i == ERRANDS_MAX)
		return "too many such commands at once";
	pid = errand_start(m, row->kind, client_fd(a->client), words, len);
	if (pid == -1)
		return strerror(errno);
	m->errands.pid[i] = pid;
	a->handed = true;
	return NULL;
}

void
errands_save(const struct master *m, FILE *f)
{
	for (int i = 0; i < ERRANDS_MAX; i++)
		if (m->errands.pid[i] != 0)
			fprintf(f, "errand %d\n", (int)m->errands.pid[i]);
}

bool
errand_load(struct master *m, const char *text)
{
	int pid, i = 0;

	while (i < ERRANDS_MAX && m->errands.pid[i] != 0)
		i++;
	if (sscanf(text, "%d", &pid) != 1 || i == ERRANDS_MAX)
		return false;
	m->errands.pid[i] = pid;
	return true;
}

bool
errand_owns(const struct master *m, pid_t pid)
{
	for (int i = 0; i < ERRANDS_MAX; i++)
		if (m->errands.pid[i] == pid)
			return true;
	return false;
}

bool
errand_died(struct master *m, pid_t pid, int status)
{
	for (int i = 0; i < ERRANDS_MAX; i++) {
		if (m->errands.pid[i] != pid)
			continue;
		m->errands.pid[i] = 0;
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			log_error("the process of a command of chatctl's (pid "
				  "%d) %s: the command is not done",
			    (int)pid, process_death(status));
		return true;
	}
	return false;
}
