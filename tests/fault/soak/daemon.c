/* The daemon under test: started, asked, measured, stopped. */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "soak.h"

enum { PORTS_BEGIN = 10000, PORTS_END = 32000 };

struct daemon daemon_;

/* A moment. */
static void
pause_ms(long ms)
{
	const struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

/* Whether the address was free: then a socket is bound to it, in *FD. */
static bool
bind_free(int *fd, const void *address, socklen_t len)
{
	*fd = socket(
	    *(const sa_family_t *)address, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd == -1)
		err(2, "socket");
	if (bind(*fd, address, len) == 0)
		return true;
	if (errno != EADDRINUSE)
		err(2, "bind");
	close(*fd);
	return false;
}

/*
 * A port that is free, and that no other test gets while this process lives:
 * see freePort() in tests/system/daemon.js.
 */
static int
port_free(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_un un;
	int fd, port, above = PORTS_END;
	FILE *f = fopen("/proc/sys/net/ipv4/ip_local_port_range", "r");

	if (f == NULL || fscanf(f, "%d", &above) != 1)
		err(2, "ip_local_port_range");
	fclose(f);
	if (above > PORTS_END || above <= PORTS_BEGIN + 1000)
		above = PORTS_END;
	for (;;) {
		port = PORTS_BEGIN +
		    (int)arc4random_uniform((uint32_t)(above - PORTS_BEGIN));
		un = (struct sockaddr_un){.sun_family = AF_UNIX};
		snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1,
		    "chatd-test-port-%d", port);
		if (!bind_free(&fd, &un, sizeof(un)))
			continue; /* else it stays open */
		in.sin_port = htons((uint16_t)port);
		if (!bind_free(&fd, &in, sizeof(in)))
			continue;
		close(fd);
		return port;
	}
}

/* Writes the configuration: sizes as leak.c knows them. */
static void
conf_write(const char *path)
{
	FILE *f = fopen(path, "w");

	if (f == NULL)
		err(2, "%s", path);
	fprintf(f,
	    "listen 127.0.0.1:%d\nworkers %d\ncontrol \"%s\"\n"
	    "pidfile \"%s/pid\"\nwatchdog 500ms\nconnections %u\n"
	    "users %u\nsubscriptions 8192\njournal 16M\n"
	    "output-memory 256M\ninput-memory 16M\nqueue 64M\n"
	    /* at each moment some are on their way, behind whatever those who
	     * read slowly have not read */
	    "ping-interval 3s\npong-timeout 60s\n",
	    daemon_.port, WORKERS, daemon_.control, daemon_.dir,
	    daemon_.connections, set.idle > 0 ? set.idle + 1000 : 2048);
	if (set.tls)
		fprintf(f,
		    "listen 127.0.0.1:%d tls\ncertificate \"%s/cert\" key "
		    "\"%s/key\"\ntls-handshakers 2\n",
		    daemon_.tls_port, daemon_.dir, daemon_.dir);
	if (set.store)
		database_conf(f);
	if (set.reader)
		fprintf(f, "channel \"*\" {\nsubscribe all\npublish all\n}\n");
	if (fclose(f) != 0)
		err(2, "%s", path);
}

void
daemon_conf(void)
{
	char conf[128], next[140];

	snprintf(conf, sizeof(conf), "%s/conf", daemon_.dir);
	snprintf(next, sizeof(next), "%s.next", conf);
	conf_write(next);
	if (rename(next, conf) != 0)
		err(2, "%s", conf);
}

/* Whether the daemon answers at its port. */
static bool
is_up(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)daemon_.port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool up = connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0;

	close(fd);
	return up;
}

void
daemon_start(void)
{
	char conf[128], log[128];
	int fd, k;

	strcpy(daemon_.dir, "/tmp/chatd-soak-XXXXXX");
	if (mkdtemp(daemon_.dir) == NULL)
		err(2, "mkdtemp");
	snprintf(daemon_.control, sizeof(daemon_.control), "%s/control",
	    daemon_.dir);
	snprintf(conf, sizeof(conf), "%s/conf", daemon_.dir);
	snprintf(log, sizeof(log), "%s/log", daemon_.dir);
	daemon_.connections = set.idle > 0 ? set.idle + 1000 : 2048;
	daemon_.port = port_free();
	if (set.tls) {
		daemon_.tls_port = port_free();
		order_prepare();
	}
	if (set.reader)
		reader_prepare();
	daemon_conf();
	daemon_.pid = fork();
	if (daemon_.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
		dup2(fd, 1);
		dup2(fd, 2);
		closefrom(3);
		execl(set.chatd, "chatd", "-d", "-f", conf, (char *)NULL);
		_exit(127);
	}
	for (k = 0; k < 1500; k++) {
		if (is_up())
			return;
		if (waitpid(daemon_.pid, NULL, WNOHANG) != 0)
			errx(2, "%s does not start, see %s", set.chatd, log);
		pause_ms(10);
	}
	errx(2, "%s does not start in time, see %s", set.chatd, log);
}

const char *
daemon_ask(const char *const *word, int n)
{
	static char answer[1024 * 1024];
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	const struct timeval patience = {.tv_sec = 5};
	char request[256] = {0};
	uint32_t len = sizeof(uint32_t);
	size_t got = 0;
	ssize_t r = -1;
	int fd, k;

	len += (uint32_t)sprintf(request + len, "json") + 1;
	for (k = 0; k < n; k++)
		len += (uint32_t)sprintf(request + len, "%s", word[k]) + 1;
	*(uint32_t *)request = len - (uint32_t)sizeof(uint32_t);
	strcpy(sun.sun_path, daemon_.control);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0 &&
	    send(fd, request, len, MSG_NOSIGNAL) == (ssize_t)len)
		while ((r = recv(
			    fd, answer + got, sizeof(answer) - 1 - got, 0)) > 0)
			got += (size_t)r;
	close(fd);
	answer[got] = '\0';
	/* Its last byte is its end mark. */
	return r == 0 && got >= 2 && answer[0] == '0' && answer[got - 1] == 0
	    ? answer + 1
	    : NULL;
}

