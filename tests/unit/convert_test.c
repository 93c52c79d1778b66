/* convert: memory is copied by name into another layout and other sizes; a
 * print that is not understood, or leads outside, is refused. */
#include "convert_fixture.h"

/* As it is, and with each size larger and smaller. */
static void
test_sizes(void **state)
{
	struct hub_limits l;
	struct scene s;
	struct hub *h;

	scene_make(&s);
	for (int k = 0; k < 15; k++) {
		l = usual;
		l.connections = k == 1 ? 64 : k == 2 ? 1000 : l.connections;
		l.users = k == 3 ? 50 : k == 4 ? 3000 : l.users;
		l.channels = k == 5 ? 50 : k == 6 ? 3000 : l.channels;
		l.journal_bytes = k == 7 ? 1 << 15
		    : k == 8		 ? 1 << 20
					 : l.journal_bytes;
		l.output_bytes = k == 9 ? 2 << 20
		    : k == 10		? 16 << 20
					: l.output_bytes;
		l.input_bytes = k == 11 ? 1 << 18
		    : k == 12		? 1 << 23
					: l.input_bytes;
		l.subscriptions = k == 13 ? 64
		    : k == 14		  ? 10000
					  : l.subscriptions;
		h = copy(&s, &l);
		if (h == NULL)
			fail_msg("sizes %d: %s", k, error);
		judge(&s, h);
		say(h, h->slot[s.slot].user, "more");
		hub_destroy(h);
	}
	hub_destroy(&s.h);
}

/* A ring of more bytes than 32 bits count, there and back. */
static void
test_large_ring(void **state)
{
	struct hub_limits l = usual;
	struct scene s;
	struct hub *h;

	scene_make(&s);
	l.journal_bytes = 4ull << 30;
	h = copy(&s, &l);
	if (h == NULL)
		fail_msg("there: %s", error);
	hub_destroy(&s.h);
	s.h = *h;
	print[layout_print_memory(&s.h, print)] = '\0';
	strlcat(print, usual_tables, sizeof(print));
	h = copy(&s, &usual);
	if (h == NULL)
		fail_msg("back: %s", error);
	judge(&s, h);
	hub_destroy(h);
	hub_destroy(&s.h);
}

/* What is used does not fit. */
static void
test_too_small(void **state)
{
	struct hub_limits l = usual;
	struct scene s;
	struct convert *c;

	scene_make(&s);
	c = convert_open(s.h.fd, print, "", tables, error, sizeof(error));
	assert_non_null(c);
	assert_true(convert_fits(c, &usual, error, sizeof(error)));
	l.users = 0;
	assert_false(convert_fits(c, &l, error, sizeof(error)));
	assert_non_null(strstr(error, "users: 1 are used, 0 would fit"));
	convert_close(c);
	l = usual;
	l.input_bytes = 2048;
	assert_null(copy(&s, &l));
	assert_non_null(strstr(error, "input-memory"));
	hub_destroy(&s.h);
}

/* Where a field of our slot is, as its line says. */
static void
field_line(char out[96], const char *name, size_t at, size_t size, char kind)
{
	snprintf(out, 96, "\nslot.%s %zu size %zu %c\n", name, at, size, kind);
}

/* Numbers of another width, with and without a sign. */
static void
test_widths(void **state)
{
	char from[96], to[96];
	struct scene s;
	struct hub *h;

	scene_make(&s);
	field_line(from, "offset", offsetof(struct slot, offset), 8, 'u');
	field_line(to, "offset", offsetof(struct slot, offset), 2, 'u');
	print_change(from, to);
	h = copy(&s, &usual);
	assert_non_null(h);
	assert_int_equal(
	    h->slot[s.slot].offset, 123456789012345 & 0xffff); /* wider */
	hub_destroy(h);
	s.h.slot[s.slot].offset = 0x8001;
	print_change(to, from);
	field_line(to, "offset", offsetof(struct slot, offset), 2, 'i');
	print_change(from, to);
	assert_null(copy(&s, &usual)); /* negative there, not here */
	assert_non_null(strstr(error, "slot.offset"));
	print_change(to, from);
	/* of the four bytes from `door` on, one is to be kept */
	field_line(from, "door", offsetof(struct slot, door), 1, 'u');
	field_line(to, "door", offsetof(struct slot, door), 4, 'u');
	print_change(from, to);
	s.h.slot[s.slot].device_len = 1;
	assert_null(copy(&s, &usual));
	assert_non_null(strstr(error, "slot.door"));
	assert_non_null(strstr(error, "does not fit into 1 bytes"));
	hub_destroy(&s.h);
}

