/* kill_tls: in test builds a second plaintext under one key and nonce ends the
 * process that seals it, whichever process sealed the first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "codec/tls.h"
#include "codec/tls_oracle.h"

/* A record that a process seals. */
struct act {
	uint8_t suite, key, type;
	uint64_t number, nonce;
	const char *text;
};

static const struct act first = {TLS_AES_128, 1, TLS_DATA, 7, 0, "hello"};

static void
act_seal(const struct act *a)
{
	uint8_t out[256];
	struct tls_key key;

	memset(&key, a->key, sizeof(key));
	assert_int_equal(tls_seal(a->suite, &key, a->number, a->nonce, a->type,
			     (const uint8_t *)a->text, strlen(a->text), out),
	    strlen(a->text) + tls_suite(a->suite)->overhead);
}

/* What a process of its own dies of that seals this; 0: of nothing. */
static int
ends(struct act a)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		if (freopen("/dev/null", "w", stderr) == NULL)
			_exit(1);
		act_seal(&a);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* Each difference to the first record, alone. */
static void
differences(void)
{
	struct act a = first;

	assert_int_equal(ends(a), 0);
	assert_int_equal(ends(a), 0); /* sealed again, as after a death */
	a.text = "hellp";
	assert_int_equal(ends(a), SIGABRT);
	a.text = "hell";
	assert_int_equal(ends(a), SIGABRT);
	a = first, a.type = TLS_ALERT;
	assert_int_equal(ends(a), SIGABRT);
	a.number++; /* another nonce */
	assert_int_equal(ends(a), 0);
	a = first, a.key++, a.text = "another key";
	assert_int_equal(ends(a), 0);
	a = first, a.suite = TLS_CHACHA20, a.text = "another cipher";
	assert_int_equal(ends(a), 0);
	/* TLS 1.2: the explicit nonce counts, and the number is in the aad */
	a = first, a.suite = TLS_OLD_AES_256;
	assert_int_equal(ends(a), 0);
	a.number++;
	assert_int_equal(ends(a), SIGABRT);
	a.nonce++;
	assert_int_equal(ends(a), 0);
	assert_int_equal(ends(first), 0); /* is still known */
}

static void
test_forked(void **state)
{
	differences();
}

/* A file: what processes that were executed share, and a test reads. */
static void
test_file(void **state)
{
	char path[] = "/tmp/chatd-oracle.XXXXXX";
	const struct tls_oracle *seen;
	int fd = mkstemp(path);
	struct act a = first;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, ORACLE_HEAD), 0);
	assert_int_equal(tls_oracle_open(path), -1); /* no room for any */
	assert_int_equal(ftruncate(fd, ORACLE_HEAD + 16 * 16), 0);
	assert_int_equal(tls_oracle_open(path), 0);
	seen = mmap(NULL, sizeof(*seen), PROT_READ, MAP_SHARED, fd, 0);
	assert_true(seen != MAP_FAILED);
	differences();
	assert_int_equal(seen->sealed, 6);
	assert_int_equal(seen->again, 2);
	assert_int_equal(seen->other, 4);
	assert_int_equal(seen->lost, 0);
	for (a.number = 100; a.number < 140; a.number++)
		act_seal(&a);
	assert_int_equal(seen->sealed, 16); /* all that it has room for */
	assert_int_equal(seen->lost, 30);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(tls_oracle_open(path), -1);
	close(fd);
}

static int
begin(void **state)
{
	return tls_init();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_forked),
	    cmocka_unit_test(test_file),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
