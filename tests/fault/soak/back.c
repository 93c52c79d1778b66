/*
 * back: how soon all connections are served again after a worker's death. They
 * are idle and in several processes, as one process may not have 50,000; a part
 * of them ask right after the kill, and the last answer counts.
 */
#include <arpa/inet.h>
#include <err.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "soak.h"

enum {
	EACH = 15000, /* connections of a process */
	ASKERS = 200, /* of a process */
	ROUNDS = 9,
	PROCESSES = 16,
	LATE_MS = 1000
};

/* Microseconds. */
static uint64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* One connection, from an address of its process's own: ports run out. */
static int
join(unsigned process, unsigned n)
{
	struct sockaddr_in from = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + process)};
	struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)daemon_.port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	char text[512];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), len;
	ssize_t r;

	len = sprintf(text,
	    "GET /ws?user=idle%u-%u HTTP/1.1\r\nHost: localhost\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	    "Sec-WebSocket-Version: 13\r\n\r\n",
	    process, n);
	if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof(from)) != 0 ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 ||
	    send(fd, text, (size_t)len, MSG_NOSIGNAL) != len)
		err(2, "connection %u", n);
	r = recv(fd, text, sizeof(text), 0);
	if (r < 12 || memcmp(text, "HTTP/1.1 101", 12) != 0)
		errx(2, "connection %u: %.*s", n, r > 0 ? (int)r : 0, text);
	return fd;
}

/* A ping; 0, or -1 if the connection is gone. */
static int
ask(int fd)
{
	static const char ping[] = "\x89\x81\0\0\0\0?";

	return send(fd, ping, 7, MSG_NOSIGNAL) == 7 ? 0 : -1;
}

/* Its pong. */
static int
hear(int fd)
{
	char pong[3];

	return recv(fd, pong, 3, MSG_WAITALL) == 3 && pong[2] == '?' ? 0 : -1;
}

/* A process with n connections: asks whenever a byte comes, says how many are
 * gone. */
static void __attribute__((noreturn))
crowd(unsigned process, unsigned n, int link)
{
	int *fd = calloc(n, sizeof(*fd));
	unsigned k, step, gone = 0;
	char byte = 0;

	for (k = 0; k < n; k++)
		fd[k] = join(process, k);
	while (write(link, &gone, sizeof(gone)) == sizeof(gone) &&
	    read(link, &byte, 1) == 1) {
		gone = 0;
		step = byte == 'a' || n < ASKERS ? 1 : n / ASKERS;
		for (k = 0; k < n; k += step)
			gone += ask(fd[k]) != 0;
		for (k = 0; k < n; k += step)
			gone += hear(fd[k]) != 0;
	}
	_exit(0);
}

/* Hears from all processes; returns the sum. */
static unsigned
hear_all(const int *link, unsigned n)
{
	unsigned k, gone, sum = 0;

	for (k = 0; k < n; k++) {
		if (read(link[k], &gone, sizeof(gone)) != sizeof(gone))
			errx(2, "a client process is gone");
		sum += gone;
	}
	return sum;
}

/* Has all processes ask with some ('s') or all ('a') of their connections. */
static unsigned
ask_all(const int *link, unsigned n, char byte)
{
	unsigned k;

	for (k = 0; k < n; k++)
		if (write(link[k], &byte, 1) != 1)
			err(2, "write");
	return hear_all(link, n);
}

/* Compares numbers. */
static int
compare(const void *a, const void *b)
{
	const unsigned *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Waits until a slot has another process that runs. */
static void
respawned(int slot, int pid)
{
	struct worker_view w[WORKERS];

	do
		poll(NULL, 0, 10);
	while (!daemon_workers(w) || w[slot].pid == pid || !w[slot].running);
}

/* Starts the processes. */
static void
crowds_start(int *link, unsigned n, unsigned share)
{
	int pair[2];
	unsigned k;

	for (k = 0; k < n; k++) {
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
			err(2, "socketpair");
		if (fork() == 0) {
			close(pair[0]);
			daemon_.pid = 0;
			crowd(k, share, pair[1]);
		}
		close(pair[1]);
		link[k] = pair[0];
	}
	(void)hear_all(link, n);
}

int
back_run(void)
{
	unsigned n = (set.idle + EACH - 1) / EACH, share = set.idle / n, k;
	unsigned ms[ROUNDS], gone = 0, took, corrupted, takeovers;
	struct worker_view w[WORKERS];
	int link[PROCESSES], slot;
	uint64_t begun;
	bool bad;

	if (n > PROCESSES)
		errx(2, "too many connections");
	daemon_start();
	crowds_start(link, n, share);
	for (k = 0; k < ROUNDS; k++) {
		slot = (int)k % WORKERS;
		(void)ask_all(link, n, 's'); /* all are awake */
		daemon_workers(w);
		begun = now_us();
		kill(w[slot].pid, SIGKILL);
		gone += ask_all(link, n, 's');
		ms[k] = (unsigned)((now_us() - begun) / 1000);
		respawned(slot, w[slot].pid);
		poll(NULL, 0, 500); /* custody is complete again */
	}
	qsort(ms, ROUNDS, sizeof(ms[0]), compare);
	gone += ask_all(link, n, 'a');
	bad = !daemon_stop(); /* the log is complete */
	daemon_takeovers(&takeovers, &took, &corrupted);
	if (takeovers < ROUNDS)
		printf("%u takeovers were seen in the log though %d workers "
		       "were killed\n",
		    takeovers, ROUNDS);
	bad = bad || gone > 0 || corrupted > 0 || takeovers < ROUNDS ||
	    ms[ROUNDS / 2] > LATE_MS;
	printf("%u connections at %d workers: last answer %u ms after the "
	       "kill (median of %d, %u at most), takeover %u ms at most, %u "
	       "connections gone: %s\n",
	    share * n, WORKERS, ms[ROUNDS / 2], ROUNDS, ms[ROUNDS - 1], took,
	    gone, bad ? "BAD" : "good");
	if (!bad)
		daemon_forget();
	return bad ? 1 : 0;
}