/* A field that only one has; an array that is shorter here or there. */
static void
test_fields(void **state)
{
	char from[96], to[96];
	struct scene s;
	struct hub *h;

	scene_make(&s);
	field_line(
	    from, "rate_tokens", offsetof(struct slot, rate_tokens), 4, 'u');
	print_change(from, "\n");
	field_line(from, "device", offsetof(struct slot, device), 32, 'b');
	field_line(to, "device", offsetof(struct slot, device), 3, 'b');
	print_change(from, to);
	print_change("\nstruct slot size",
	    "\nstruct gone size 8\ngone.x 0 size 8 u\nstruct slot size");
	h = copy(&s, &usual);
	assert_non_null(h);
	assert_int_equal(h->slot[s.slot].rate_tokens, 0);
	assert_string_equal(h->slot[s.slot].device, "pho");
	hub_destroy(h);
	/* longer there, and not empty behind what fits */
	field_line(from, "peer", offsetof(struct slot, peer), 16, 'b');
	field_line(to, "peer", offsetof(struct slot, peer), 32, 'b');
	print_change(from, to);
	s.h.slot[s.slot].connected_ms = 1;
	assert_null(copy(&s, &usual));
	assert_non_null(strstr(error, "slot.peer"));
	hub_destroy(&s.h);
}

/* Values and bits by name. */
static void
test_values(void **state)
{
	struct scene s;
	struct hub *h;
	char text[64];

	scene_make(&s);
	print_change("\nREASON_KICKED 3\nREASON_IDLE 4\n",
	    "\nREASON_KICKED 4\nREASON_IDLE 3\n");
	snprintf(text, sizeof(text), "\nSLOT_GAP %u\nSLOT_MOVED %u\n", SLOT_GAP,
	    SLOT_MOVED);
	print_change(text, "\nSLOT_GAP 1073741824\nSLOT_MOVED 2147483648\n");
	print_change("\nSLOT_OPEN 1\n", "\nSLOT_OPEN 7\n");
	s.h.slot[s.slot].life |= 7;
	h = copy(&s, &usual);
	assert_non_null(h);
	assert_int_equal(slot_state(h, s.slot), SLOT_OPEN);
	assert_int_equal(h->slot[s.slot].close_reason, REASON_IDLE);
	assert_int_equal(h->slot[s.slot].flags, SLOT_MOVED | 5);
	hub_destroy(h);
	print_change(
	    "\nREASON_NONE 0\n", "\nREASON_NONE 0\nREASON_GOPHER 99\n");
	assert_null(copy(&s, &usual));
	assert_non_null(strstr(error, "REASON_GOPHER"));
	hub_destroy(&s.h);
}

/* Removes the line of the print that begins so. */
static void
print_cut(const char *line)
{
	char *at = strstr(print, line), *end = strchr(at + 1, '\n');

	memmove(at, end, strlen(end) + 1);
}

/* A descriptor stays its connection's, of one that is accepted, too; of a
 * program that knows none there is none. */
static void
test_sockets(void **state)
{
	struct scene s;
	struct claim slots;
	struct hub *h;
	uint32_t i;

	scene_make(&s);
	s.h.table = 7;
	assert_int_equal(claim_init(&slots, s.h.slot_owner, s.h.n_slots, 1), 0);
	claim_mark(&slots, s.slot);
	claim_marked(&slots);
	i = slot_take(&s.h, &slots);
	slot_socket_set(&s.h, s.slot, 20);
	slot_socket_set(&s.h, i, 21);
	s.h.slot[i].appended = 1; /* its 101, and it is not open yet */
	slot_set(&s.h, i, SLOT_ACCEPTED);
	h = copy(&s, &usual);
	assert_non_null(h);
	h->table = 7;
	assert_int_equal(slot_fd(h, s.slot), 20);
	assert_int_equal(slot_fd(h, i), 21);
	assert_int_equal(slot_state(h, i), SLOT_ACCEPTED);
	assert_int_equal(slot_holder(h, i), 1);
	assert_true(slot_id(h, i) == slot_id(&s.h, i));
	assert_int_equal(h->slot[i].appended, 0);
	hub_destroy(h);
	print_cut("\nmemory socket ");
	h = copy(&s, &usual);
	assert_non_null(h);
	assert_true(slot_socket(h, s.slot) == 0);
	hub_destroy(h);
	claim_deinit(&slots);
	hub_destroy(&s.h);
}

