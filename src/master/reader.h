/*
 * reader: a child that reads files, and asks for users and names, in the
 * master's place. A disk or name server that does not answer stops the child
 * alone: the master waits READER_MS for it, without being stopped itself, and
 * goes on without what it has not brought.
 */
#ifndef CHATD_MASTER_READER_H
#define CHATD_MASTER_READER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/bundle.h"
#include "process/identity.h"
#include "master/options.h"

enum {
/* Larger: who waits for a reload hears later that a disk hangs;
 * smaller: a slow disk is taken for one that hangs. */
#ifdef CHATD_SANITIZED
	READER_MS = 15000 /* the program is tried, and starts slowly */
#else
	READER_MS = 5000
#endif
};

/* What is read, in this order; each part is complete or missing. */
enum reader_part {
	READ_CONF = 1,	/* the configuration with the files that it includes */
	READ_USER = 2,	/* the users that children become */
	READ_NAMES = 4, /* of `listen` */
	READ_LOOK = 16, /* whether what the configuration names is there */
	READ_PROGRAM = 32, /* what children execute, beside options->binary */
	READ_PAGE = 8,	   /* the web page's files */
	READ_STAMP = 64	   /* without the others: judge_stamp() */
};

struct reader_job {
	unsigned what; /* enum reader_part */
	const struct options *options;
	/* Without READ_CONF and READ_USER: */
	const struct identity *identity; /* the page is read as that user */
	const char *webroot;		 /* NULL: no page */
	const struct conf *conf;	 /* of READ_STAMP */
	char *const *listen; /* names to look up; NULL: the configuration's */
	int n_listen;
};

struct reader {
	pid_t pid;	/* 0: it is dead, and reaped */
	int memory;	/* what it has read */
	int pipe;	/* ends with it */
	int ms;		/* its time limit */
	bool is_killed; /* by reader_end, and not reaped then */
};

/* Starts the child; it is the caller's to end it after ms. Returns 0, or -1 and
 * errno. */
int reader_start(struct reader *r, const struct reader_job *job, int ms);

/*
 * Takes what the child has read so far, kills it if it still reads. Returns
 * the parts that are complete; if any is not, `stuck` is the sentence that says
 * why ("reading /etc/x takes longer than 5 s"). Frees all but the process,
 * which is the caller's to reap.
 */
unsigned
reader_end(struct reader *r, struct bundle *b, char *stuck, size_t stuck_len);

/* To give up: lets go of the descriptors. */
void reader_drop(struct reader *r);

/* All in one, for a process that may wait: at a start. */
unsigned reader_run(const struct reader_job *job, int ms, struct bundle *b,
    char *stuck, size_t stuck_len);

/* Writes a bundle into an empty memory file, or reads one that is there. Each
 * returns 0, or -1 and errno. */
int reader_save(int fd, const struct bundle *b);
int reader_restore(int fd, struct bundle *b);

/* The user that a bundle has. Returns 0, or -1 with a message. */
int reader_identity(
    const struct bundle *b, struct identity *id, char *error, size_t error_len);

#endif
