/* chatd: the daemon's main program. */
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/streams.h"
#include "base/title.h"
#include "master/daemon.h"
#include "master/options.h"
#include "master/resume.h"
#include "master/start.h"
#include "master/fdstore.h"
#include "process/kinds.h"

enum { STATUS_FAILURE = 1, STATUS_USAGE = 2 };

/* Says how to call it, and leaves. */
static void __attribute__((noreturn)) usage(void)
{
	fprintf(stderr,
	    "usage: chatd [-dnVv] [-f file] [-l address:port] [-p pidfile]\n"
	    "             [-s control-socket] [-u user] [-w workers]\n");
	exit(STATUS_USAGE);
}

/* Whether an argument looks like host:port; whether the host exists is seen
 * when it is bound. */
static bool
address_ok(const char *address)
{
	const char *colon = strrchr(address, ':'), *problem;

	if (colon == NULL || colon == address)
		return false;
	strtonum(colon + 1, 0, 65535, &problem);
	return problem == NULL;
}

/* Reads the command line. */
static void
options_parse(struct options *o, int argc, char **argv)
{
	const char *problem;
	int ch;

	*o = (struct options){.workers = -1, .binary = argv[0]};
	while ((ch = getopt(argc, argv, "df:l:np:s:u:Vvw:")) != -1) {
		switch (ch) {
		case 'd':
			o->foreground = true;
			break;
		case 'f':
			o->file = optarg;
			break;
		case 'l':
			if (!address_ok(optarg))
				errx(STATUS_USAGE,
				    "%s is no address:port (*:8080, "
				    "[::1]:8080)",
				    optarg);
			if (o->n_listen == CONF_LISTEN_MAX)
				errx(STATUS_USAGE, "more than %d addresses",
				    CONF_LISTEN_MAX);
			o->listen[o->n_listen++] = optarg;
			break;
		case 'n':
			o->check_only = true;
			break;
		case 'p':
			o->pidfile = optarg;
			break;
		case 's':
			o->control = optarg;
			break;
		case 'u':
			o->user = optarg;
			break;
		case 'V':
			puts("chatd " CHATD_VERSION);
			exit(0);
		case 'v':
			o->verbose = true;
			break;
		case 'w':
			o->workers = (int)strtonum(
			    optarg, 0, CONF_WORKERS_MAX, &problem);
			if (problem != NULL)
				errx(STATUS_USAGE,
				    "workers: %s is %s (0 to %d)", optarg,
				    problem, CONF_WORKERS_MAX);
			break;
		default:
			usage();
		}
	}
	if (optind != argc)
		usage();
}

int
main(int argc, char **argv)
{
	struct options options;
	struct fdstore fdstore;
	sigset_t none;
	int status;

	if (streams_hold() == -1)
		err(STATUS_FAILURE, "descriptors 0 to 2: /dev/null");
	title_init(argc, argv, environ);
	child_kinds_use(kinds);
	/* Before anything is closed or unblocked: all that is inherited is
	 * meant. */
	if (argc == 3 && strcmp(argv[1], RESUME_OPTION) == 0)
		return resume_main(argv[2]);
	/* What the starter left open is not for us to keep open, what it
	 * blocked is what supervision needs. */
	fdstore_inherit(&fdstore);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	options_parse(&options, argc, argv);
	options.fdstore = &fdstore;
	if (options_settle(&options) == -1)
		err(STATUS_FAILURE, "paths");
	status = start(&options);
	options_deinit(&options);
	return status;
}
