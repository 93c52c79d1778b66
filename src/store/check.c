#include "check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "database.h"

/* Of ioprio_set(2): this thread, when nobody else reads or writes. */
enum { WHO_PROCESS = 1, CLASS_IDLE = 3 << 13 };

static struct {
	pthread_t thread;
	const char *path;
	enum store_result result;
	char error[STORE_ERROR];
	atomic_bool ended; /* the two above are there */
} check;

/* What SQLite finds: "ok", or the first thing that is wrong. */
static enum store_result
check_pages(struct store *s)
{
	static const char sql[] = "PRAGMA quick_check(1)";
	sqlite3_stmt *stmt = database_statement(s, sql);
	enum store_result r = database_row(s, stmt, "checking its pages");
	const char *found;
	size_t len;

	if (r != STORE_OK) {
		strlcpy(check.error, store_error(s), sizeof(check.error));
		return r == STORE_NONE ? STORE_OK : r;
	}
	found = column_text(stmt, 0, &len);
	if (strcmp(found, "ok") != 0) {
		snprintf(check.error, sizeof(check.error), "%s: %s", check.path,
		    found);
		r = STORE_DAMAGED;
	}
	sqlite3_reset(stmt);
	return r;
}

/* The thread. */
static void *
check_main(void *arg)
{
	const struct store_options o = {.path = check.path, .use = STORE_READS};
	const int self = (int)syscall(SYS_gettid);
	struct store_mark mark;
	struct store *s;
	bool damaged;

	/* without either it takes more of what others need */
	(void)setpriority(PRIO_PROCESS, (id_t)self, 19);
	(void)syscall(SYS_ioprio_set, WHO_PROCESS, self, CLASS_IDLE);
	if (store_open(&s, &o, &mark, &damaged, check.error,
		sizeof(check.error)) == -1) {
		check.result = damaged ? STORE_DAMAGED : STORE_FAILED;
	} else {
		check.result = check_pages(s);
		store_close(s);
	}
	atomic_store(&check.ended, true);
	return NULL;
}

bool
check_begin(const char *path)
{
	check.path = path;
	if (pthread_create(&check.thread, NULL, check_main, NULL) != 0)
		return false;
	(void)pthread_detach(check.thread);
	return true;
}

enum store_result
check_ended(const char **error)
{
	if (!atomic_exchange(&check.ended, false))
		return STORE_NONE;
	*error = check.error;
	return check.result;
}