/* Doors, framings and transports have other numbers, or are not there. */
static void
test_tables(void **state)
{
	struct convert *c;
	struct scene s;
	struct hub *h;

	scene_make(&s); /* at the door "one", in the framing "two" */
	assert_false(convert_tables_differ(print, "", tables));
	tables = "enum door\ndoor.one 5\nenum framing\nframing.two 1\n"
		 "enum transport\ntransport.one 2\n";
	assert_true(convert_tables_differ(print, "", tables));
	h = copy(&s, &usual);
	assert_non_null(h);
	assert_int_equal(h->slot[s.slot].door, 5);
	assert_int_equal(h->slot[s.slot].framing, 1);
	assert_int_equal(h->slot[s.slot].transport, 0); /* of no name */
	hub_destroy(h);
	tables = "enum door\ndoor.two 3\nenum framing\nframing.two 2\n"
		 "enum transport\ntransport.one 1\n";
	assert_true(convert_tables_differ(print, "", tables));
	c = convert_open(s.h.fd, print, "", tables, error, sizeof(error));
	assert_non_null(c);
	assert_false(convert_fits(c, &usual, error, sizeof(error)));
	assert_non_null(strstr(error, "door.one, which this program"));
	convert_close(c);
	assert_null(copy(&s, &usual)); /* nor if it came meanwhile */
	assert_non_null(strstr(error, "door.one, which this program"));
	s.h.slot[s.slot].life -= SLOT_OPEN; /* it has left */
	c = convert_open(s.h.fd, print, "", tables, error, sizeof(error));
	assert_non_null(c);
	assert_true(convert_fits(c, &usual, error, sizeof(error)));
	convert_close(c);
	/* a program that does not print them */
	print_change(usual_tables, "");
	s.h.slot[s.slot].life += SLOT_OPEN;
	assert_false(convert_tables_differ(print, "", tables));
	h = copy(&s, &usual);
	assert_non_null(h);
	assert_int_equal(h->slot[s.slot].door, 3);
	hub_destroy(h);
	strlcat(print, usual_tables, sizeof(print));
	/* a framing that keeps a state of which the other print says nothing */
	tables = usual_tables;
	while (strstr(print, "framing_websocket") != NULL)
		print_change("framing_websocket", "framing_other");
	h = copy(&s, &usual); /* the other program does not have it */
	assert_non_null(h);
	hub_destroy(h);
	print_change("framing.one", "framing.websocket");
	tables = "enum door\ndoor.one 3\ndoor.two 4\nenum framing\n"
		 "framing.websocket 1\nframing.two 2\nenum transport\n"
		 "transport.one 1\n";
	assert_null(copy(&s, &usual));
	assert_non_null(strstr(error, "lacks struct framing_websocket"));
	while (strstr(print, "framing_other") != NULL)
		print_change("framing_other", "framing_websocket");
	print_change("framing.websocket 1", "framing.one 1");
	tables = "enum door\ndoor.one 3\n";
	assert_null(
	    convert_open(s.h.fd, print, "", tables, error, sizeof(error)));
	assert_non_null(strstr(error, "values of transport"));
	tables = usual_tables;
	hub_destroy(&s.h);
}

/* What the old program's keepers say must stay as it is, for ever. */
static void
test_spoken(void **state)
{
	static const char *const changed[] = {"\nCUSTODY_DONE 5\n",
	    "\nKEEPER_LINK 1\n", "\nMSG_GIVE_BACK 15\n", "\nMSG_STOP 11\n",
	    "\ncustody_note.id 8 size 2000 b\n"};
	struct scene s;

	assert_int_equal(CUSTODY_KEEP, 1);
	assert_int_equal(CUSTODY_ROOM, 4);
	assert_int_equal(CUSTODY_DONE, 5);
	assert_int_equal(CUSTODY_MAX, 250);
	assert_int_equal(sizeof(struct custody_note), 2008);
	assert_int_equal(offsetof(struct custody_note, n), 4);
	assert_int_equal(offsetof(struct custody_note, id), 8);
	assert_int_equal(KEEPER_LINK, 1);
	assert_int_equal(MSG_STOP, 11);
	assert_int_equal(MSG_GIVE_BACK, 15);
	assert_int_equal(sizeof(struct message_head), 8);
	scene_make(&s);
	for (size_t k = 0; k < sizeof(changed) / sizeof(changed[0]); k++) {
		print[layout_print_memory(&s.h, print)] = '\0';
		strlcat(print, usual_tables, sizeof(print));
		print_change(changed[k], "\n");
		assert_null(copy(&s, &usual));
		assert_non_null(strstr(error, "differs"));
	}
	hub_destroy(&s.h);
}

