/* state: what one master writes, the next one reads; hub: memory that another
 * program made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../src/hub/heads.h"
#include "../../src/master/log_child.h"
#include "../../src/master/member.h"
#include "../../src/master/order.h"
#include "../../src/master/private.h"
#include "../../src/master/state.h"
#include "../../src/master/wires.h"
#include "master/control.h"
#include "master/roles.h"

static const struct hub_limits limits = {.connections = 256,
    .users = 100,
    .channels = 200,
    .journal_bytes = 1 << 20,
    .output_bytes = 4 << 20,
    .input_bytes = 1 << 20,
    .subscriptions = 500,
    .readers = 6,
    .events = 4,
    .reader_share = 7};
static const struct child_kind worker = {.name = "worker",
				   .n = CHILD_CONFIGURED},
			       keeper = {.name = "keeper",
				   .n = CHILD_EACH_WORKER},
			       mover = {
				   .name = "mover", .n = CHILD_EACH_WORKER};
static const struct child_row kinds[] = {{&worker, &worker_role},
    {&keeper, &keeper_role}, {&mover, &mover_role}, {NULL, NULL}};
static char error[512];

/* Says to a worker's children whose they are. */
static void
member_given(struct member *w, struct master *m)
{
	w->master = w->child.master = w->mover.master = m;
	w->family.member = NULL;
	for (int i = 0; i < 2; i++)
		w->family.keeper[i].master = w->giver[i].master = m;
}

/* A master with something in everything. */
static struct master *
master_make(struct options *o)
{
	struct master *m = calloc(1, sizeof(*m));
	struct member *w;

	assert_non_null(m);
	child_kinds_use(kinds);
	*o = (struct options){.foreground = true,
	    .workers = 2,
	    .file = "/etc/some where/chatd.conf",
	    .binary = "/usr/sbin/chatd",
	    .listen = {"localhost:1", "[::1]:2"},
	    .n_listen = 2};
	m->options = o;
	m->conf = conf_new();
	assert_non_null(m->conf);
	m->limits = limits;
	m->hub.fd = 17;
	m->nursery.wire = 19;
	m->next.fd = -1;
	m->bundle = 18;
	m->reload_is_due = true;
	for (int i = 0; i < 16; i++)
		m->hub.hash_key[i] = (uint8_t)(i * 17);
	m->conf->connections = 192;
	log_child_init(m);
	m->log.now = (struct log_process){.pid = 99, .control = 30};
	m->log.lines[0] = 31;
	m->log.lines[1] = 32;
	m->log.buffer = 33;
	m->endpoints.n = 2;
	for (int i = 0; i < 2; i++) {
		m->endpoints.at[i] = endpoints_usual.at[0];
		m->endpoints.at[i].fd = 5 + i;
		strcpy(m->endpoints.at[i].name, i == 0 ? "a:1" : "[::1]:2");
	}
	m->endpoints.at[1].doors = 1u << 1;
	assert_int_equal(
	    conf_add_listen(m->conf, "localhost:8 tcp websocket"), 0);
	m->control = control_adopt(m, NULL, "/run/a b/chatd.sock", dup(0));
	m->pidfile = (struct pidfile){8, "/run/chatd.pid"};
	m->live.verbose = 1;
	m->started_ms = 12345678901ull;
	m->watchdog.clock_ms = 777;
	m->respawns = 7;
	m->renewals = 8;
	m->drain_rate = 3;
	TAILQ_INIT(&m->orders);
	m->order_number = 1ull << 40;
	m->errands.pid[0] = 4242;
	m->errands.pid[2] = 4243;
	m->buried[2] = UINT64_MAX;
	m->n_workers = 2;
	for (int i = 0; i < 2; i++)
		member_init(&m->member[i], m, i);
	w = &m->member[0];
	w->child.pid = 100;
	w->child.generation = 4;
	w->child.ready = true;
	w->child.link = 20;
	w->child.started_ms = 99;
	w->child.owed = OWED_CONF;
	w->family.table = 7;
	w->family.page_file = 40;
	w->family.home = 41;
	w->family.ready = true;
	w->family.pair_before = 1;
	w->family.keeper[0].generation = 3;
	w->family.keeper[1].born_ms = 97;
	w = &m->member[1];
	w->child.generation = 9;
	w->child.respawn_ms = 5000;
	w->child.policy = (struct policy){3, 1, 5, {1, 2, 3}};
	w->unclean = true;
	w->cleaner = 0;
	w->cleaner_from = GIVER_KEEPER;
	w->cleaner_generation = 8;
	w->clean_ms = 44;
	w->retired = true;
	w->giver[GIVER_KEEPER].pid = 103;
	w->giver[GIVER_KEEPER].link = 22;
	w->mover.pid = 102;
	w->mover.link = 23;
	w->mover.generation = 9;
	w->mover.ready = true;
	w->fault_hand = 2;
	w->fault_arg = 1ull << 40;
	return m;
}