/* A number behind a member's name. */
static long
member(const char *object, const char *name)
{
	char key[32];
	const char *p;

	snprintf(key, sizeof(key), "\"%s\":", name);
	p = strstr(object, key);
	return p != NULL ? strtol(p + strlen(key), NULL, 10) : -1;
}

/* The pids of a worker's keepers; 0: none. */
static void
keepers_read(const char *object, int keeper[KEEPERS])
{
	const char *p = strstr(object, "\"keepers\":[");
	char *end;

	if (p == NULL)
		return;
	p += strlen("\"keepers\":[");
	for (int j = 0; j < KEEPERS; j++, p = end + 1) {
		keeper[j] = (int)strtol(p, &end, 10);
		if (*end != ',')
			return;
	}
}

bool
daemon_workers(struct worker_view out[WORKERS])
{
	static const char *const words[] = {"show", "workers"};
	const char *p = daemon_ask(words, 2), *end;
	long slot;

	memset(out, 0, sizeof(*out) * WORKERS);
	if (p == NULL)
		return false;
	while ((p = strchr(p, '{')) != NULL) {
		end = strchr(p, '}');
		slot = member(p, "slot");
		if (slot >= 0 && slot < WORKERS && end != NULL) {
			const char *state = strstr(p, "\"state\":\"running\"");

			out[slot].pid = (int)member(p, "pid");
			keepers_read(p, out[slot].keeper);
			out[slot].generation =
			    (unsigned)member(p, "generation");
			out[slot].running = state != NULL && state < end;
		}
		p++;
	}
	return true;
}

int
daemon_of(const char *kind, unsigned n)
{
	static const char *const words[] = {"show", "processes"};
	const char *p = daemon_ask(words, 2), *end;
	char key[32];

	snprintf(key, sizeof(key), "\"kind\":\"%s\"", kind);
	for (; p != NULL && (p = strstr(p, key)) != NULL; p++) {
		end = strchr(p, '}');
		if (end != NULL &&
		    memmem(p, (size_t)(end - p), "\"running\"", 9) != NULL &&
		    n-- == 0)
			return (int)member(p, "pid");
	}
	return 0;
}

int
daemon_reader(void)
{
	return daemon_of(set.store ? "store" : "ledger", 0);
}

bool
daemon_is_whole(void)
{
	static const char *const words[] = {"show", "processes"};
	static const char state[] = "\"state\":", run[] = "\"running\"";
	const char *p = daemon_ask(words, 2);

	if (p == NULL)
		return false;
	for (; (p = strstr(p, state)) != NULL; p++)
		if (strncmp(p + strlen(state), run, strlen(run)) != 0)
			return false;
	return true;
}

bool
daemon_stop(void)
{
	int status = 0, k;

	if (daemon_.pid == 0)
		return true;
	kill(daemon_.pid, SIGTERM);
	for (k = 0; k < 1000; k++) {
		if (waitpid(daemon_.pid, &status, WNOHANG) != 0) {
			daemon_.pid = 0;
			return status == 0;
		}
		pause_ms(10);
	}
	kill(daemon_.pid, SIGKILL);
	waitpid(daemon_.pid, &status, 0);
	daemon_.pid = 0;
	return false;
}

void
daemon_forget(void)
{
	static const char *const names[] = {
	    "conf", "log", "control", "cert", "key", "order"};
	char path[128];

	if (set.reader)
		reader_forget();
	for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
		snprintf(path, sizeof(path), "%s/%s", daemon_.dir, names[k]);
		unlink(path);
	}
	rmdir(daemon_.dir);
}

/* Calls f for each process of the daemon, and sums up. */
static long
each_process(long (*f)(int pid))
{
	struct worker_view w[WORKERS];
	long sum = f(daemon_.pid);
	int k, j;

	if (!daemon_workers(w))
		return -1;
	for (k = 0; k < WORKERS; k++) {
		sum += f(w[k].pid);
		for (j = 0; j < KEEPERS; j++)
			sum += w[k].keeper[j] > 0 ? f(w[k].keeper[j]) : 0;
	}
	return sum;
}

/* KiB of one process, shared pages in parts. */
static long
pss(int pid)
{
	char path[64], line[128];
	long n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	f = fopen(path, "r");
	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "Pss: %ld kB", &n) == 1)
			break;
	fclose(f);
	return n;
}

long
daemon_pss(void)
{
	return each_process(pss);
}

void
daemon_takeovers(unsigned *n, unsigned *max_ms, unsigned *corrupted)
{
	char path[128], line[1024];
	const char *p;
	unsigned conns, ms, closed, lost, bad;
	FILE *f;

	*n = *max_ms = *corrupted = 0;
	snprintf(path, sizeof(path), "%s/log", daemon_.dir);
	f = fopen(path, "r");
	if (f == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL) {
		p = strstr(line, "adopted ");
		if (p == NULL ||
		    sscanf(p,
			"adopted %u connections in %u ms (closed %u, lost %u, "
			"corrupted %u",
			&conns, &ms, &closed, &lost, &bad) != 5)
			continue;
		++*n;
		*corrupted += bad;
		if (ms > *max_ms)
			*max_ms = ms;
	}
	fclose(f);
}
