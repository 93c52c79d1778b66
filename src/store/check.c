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
	pthread_mutex_t lock;
	sqlite3 *db;  /* under the lock: that is being checked; NULL: none */
	bool stopped; /* and whether it was to be ended */
} check = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* What may be stopped from now on. */
static void
check_set(sqlite3 *db)
{
	pthread_mutex_lock(&check.lock);
	check.db = db;
	pthread_mutex_unlock(&check.lock);
}

void
check_stop(void)
{
	pthread_mutex_lock(&check.lock);
	if (check.db != NULL) {
		check.stopped = true;
		sqlite3_interrupt(check.db);
	}
	pthread_mutex_unlock(&check.lock);
}

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
		check_set(s->db);
		check.result = check_pages(s);
		check_set(NULL);
		store_close(s);
	}
	if (check.stopped) { /* nothing of it counts */
		check.result = STORE_FAILED;
		snprintf(check.error, sizeof(check.error),
		    "%s: not to its end, since its write-ahead log grew "
		    "meanwhile: PRAGMA quick_check by sqlite3(1) tells when "
		    "there is less traffic",
		    check.path);
	}
	atomic_store(&check.ended, true);
	return NULL;
}

bool
check_begin(const char *path)
{
	check.path = path;
	check.stopped = false;
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
