/* What the tests of the log share: a folder for it, and what stands in it. */
#ifndef CHATD_TESTS_UNIT_LOG_FIXTURE_H
#define CHATD_TESTS_UNIT_LOG_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"

static char dir[] = "/tmp/chatd-log-XXXXXX";
static char path[64], moved[64];

/* Makes a directory for the log. */
static inline int
setup(void **state)
{
	if (mkdtemp(dir) == NULL)
		return -1;
	signal(SIGPIPE, SIG_IGN);
	log_set_name("worker 2");
	snprintf(path, sizeof(path), "%s/log", dir);
	snprintf(moved, sizeof(moved), "%s/log.1", dir);
	return 0;
}

/* Removes it. */
static inline int
teardown(void **state)
{
	log_open(LOG_TO_STDERR, NULL);
	unlink(path);
	unlink(moved);
	return rmdir(dir);
}

/* The whole of a file in a static buffer. */
static inline const char *
contents(const char *file)
{
	static char buf[65536];
	FILE *f = fopen(file, "r");
	size_t n;

	assert_non_null(f);
	n = fread(buf, 1, sizeof(buf) - 1, f);
	buf[n] = '\0';
	fclose(f);
	return buf;
}

#endif
