/* options: the command line, and the configuration as it is with it. Layer 6.
 */
#ifndef CHATD_MASTER_OPTIONS_H
#define CHATD_MASTER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"

/* What the command line said. Strings belong to argv; paths may be relative
 * until options_settle(). */
struct options {
	bool foreground;  /* -d */
	bool check_only;  /* -n */
	bool verbose;	  /* -v */
	const char *file; /* -f */
	const char *listen[CONF_LISTEN_MAX];
	int n_listen;
	const char *pidfile, *control, *user;
	int workers; /* -1: not given, 0: one per processor */
	struct fdstore
	    *fdstore;	    /* kept by the service manager; NULL: nothing */
	const char *binary; /* the program's file, absolute */
	char *owned[4];	    /* what options_settle() made absolute */
};

/* Makes the paths absolute: a daemon leaves its directory, and reads the file
 * again. binary is argv[0], which need not be a path. Returns 0, or -1 and
 * errno. */
int options_settle(struct options *o);
void options_deinit(struct options *o);

/*
 * Reads the configuration: the named file, else the default one if it exists,
 * else the defaults; then lets the command line win and checks the whole. No
 * further look at the machine: workers is resolved to a number, names and
 * addresses are not. Files are read into the bundle, or taken from it; see
 * conf_load_bundle(). NULL: whole lines in error.
 */
struct bundle;
struct conf *options_load(
    const struct options *o, struct bundle *b, char *error, size_t error_len);

/* Whether what it says of insecure may hold while chatd listens where `running`
 * says, and of channels while it stores as that says: conf_access_judge(),
 * conf_store_judge(). False: a line in error, with its place. */
bool options_fit(const struct conf *c, const struct conf *running, char *error,
    size_t error_len);

/* The file that it reads; NULL: there is none, and defaults hold. */
const char *options_file(const struct options *o, struct bundle *b);

#endif
