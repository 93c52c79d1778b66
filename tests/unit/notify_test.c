/* notify: the service manager's socket, by path and by abstract name. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "master/notify.h"

static char folder[] = "/tmp/chatd-notify-XXXXXX";

/* Listens like a service manager; name as in $NOTIFY_SOCKET. */
static int
manager_open(const char *name)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	size_t len = strlen(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	memcpy(sun.sun_path, name, len);
	if (name[0] == '@')
		sun.sun_path[0] = '\0';
	else
		len++;
	assert_int_not_equal(fd, -1);
	assert_int_equal(
	    bind(fd, (struct sockaddr *)&sun,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
	    0);
	assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
	return fd;
}

/* Sends and receives one message. */
static void
exchange(const char *name)
{
	static const char state[] = "READY=1\nSTATUS=serving";
	char text[64];
	int fd = manager_open(name);

	assert_int_equal(notify_send(state), 1);
	assert_int_equal(recv(fd, text, sizeof(text), 0), sizeof(state) - 1);
	assert_memory_equal(text, state, sizeof(state) - 1);
	close(fd);
}

/* A socket in the file system. */
static void
by_path(void **state)
{
	char name[sizeof(folder) + 16];

	assert_non_null(mkdtemp(folder));
	snprintf(name, sizeof(name), "%s/notify", folder);
	exchange(name);
	unlink(name);
	rmdir(folder);
}

/* A socket that has a name only. */
static void
by_abstract_name(void **state)
{
	char name[64];

	snprintf(name, sizeof(name), "@chatd-notify-%d", (int)getpid());
	exchange(name);
}

/* A manager that reads late is waited for, but not for ever. */
static void
a_full_queue(void **state)
{
	char name[64], text[64];
	int fd, status, sent = 0;
	pid_t pid;

	snprintf(name, sizeof(name), "@chatd-notify-%d", (int)getpid());
	fd = manager_open(name);
	while (notify_send("STATUS=x") == 1 && sent < 10000)
		sent++;
	assert_in_range(sent, 1, 9999);
	assert_int_equal(errno, EAGAIN);
	if ((pid = fork()) == 0) {
		usleep(50 * 1000);
		while (recv(fd, text, sizeof(text), 0) > 0)
			;
		_exit(errno == EAGAIN ? 0 : 1);
	}
	assert_int_equal(notify_send("READY=1"), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(fd);
}

/* A barrier is passed when the manager has closed what came with it. */
static void
barrier(void **state)
{
	char name[64], text[64], control[CMSG_SPACE(sizeof(int))];
	struct iovec v = {text, sizeof(text)};
	struct msghdr h = {.msg_iov = &v,
	    .msg_iovlen = 1,
	    .msg_control = control,
	    .msg_controllen = sizeof(control)};
	int fd, status;
	pid_t pid;

	snprintf(name, sizeof(name), "@chatd-notify-%d", (int)getpid());
	fd = manager_open(name);
	assert_int_equal(notify_barrier(10), -1);
	assert_int_equal(errno, ETIMEDOUT);
	assert_int_equal(recv(fd, text, sizeof(text), MSG_DONTWAIT), 9);
	if ((pid = fork()) == 0) {
		while (recvmsg(fd, &h, MSG_DONTWAIT) == -1 || text[0] != 'B' ||
		    h.msg_controllen == 0)
			usleep(1000);
		_exit(0); /* which closes it */
	}
	assert_int_equal(notify_barrier(5000), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(fd);
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(notify_barrier(5000), 0);
}

/* No manager, no message; a manager that is gone, an error. */
static void
nobody_to_tell(void **state)
{
	char name[200];

	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(notify_send("READY=1"), 0);
	setenv("NOTIFY_SOCKET", "", 1);
	assert_int_equal(notify_send("READY=1"), 0);
	setenv("NOTIFY_SOCKET", "vsock:2:1", 1);
	assert_int_equal(notify_send("READY=1"), -1);
	setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
	assert_int_equal(notify_send("READY=1"), -1);
	assert_int_equal(errno, ENOENT);
	memset(name, 'x', sizeof(name));
	name[0] = '/';
	name[sizeof(name) - 1] = '\0';
	setenv("NOTIFY_SOCKET", name, 1);
	assert_int_equal(notify_send("READY=1"), -1);
	assert_int_equal(errno, EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(by_path),
	    cmocka_unit_test(by_abstract_name),
	    cmocka_unit_test(a_full_queue),
	    cmocka_unit_test(barrier),
	    cmocka_unit_test(nobody_to_tell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
