/*
 * chatd-handshaker: the program of the processes that shake hands over TLS, the
 * only ones that have private keys and read what clients say in handshakes.
 */
#include <string.h>
#include <unistd.h>

#include "base/title.h"
#include "handshaker/handshaker.h"
#include "handshaker/kinds.h"
#include "process/executable.h"

int
main(int argc, char **argv)
{
	static struct child_kind kind;
	static struct child_row row[2];

	kind = handshaker_kind;
	kind.main = handshaker_main;
	row[0].kind = &kind;
	child_kinds_use(row);
	title_init(argc, argv, environ);
	if (argc >= 2 && strcmp(argv[1], EXECUTABLE_TRY) == 0)
		return handshaker_try(argc - 2, argv + 2);
	return executable_main(argc, argv, NULL);
}
