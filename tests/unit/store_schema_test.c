/* store: what the manual says of its tables. */
#include "store_fixture.h"

#include "man_fixture.h"

/* The part of the manual that is about a table. */
static char *
table_manual(const char *text, const char *table)
{
	char head[64], *part, *end;

	snprintf(head, sizeof(head), ".It Sy %s", table);
	part = strstr(text, head);
	if (part == NULL)
		fail_msg("chatd-store(5) has no table %s", table);
	part = strdup(part);
	end = strstr(part + 1, "\n.It ");
	*(end != NULL ? end : strstr(part, "\n.El")) = '\0';
	return part;
}

/* The manual, which is an interface, names every table and column; and the
 * section that errors name. */
static void
columns_are_documented(void **state)
{
	char *text = man_read("man/chatd-store.5"), *part, column[64];
	sqlite3_stmt *stmt;
	struct store *s;
	int n = 0;

	if (text == NULL)
		skip();
	s = writer();
	assert_int_equal(sqlite3_prepare_v2(s->db,
			     "SELECT m.name, c.name FROM sqlite_schema m,"
			     " pragma_table_info(m.name) c"
			     " WHERE m.type = 'table'"
			     " AND m.name IN ('channel', 'publication',"
			     " 'event', 'user', 'hole')",
			     -1, &stmt, NULL),
	    SQLITE_OK);
	for (; sqlite3_step(stmt) == SQLITE_ROW; n++) {
		part = table_manual(
		    text, (const char *)sqlite3_column_text(stmt, 0));
		snprintf(column, sizeof(column), ".Ql %s",
		    (const char *)sqlite3_column_text(stmt, 1));
		if (strcmp(column, ".Ql id") != 0 &&
		    strstr(part, column) == NULL)
			fail_msg("chatd-store(5): %s of %s", column,
			    sqlite3_column_text(stmt, 0));
		free(part);
	}
	assert_true(n > 30);
	sqlite3_finalize(stmt);
	store_close(s);
	assert_non_null(strstr(text, ".Sh DAMAGE\n"));
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(
	    columns_are_documented, setup, teardown)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
