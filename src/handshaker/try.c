/* try: whether certificates would be taken, before there is a process. */
#include <stdio.h>
#include <string.h>

#include "contexts.h"
#include "handshaker/handshaker.h"
#include "process/executable.h"
#include "read.h"

static void
try_warn(const char *line)
{
	fprintf(stderr, EXECUTABLE_WARNING "%s\n", line);
}

int
handshaker_try(int argc, char **argv)
{
	static const enum tls_file_what what[] = {
	    TLS_FILE_CHAIN, TLS_FILE_KEY, TLS_FILE_STAPLE};
	struct birth_handshaker b = {.files = -1, .tickets = -1};
	struct tls_files f = {.bytes = NULL};
	char error[2048] = "";
	struct contexts *all;

	strlcpy(b.ciphers, argv[0], sizeof(b.ciphers));
	strlcpy(b.groups, argv[1], sizeof(b.groups));
	for (int k = 2; k < argc; k++)
		if (argv[k][0] != '\0' &&
		    read_file(&f, what[(k - 2) % 3], argv[k]) == -1) {
			fprintf(stderr, "certificate: no memory\n");
			return 1;
		}
	all = contexts_new(&b, &f, NULL, try_warn, error, sizeof(error));
	tls_files_free(&f);
	if (all == NULL)
		fprintf(stderr, "%s\n", error);
	contexts_free(all);
	return all != NULL ? 0 : 1;
}
