/* family: its page, the words of orders, and notes over its link, byte by byte
 * and as a hostile process would have them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/rights.h"
#include "process/family.h"
#include "valgrind.h"

enum { MAGIC = 0x46616d4e, GENERATION = 7 };

static struct family_page *page;
static int page_fd, home[2], open_before;

/* How many descriptors this process has. */
static int
descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static int
setup(void **state)
{
	page_fd = family_page_new(&page);
	if (page_fd == -1 || family_home_pair(page, home) == -1)
		return -1;
	open_before = descriptors();
	return 0;
}

static int
teardown(void **state)
{
	family_page_unmap(page);
	close(page_fd);
	close(home[0]);
	close(home[1]);
	return 0;
}

/* Sends bytes with the first n of some descriptors as the master would. */
static void
send_raw(const void *bytes, size_t len, int n)
{
	RIGHTS_SPACE(8) space;
	struct iovec v = {(void *)bytes, len};
	struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1};
	int fd[8];

	for (int i = 0; i < n; i++)
		fd[i] = i % 2 == 0 ? home[0] : home[1];
	if (n > 0)
		rights_put(&h, &space, fd, (size_t)n);
	assert_int_equal(sendmsg(home[0], &h, 0), len);
}

/* The page says whose children its processes are, and what their link and
 * standard streams are. */
static void
test_page(void **state)
{
	struct family_page *again;
	struct stat st;

	assert_int_equal(page->master, getpid());
	assert_int_equal(fstat(home[1], &st), 0);
	assert_int_equal(page->home_dev, st.st_dev);
	assert_int_equal(page->home_inode, st.st_ino);
	assert_int_equal(fstat(2, &st), 0);
	assert_int_equal(page->stream_inode[2], st.st_ino);
	assert_int_equal(fcntl(page_fd, F_GETFD), FD_CLOEXEC);
	again = family_page_map(page_fd);
	assert_non_null(again);
	page->process = 42;
	assert_int_equal(again->process, 42);
	family_page_unmap(again);
}

/* Two versions of chatd have this page in common. */
static void
test_page_bytes(void **state)
{
	assert_int_equal(offsetof(struct family_page, cur), 4);
	assert_int_equal(offsetof(struct family_page, keeper), 8);
	assert_int_equal(sizeof(page->keeper), 48);
	assert_int_equal(offsetof(struct family_page, process), 56);
	assert_int_equal(offsetof(struct family_page, generation), 60);
	assert_int_equal(offsetof(struct family_page, master), 64);
	assert_int_equal(offsetof(struct family_page, confined), 68);
	assert_int_equal(offsetof(struct family_page, home_dev), 72);
	assert_int_equal(offsetof(struct family_page, stream_dev), 88);
	assert_int_equal(sizeof(struct family_note), 16);
}

/* What is no page is refused: another file, one that could be cut off, one of
 * another size, one that says something else. */
static void
test_page_refused(void **state)
{
	int fd = memfd_create("other", MFD_ALLOW_SEALING);

	assert_null(family_page_map(home[0]));
	assert_int_equal(errno, EINVAL);
	assert_null(family_page_map(-1));
	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_null(family_page_map(fd));
	assert_int_equal(errno, EINVAL);
	assert_int_equal(
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL),
	    0);
	assert_null(family_page_map(fd));
	assert_int_equal(errno, EINVAL);
	assert_int_equal(pwrite(fd, &page->magic, 4, 0), 4);
	page = (family_page_unmap(page), family_page_map(fd));
	assert_non_null(page);
	close(fd);
}

/* An order is one word with its number; a keeper that is not there yet has
 * carried out whatever was said before. */
