/* handshaker's kind: its files are read by a process of their own, for which
 * nobody waits long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory_file.h"
#include "codec/tls_files.h"
#include "conf/conf.h"
#include "handshaker/kinds.h"

static const char hanging[] = "/hanging";

/* In place of libc's: a disk that hangs. */
int
open(const char *file, int flags, ...)
{
	while (strcmp(file, hanging) == 0)
		pause();
	return (int)syscall(SYS_openat, AT_FDCWD, file, flags, 0);
}

/* What a child that brings them says before it leaves, and its status. */
static int
brings(const struct conf *c, int kept, char *text, size_t len)
{
	struct child_files files = {kept, -1};
	int fd[2], status;
	ssize_t n;
	size_t at = 0;
	pid_t pid;

	assert_int_equal(pipe(fd), 0);
	if ((pid = fork()) == 0) {
		dup2(fd[1], STDERR_FILENO);
		handshaker_kind.bring(c, &files);
		_exit(0);
	}
	close(fd[1]);
	while ((n = read(fd[0], text + at, len - 1 - at)) > 0)
		at += (size_t)n;
	text[at] = '\0';
	close(fd[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
test_reads(void **state)
{
	struct conf *c = conf_new();
	const int kept = memory_file("test");
	struct tls_files f = {0};
	struct tls_file file;
	char text[512];
	size_t at = 0;

	assert_int_equal(
	    conf_add_certificate(c, "/etc/hostname", "/none", "/tmp"), 0);
	assert_int_equal(brings(c, kept, text, sizeof(text)), 0);
	f.len = (size_t)lseek(kept, 0, SEEK_END);
	f.bytes = malloc(f.len);
	assert_int_equal(pread(kept, f.bytes, f.len, 0), f.len);
	assert_int_equal(tls_files_next(&f, &at, &file), 1);
	assert_int_equal(file.what, TLS_FILE_CHAIN);
	assert_int_equal(file.error, 0);
	assert_true(file.len > 0);
	assert_int_equal(tls_files_next(&f, &at, &file), 1);
	assert_int_equal(file.error, ENOENT);
	assert_int_equal(tls_files_next(&f, &at, &file), 1);
	assert_int_equal(file.error, EISDIR);
	assert_int_equal(tls_files_next(&f, &at, &file), 0);
	tls_files_free(&f);
	/* what is sealed is not read again */
	c->tls.certificate[0].chain[0] = 'x';
	assert_int_equal(brings(c, kept, text, sizeof(text)), 0);
	close(kept);
	conf_free(c);
}

/* The end of standard error shows that nobody is left who holds it. */
static void
test_hangs(void **state)
{
	struct conf *c = conf_new();
	const int kept = memory_file("test");
	char text[512];

	assert_int_equal(
	    conf_add_certificate(c, "/etc/hostname", hanging, NULL), 0);
	assert_int_equal(brings(c, kept, text, sizeof(text)), 1 << 8);
	assert_non_null(strstr(text, "reading /hanging takes longer than 4 s"));
	assert_int_equal(fcntl(kept, F_GET_SEALS) & F_SEAL_WRITE, 0);
	close(kept);
	conf_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reads), cmocka_unit_test(test_hangs)};

	return cmocka_run_group_tests_name(
	    "handshaker_kinds", tests, NULL, NULL);
}
