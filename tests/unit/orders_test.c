/* orders: what the master has a worker publish waits until the chat is served.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../src/master/order.h"
#include "../../src/master/private.h"
#include "codec/message.h"
#include "net/link.h"

/* How many datagrams have come. */
static int
come(int fd)
{
	struct link_datagram d[LINK_BATCH];

	return link_receive(fd, d);
}

static void
test_start(void **state)
{
	static const struct hub_limits limits = {.connections = 4,
	    .input_bytes = 1 << 16,
	    .output_bytes = 1 << 20,
	    .journal_bytes = 1 << 16,
	    .channels = 4};
	struct message_kick kick = {.user_len = 3, .user = "bob"};
	struct master *m = calloc(1, sizeof(*m));
	struct child *c = &m->member[0].child;
	int fd[2];

	assert_int_equal(hub_create(&m->hub, &limits), 0);
	assert_int_equal(link_pair(fd), 0);
	TAILQ_INIT(&m->orders);
	m->n_workers = 1;
	m->phase = PHASE_STARTING;
	c->ready = true;
	c->link = fd[0];
	assert_non_null(order_give(m, MSG_KICK, &kick, sizeof(kick)));
	order_time(m);
	assert_int_equal(come(fd[1]), 0);
	m->phase = PHASE_RUNNING;
	order_time(m);
	assert_int_equal(come(fd[1]), 1);
	assert_non_null(order_give(m, MSG_KICK, &kick, sizeof(kick)));
	order_time(m);
	assert_int_equal(come(fd[1]), 1);
	order_drop(m);
	close(fd[0]);
	close(fd[1]);
	hub_destroy(&m->hub);
	free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_start)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
