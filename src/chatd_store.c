/*
 * chatd-store: the program of the processes that open the database, and the
 * only one that maps its library.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/title.h"
#include "process/executable.h"
#include "store/kinds.h"
#include "store/salvage.h"
#include "store/store.h"

/* Each goes on with no other system calls than its kind's. */
static void
store_confined(struct child_start *start)
{
	child_confine(start);
	store_main(start);
}

static void
store_read_confined(struct child_start *start)
{
	child_confine(start);
	store_read_main(start);
}

static void
store_task_confined(struct child_start *start)
{
	child_confine(start);
	store_task_main(start);
}

/* Their kinds, with what they do. */
static const struct child_row *
store_rows(void)
{
	static struct child_kind kind[3];
	static struct child_row row[4];

	kind[0] = store_kind;
	kind[0].main = store_confined;
	kind[1] = store_read_kind;
	kind[1].main = store_read_confined;
	kind[2] = store_task_kind;
	kind[2].main = store_task_confined;
	for (int i = 0; i < 3; i++)
		row[i].kind = &kind[i];
	return row;
}

/* Status 1 and a line, if that file may not be the database. */
static int
store_try_print(const char *path)
{
	char error[2048];

	if (store_try(path, error, sizeof(error)) == 0)
		return 0;
	fprintf(stderr, "%s\n", error);
	return 1;
}

int
main(int argc, char **argv)
{
	child_kinds_use(store_rows());
	title_init(argc, argv, environ);
	if (argc == 3 && strcmp(argv[1], EXECUTABLE_TRY) == 0)
		return store_try_print(argv[2]);
	if (argc == 4 && strcmp(argv[1], SALVAGE_OPTION) == 0)
		return salvage(argv[2], argv[3]);
	return executable_main(argc, argv, NULL);
}