/* Gives it back. */
static void
master_unmake(struct master *m)
{
	order_drop(m);
	control_drop(m->control);
	conf_free(m->conf);
	free(m);
}

static void
round_trip(void **state)
{
	struct options o;
	struct master *m = master_make(&o), *n = calloc(1, sizeof(*n));
	struct state s;
	int fd = state_write(m, error, sizeof(error));

	assert_int_not_equal(fd, -1);
	assert_int_equal(state_read(fd, n, &s, error, sizeof(error)), 0);
	assert_true(s.options.foreground);
	assert_int_equal(s.options.workers, 2);
	assert_string_equal(s.options.file, o.file);
	assert_string_equal(s.options.binary, o.binary);
	assert_null(s.options.user);
	assert_int_equal(s.options.n_listen, 2);
	assert_string_equal(s.options.listen[1], "[::1]:2");
	assert_int_equal(s.hub, 17);
	assert_true(hub_limits_equal(&s.limits, &limits));
	assert_memory_equal(s.hash_key, m->hub.hash_key, 16);
	assert_int_equal(s.connections, 192);
	assert_int_equal(s.n_listen, 1);
	assert_string_equal(s.listen[0], "localhost:8 tcp websocket");
	assert_string_equal(s.control_path, "/run/a b/chatd.sock");
	assert_true(s.verbose);
	assert_int_equal(s.bundle, 18);
	assert_int_equal(n->nursery.wire, 19);
	assert_string_equal(s.wire_text, wires_print());
	assert_true(s.reload);
	assert_int_equal(n->endpoints.n, 2);
	assert_int_equal(n->endpoints.at[1].fd, 6);
	assert_true(endpoint_has(&n->endpoints.at[0], 2));
	assert_int_equal(n->endpoints.at[1].doors, 1u << 1);
	/* for one that is kept, by its name */
	assert_int_equal(s.endpoints.n, 2);
	assert_string_equal(s.endpoints.at[1].name, "[::1]:2");
	assert_int_equal(s.endpoints.at[1].doors, 1u << 1);
	assert_int_equal(n->pidfile.fd, 8);
	assert_string_equal(n->pidfile.path, "/run/chatd.pid");
	assert_int_equal(n->log.now.pid, 99);
	assert_int_equal(n->log.now.control, 30);
	assert_int_equal(n->log.lines[0], 31);
	assert_int_equal(n->log.lines[1], 32);
	assert_int_equal(n->log.buffer, 33);
	assert_int_equal(n->log.next.control, -1);
	assert_int_equal(n->started_ms, m->started_ms);
	/* the master has stood still for long; its clock goes on */
	assert_in_range(n->watchdog.clock_ms, 777, 777 + WATCHDOG_GONE_MAX_MS);
	assert_int_equal(n->respawns, 7);
	assert_int_equal(n->renewals, 8);
	assert_int_equal(n->drain_rate, 3);
	assert_true(n->order_number == 1ull << 40);
	assert_true(errand_owns(n, 4242) && errand_owns(n, 4243));
	assert_false(errand_owns(n, 4244));
	assert_true(errand_died(n, 4243, 0));
	assert_false(errand_owns(n, 4243));
	assert_true(n->buried[2] == UINT64_MAX);
	assert_int_equal(n->n_workers, 2);
	for (int i = 0; i < 2; i++) {
		member_given(&n->member[i], m);
		member_given(&m->member[i], m);
		m->member[i].cleaner_left = UINT32_MAX; /* unknown */
		assert_memory_equal(
		    &n->member[i], &m->member[i], sizeof(m->member[i]));
	}
	close(fd);
	free(s.text);
	free(s.print);
	free(n);
	master_unmake(m);
}

