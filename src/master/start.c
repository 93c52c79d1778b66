#include "master/start.h"

#include <err.h>
#include <stdio.h>

#include "base/bundle.h"
#include "conf/conf.h"
#include "master/master.h"
#include "judge.h"
#include "look.h"
#include "master/options.h"
#include "master/sizes.h"
#include "reader.h"

enum { STATUS_FAILURE = 1, STATUS_CONFIG = 78 };

/* Prints what would stop a start, or the file that was read. Returns the exit
 * status. */
static int
start_check(
    const struct options *options, const struct conf *conf, struct bundle *b)
{
	const char *file = options_file(options, b);
	const char *where = conf_where(conf, "user");
	struct identity identity;
	struct bundle_piece piece;
	char error[512];
	bool good = look_print(b);

	if (reader_identity(b, &identity, error, sizeof(error)) == -1) {
		fprintf(stderr, "%s%suser: %s\n", where != NULL ? where : "",
		    where != NULL ? ": " : "", error);
		good = false;
	}
	for (int i = 0; i < conf->n_listen; i++)
		if (bundle_get(b, BUNDLE_ADDRESS, conf->listen[i], &piece) &&
		    piece.error != 0) {
			fprintf(stderr, "%s%.*s\n", conf_listen_place(conf, i),
			    (int)piece.len, piece.bytes);
			good = false;
		}
	if (!good)
		return STATUS_CONFIG;
	if (file != NULL)
		fprintf(stderr, "%s: OK\n", file);
	else
		fprintf(stderr, "no file: defaults, OK\n");
	return 0;
}

/* Says on stderr what of the sizes does not fit into this machine. */
static void
sizes_say(struct conf *conf)
{
	struct sizes s;
	const char *const text[] = {s.shrunk, s.sends, s.memory, s.tasks};

	sizes_fit_here(&s, conf);
	for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++)
		if (text[i][0] != '\0')
			fprintf(stderr, "%s\n", text[i]);
}

/* Checks the configuration or runs with it, as the bundle has it. */
static int
start_with(const struct options *options, struct bundle *b, unsigned done,
    const char *stuck)
{
	const unsigned looked = READ_USER | READ_NAMES | READ_LOOK;
	char error[4096] = "";
	struct conf *conf = options_load(options, b, error, sizeof(error));
	int status = STATUS_FAILURE;

	if (conf == NULL) {
		fputs(error, stderr);
		return STATUS_CONFIG;
	}
	if (!options->check_only && look_print_unmet(b)) {
		conf_free(conf);
		return STATUS_CONFIG;
	}
	/* they would not be read then either */
	if (!options->check_only && (done & READ_LOOK) == 0 &&
	    judge_is_needed(conf)) {
		warnx("%s", stuck);
		conf_free(conf);
		return status;
	}
	if (!options->check_only)
		return master_run(options, conf, b, stuck);
	sizes_say(conf);
	if ((done & looked) == looked)
		status = start_check(options, conf, b);
	else
		warnx("%s", stuck);
	conf_free(conf);
	return status;
}

int
start(const struct options *options)
{
	const struct reader_job job = {.what = options->check_only
		? READ_CONF | READ_USER | READ_NAMES | READ_LOOK
		: READ_CONF | READ_USER | READ_LOOK | READ_PROGRAM | READ_PAGE,
	    .options = options};
	struct bundle b;
	char stuck[512];
	unsigned done;
	int status = STATUS_FAILURE;

	done = reader_run(&job, READER_MS, &b, stuck, sizeof(stuck));
	if ((done & READ_CONF) != 0)
		status = start_with(options, &b, done, stuck);
	else
		warnx("%s", stuck);
	bundle_free(&b);
	return status;
}
