/* master: supervises the workers; holds listeners, shared memory and the
 * control socket; never reads a client's byte, never takes the lock. Layer 6.
 */
#ifndef CHATD_MASTER_MASTER_H
#define CHATD_MASTER_MASTER_H

#include "conf/conf.h"
#include "master/options.h"

/*
 * Binds, forks, serves until told to leave. Takes over conf, as
 * options_load() made it; options stay the caller's. The bundle has the user,
 * the program and the web page as far as they could be read, and is freed: they
 * are megabytes; `stuck` says what was waited for in vain. Returns the
 * program's exit status: 0, or 1 with the reason told.
 */
struct bundle;
int master_run(const struct options *options, struct conf *conf,
    struct bundle *bundle, const char *stuck);

#endif
