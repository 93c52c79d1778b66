/* order: what a worker publishes in the master's place is answered, be the
 * link to the master full. */
#include "chat_fixture.h"

#include "../../src/worker/private.h"
#include "codec/message.h"
#include "hub/journal.h"
#include "net/link.h"

/* Reads all that stands in the link; counts the answers, which are to come in
 * order from *number on. */
static uint32_t
answers(int link, uint64_t *number)
{
	struct link_datagram d[LINK_BATCH];
	struct message_done done;
	struct message_head head;
	uint32_t got = 0;
	int n, k;

	while ((n = link_receive(link, d)) > 0)
		for (k = 0; k < n; k++) {
			memcpy(&head, d[k].bytes, sizeof(head));
			if (head.type != MSG_DONE)
				continue;
			memcpy(&done, (const char *)d[k].bytes + sizeof(head),
			    sizeof(done));
			assert_int_equal(done.number, (*number)++);
			assert_int_equal(done.result, RESULT_DONE);
			got++;
		}
	assert_int_equal(n, 0);
	return got;
}

static void
test_link_is_full(void **state)
{
	struct {
		struct message_order head;
		char text[2];
	} order = {.text = "hi"};
	struct worker_start start = {0};
	struct worker *w = calloc(1, sizeof(*w));
	uint64_t number = 1, tail;
	struct hub h;
	int pair[2];
	uint32_t k;

	fixture_hub(&h, 64, 100, 1 << 20, 4 << 20, 1 << 20);
	w->chat = node_new(&h, 0)->ch;
	w->start = &start;
	assert_int_equal(link_pair(pair), 0);
	start.control = pair[0];
	while (link_send(pair[0], MSG_RETIRED, NULL, 0, -1) == 0)
		;
	tail = journal_tail(&h);
	for (k = 1; k <= ORDERS_MAX; k++) {
		order.head.number = k;
		order_say(w, &order, sizeof(order.head) + 2);
	}
	assert_int_equal(journal_tail(&h), tail + ORDERS_MAX);
	control_turn(w);
	assert_int_equal(answers(pair[1], &number), 0);
	control_turn(w);
	assert_int_equal(answers(pair[1], &number), ORDERS_MAX);
	control_turn(w);
	assert_int_equal(answers(pair[1], &number), 0);
	close(pair[0]);
	close(pair[1]);
	free(w);
	hub_destroy(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_link_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
