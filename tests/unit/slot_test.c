/* slot: ids that are never used twice, and copies that are whole. */
#include "hub_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hub/slot.h"

enum { SLOTS = 200 };

/* A slot's way from free to free. */
static void
test_life(void **state)
{
	struct hub h;
	struct claim c;
	struct slot copy;
	uint64_t id, seen;
	uint32_t i;

	fixture_hub(&h, SLOTS, 16, 65536, 1 << 20, 1 << 20);
	assert_int_equal(claim_init(&c, h.slot_owner, h.n_slots, 0), 0);
	i = slot_take(&h, &c);
	assert_int_not_equal(i, SHM_NONE);
	id = slot_id(&h, i);
	assert_int_not_equal(id, 0);
	assert_int_equal(slot_state(&h, i), SLOT_TAKEN);
	assert_int_equal(h.slot[i].user, SHM_NONE);
	assert_int_equal(slot_find(&h, id), SHM_NONE);
	assert_false(slot_read(&h, i, &copy, &seen));
	slot_set(&h, i, SLOT_OPEN);
	assert_int_equal(slot_find(&h, id), i);
	slot_set(&h, i, SLOT_ENDING);
	assert_true(slot_read(&h, i, &copy, &seen));
	assert_true(seen == id);
	slot_set(&h, i, SLOT_CLOSING);
	assert_true(slot_read(&h, i, &copy, &seen));
	slot_release(&h, &c, i);
	assert_int_equal(slot_find(&h, id), SHM_NONE);
	assert_false(slot_read(&h, i, &copy, &seen));
	assert_false(slot_read(&h, SLOTS, &copy, &seen));
	assert_int_equal(slot_find(&h, 1ull << 32 | SLOTS), SHM_NONE);
	claim_deinit(&c);
	hub_destroy(&h);
}

/* Ids only grow, through deaths too; all slots can be used. */
static void
test_ids(void **state)
{
	static uint64_t highest[SLOTS];
	struct hub h;
	struct claim c;
	bool open[SLOTS] = {false};
	uint32_t round, i, n = 0;

	fixture_hub(&h, SLOTS, 16, 65536, 1 << 20, 1 << 20);
	assert_int_equal(claim_init(&c, h.slot_owner, h.n_slots, 0), 0);
	for (round = 0; round < fixture_rounds(50000); round++) {
		i = fixture_random(SLOTS);
		if (fixture_random(5000) == 0) {
			claim_deinit(&c);
			slot_clear(&h, 0);
			claim_init(&c, h.slot_owner, h.n_slots, 0);
			memset(open, 0, sizeof(open));
			n = 0;
		} else if (open[i] && fixture_random(100) < 48) {
			slot_release(&h, &c, i);
			open[i] = false;
			n--;
		} else {
			i = slot_take(&h, &c);
			if (i == SHM_NONE) {
				assert_int_equal(n, SLOTS);
				continue;
			}
			assert_false(open[i]);
			assert_true(slot_id(&h, i) > highest[i]);
			highest[i] = slot_id(&h, i);
			assert_int_equal(h.slot[i].appended, 0);
			h.slot[i].appended = 7;
			slot_set(&h, i, SLOT_OPEN);
			open[i] = true;
			n++;
		}
	}
	slot_clear(&h, 0);
	for (i = 0; i < SLOTS; i++)
		assert_int_equal(slot_state(&h, i), SLOT_FREE);
	claim_deinit(&c);
	hub_destroy(&h);
}

/* The use count wraps past zero: an id is never zero. */
static void
test_wrap(void **state)
{
	struct hub h;
	struct claim c;
	uint32_t i;

	fixture_hub(&h, SLOTS, 16, 65536, 1 << 20, 1 << 20);
	claim_init(&c, h.slot_owner, h.n_slots, 0);
	i = slot_take(&h, &c);
	h.slot[i].life = 0xffffffffull << 16 | SLOT_OPEN;
	assert_int_equal(slot_find(&h, slot_id(&h, i)), i);
	slot_release(&h, &c, i);
	assert_int_equal(slot_id(&h, i) >> 32, 1);
	claim_deinit(&c);
	hub_destroy(&h);
}

/* A connection goes to another worker in one step, with its slot, and the
 * first one's claim does not hand the slot out again. */
static void
test_pass(void **state)
{
	struct hub h;
	struct claim c, d;
	uint32_t i, k;
	uint64_t id;

	fixture_hub(&h, SLOTS, 16, 65536, 1 << 20, 1 << 20);
	claim_init(&c, h.slot_owner, h.n_slots, 0);
	claim_init(&d, h.slot_owner, h.n_slots, 1);
	i = slot_take(&h, &c);
	slot_set(&h, i, SLOT_OPEN);
	id = slot_id(&h, i);
	assert_false(slot_pass(&h, i, 1, SLOT_OPEN, 0, SLOT_OPEN));
	assert_true(slot_pass(&h, i, 0, SLOT_OPEN, 1, SLOT_MOVING));
	assert_true(slot_is_open(&h, i));
	assert_true(slot_pass(&h, i, 1, SLOT_MOVING, 1, SLOT_OPEN));
	assert_int_equal(slot_worker(&h, i), 1);
	assert_true(slot_id(&h, i) == id);
	slot_clear(&h, 0);
	claim_deinit(&c);
	claim_init(&c, h.slot_owner, h.n_slots, 0);
	assert_int_equal(slot_find(&h, id), i);
	for (k = 1; k < SLOTS; k++)
		assert_int_not_equal(slot_take(&h, &c), i);
	assert_int_equal(slot_take(&h, &c), SHM_NONE);
	h.self = 1;
	slot_release(&h, &d, i);
	h.self = 0;
	assert_int_equal(slot_take(&h, &c), i);
	claim_deinit(&c);
	claim_deinit(&d);
	hub_destroy(&h);
}

