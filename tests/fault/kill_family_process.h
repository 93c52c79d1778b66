/*
 * kill_family_process: the process of a family in a test. It opens sockets,
 * claims them in shared memory, gives them up and closes them, leaves things in
 * its table that nobody claims, and does as it is told what it must not.
 */
#ifndef CHATD_TESTS_KILL_FAMILY_PROCESS_H
#define CHATD_TESTS_KILL_FAMILY_PROCESS_H

#include "../unit/hub_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "net/link.h"
#include "process/child.h"
#include "process/family.h"

enum {
	CLAIMS = 64,
	OWN = 2, /* descriptors that it is given: link, listener */
	TABLE = 128
};

/* What the process does besides opening and closing. */
enum deed {
	DEED_NONE,
	DEED_FILL,    /* takes all numbers that there are, and FAMILY_RESERVE */
	DEED_RUIN,    /* another socket in the link's place */
	DEED_HIDE,    /* and the link under another number */
	DEED_FORGE,   /* and in its place one with notes of its own */
	DEED_STREAMS, /* its own in the place of standard streams */
	/* what the filters forbid */
	DEED_FORK,
	DEED_CLONE,
	DEED_EXEC,
	DEED_KILL,
	DEED_LIMIT,
	DEED_TRACE,
	DEEDS
};

/* In shared memory, in worker 0's stage. */
struct board {
	struct {
		_Atomic uint32_t fd; /* 0: none */
		uint64_t inode;
	} claim[CLAIMS];
	_Atomic uint32_t go; /* the generation that may begin to act */
	_Atomic uint32_t deed, done;
	_Atomic uint32_t wrong; /* claims that were not open, or another one */
	_Atomic uint32_t own[OWN];
	_Atomic int32_t keeper; /* to be attacked */
};

static uint64_t
inode_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) ? st.st_ino : 0;
}

/* What nothing claims is closed, before anything is opened. */
static void
test_settle(struct hub *h)
{
	struct board *b = (struct board *)h->stage;
	bool claimed[TABLE] = {false};

	for (int i = 0; i < CLAIMS; i++) {
		const uint32_t fd = SHM_LOAD(b->claim[i].fd);

		if (fd == 0)
			continue;
		if (fd >= TABLE || claimed[fd] ||
		    inode_of((int)fd) != b->claim[i].inode) {
			SHM_COUNT(b->wrong, 1);
			SHM_STORE(b->claim[i].fd, 0);
		} else
			claimed[fd] = true;
	}
	for (int fd = FAMILY_RESERVE + 1; fd < TABLE; fd++)
		if (!claimed[fd] && close(fd) == 0)
			KILL_POINT();
}

/* Opens one more, or gives one up. */
static void
claim_turn(struct board *b)
{
	const uint32_t i = fixture_random(CLAIMS);
	int fd = (int)SHM_LOAD(b->claim[i].fd);

	if (fd != 0) {
		SHM_STORE(b->claim[i].fd, 0);
		close(fd);
	} else if ((fd = socket(AF_INET, SOCK_STREAM, 0)) != -1) {
		KILL_POINT();
		b->claim[i].inode = inode_of(fd);
		SHM_STORE(b->claim[i].fd, (uint32_t)fd);
	}
	KILL_POINT();
	/* what a dead process leaves besides */
	if (fixture_random(8) == 0 && (fd = eventfd(0, 0)) != -1 &&
	    fixture_random(2) == 0)
		close(fd);
}

/* What no process of a family may do. */
static void
deed_forbidden(struct board *b, enum deed deed)
{
	const struct rlimit none = {0, 0};
	char *argv[] = {NULL};
	int fd;

	switch (deed) {
	case DEED_FORK:
		(void)fork();
		break;
	case DEED_CLONE: /* a child that shares the table */
		(void)syscall(SYS_clone, 0x400 | SIGCHLD, 0, 0, 0, 0);
		break;
	case DEED_EXEC:
		fd = open("/proc/self/exe", O_RDONLY);
		syscall(SYS_execveat, fd, "", argv, argv, AT_EMPTY_PATH);
		break;
	case DEED_KILL:
		kill(SHM_LOAD(b->keeper), SIGKILL);
		break;
	case DEED_LIMIT:
		(void)prlimit(SHM_LOAD(b->keeper), RLIMIT_NOFILE, &none, NULL);
		break;
	default:
		(void)syscall(SYS_ptrace, 16 /* PTRACE_ATTACH */,
		    SHM_LOAD(b->keeper), 0, 0);
		break;
	}
	_exit(5);
}

/* Another link in the place of the family's, with notes that bring a program of
 * its own for the generations that follow. */
static void
deed_forge(uint32_t generation)
{
	const int program = open("/bin/true", O_RDONLY | O_CLOEXEC);
	int pair[2];

	if (link_pair(pair) == -1)
		_exit(5);
	for (uint32_t g = generation + 1; g < generation + 10; g++)
		(void)family_note_send(
		    pair[0], g, FAMILY_NOTE_PROGRAM, &program, 1);
	(void)dup(FAMILY_HOME);
	dup2(pair[1], FAMILY_HOME);
}

/* Does it, and waits for its end. */
static void __attribute__((noreturn))
deed_do(struct board *b, enum deed deed, uint32_t generation)
{
	int fd = eventfd(0, 0);

	switch (deed) {
	case DEED_FILL:
		close(FAMILY_RESERVE);
		while (dup(fd) != -1)
			;
		break;
	case DEED_HIDE:
		(void)dup(FAMILY_HOME);
		/* fallthrough */
	case DEED_RUIN:
		dup2(socket(AF_UNIX, SOCK_SEQPACKET, 0), FAMILY_HOME);
		break;
	case DEED_FORGE:
		deed_forge(generation);
		break;
	case DEED_STREAMS:
		for (int i = 0; i < 3; i++)
			dup2(socket(AF_INET, SOCK_STREAM, 0), i);
		close(1);
		break;
	default:
		deed_forbidden(b, deed);
	}
	SHM_STORE(b->done, 1);
	for (;;)
		pause();
}

static void __attribute__((noreturn)) test_main(struct child_start *start)
{
	struct board *b = (struct board *)start->hub->stage;
	uint32_t deed;

	fixture_seed += (uint64_t)start->generation * 0x9e3779b9;
	SHM_STORE(b->own[0], (uint32_t)start->link);
	SHM_STORE(b->own[1], (uint32_t)start->endpoints->at[0].fd);
	child_hello(start);
	while (SHM_LOAD(b->go) != start->generation)
		poll(NULL, 0, 1);
	for (;;) {
		if ((deed = SHM_LOAD(b->deed)) != DEED_NONE)
			deed_do(b, deed, start->generation);
		claim_turn(b);
		sched_yield();
	}
}

static const struct child_kind tester = {.name = "tester",
    .n = 1,
    .gets = CHILD_HUB | CHILD_LISTENERS,
    .settle = test_settle,
    .main = test_main};
static const struct child_row kinds[] = {{&tester, NULL}, {NULL, NULL}};

#endif
