/*
 * control_fuzz: any bytes at the control socket of a master that has a worker,
 * a user and a connection. Whoever asks is answered in whole or let go, and the
 * master goes on. What would start processes or end this one is asked for under
 * another name.
 */
#include "fuzz.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FIXTURE_NODES 1
#include "../unit/hub_fixture.h"

#include "../../src/master/client.h"
#include "../../src/master/command.h"
#include "../../src/master/members.h"
#include "../../src/master/order.h"
#include "../../src/master/private.h"
#include "codec/message.h"
#include "base/clock.h"
#include "door/registry.h"
#include "base/log.h"
#include "base/utf8.h"
#include "codec/json.h"
#include "hub/lock.h"
#include "hub/presence.h"
#include "hub/slot.h"
#include "hub/stats.h"
#include "master/control.h"
#include "net/link.h"

enum {
	TURNS = 200,
	IDLE = 20, /* turns in which nothing comes: the longest request takes
		    * seventeen to be read */
	REPLY_MAX = 1 << 18
};

static struct master *m;
static struct control *control;
static struct sockaddr_un address;
static socklen_t address_len;
static int worker_link;
static char reply[REPLY_MAX];

/* A user with a connection, at worker 0. */
static void
user_make(struct claim *c, const char *name, const char *device)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = 7};
	struct slot *s;
	uint32_t i, e;
	bool first;

	i = slot_take(&m->hub, c);
	hub_lock(&m->hub);
	e = presence_enter(&m->hub, name, strlen(name), &first);
	hub_unlock(&m->hub);
	REQUIRE(i != SHM_NONE && e != SHM_NONE);
	s = &m->hub.slot[i];
	slot_set_peer(s, (struct sockaddr *)&in);
	s->door = door_registry[0]->id;
	s->user = e;
	s->device_len = (uint8_t)strlen(device);
	memcpy(s->device, device, s->device_len);
	slot_set(&m->hub, i, SLOT_OPEN);
}

/* A socket to listen at, whose name goes with it. */
static int
listener_make(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	REQUIRE(fd != -1);
	address.sun_family = AF_UNIX;
	REQUIRE(bind(fd, (struct sockaddr *)&address,
		    offsetof(struct sockaddr_un, sun_path)) == 0);
	address_len = sizeof(address);
	REQUIRE(
	    getsockname(fd, (struct sockaddr *)&address, &address_len) == 0);
	REQUIRE(listen(fd, 4) == 0);
	return fd;
}

/* Makes the master, once. */
static void
make(void)
{
	static struct options options = {.workers = 1};
	static struct claim c;
	int fd[2];

	if (m != NULL)
		return;
	signal(SIGPIPE, SIG_IGN);
	REQUIRE(log_open(LOG_TO_FILE, "/dev/null") == 0);
	m = calloc(1, sizeof(*m));
	REQUIRE(m != NULL);
	fixture_hub(&m->hub, 64, 16, 65536, 1 << 20, 1 << 20);
	m->options = &options;
	m->conf = conf_new();
	m->live = m->conf->live;
	m->base = event_base_new();
	TAILQ_INIT(&m->orders);
	m->phase = PHASE_RUNNING;
	m->n_workers = m->wanted = 1;
	m->started_ms = clock_ms();
	REQUIRE(link_pair(fd) == 0);
	worker_link = fd[1];
	m->member[0] = (struct member){.master = m,
	    .child.master = m,
	    .child.pid = getpid(),
	    .child.ready = true,
	    .child.link = fd[0],
	    .cleaner = -1,
	    .child.generation = 1,
	    .child.line = m->hub.line,
	    .mover.link = -1};
	REQUIRE(claim_init(&c, m->hub.slot_owner, m->hub.n_slots, 0) == 0);
	user_make(&c, "#alice", "phone");
	user_make(&c, "#bob \"\n", "");
	control = control_adopt(m, command_run, "", listener_make());
	REQUIRE(control != NULL && control_start(control) == 0);
	m->control = control;
}

/* Whether a request, as far as it has come, is for what is not done here: gives
 * it another name. */
