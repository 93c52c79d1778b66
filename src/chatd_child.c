/*
 * chatd-child: the program that the master's children execute. It has the
 * child's side of each kind, and none of the master's. Linked statically: no
 * library, and no file, is read when one starts.
 */
#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/title.h"
#include "logger/logger.h"
#include "process/executable.h"
#include "process/family.h"
#include "process/kinds.h"

#define ROW(kind, role) extern const struct child_kind kind##_kind;
#include "kinds.def"
#undef ROW

#define ROW(kind, role) {&kind##_kind, NULL},
const struct child_row kinds[] = {
#include "kinds.def"
    {NULL, NULL}};

/* Says of which build it is; the master compares it. */
static int
version_print(void)
{
	char text[EXECUTABLE_VERSION_MAX];

	executable_version(text);
	return puts(text) >= 0 && fflush(stdout) == 0 ? 0 : 1;
}

int
main(int argc, char **argv)
{
	uint32_t generation;
	int fd;

	child_kinds_use(kinds);
	title_init(argc, argv, environ);
	if (argc == 2 && strcmp(argv[1], EXECUTABLE_VERSION) == 0)
		return version_print();
	if (argc == 3 && strcmp(argv[1], EXECUTABLE_FAMILY) == 0 &&
	    sscanf(argv[2], "%" SCNu32, &generation) == 1)
		family_main(generation);
	if (argc == 3 && strcmp(argv[1], LOGGER_OPTION) == 0 &&
	    sscanf(argv[2], "%d", &fd) == 1)
		logger_program(fd);
	return executable_main(argc, argv, NULL);
}