static void
test_order(void **state)
{
	family_order(page, 1, FAMILY_KEEPER, 3);
	assert_int_equal(page->keeper[1].order, 1 << 8 | 3 << 4 | 2);
	assert_false(family_is_done(page, 1));
	assert_true(family_is_done(page, 0));
	page->keeper[1].done = page->keeper[1].order;
	assert_true(family_is_done(page, 1));
	family_order(page, 1, FAMILY_PROCESS, 0);
	assert_int_equal(page->keeper[1].order, 2 << 8 | 1);
	page->keeper[1].pid = 99;
	family_keeper_clear(page, 1);
	assert_true(family_is_done(page, 1));
	assert_int_equal(page->keeper[1].pid, 0);
	/* the number wraps, and is still another one */
	page->keeper[2].order = 0xffffff13;
	family_order(page, 2, FAMILY_LEAVE, 0);
	assert_int_equal(page->keeper[2].order, 3);
}

/* Which pair counts is a number that another version may have written. */
static void
test_pair(void **state)
{
	assert_int_equal(family_pair(page), 0);
	assert_int_equal(family_other_pair(page), 2);
	page->cur = 1;
	assert_int_equal(family_pair(page), 2);
	assert_int_equal(family_other_pair(page), 0);
	page->cur = 0xfffffffd;
	assert_int_equal(family_pair(page), 2);
}

/* A note arrives as it was sent, its descriptors close-on-exec. */
static void
test_note(void **state)
{
	const int sent[] = {page_fd, home[0]};
	int fd[2];
	struct stat a, b;

	assert_int_equal(
	    family_note_send(home[0], GENERATION, FAMILY_NOTE_REST, sent, 2),
	    0);
	assert_int_equal(
	    family_note_take(home[1], GENERATION, FAMILY_NOTE_REST, fd, 1, 2),
	    2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fcntl(fd[i], F_GETFD), FD_CLOEXEC);
		assert_int_equal(fstat(fd[i], &a), 0);
		assert_int_equal(fstat(sent[i], &b), 0);
		assert_int_equal(a.st_ino, b.st_ino);
		close(fd[i]);
	}
	assert_int_equal(
	    family_note_take(home[1], GENERATION, FAMILY_NOTE_REST, fd, 1, 2),
	    -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(descriptors(), open_before);
}

/* Notes that a dead process has not read are passed over, and nothing of them
 * stays. */
static void
test_note_stale(void **state)
{
	int fd[1];

	for (uint32_t g = 0; g < 50; g++)
		assert_int_equal(family_note_send(home[0], g,
				     FAMILY_NOTE_PROGRAM, &page_fd, 1),
		    0);
	assert_int_equal(
	    family_note_take(home[1], 48, FAMILY_NOTE_PROGRAM, fd, 1, 1), 1);
	close(fd[0]);
	assert_int_equal(descriptors(), open_before);
	assert_int_equal(
	    family_note_take(home[1], 49, FAMILY_NOTE_PROGRAM, fd, 1, 1), 1);
	close(fd[0]);
}

/* What is not what was to come is refused, and its descriptors are closed. */
static void
test_note_refused(void **state)
{
	const struct {
		struct family_note note;
		size_t len;
		int n;
	} bad[] = {
	    {{MAGIC + 1, GENERATION, 1, 1}, 16, 1}, /* no note */
	    {{MAGIC, GENERATION, 1, 1}, 12, 1},	    /* cut off */
	    {{MAGIC, GENERATION, 1, 1}, 0, 1},
	    {{MAGIC, GENERATION, 2, 1}, 16, 1}, /* another one */
	    {{MAGIC, GENERATION, 1, 1}, 16, 2}, /* more than it says */
	    {{MAGIC, GENERATION, 1, 1}, 16, 0}, /* less */
	    {{MAGIC, GENERATION, 1, 0}, 16, 0}, /* too few */
	    {{MAGIC, GENERATION, 1, 3}, 16, 3}, /* too many */
	    {{MAGIC, GENERATION, 1, 0xffffffff}, 16, 1},
	};
	int fd[2];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		send_raw(&bad[i].note, bad[i].len, bad[i].n);
		errno = 0;
		assert_int_equal(
		    family_note_take(home[1], GENERATION, 1, fd, 1, 2), -1);
		assert_int_equal(errno, EBADMSG);
		assert_int_equal(descriptors(), open_before);
	}
}

