/* begun: connections with which another process has begun: taken, or not,
 * whatever that process says. */
#include "chat_fixture.h"

#include "../../src/worker/private.h"
#include "codec/message.h"
#include "codec/tls.h"
#include "net/link.h"
#include "net/transport.h"

enum { LINE = SHM_WORKERS + 3, SLOTS = 64, MOST = 3 };

static struct hub hub;
static struct worker worker;
static struct worker_start start;
static struct endpoints endpoints;
static int other; /* the other process's end of its link */

/* A worker with one endpoint over TLS. */
static int
setup(void **state)
{
	const struct conf_live live = {.message_size = 65536,
	    .queue_bytes = 1 << 20,
	    .handshake_ms = 10000,
	    .request_size = 8192};
	struct chat *ch = &worker.chat;
	int pair[2];

	fixture_hub(&hub, SLOTS, 100, 1 << 20, 4 << 20, 1 << 20);
	fixture_wire(&hub);
	hub.table = 1;
	endpoints = endpoints_usual;
	endpoints.at[0].transport = transport_find("tls");
	start.endpoints = &endpoints;
	start.control = -1;
	worker.start = &start;
	assert_int_equal(
	    chat_init(ch, &hub, &live, loop_new(), batch_new(false)), 0);
	ch->endpoints = &endpoints;
	assert_true(chat_set_doors(ch, door_registry));
	worker.started = true;
	worker.most = MOST;
	begun_init(&worker);
	assert_int_equal(link_pair(pair), 0);
	other = pair[1];
	chat_link(ch, LINE, 1, pair[0]);
	begun_linked(ch, LINE, true);
	return 0;
}

/* Gives a connection; its descriptor stays open here. */
static void
give(struct message_begun m, const struct tls_birth *birth, size_t len, int fd)
{
	struct {
		struct message_begun m;
		uint8_t birth[sizeof(*birth) + 1];
	} all = {.m = m};

	memcpy(all.birth, birth, sizeof(*birth));
	assert_int_equal(
	    link_send(other, MSG_BEGUN, &all, sizeof(m) + len, fd), 0);
	for (int k = 0; k < 2; k++) {
		event_base_loop(worker.chat.base, EVLOOP_NONBLOCK);
		chat_turn(&worker.chat);
	}
}

/* Reads what the worker has said: of how many connections from that number on
 * that it does not take them; *taken: that it has one of them. */
static int
said(uint64_t from, bool *taken)
{
	struct link_datagram d[LINK_BATCH];
	struct message_room m;
	const void *payload;
	const char *why;
	size_t len;
	int n, refused = 0;

	*taken = false;
	while ((n = link_receive(other, d)) > 0)
		for (int k = 0; k < n; k++) {
			assert_int_equal(
			    message_check(d[k].bytes, d[k].len, d[k].n_fds,
				PARTY_TAKER, &payload, &len, &why),
			    MSG_ROOM);
			memcpy(&m, payload, sizeof(m));
			*taken |= m.number >= from && m.taken != 0;
			refused += m.number >= from && m.taken == 0;
		}
	return refused;
}

/* Whether it has taken the one of that number, which is the last. */
static bool
said_taken(uint64_t number)
{
	bool taken;
	const int refused = said(number, &taken);

	assert_int_equal(refused, !taken);
	return taken;
}

static const struct tls_birth good = {
    .suite = TLS_AES_128, .read_secret = {1}, .write_secret = {2}};

/* The newest connection. */
static const struct slot *
newest(void)
{
	uint32_t i = SHM_NONE, last = SHM_NONE;

	while (conn_next(&worker.chat, &i))
		last = i;
	assert_int_not_equal(last, SHM_NONE);
	return &hub.slot[last];
}

/* Ends all. */
static void
drop_all(void)
{
	uint32_t i = SHM_NONE;

	while (conn_next(&worker.chat, &i))
		conn_drop(&worker.chat, i, NULL);
	assert_int_equal(worker.chat.n_conns, 0);
}

/* Its address is its socket's, or the one that a proxy has said. */
static void
test_address(void **state)
{
	static const uint8_t mapped[16] = {[10] = 0xff, 0xff, 192, 0, 2, 7},
			     six[16] = {0x20, 1, 13, 0xb8, [15] = 9};
	struct message_begun m = {.number = 1};
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	const struct slot *s;
	int client, fd;

	tcp_pair(&client, &fd, &a);
	getsockname(client, (void *)&a, &len);
	give(m, &good, sizeof(good), fd);
	assert_true(said_taken(1));
	s = newest();
	assert_int_equal(s->family, 4);
	assert_int_equal(s->peer_port, ntohs(a.sin_port));
	drop_all();
	close(fd);
	close(client);
	tcp_pair(&client, &fd, &a);
	m = (struct message_begun){.number = 2, .port = 4711};
	memcpy(m.address, mapped, sizeof(mapped));
	give(m, &good, sizeof(good), fd);
	assert_true(said_taken(2));
	s = newest();
	assert_int_equal(s->family, 4);
	assert_memory_equal(s->peer, mapped + 12, 4);
	assert_int_equal(s->peer_port, 4711);
	drop_all();
	close(fd);
	close(client);
	tcp_pair(&client, &fd, &a);
	m.number = 3;
	memcpy(m.address, six, sizeof(six));
	give(m, &good, sizeof(good), fd);
	assert_true(said_taken(3));
	s = newest();
	assert_int_equal(s->family, 6);
	assert_memory_equal(s->peer, six, 16);
	drop_all();
	close(fd);
	close(client);
}

