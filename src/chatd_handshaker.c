/*
 * chatd-handshaker: the program of the processes that shake hands with TLS
 * clients, and the only one that maps libssl and sees a private key.
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
	static struct child_row rows[2];

	kind = handshaker_kind;
	kind.main = handshaker_main;
	rows[0].kind = &kind;
	child_kinds_use(rows);
	title_init(argc, argv, environ);
	if (argc >= 4 && strcmp(argv[1], EXECUTABLE_TRY) == 0)
		return handshaker_try(argc - 2, argv + 2);
	return executable_main(argc, argv, NULL);
}