/* Slots that have connections elsewhere are not held here, and not counted. */
static void
test_not_held(void **state)
{
	struct hub h;
	struct claim c;
	uint32_t i, k;

	fixture_hub(&h, SLOTS, 16, 65536, 1 << 20, 1 << 20);
	claim_init(&c, h.slot_owner, h.n_slots, 0);
	for (k = 0; k < SHM_BLOCK; k++) {
		i = slot_take(&h, &c);
		slot_set(&h, i, SLOT_OPEN);
		slot_pass(&h, i, 0, SLOT_OPEN, 1, SLOT_OPEN);
		claim_give(&c, i);
	}
	for (k = 1; k <= SLOTS - SHM_BLOCK; k++) {
		i = slot_take(&h, &c);
		assert_in_range(i, SHM_BLOCK, SLOTS - 1);
		assert_int_equal(c.n_used, k);
	}
	assert_int_equal(slot_take(&h, &c), SHM_NONE);
	for (i = SHM_BLOCK; i < SLOTS; i++)
		slot_release(&h, &c, i);
	assert_int_equal(c.n_used, 0);
	for (k = 0, i = 0; i < claim_blocks(SLOTS); i++)
		k += h.slot_owner[i] != 0;
	assert_true(k <= 1);
	claim_deinit(&c);
	hub_destroy(&h);
}

static void
test_peer(void **state)
{
	struct sockaddr_in in = {
	    .sin_family = AF_INET, .sin_port = htons(1234)};
	struct sockaddr_in6 in6 = {
	    .sin6_family = AF_INET6, .sin6_port = htons(65535)};
	struct sockaddr none = {.sa_family = AF_UNIX};
	struct slot s = {0};
	char name[64];

	in.sin_addr.s_addr = htonl(0x7f000001);
	slot_set_peer(&s, (struct sockaddr *)&in);
	assert_string_equal(slot_peer_name(&s, name), "127.0.0.1:1234");
	inet_pton(AF_INET6, "2001:db8::1", &in6.sin6_addr);
	slot_set_peer(&s, (struct sockaddr *)&in6);
	assert_string_equal(slot_peer_name(&s, name), "[2001:db8::1]:65535");
	slot_set_peer(&s, &none);
	assert_string_equal(slot_peer_name(&s, name), "?");
}

/* Takes and frees slots for ever, every byte of `who` from the use count. */
static void
churn(struct hub *h)
{
	struct claim c;
	uint32_t i;
	uint8_t k;

	claim_init(&c, h->slot_owner, h->n_slots, 0);
	for (;;) {
		i = slot_take(h, &c);
		k = (uint8_t)(slot_id(h, i) >> 32);
		memset(h->slot[i].peer, k, sizeof(h->slot[i].peer));
		memset(h->slot[i].device, k, sizeof(h->slot[i].device));
		h->slot[i].device_len = 1;
		slot_set(h, i, SLOT_OPEN);
		slot_release(h, &c, i);
	}
}

/* A copy is of one connection, though another process churns. */
static void
test_torn(void **state)
{
	struct hub h;
	struct slot s;
	uint64_t id;
	uint32_t n = 0, k, look;
	pid_t pid;

	fixture_hub(&h, SLOTS, 16, 65536, 1 << 20, 1 << 20);
	pid = fork();
	if (pid == 0)
		churn(&h);
	for (look = 0; n < 20000 && look < 2000000000; look++) {
		if (!slot_read(&h, 0, &s, &id))
			continue;
		n++;
		for (k = 0; k < sizeof(s.device); k++)
			assert_int_equal(
			    (uint8_t)s.device[k], (uint8_t)(id >> 32));
		for (k = 0; k < sizeof(s.peer); k++)
			assert_int_equal(s.peer[k], (uint8_t)(id >> 32));
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(n, 20000);
	hub_destroy(&h);
}

/* More slots of this worker's blocks than a block has belong to connections
 * that have moved away: none stays taken here, however often a slot is asked
 * for, and each can be had again once it is free. */
static void
test_moved_away(void **state)
{
	struct hub h;
	struct claim c;
	uint32_t i, k, n, slot[SLOTS];

	fixture_hub(&h, SLOTS, 16, 65536, 1 << 20, 1 << 20);
	claim_init(&c, h.slot_owner, h.n_slots, 0);
	for (k = 0; k < SLOTS; k++) {
		slot[k] = slot_take(&h, &c);
		slot_set(&h, slot[k], SLOT_OPEN);
	}
	/* one stays in each block */
	for (k = 0; k < SLOTS; k++)
		if (slot[k] % SHM_BLOCK != 7) {
			slot_pass(&h, slot[k], 0, SLOT_OPEN, 1, SLOT_OPEN);
			claim_give(&c, slot[k]);
		}
	for (k = 0; k < 3; k++) {
		assert_int_equal(slot_take(&h, &c), SHM_NONE);
		assert_int_equal(c.n_used, claim_blocks(SLOTS));
	}
	for (i = 0; i < SLOTS; i++)
		if (i % SHM_BLOCK != 7)
			h.slot[i].life = 9ull << 16; /* free */
	for (n = claim_blocks(SLOTS); n < SLOTS; n++)
		assert_true(claim_has(&c, slot_take(&h, &c)));
	assert_int_equal(slot_take(&h, &c), SHM_NONE);
	claim_deinit(&c);
	hub_destroy(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_life),
	    cmocka_unit_test(test_ids),
	    cmocka_unit_test(test_wrap),
	    cmocka_unit_test(test_pass),
	    cmocka_unit_test(test_moved_away),
	    cmocka_unit_test(test_not_held),
	    cmocka_unit_test(test_peer),
	    cmocka_unit_test(test_torn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
