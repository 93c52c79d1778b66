/* history: what the doors answer when a channel's entry has become another's
 * between the look by its name and the question: here each time. */
#include "chat_fixture.h"

#include "hub/history.h"

enum { SLOTS = 64 };

/* In place of the hub's. */
int
history_find(
    const struct hub *h, const struct history_query *q, struct history *out)
{
	(void)h;
	(void)q;
	memset(out, 0, offsetof(struct history, position));
	return -1;
}

/* What the answer to a text has in it. */
static void
answers(const struct door *door, const char *text, const char *want)
{
	struct node *n;
	struct hub h;
	uint32_t i;
	int client;

	fixture_hub(&h, SLOTS, 16, 1 << 20, 4 << 20, 1 << 20);
	n = node_new(&h, 0);
	n->ch.live.insecure = 1;
	i = node_open_at(n, door, door == &plain_door ? "alice" : "", &client);
	if (door == &centrifugo_door)
		node_read(n, i, client, "{\"id\":1,\"connect\":{}}");
	node_say(n, "room", "one");
	node_say(n, "room", "two");
	chat_turn(&n->ch);
	node_read(n, i, client, text);
	chat_turn(&n->ch);
	assert_int_equal(client_got(client, want, want), 1);
	close(client);
	hub_destroy(&h);
}

/* Nothing is kept of it. */
static void
test_history(void **state)
{
	answers(&plain_door, "/history room", "nothing was said in room");
	answers(&centrifugo_door,
	    "{\"id\":2,\"history\":{\"channel\":\"room\",\"limit\":10}}",
	    "{\"id\":2,\"history\":{\"publications\":[],\"epoch\":");
}

/* Where somebody wants to go on cannot be found any more. */
static void
test_unrecoverable(void **state)
{
	answers(&centrifugo_door,
	    "{\"id\":2,\"history\":{\"channel\":\"room\",\"limit\":9,"
	    "\"since\":{\"offset\":1}}}",
	    "{\"id\":2,\"error\":{\"code\":112");
	answers(&centrifugo_door,
	    "{\"id\":2,\"subscribe\":{\"channel\":\"room\",\"recover\":true,"
	    "\"offset\":1}}",
	    "\"positioned\":true,\"was_recovering\":true");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_history),
	    cmocka_unit_test(test_unrecoverable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
