/* registry: ids are for ever, and no two doors serve one path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "door/registry.h"
#include "worker/chat.h"

/* Slots hold them: a door has the id that it had in every release. */
static void
test_ids(void **state)
{
	static const struct {
		uint8_t id;
		const char *name;
	} released[] = {{1, "plain"}, {2, "echo"}, {3, "centrifugo"}};
	size_t k, n;

	for (k = 0; k < sizeof(released) / sizeof(released[0]); k++)
		assert_string_equal(
		    door_name(released[k].id), released[k].name);
	for (k = 0; door_registry[k] != NULL; k++) {
		assert_in_range(door_registry[k]->id, 0, DOOR_IDS - 1);
		assert_true(door_registry[k]->name[0] != '\0');
		for (n = 0; n < k; n++) {
			assert_string_not_equal(
			    door_registry[n]->name, door_registry[k]->name);
			assert_true(door_registry[k]->id == 0 ||
			    door_registry[n]->id != door_registry[k]->id);
		}
	}
}

/* An id out of shared memory may be any byte. */
static void
test_find(void **state)
{
	size_t k, found = 0, with_id = 0;
	unsigned int id;

	for (id = 0; id <= UINT8_MAX; id++) {
		const struct door *door = door_by_id((uint8_t)id);

		assert_true(door == NULL || (id != 0 && door->id == id));
		assert_string_equal(
		    door_name((uint8_t)id), door != NULL ? door->name : "?");
		found += door != NULL;
	}
	for (k = 0; door_registry[k] != NULL; k++)
		with_id += door_registry[k]->id != 0;
	assert_int_equal(found, with_id);
}

/* By name each door is itself, and nothing else has a name. */
static void
test_names(void **state)
{
	for (size_t k = 0; door_registry[k] != NULL; k++)
		assert_ptr_equal(
		    door_by_name(door_registry[k]->name), door_registry[k]);
	assert_null(door_by_name(""));
	assert_null(door_by_name("Plain"));
	assert_null(door_by_name("plai"));
	assert_null(door_by_name("?"));
}

/* What a door lacks its functions for is never asked of it. */
static void
test_functions(void **state)
{
	const struct door_route *r;
	const struct door *d;
	size_t k, files = 0;

	for (k = 0; (d = door_registry[k]) != NULL; k++) {
		assert_true(d->id == 0 || d->message != NULL);
		assert_true(d->id != 0 || d->routes != NULL);
		files += d->files != NULL;
		for (r = d->routes; r != NULL && r->path != NULL; r++) {
			assert_true(strcmp(r->allow, DOOR_READS) == 0 ||
			    strcmp(r->allow, DOOR_POSTS) == 0);
			assert_true(d->id != 0 || r->judge != NULL);
			assert_true(
			    (r->answer == NULL) == (r->body_max == NULL));
			assert_true(r->answer == NULL || r->judge != NULL);
			assert_int_equal(route_takes_body((struct http_span){
					     r->path, strlen(r->path)}),
			    0); /* and what is below, not that itself */
		}
	}
	assert_int_equal(files, 1);
}

/* The route of a path would be the first door's. */
static void
test_paths(void **state)
{
	const struct door_route *all[64];
	const struct door_route *r;
	size_t k, n, count = 0;

	for (k = 0; door_registry[k] != NULL; k++)
		for (r = door_registry[k]->routes; r != NULL && r->path != NULL;
		     r++) {
			assert_true(count < 64);
			all[count++] = r;
		}
	assert_true(count >= 7);
	for (k = 0; k < count; k++)
		for (n = 0; n < count; n++)
			assert_true(n == k ||
			    strncmp(all[n]->path, all[k]->path,
				all[k]->below ? strlen(all[k]->path)
					      : SIZE_MAX) != 0);
}

/* Rooms ask for one fact by a bit. */
static void
test_lobby(void **state)
{
	static struct chat ch;
	size_t k;

	assert_true(chat_set_doors(&ch, door_registry));
	for (k = 0; door_registry[k] != NULL; k++)
		if (door_registry[k]->id != 0) {
			assert_ptr_equal(
			    ch.door[door_registry[k]->id], door_registry[k]);
			assert_int_equal(
			    ch.lobby_doors >> door_registry[k]->id & 1,
			    door_registry[k]->lobby);
		}
	assert_null(ch.door[0]);
	assert_int_equal(ch.lobby_doors & 1, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ids),
	    cmocka_unit_test(test_find),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_functions),
	    cmocka_unit_test(test_paths),
	    cmocka_unit_test(test_lobby),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
