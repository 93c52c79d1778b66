#include "store/kinds.h"

#include <seccomp.h>
#include <string.h>

#include "codec/birth.h"
#include "hub/journal.h"
#include "process/reader_child.h"

enum {
	/* A commit waits for the disk. Larger: one that hangs is replaced
	 * later; smaller: one whose disk takes seconds is killed, and so is the
	 * next one. */
	STORE_STILL_MS = 10000,
	/* Larger: after a fault that comes and goes nothing is stored for
	 * longer; smaller: one that dies again and again costs more processor
	 * time. */
	STORE_BACKOFF_MS = 5000,
	/* SQLite's cache, an entry of the journal, and what a transaction
	 * needs; who reads has a smaller one. Measured: 17M and 1M at full
	 * rate. */
	STORE_BYTES = 28 * 1024 * 1024,
	STORE_READ_BYTES = 8 * 1024 * 1024
};

#define STORE_PROGRAM "chatd-store"
#define STORE_USER "chatd-store"

/* All that they call: what readers do, files and what the C library does around
 * them, and a thread of store-read's. None makes a socket, nor becomes another
 * program, nor looks into another process. */
static const int store_calls[] = {READER_CHILD_CALLS, SCMP_SYS(access),
    SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(open), SCMP_SYS(openat),
    SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(pwrite64),
    SCMP_SYS(writev), SCMP_SYS(lseek), SCMP_SYS(fstat), SCMP_SYS(stat),
    SCMP_SYS(lstat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(statfs),
    SCMP_SYS(fstatfs), SCMP_SYS(fcntl), SCMP_SYS(flock), SCMP_SYS(fsync),
    SCMP_SYS(fdatasync), SCMP_SYS(ftruncate), SCMP_SYS(fallocate),
    SCMP_SYS(fchmod), SCMP_SYS(fchown), SCMP_SYS(rename), SCMP_SYS(renameat),
    SCMP_SYS(renameat2), SCMP_SYS(link), SCMP_SYS(linkat), SCMP_SYS(unlink),
    SCMP_SYS(unlinkat), SCMP_SYS(getdents64), SCMP_SYS(readlink),
    SCMP_SYS(readlinkat), SCMP_SYS(getcwd), SCMP_SYS(umask),
    SCMP_SYS(utimensat), SCMP_SYS(memfd_create), SCMP_SYS(mremap),
    SCMP_SYS(mprotect), SCMP_SYS(getrandom), SCMP_SYS(getpid), SCMP_SYS(gettid),
    SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
    SCMP_SYS(getrusage), SCMP_SYS(sysinfo), SCMP_SYS(prlimit64),
    SCMP_SYS(uname), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
    SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday), SCMP_SYS(time),
    SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_setscheduler), SCMP_SYS(setpriority), SCMP_SYS(ioprio_set),
    SCMP_SYS(clone), SCMP_SYS(clone3), SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq), SCMP_SYS(exit), SCMP_SYS(rt_sigaction), SCMP_SYS(setitimer),
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(sigaltstack), SCMP_SYS(tgkill),
    SCMP_SYS(setsockopt), SCMP_SYS(getsockopt), SCMP_SYS(shutdown),
    SCMP_SYS(prctl), -1};

/* Whether there is a database. */
static bool
store_is_wanted(const struct conf *c)
{
	return c->store != NULL;
}

/* Where it is. */
static int
store_tries(
    const struct conf *c, const char **key, const char *words[CHILD_TRIES])
{
	*key = "store";
	words[0] = c->store;
	return c->store != NULL;
}

/* What a reload does not change. */
static void
store_birth(const struct conf *c, void *out)
{
	struct birth_store *b = out;

	*b = (struct birth_store){
	    .sync_full = c->store_sync == 0, .search = c->store_search != 0};
	strlcpy(b->path, c->store, sizeof(b->path));
	if (c->store_backup != NULL)
		strlcpy(b->backup, c->store_backup, sizeof(b->backup));
}

const struct child_kind store_kind = {.name = "store",
    .n = 1,
    .gets = CHILD_HUB,
    .executable = STORE_PROGRAM,
    .calls = store_calls,
    .birth_bytes = sizeof(struct birth_store),
    .birth = store_birth,
    .wanted = store_is_wanted,
    .tries = store_tries,
    .bytes = STORE_BYTES,
    .reader = READER_STORE + 1,
    .reader_events = true,
    .erases = true,
    .first = true,
    .backoff_max_ms = STORE_BACKOFF_MS,
    .still_ms = STORE_STILL_MS,
    .user = STORE_USER};

const struct child_kind store_read_kind = {.name = "store-read",
    .n = 1,
    .gets = CHILD_HUB_LOOK,
    .answers = true,
    .executable = STORE_PROGRAM,
    .calls = store_calls,
    .birth_bytes = sizeof(struct birth_store),
    .birth = store_birth,
    .wanted = store_is_wanted,
    .backoff_max_ms = STORE_BACKOFF_MS,
    .bytes = STORE_READ_BYTES,
    .still_ms = STORE_STILL_MS,
    .user = STORE_USER};

const struct child_kind store_task_kind = {.name = "store-task",
    .gets = CHILD_MUTE | CHILD_ERRAND,
    .executable = STORE_PROGRAM,
    .calls = store_calls,
    .birth_bytes = sizeof(struct birth_store),
    .birth = store_birth,
    .wanted = store_is_wanted,
    .still_ms = STORE_STILL_MS,
    .user = STORE_USER};