/* A later program's note is longer. */
static void
test_note_longer(void **state)
{
	struct {
		struct family_note note;
		uint8_t more[1000];
	} later = {.note = {MAGIC, GENERATION, 3, 1}};
	int fd[1];

	send_raw(&later, sizeof(later), 1);
	assert_int_equal(family_note_take(home[1], GENERATION, 3, fd, 1, 1), 1);
	close(fd[0]);
}

/* Without a free number a note of one's own is lost; one for the dead is not
 * needed. */
static void
test_note_full(void **state)
{
	struct rlimit was, limit;
	int fd[1], next = dup(0);

	if (valgrind_runs())
		return;
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	limit = (struct rlimit){(rlim_t)next, was.rlim_max};
	for (uint32_t g = GENERATION - 1; g <= GENERATION; g++)
		assert_int_equal(
		    family_note_send(home[0], g, FAMILY_NOTE_HUB, &page_fd, 1),
		    0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(
	    family_note_take(home[1], GENERATION, FAMILY_NOTE_HUB, fd, 1, 1),
	    -1);
	assert_int_equal(errno, EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_int_equal(descriptors(), open_before);
}

/* A process that had the table before has asked the kernel for more in each
 * message: that is undone. */
static void
test_note_options(void **state)
{
	static const int option[] = {SO_PASSCRED, SO_PASSSEC, SO_TIMESTAMP, 76};
	const int on = 1;
	int fd[1];

	for (size_t i = 0; i < sizeof(option) / sizeof(option[0]); i++)
		(void)setsockopt(
		    home[1], SOL_SOCKET, option[i], &on, sizeof(on));
	assert_int_equal(
	    family_note_send(home[0], GENERATION, FAMILY_NOTE_HUB, &page_fd, 1),
	    0);
	assert_int_equal(
	    family_note_take(home[1], GENERATION, FAMILY_NOTE_HUB, fd, 1, 1),
	    1);
	close(fd[0]);
	assert_int_equal(descriptors(), open_before);
}

/* Either side knows that the other one is gone; what was sent is read. */
static void
test_note_end(void **state)
{
	int fd[1];

	assert_int_equal(
	    family_note_send(home[0], GENERATION, FAMILY_NOTE_HUB, &page_fd, 1),
	    0);
	close(home[0]);
	assert_int_equal(
	    family_note_take(home[1], GENERATION, FAMILY_NOTE_HUB, fd, 1, 1),
	    1);
	close(fd[0]);
	assert_int_equal(
	    family_note_take(home[1], GENERATION, FAMILY_NOTE_HUB, fd, 1, 1),
	    -1);
	assert_int_equal(errno, EPIPE);
	close(home[1]);
	assert_int_equal(family_home_pair(page, home), 0);
	close(home[1]);
	assert_int_equal(
	    family_note_send(home[0], GENERATION, FAMILY_NOTE_HUB, &page_fd, 1),
	    -1);
	assert_int_equal(errno, EPIPE);
	home[1] = eventfd(0, 0);
}

/* A link that is full says so; a note is not sent by halves. */
static void
test_note_room(void **state)
{
	const int many[FAMILY_REST_MAX + 1] = {0};
	int n = 0;

	assert_int_equal(family_note_send(home[0], GENERATION, FAMILY_NOTE_REST,
			     many, FAMILY_REST_MAX + 1),
	    -1);
	assert_int_equal(errno, EINVAL);
	while (n < 100000 &&
	    family_note_send(
		home[0], GENERATION, FAMILY_NOTE_HUB, &page_fd, 1) == 0)
		n++;
	assert_int_equal(errno, EAGAIN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_page, setup, teardown),
	    cmocka_unit_test(test_page_bytes),
	    cmocka_unit_test_setup_teardown(test_page_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_order, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_pair, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_note, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_note_stale, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_note_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_note_longer, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_note_full, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_note_options, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_note_end, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_note_room, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