static void
request_tame(uint8_t *p, size_t size)
{
	static const char *const names[] = {
	    "reload", "restart-worker", "upgrade", "stop"};
	uint8_t *word;
	size_t k;

	if (size < 6 || (word = memchr(p + 4, '\0', size - 4)) == NULL)
		return;
	word++;
	for (k = 0; k < sizeof(names) / sizeof(names[0]); k++)
		if ((size_t)(p + size - word) > strlen(names[k]) &&
		    memcmp(word, names[k], strlen(names[k]) + 1) == 0)
			*word = 'x';
}

/* One turn of the master's loop. */
static void
turn(void)
{
	event_base_loop(m->base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
}

/* Sends the request and reads what comes; returns how much. */
static size_t
ask(int fd, const uint8_t *p, size_t size, bool *ended)
{
	size_t len = 0, sent = 0;
	ssize_t r;
	int n, idle = 0;

	*ended = false;
	for (n = 0; n < TURNS && idle < IDLE && !*ended; n++) {
		r = sent < size ? send(fd, p + sent, size - sent, MSG_NOSIGNAL)
				: 0;
		idle = r > 0 ? 0 : idle + 1;
		sent += r > 0 ? (size_t)r : 0;
		turn();
		while (
		    (r = recv(fd, reply + len, sizeof(reply) - len, 0)) > 0) {
			len += (size_t)r;
			idle = 0;
		}
		*ended = r == 0 || (r < 0 && errno == ECONNRESET);
	}
	return len;
}

/* What was asked of the worker is what it takes; it answers. */
static void
worker_answer(void)
{
	struct link_datagram d[LINK_BATCH];
	struct message_order order;
	struct message_done done = {.result = RESULT_DONE};
	const void *payload;
	const char *why;
	size_t len;
	int n, k, type;

	while ((n = link_receive(worker_link, d)) > 0)
		for (k = 0; k < n; k++) {
			type = message_check(d[k].bytes, d[k].len, d[k].n_fds,
			    PARTY_MASTER, &payload, &len, &why);
			REQUIRE(type != -1 && d[k].n_fds == 0);
			if (type != MSG_KICK && type != MSG_SAY)
				continue;
			memcpy(&order, payload, sizeof(order));
			done.number = order.number;
			REQUIRE(order_done(&m->member[0], &done));
		}
}

/* A whole answer is as the header says; of JSON it is JSON. */
static void
reply_judge(const uint8_t *request, size_t size, size_t len)
{
	struct json_value v;
	bool json = size > 9 && memcmp(request + 4, "json", 5) == 0 &&
	    memcmp(request + 9, "show", 5) == 0;

	if (len == 0)
		return;
	REQUIRE(reply[0] == CONTROL_DONE || reply[0] == CONTROL_REFUSED);
	REQUIRE(reply[len - 1] == CONTROL_END);
	REQUIRE(memchr(reply, CONTROL_END, len - 1) == NULL);
	if (json && reply[0] == CONTROL_DONE)
		REQUIRE(json_validate(reply + 1, len - 2, &v));
}

/* Who has asked a whole question is answered; who never will have is let go;
 * the others are waited for. */
static void
end_judge(const uint8_t *request, size_t size, bool ended, size_t len)
{
	uint32_t want = 0;

	if (size >= sizeof(want))
		memcpy(&want, request, sizeof(want));
	if (want > CONTROL_REQUEST_MAX)
		REQUIRE(ended && len == 0);
	else if (size < sizeof(want) + want || size < sizeof(want))
		REQUIRE(!ended && len == 0);
	else
		REQUIRE(ended && len > 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t copy[1 << 17];
	bool ended;
	size_t len;
	int fd, n;

	if (size > sizeof(copy))
		return 0;
	make();
	memcpy(copy, data, size);
	request_tame(copy, size);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	REQUIRE(connect(fd, (struct sockaddr *)&address, address_len) == 0);
	len = ask(fd, copy, size, &ended);
	worker_answer();
	if (!ended)
		len += ask(fd, copy, 0, &ended);
	end_judge(copy, size, ended, len);
	if (ended)
		reply_judge(copy, size, len);
	close(fd);
	for (n = 0; n < TURNS && !control_is_idle(control); n++)
		turn();
	REQUIRE(control_is_idle(control));
	worker_answer();
	REQUIRE(m->n_orders == 0);
	m->drain_rate = 0;
	m->member[0].child.owed = 0;
	return 0;
}
