/* apart: the kind that counts, as a program of its own. */
#include "count.h"
#include "process/executable.h"

static const struct child_kind apart_kind = {.name = "apart",
    .n = 1,
    .gets = CHILD_HUB_LOOK,
    .executable = "apart",
    .main = count_main};

int
main(int argc, char **argv)
{
	return executable_main(argc, argv, &apart_kind);
}
