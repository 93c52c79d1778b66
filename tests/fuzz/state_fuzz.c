/*
 * state_fuzz: any text as what another program has left: it is refused with a
 * reason, or all that it says is within bounds, and what would be written of it
 * is read as the same.
 */
#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include "../../src/master/order.h"
#include "../../src/master/private.h"
#include "codec/message.h"
#include "../../src/master/state.h"
#include "conf/conf.h"
#include "master/control.h"
#include "master/roles.h"

static const struct child_kind worker = {.n = CHILD_CONFIGURED},
			       keeper = {.n = CHILD_EACH_WORKER},
			       mover = {
				   .name = "mover", .n = CHILD_EACH_WORKER};
static const struct child_row kinds[] = {{&worker, &worker_role},
    {&keeper, &keeper_role}, {&mover, &mover_role}, {NULL, NULL}};
static char why[512];

/* A memory file with those bytes. */
static int
file_make(const uint8_t *data, size_t size)
{
	int fd = memfd_create("state", MFD_CLOEXEC);

	REQUIRE(fd != -1);
	REQUIRE(write(fd, data, size) == (ssize_t)size);
	return fd;
}

/* Whether a text lies within what was read. */
static bool
text_is_within(const struct state *s, size_t size, const char *text)
{
	return text == NULL ||
	    (text >= s->text && text + strlen(text) <= s->text + size);
}

/* What was taken is within bounds. */
static void
state_judge(const struct master *m, const struct state *s, size_t size)
{
	REQUIRE(s->hub != -1 && s->control != -1);
	REQUIRE(m->n_workers > 0 && m->n_workers <= CONF_WORKERS_MAX);
	REQUIRE(m->endpoints.n >= 0 && m->endpoints.n <= ENDPOINTS_MAX);
	REQUIRE(s->n_listen >= 0 && s->n_listen <= CONF_LISTEN_MAX);
	REQUIRE(s->options.n_listen <= CONF_LISTEN_MAX);
	REQUIRE(m->n_orders <= ORDERS_MAX);
	REQUIRE(m->options == &s->options);
	for (int i = 0; i < m->n_workers; i++) {
		REQUIRE(m->member[i].place == i);
		REQUIRE(m->member[i].child.policy.next < POLICY_BURST);
		REQUIRE(m->member[i].cleaner >= -1 &&
		    m->member[i].cleaner < CONF_WORKERS_MAX);
		REQUIRE(m->member[i].cleaner_from <= GIVERS);
	}
	for (int i = 0; i < s->n_listen; i++)
		REQUIRE(text_is_within(s, size, s->listen[i]));
	for (int i = 0; i < s->options.n_listen; i++)
		REQUIRE(text_is_within(s, size, s->options.listen[i]));
	REQUIRE(text_is_within(s, size, s->control_path));
	REQUIRE(text_is_within(s, size, m->pidfile.path));
	REQUIRE(text_is_within(s, size, s->options.file));
	REQUIRE(text_is_within(s, size, s->options.pidfile));
	REQUIRE(text_is_within(s, size, s->options.control));
	REQUIRE(text_is_within(s, size, s->options.user));
	REQUIRE(text_is_within(s, size, s->options.binary));
}

/* What the next program would be left is read as the same. */
static void
state_again(struct master *m, const struct state *s, int from)
{
	struct master *n = calloc(1, sizeof(*n));
	struct state t;
	int fd;

	REQUIRE(n != NULL && (m->conf = conf_new()) != NULL);
	m->conf->connections = s->connections;
	m->limits = s->limits;
	m->hub.fd = s->hub;
	memcpy(m->hub.hash_key, s->hash_key, sizeof(s->hash_key));
	m->control = control_adopt(m, NULL, s->control_path, dup(from));
	REQUIRE(m->control != NULL);
	fd = state_write(m, why, sizeof(why));
	REQUIRE(fd != -1);
	REQUIRE(state_read(fd, n, &t, why, sizeof(why)) == 0);
	REQUIRE(n->n_workers == m->n_workers);
	REQUIRE(n->order_number == m->order_number);
	REQUIRE(hub_limits_equal(&t.limits, &s->limits));
	REQUIRE(memcmp(t.hash_key, s->hash_key, 16) == 0);
	REQUIRE(strcmp(t.control_path, s->control_path) == 0);
	for (int i = 0; i < m->n_workers; i++) {
		REQUIRE(n->member[i].child.pid == m->member[i].child.pid);
		REQUIRE(n->member[i].child.link == m->member[i].child.link);
		REQUIRE(n->member[i].child.generation ==
		    m->member[i].child.generation);
		REQUIRE(n->member[i].child.owed == m->member[i].child.owed);
		REQUIRE(n->member[i].fault_arg == m->member[i].fault_arg);
		REQUIRE(n->member[i].family.table == m->member[i].family.table);
		REQUIRE(n->member[i].family.keeper[1].generation ==
		    m->member[i].family.keeper[1].generation);
	}
	close(fd);
	order_drop(n);
	free(t.text);
	free(t.print);
	free(n);
	control_drop(m->control);
	conf_free(m->conf);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct master *m = calloc(1, sizeof(*m));
	struct state s;
	int fd = file_make(data, size);

	REQUIRE(m != NULL);
	child_kinds_use(kinds);
	why[0] = '\0';
	if (state_read(fd, m, &s, why, sizeof(why)) == 0) {
		state_judge(m, &s, size);
		state_again(m, &s, fd);
	} else
		REQUIRE(why[0] != '\0' && memchr(why, '\0', sizeof(why)));
	order_drop(m);
	free(s.text);
	free(s.print);
	if (state_read_memory(fd, &s, why, sizeof(why)) == 0)
		REQUIRE(s.hub != -1 && s.n_listen <= CONF_LISTEN_MAX);
	free(s.text);
	free(m);
	close(fd);
	return 0;
}
