#include "master/start.h"

#include <err.h>
#include <stdio.h>

#include "base/bundle.h"
#include "conf/conf.h"
#include "master/master.h"
#include "master/options.h"
#include "reader.h"

enum { STATUS_FAILURE = 1, STATUS_CONFIG = 78 };

/* Checks the configuration or runs with it, as the bundle has it. */
static int
start_with(const struct options *options, struct bundle *b, const char *stuck)
{
	char error[4096] = "";
	struct conf *conf = options_load(options, b, error, sizeof(error));

	if (conf == NULL) {
		fputs(error, stderr);
		return STATUS_CONFIG;
	}
	if (!options->check_only)
		return master_run(options, conf, b, stuck);
	conf_free(conf);
	fprintf(stderr, "configuration OK\n");
	return 0;
}

int
start(const struct options *options)
{
	const struct reader_job job = {.what = options->check_only
		? READ_CONF
		: READ_CONF | READ_USER | READ_PAGE,
	    .options = options};
	struct bundle b;
	char stuck[512];
	unsigned done;
	int status = STATUS_FAILURE;

	done = reader_run(&job, READER_MS, &b, stuck, sizeof(stuck));
	if ((done & READ_CONF) != 0)
		status = start_with(options, &b, stuck);
	else
		warnx("%s", stuck);
	bundle_free(&b);
	return status;
}