/* Orders that are not answered: all the same with the next master, as far as
 * they are not too much for it. */
static void
orders(void **state)
{
	static char text[sizeof(struct message_order) + 50 * 1024];
	struct message_kick kick = {.user_len = 3, .user = "bob"};
	struct options o;
	struct master *m = master_make(&o), *n = calloc(1, sizeof(*n));
	struct message_done done = {.number = (1ull << 40) + 1};
	struct state s;
	struct hub h;
	int fd;

	assert_int_equal(hub_create(&h, &limits), 0);
	m->hub = h;
	m->n_workers = 1; /* without a link: nobody takes them */
	m->member[0].child.link = -1;
	assert_non_null(order_give(m, MSG_KICK, &kick, sizeof(kick)));
	memset(text, 'x', sizeof(text));
	for (int i = 0; i < 6; i++)
		assert_non_null(order_give(m, MSG_SAY, text, sizeof(text)));
	fd = state_write(m, error, sizeof(error));
	assert_int_equal(state_read(fd, n, &s, error, sizeof(error)), 0);
	assert_int_equal(n->n_orders, 6); /* not the last one */
	assert_true(n->order_number == (1ull << 40) + 7);
	/* The old program's worker answers the new one. */
	n->member[0].master = n;
	assert_false(order_done(&n->member[0], &done));
	close(fd);
	free(s.text);
	free(s.print);
	order_drop(n);
	free(n);
	hub_destroy(&h);
	m->hub.fd = 17;
	m->next.fd = -1;
	master_unmake(m);
}

/* A text as a state. Returns what state_read() says. */
static int
text_read(const char *text)
{
	struct master *n = calloc(1, sizeof(*n));
	struct state s;
	int fd = memfd_create("test", 0), r;

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	r = state_read(fd, n, &s, error, sizeof(error));
	close(fd);
	free(s.text);
	free(s.print);
	order_drop(n);
	free(n);
	return r;
}

static void
nonsense(void **state)
{
#define HUB "hub 3 1 2 3 4 5 6 000102030405060708090a0b0c0d0e0f\n"
#define MEMBER "member 0 1 1 1 9 0 0 0 0 0 0 -1 0 0 1 10 0 0 0\n"
	assert_int_equal(text_read("chatd 1\n" HUB "control 4 /x\n" MEMBER), 0);
	assert_int_equal(text_read("chatd 1\n" HUB "new-key of a later one\n"
				   "control 4 /x\n" MEMBER),
	    0);
	assert_int_equal(text_read("chatd 2\n" HUB "control 4 /x\n" MEMBER), 0);
	assert_int_equal(
	    text_read("chatd 3\n" HUB "control 4 /x\n" MEMBER), -1);
	assert_int_equal(text_read("chatd 1\n" HUB "control 4 /x\n"), -1);
	assert_int_equal(text_read("chatd 1\n" HUB MEMBER), -1);
	assert_int_equal(
	    text_read("chatd 1\n" HUB "control 4 /x\nmember 1" MEMBER), -1);
	/* who cleans up after it is no worker */
	assert_int_equal(text_read("chatd 1\n" HUB "control 4 /x\n"
				   "member 0 1 1 1 9 0 0 0 0 0 0 63 0 0 1 10 "
				   "0 0 0\n"),
	    0);
	assert_int_equal(text_read("chatd 1\n" HUB "control 4 /x\n"
				   "member 0 1 1 1 9 0 0 0 0 0 0 64 0 0 1 10 "
				   "0 0 0\n"),
	    -1);
	assert_int_equal(text_read("chatd 1\n" HUB "control 4 /x\n"
				   "member 0 1 1 1 9 0 0 0 0 0 0 -2 0 0 1 10 "
				   "0 0 0\n"),
	    -1);
	assert_int_equal(text_read("hub 3 1 2\n"), -1);
	assert_int_equal(text_read("policy 0 1 2 3\n"), -1);
	assert_int_equal(text_read("x\n"), -1);
#define ORDER                                  \
	"pending say 0 7 8 1 0000000000000000" \
	"00000000000000000000000000000000"
#define GOOD "chatd 1\n" HUB "control 4 /x\n" MEMBER
	assert_int_equal(text_read(GOOD ORDER "6869\n"), 0);
	assert_int_equal(text_read(GOOD ORDER "\n"), -1);
	assert_int_equal(text_read(GOOD ORDER "686\n"), -1);
	assert_int_equal(text_read(GOOD ORDER "68x9\n"), -1);
	assert_int_equal(text_read(GOOD "pending say 1 7 8 1 00\n"), -1);
	assert_int_equal(text_read(GOOD "pending say 0 7 8 1\n"), -1);
	assert_int_equal(text_read(GOOD "pending kick 0 7 8 1 6869\n"), -1);
	assert_int_equal(text_read(GOOD "pending x 0 7 8 1 6869\n"), -1);
	assert_int_equal(text_read(""), -1);
}

