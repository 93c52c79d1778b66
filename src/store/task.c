#include "task.h"

#include <poll.h>
#include <stdarg.h>

#include "base/log.h"
#include "codec/command.h"

void
task_begin(struct task *t, bool done)
{
	if (!t->begun)
		putc(done ? CONTROL_DONE : CONTROL_REFUSED, t->out);
	t->begun = true;
}

void
task_end(struct task *t)
{
	putc(CONTROL_END, t->out);
	if (fclose(t->out) != 0)
		log_warn("chatctl %s: its answer was not read to the end",
		    t->argv[0]);
	t->out = NULL;
}

void
task_refuse(struct task *t, const char *fmt, ...)
{
	va_list ap;

	task_begin(t, false);
	va_start(ap, fmt);
	vfprintf(t->out, fmt, ap);
	va_end(ap);
	task_end(t);
}

struct store *
task_open(struct task *t)
{
	const struct store_options o = {.path = t->birth->path,
	    .use = STORE_READS,
	    .search = t->birth->search};
	struct store_mark mark;
	struct store *s;
	char error[STORE_ERROR];
	bool damaged;

	if (store_open(&s, &o, &mark, &damaged, error, sizeof(error)) == 0)
		return s;
	task_refuse(t, "%s", error);
	return NULL;
}

bool
task_is_left(const struct task *t)
{
	struct pollfd p = {t->fd, POLLIN | POLLRDHUP, 0};

	return poll(&p, 1, 0) == 1;
}
