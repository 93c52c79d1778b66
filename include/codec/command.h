/*
 * command: what chatctl can ask of chatd, in one table for both. Layer 1. The
 * two may be of different versions: chatd refuses what it does not know.
 */
#ifndef CHATD_CODEC_COMMAND_H
#define CHATD_CODEC_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

/* How a request says which lists it wants, how a reply begins, and its last
 * byte: master/control.h. */
#define CONTROL_TEXT "text"
#define CONTROL_JSON "json"
#define CONTROL_DONE '0'
#define CONTROL_REFUSED '1'
#define CONTROL_END '\0'

enum command_id {
#define COMMAND(id, name, second, usage, later, help) COMMAND_##id,
#include "codec/command.def"
#undef COMMAND
	COMMANDS
};

/* A row of command.def, which says what each member is. */
struct command {
	const char *name, *second, *usage, *help;
	bool later;
};

extern const struct command commands[COMMANDS];

/* What is wrong with a command's words. */
enum command_fault {
	COMMAND_RIGHT,
	COMMAND_UNKNOWN, /* the first word */
	COMMAND_SHORT,	 /* a word is missing at the end */
	COMMAND_SECOND,	 /* the second word is not one of those listed */
	COMMAND_LONG	 /* there are more words than the command takes */
};

/* Finds the row for some words, argc > 0; *fault says why there is none, which
 * is -1. With COMMAND_LONG, *words is how many of them there may be. */
int command_judge(
    int argc, char *const *argv, enum command_fault *fault, int *words);

/* The next word of a list like "verbose|brief" from *at on, which is moved
 * behind it; NULL: there is none left. *len is its length. */
const char *command_word(const char **at, size_t *len);

#endif
