/*
 * What the daemon is told to do while clients talk and processes die: to move
 * connections, to replace a worker, to become another program, with memory of
 * another size, and to read its configuration and a new certificate. chatctl
 * asks for it, as another process, so that clients go on.
 */
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "soak.h"

enum {
	SIZE = 2048,	    /* connections, or twice as many */
	APART_MS = 1000,    /* between two orders */
	LATE_MS = 60 * 1000 /* one that takes so long hangs */
};

enum order_kind {
	REBALANCE,
	RESTART,
	UPGRADE,
	RESIZE,
	RELOAD,
	CERTIFICATE,
	ORDERS
};
static const char *const names[ORDERS] = {"rebalance", "restart-worker",
    "upgrade", "resize", "reload", "certificate"};

static struct {
	pid_t pid; /* of the shell that waits for the answer; 0: none */
	enum order_kind kind;
	uint64_t since_ms, next_ms;
	unsigned done[ORDERS], refused[ORDERS], certificates;
	unsigned connections; /* before a resize */
} state;

/* Makes a pair that names its number, in place of the one before. */
#define PAIR                                                                \
	"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "    \
	"-nodes -days 30 -subj /CN=soak%u -keyout key.next -out cert.next " \
	">openssl 2>&1 && mv key.next key && mv cert.next cert && "         \
	"rm openssl"

void
order_prepare(void)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "cd %s && ", daemon_.dir);

	snprintf(
	    text + n, sizeof(text) - (size_t)n, PAIR, ++state.certificates);
	if (system(text) != 0)
		errx(2, "openssl makes no certificate");
}

/* What a shell does for an order of that kind. */
static void
order_text(enum order_kind kind, char *text, size_t size)
{
	char ctl[256], *chatd = realpath(set.chatd, NULL);
	int n = snprintf(text, size, "cd %s && ", daemon_.dir);
	char *to = text + n;

	size -= (size_t)n;
	/* beside the daemon */
	snprintf(ctl, sizeof(ctl), "exec %.*s/chatctl -s %s",
	    (int)(strrchr(chatd, '/') - chatd), chatd, daemon_.control);
	free(chatd);
	switch (kind) {
	case RESTART:
		snprintf(to, size, "%s restart-worker %u", ctl, dice(WORKERS));
		break;
	case CERTIFICATE:
		snprintf(
		    to, size, PAIR " && %s reload", ++state.certificates, ctl);
		break;
	case RESIZE:
		state.connections = daemon_.connections;
		daemon_.connections = SIZE + 2 * SIZE - daemon_.connections;
		daemon_conf();
		snprintf(to, size, "%s upgrade", ctl);
		break;
	default:
		snprintf(to, size, "%s %s", ctl, names[kind]);
	}
}

/* Begins one. */
static void
order_begin(enum order_kind kind)
{
	char text[1024], log[128];

	order_text(kind, text, sizeof(text));
	state.kind = kind;
	state.since_ms = now_ms;
	state.pid = fork();
	if (state.pid == -1)
		err(2, "fork");
	if (state.pid != 0)
		return;
	snprintf(log, sizeof(log), "%s/order", daemon_.dir);
	if (freopen(log, "w", stdout) == NULL || dup2(1, 2) == -1)
		_exit(127);
	execl("/bin/sh", "sh", "-c", text, (char *)NULL);
	_exit(127);
}

/* What chatctl has said. */
static const char *
order_said(void)
{
	static char text[512];
	char path[128];
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/order", daemon_.dir);
	f = fopen(path, "r");
	if (f != NULL) {
		n = fread(text, 1, sizeof(text) - 1, f);
		fclose(f);
	}
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return text;
}

/* Looks whether the one that is under way has ended. */
static void
order_look(void)
{
	int status;

	if (state.pid == 0)
		return;
	if (waitpid(state.pid, &status, WNOHANG) == 0) {
		if (now_ms - state.since_ms < LATE_MS)
			return;
		fault(F_OTHER, "%s takes too long", names[state.kind]);
		kill(state.pid, SIGKILL);
		waitpid(state.pid, &status, 0);
	}
	state.pid = 0;
	state.next_ms = now_ms + APART_MS + dice(APART_MS);
	if (state.kind == RESIZE && status != 0) {
		daemon_.connections = state.connections; /* it stays so */
		daemon_conf();
	}
	if (status == 0) {
		state.done[state.kind]++;
		return;
	}
	state.refused[state.kind]++;
	/* a worker that has just died cannot be replaced, say */
	if (set.verbose)
		printf("%s: status %d, %s\n", names[state.kind],
		    WIFEXITED(status) ? WEXITSTATUS(status) : -1, order_said());
}

void
order_turn(void)
{
	enum order_kind kind;

	order_look();
	if (state.pid != 0 || now_ms < state.next_ms)
		return;
	do
		kind = (enum order_kind)dice(ORDERS);
	while (kind == CERTIFICATE && !set.tls);
	order_begin(kind);
}

bool
order_busy(void)
{
	return state.pid != 0;
}

unsigned
orders_done(void)
{
	unsigned n = 0;

	for (int k = 0; k < ORDERS; k++)
		n += state.done[k];
	return n;
}

bool
order_settled(void)
{
	order_look();
	return state.pid == 0;
}

void
order_print(void)
{
	for (int k = 0; k < ORDERS; k++) {
		printf("%s%u times %s", k > 0 ? ", " : "", state.done[k],
		    names[k]);
		if (state.refused[k] > 0)
			printf(" (%u not)", state.refused[k]);
		if (state.refused[k] > state.done[k] + 1)
			fault(F_OTHER, "%s failed %u times, last: %s", names[k],
			    state.refused[k], order_said());
	}
	printf("\n");
	if (state.done[CERTIFICATE] > 2 && counts.certificate < 2)
		fault(F_OTHER, "no client was shown a new certificate");
}