static void
line_feed(void **state)
{
	struct options o;
	struct master *m = master_make(&o);

	o.file = "/etc/a\nmember";
	assert_int_equal(state_write(m, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "line feed"));
	master_unmake(m);
}

/* Padding, which a struct that was filled member by member has garbage in,
 * does not count; each member does. */
static void
limits_equal(void **state)
{
	struct hub_limits a, b;

	memset(&a, 0x5a, sizeof(a));
	memset(&b, 0xa5, sizeof(b));
	for (struct hub_limits *l = &a; l != NULL; l = l == &a ? &b : NULL) {
		l->connections = limits.connections;
		l->users = limits.users;
		l->channels = limits.channels;
		l->journal_bytes = limits.journal_bytes;
		l->output_bytes = limits.output_bytes;
		l->input_bytes = limits.input_bytes;
		l->subscriptions = limits.subscriptions;
		l->readers = l->events = 0;
		l->reader_share = 4;
	}
	assert_true(hub_limits_equal(&a, &b));
	assert_int_not_equal(memcmp(&a, &b, sizeof(a)), 0);
#define DIFFERS(member)                                 \
	do {                                            \
		b.member++;                             \
		assert_false(hub_limits_equal(&a, &b)); \
		b.member--;                             \
	} while (0)
	DIFFERS(connections);
	DIFFERS(users);
	DIFFERS(channels);
	DIFFERS(journal_bytes);
	DIFFERS(output_bytes);
	DIFFERS(input_bytes);
	DIFFERS(subscriptions);
	DIFFERS(readers);
	DIFFERS(events);
	b.reader_share++; /* nothing follows from it without readers */
	assert_true(hub_limits_equal(&a, &b));
	b.reader_share--;
	a.readers = b.readers = 1;
	DIFFERS(reader_share);
#undef DIFFERS
	assert_true(hub_limits_equal(&a, &b));
}

static void
attach(void **state)
{
	struct hub a, b;
	struct hub_limits other = limits;

	assert_int_equal(hub_create(&a, &limits), 0);
	for (int look = 0; look <= 1; look++) {
		assert_int_equal(hub_attach(&b, dup(a.fd), &limits, a.hash_key,
				     look, error, sizeof(error)),
		    0);
		assert_memory_equal(b.hash_key, a.hash_key, 16);
		assert_int_equal(b.size, a.size);
		a.journal[100] = (uint8_t)(7 + look);
		assert_int_equal(b.journal[100], 7 + look);
		hub_destroy(&b);
	}
	other.users++;
	assert_int_equal(hub_attach(&b, a.fd, &other, a.hash_key, true, error,
			     sizeof(error)),
	    -1);
	assert_non_null(strstr(error, "sizes"));
	a.heads->layout++;
	assert_int_equal(hub_attach(&b, a.fd, &limits, a.hash_key, true, error,
			     sizeof(error)),
	    -1);
	assert_non_null(strstr(error, "layout"));
	a.heads->magic++;
	assert_int_equal(hub_attach(&b, a.fd, &limits, a.hash_key, true, error,
			     sizeof(error)),
	    -1);
	hub_destroy(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(round_trip),
	    cmocka_unit_test(orders),
	    cmocka_unit_test(nonsense),
	    cmocka_unit_test(line_feed),
	    cmocka_unit_test(limits_equal),
	    cmocka_unit_test(attach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
