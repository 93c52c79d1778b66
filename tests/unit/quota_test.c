/* quota: which connections are one address, or one user; what is said of a
 * refusal. */
#include "chat_fixture.h"

#include <arpa/inet.h>

#include "room/quota.h"
#include "hub/stats.h"

/* The key of an address, as that of a connection here. */
static uint32_t
key_of(struct node *n, uint32_t conn, const char *text)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		slot_set_peer(&n->h.slot[conn], (void *)&in);
	else if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1)
		slot_set_peer(&n->h.slot[conn], (void *)&in6);
	else
		fail();
	return quota_terms(&n->ch, conn).address;
}

/* IPv4 whole, IPv6 by /64; those that are exempt, and none at all, are not
 * counted. */
static void
test_address(void **state)
{
	struct hub h;
	struct node *n;
	int client;
	uint32_t i, four, six;

	fixture_hub(&h, 64, 64, 65536, 4 << 20, 1 << 20);
	n = node_new(&h, 0);
	i = node_open(n, "alice", &client);
	four = key_of(n, i, "192.0.2.1");
	six = key_of(n, i, "2001:db8:0:1::1");
	assert_int_not_equal(four, 0);
	assert_int_not_equal(six, 0);
	assert_int_not_equal(four, key_of(n, i, "192.0.2.2"));
	assert_int_equal(four, key_of(n, i, "::ffff:192.0.2.1"));
	assert_int_equal(six, key_of(n, i, "2001:db8:0:1:ffff::2"));
	assert_int_not_equal(six, key_of(n, i, "2001:db8:0:2::1"));
	n->ch.live.exempt[0] =
	    (struct conf_prefix){{[10] = 0xff, 0xff, 192, 0, 2}, 96 + 24};
	n->ch.live.n_exempt = 1;
	assert_int_equal(key_of(n, i, "192.0.2.1"), 0);
	assert_int_equal(key_of(n, i, "::ffff:192.0.2.1"), 0);
	assert_int_not_equal(key_of(n, i, "192.0.3.1"), 0);
	assert_int_equal(key_of(n, i, "2001:db8:0:1::1"), six);
	n->h.slot[i].family = 0; /* as of a UNIX socket */
	assert_int_equal(quota_terms(&n->ch, i).address, 0);
	close(client);
}

/* A user is a name, on all connections and workers; an anonymous connection,
 * and a slot that says nonsense, are nobody. */
static void
test_user(void **state)
{
	struct hub h;
	struct node *a, *b;
	int client[4];
	uint32_t alice, other, bob;

	fixture_hub(&h, 64, 64, 65536, 4 << 20, 1 << 20);
	a = node_new(&h, 0);
	b = node_new(&h, 1);
	alice = node_open(a, "alice", &client[0]);
	other = node_open_at(b, &plain_door, "alice", &client[1]);
	bob = node_open(a, "bob", &client[2]);
	assert_int_not_equal(quota_terms(&a->ch, alice).user, 0);
	assert_int_equal(
	    quota_terms(&a->ch, alice).user, quota_terms(&b->ch, other).user);
	assert_int_not_equal(
	    quota_terms(&a->ch, alice).user, quota_terms(&a->ch, bob).user);
	alice = node_open_at(a, &centrifugo_door, "", &client[3]);
	assert_int_equal(quota_terms(&a->ch, alice).user, 0);
	a->h.slot[alice].user = a->h.n_entries;
	assert_int_equal(quota_terms(&a->ch, alice).user, 0);
	a->h.slot[alice].user = PRESENCE_LOBBY;
	assert_int_equal(quota_terms(&a->ch, alice).user, 0);
	a->h.slot[alice].user = SHM_NONE;
	for (int k = 0; k < 4; k++)
		close(client[k]);
}

/* A refusal is counted, and told once to who asks. */
static void
test_text(void **state)
{
	struct hub h;
	struct node *n;

	fixture_hub(&h, 64, 64, 65536, 4 << 20, 1 << 20);
	n = node_new(&h, 0);
	assert_null(quota_text());
	n->ch.live.address_share = 10;
	n->ch.live.user_channels = 9;
	quota_refuse(&n->ch, SHM_NONE, QUOTA_CHANNELS);
	assert_string_equal(quota_text(),
	    "the table of channels is full (key channels, limit 64)");
	assert_null(quota_text());
	quota_refuse(&n->ch, SHM_NONE, QUOTA_USERS_SHARE);
	quota_refuse(&n->ch, SHM_NONE, QUOTA_CHANNELS_SHARE);
	assert_string_equal(quota_text(),
	    "the address has its share of the channels (key address-share, "
	    "limit 7)");
	quota_refuse(&n->ch, SHM_NONE, QUOTA_USER_CHANNELS);
	assert_string_equal(quota_text(),
	    "the user has all channels that one may have (key "
	    "channels-per-user, limit 9)");
	assert_int_equal(n->h.me->channels_full, 1);
	assert_int_equal(n->h.me->over_address_share, 2);
	assert_int_equal(n->h.me->over_channels_per_user, 1);
	assert_int_equal(n->h.me->users_full, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_address),
	    cmocka_unit_test(test_user),
	    cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