/* Prints that cannot be followed. */
static void
test_hostile_prints(void **state)
{
	static const char *const bad[] = {"", "nonsense",
	    "struct slot size 0\n", "struct slot size 99999999999\n",
	    "slot.life 0 size 8 u\n",
	    "struct slot size 8\nslot.life 1 size 8 u\n",
	    "struct slot size 8\nslot.life 18446744073709551615 size 8 u\n",
	    "struct slot size 8\nslot.life 0 size 3 u\n",
	    "struct slot size 8\nother.life 0 size 8 u\n",
	    "struct slot size 8\nslot.life 0 size 8 x\n",
	    "memory slot at 1 size 4096\n", "memory slot at 4097 size 0\n",
	    "count slots 18446744073709551616\n", "SLOT_FREE 0\n",
	    "enum a\nB -1\n", "struct  slot size 8\n"};
	struct print *p = malloc(sizeof(*p));
	struct scene s;

	assert_non_null(p);
	for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++)
		if (print_parse(p, bad[k], "", 4096, error, sizeof(error)) == 0)
			fail_msg("understood: %s", bad[k]);
	free(p);
	scene_make(&s);
	strlcpy(print, "no layout at all\n", sizeof(print));
	assert_null(convert_open(
	    s.h.fd, print, "layout ", tables, error, sizeof(error)));
	assert_non_null(strstr(error, "does not print its layout"));
	hub_destroy(&s.h);
}

/* A connection on its way is with its giver; a giver that cannot be is
 * nobody. */
static void
test_moving(void **state)
{
	struct convert_result r;
	struct convert *c;
	struct scene s;
	struct hub *h;
	uint64_t life;
	int fd;

	scene_make(&s);
	life = s.h.slot[s.slot].life & 0xffffffff0000;
	s.h.slot[s.slot].life = life | 1ull << 48 | 5 << 8 | SLOT_MOVING;
	h = copy(&s, &usual);
	assert_non_null(h);
	judge(&s, h);
	assert_int_equal(slot_state(h, s.slot), SLOT_OPEN);
	hub_destroy(h);
	s.h.slot[s.slot].life = life | 0xffull << 48 | 5 << 8 | SLOT_MOVING;
	fd = memfd_create("test", MFD_ALLOW_SEALING);
	c = convert_open(s.h.fd, print, "", tables, error, sizeof(error));
	assert_non_null(c);
	assert_int_equal(
	    convert_prepare(c, fd, &usual, s.h.hash_key, error, sizeof(error)),
	    0);
	assert_int_equal(convert_run(c, &r, error, sizeof(error)), 0);
	assert_int_equal(r.connections, 0);
	convert_close(c);
	close(fd);
	hub_destroy(&s.h);
}

/* Whatever was written into the memory, the copy ends, one way or the other. */
static void
test_scribbled(void **state)
{
	struct scene s;
	struct convert *c;
	struct convert_result r;

	for (uint32_t round = 0; round < fixture_rounds(40); round++) {
		int fd = memfd_create("test", MFD_ALLOW_SEALING);

		scene_make(&s);
		for (int k = 0; k < 30; k++)
			fixture_fill((uint8_t *)s.h.heads +
				sizeof(struct shm_heads) / 64 * 2 +
				fixture_random(400),
			    8);
		fixture_fill(&s.h.slot[s.slot], sizeof(struct slot));
		if (round % 2 == 0)
			s.h.slot[s.slot].life = 1 << 16 | 1 << 8 | SLOT_OPEN;
		fixture_fill(s.h.journal, 4096);
		fixture_fill(s.h.chunk, 4096);
		fixture_fill(s.h.page, 4096);
		fixture_fill(s.h.entry, 4096);
		c = convert_open(
		    s.h.fd, print, "", tables, error, sizeof(error));
		assert_non_null(c);
		if (convert_prepare(
			c, fd, &usual, s.h.hash_key, error, sizeof(error)) == 0)
			(void)convert_run(c, &r, error, sizeof(error));
		convert_close(c);
		close(fd);
		hub_destroy(&s.h);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_large_ring),
	    cmocka_unit_test(test_too_small),
	    cmocka_unit_test(test_widths),
	    cmocka_unit_test(test_fields),
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_sockets),
	    cmocka_unit_test(test_tables),
	    cmocka_unit_test(test_spoken),
	    cmocka_unit_test(test_hostile_prints),
	    cmocka_unit_test(test_moving),
	    cmocka_unit_test(test_scribbled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
