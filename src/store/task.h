/* task: what chatctl's commands that read the database have in common. */
#ifndef CHATD_STORE_TASK_H
#define CHATD_STORE_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "codec/birth.h"
#include "codec/message.h"
#include "database.h"

enum { TASK_WORDS = 8 };

struct task {
	const struct birth_store *birth;
	int fd;	   /* chatctl's connection; -1: it has not come */
	FILE *out; /* the same */
	bool json, begun;
	int argc;
	const char *argv[TASK_WORDS];
	char words[MESSAGE_ERRAND_MAX + 1];
};

/* The answer begins: the command will be done, or is refused. */
void task_begin(struct task *t, bool done);
void task_refuse(struct task *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The answer is whole. */
void task_end(struct task *t);

/* Opens the database for reading; NULL: it is refused. */
struct store *task_open(struct task *t);

/* Whether nobody waits for the answer any more. */
bool task_is_left(const struct task *t);

/* chatctl backup, export USER. */
void task_backup(struct task *t);
void task_export(struct task *t);

#endif