/* What comes again is not taken twice; what another process has gone on with
 * is not taken. */
static void
test_again(void **state)
{
	struct message_begun m = {.number = 4};
	struct sockaddr_in a;
	int client, fd;

	tcp_pair(&client, &fd, &a);
	give(m, &good, sizeof(good), fd);
	assert_true(said_taken(4));
	m.again = 1;
	give(m, &good, sizeof(good), fd);
	assert_true(said_taken(4));
	assert_int_equal(worker.chat.n_conns, 1);
	drop_all();
	close(fd);
	close(client);
	tcp_pair(&client, &fd, &a);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	give(m, &good, sizeof(good), fd);
	assert_true(said_taken(4)); /* no other worker may take it either */
	assert_int_equal(worker.chat.n_conns, 0);
	close(fd);
	close(client);
}

/* Whether a connection is refused, for good or not. */
static void
refused(struct tls_birth birth, size_t len, int fd, bool over)
{
	static uint64_t number = 1000;

	number++;
	give((struct message_begun){.number = number}, &birth, len, fd);
	assert_int_equal(said_taken(number), over);
	assert_int_equal(worker.chat.n_conns, 0);
}

/* What no process of this program would send. */
static void
test_wrong(void **state)
{
	struct tls_birth b;
	struct sockaddr_in a;
	int client, fd, local[2], pipes[2];

	tcp_pair(&client, &fd, &a);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, local), 0);
	assert_int_equal(pipe(pipes), 0);
	refused(good, sizeof(good), local[0], true);
	refused(good, sizeof(good), pipes[0], true);
	refused(good, sizeof(good), other, true);
	/* of another program: another worker may understand it */
	b = good;
	b.version = TLS_BIRTH_VERSION + 1;
	refused(b, sizeof(b), fd, false);
	refused(good, sizeof(good) - 1, fd, false);
	refused(good, sizeof(good) + 1, fd, false);
	b = good;
	b.suite = TLS_SUITES;
	refused(b, sizeof(b), fd, true);
	b = good;
	b.record = 63;
	refused(b, sizeof(b), fd, true);
	b = good;
	b.write_number = UINT64_MAX;
	refused(b, sizeof(b), fd, true);
	b = good;
	b.read = 1;
	refused(b, sizeof(b), fd, true);
	for (int k = 0; k < 2; k++) {
		close(local[k]);
		close(pipes[k]);
	}
	close(fd);
	close(client);
}

/* More than it has room for are left to others. */
static void
test_full(void **state)
{
	struct sockaddr_in a;
	int client[MOST + 1], fd[MOST + 1];

	for (int k = 0; k <= MOST; k++) {
		tcp_pair(&client[k], &fd[k], &a);
		give((struct message_begun){.number = 10 + (uint64_t)k}, &good,
		    sizeof(good), fd[k]);
		assert_int_equal(said_taken(10 + (uint64_t)k), k < MOST);
	}
	drop_all();
	for (int k = 0; k <= MOST; k++) {
		close(client[k]);
		close(fd[k]);
	}
}

/* One that leaves reads what it was given, and leaves it to others; a process
 * that gives more hears at once that nobody reads it. */
static void
test_leave(void **state)
{
	struct sockaddr_in a;
	struct {
		struct message_begun m;
		struct tls_birth birth;
	} all = {{.number = 30}, good};
	int client, fd;
	bool taken;

	tcp_pair(&client, &fd, &a);
	for (int k = 0; k < 40; k++, all.m.number++)
		assert_int_equal(
		    link_send(other, MSG_BEGUN, &all, sizeof(all), fd), 0);
	worker.retiring = true;
	begun_leave(&worker);
	assert_int_equal(said(30, &taken), 40);
	assert_false(taken);
	assert_int_equal(worker.chat.n_conns, 0);
	assert_int_equal(
	    link_send(other, MSG_BEGUN, &all, sizeof(all), fd), -1);
	assert_int_equal(errno, EPIPE);
	close(fd);
	close(client);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_address),
	    cmocka_unit_test(test_again),
	    cmocka_unit_test(test_wrong),
	    cmocka_unit_test(test_full),
	    cmocka_unit_test(test_leave),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
