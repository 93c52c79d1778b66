/* command: which words make a command, and what the manual says of each. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "codec/command.h"
#include "man_fixture.h"

/* Judges words that stand in a line; the row, or -1. */
static int
judge(const char *line, enum command_fault *fault, int *words)
{
	char copy[128], *argv[8], *rest = copy;
	int argc = 0;

	strcpy(copy, line);
	while ((argv[argc] = strsep(&rest, " ")) != NULL)
		argc++;
	return command_judge(argc, argv, fault, words);
}

/* What is a command. */
static void
test_right(void **state)
{
	static const struct {
		const char *words;
		enum command_id id;
	} cases[] = {{"show workers", COMMAND_SHOW_WORKERS},
	    {"show upgrade", COMMAND_SHOW_UPGRADE},
	    {"show connections", COMMAND_SHOW_CONNECTIONS},
	    {"show connection 1", COMMAND_SHOW_CONNECTION},
	    {"show journal", COMMAND_SHOW_JOURNAL},
	    {"show journal a 1", COMMAND_SHOW_JOURNAL},
	    {"store", COMMAND_STORE}, {"backup", COMMAND_BACKUP},
	    {"export a", COMMAND_EXPORT}, {"erase a", COMMAND_ERASE},
	    {"kick a", COMMAND_KICK}, {"kick a b", COMMAND_KICK},
	    {"say x", COMMAND_SAY}, {"log verbose", COMMAND_LOG},
	    {"log brief", COMMAND_LOG}, {"reload", COMMAND_RELOAD},
	    {"restart-worker 1", COMMAND_RESTART_WORKER},
	    {"upgrade", COMMAND_UPGRADE}, {"upgrade /a", COMMAND_UPGRADE},
	    {"drain", COMMAND_DRAIN}, {"drain off", COMMAND_DRAIN},
	    {"rebalance", COMMAND_REBALANCE}, {"stop", COMMAND_STOP},
	    {"help", COMMAND_HELP}, {"help kick", COMMAND_HELP}};
	enum command_fault fault;
	int words;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("%s\n", cases[i].words);
		assert_int_equal(
		    judge(cases[i].words, &fault, &words), cases[i].id);
		assert_int_equal(fault, COMMAND_RIGHT);
	}
}

/* What is none, and why. */
static void
test_wrong(void **state)
{
	static const struct {
		const char *words;
		enum command_fault fault;
		int most;
	} cases[] = {{"x", COMMAND_UNKNOWN, 0}, {"", COMMAND_UNKNOWN, 0},
	    {"sho workers", COMMAND_UNKNOWN, 0}, {"show", COMMAND_SHORT, 0},
	    {"show worker", COMMAND_SECOND, 0},
	    {"show workers|users", COMMAND_SECOND, 0},
	    {"log ", COMMAND_SECOND, 0}, {"log verb", COMMAND_SECOND, 0},
	    {"log verbose|brief", COMMAND_SECOND, 0},
	    {"show users x", COMMAND_LONG, 2},
	    {"show connection", COMMAND_SHORT, 0},
	    {"show connection 1 2", COMMAND_LONG, 3},
	    {"show journal a 1 x", COMMAND_LONG, 4}, {"kick", COMMAND_SHORT, 0},
	    {"store x", COMMAND_LONG, 1}, {"backup x", COMMAND_LONG, 1},
	    {"export", COMMAND_SHORT, 0}, {"export a b", COMMAND_LONG, 2},
	    {"kick a b c", COMMAND_LONG, 3}, {"say", COMMAND_SHORT, 0},
	    {"say a b", COMMAND_LONG, 2}, {"stop now", COMMAND_LONG, 1},
	    {"drain 1 2", COMMAND_LONG, 2}, {"upgrade a b", COMMAND_LONG, 2}};
	enum command_fault fault;
	int words;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("%s\n", cases[i].words);
		words = 0;
		assert_int_equal(judge(cases[i].words, &fault, &words), -1);
		assert_int_equal(fault, cases[i].fault);
		assert_int_equal(words, cases[i].most);
	}
}

/* Takes blanks around bars out of a text. */
static void
bars_close(char *text)
{
	char *at;

	while ((at = strstr(text, " |")) != NULL ||
	    (at = strstr(text, "| ")) != NULL)
		memmove(at + (*at == '|'), at + 1 + (*at == '|'),
		    strlen(at + 1 + (*at == '|')) + 1);
}

/* The manual's item for a command: its usage is the heading, its help begins
 * the text. */
static void
item_check(const char *page, const struct command *c)
{
	char it[64], usage[128], *head, *body;
	const char *list = c->second;
	size_t len = 0;

	command_word(&list, &len);
	snprintf(it, sizeof(it), ".It Cm %s%s%.*s", c->name,
	    len == 0		? ""
		: *list == '\0' ? " "
				: " Cm ",
	    (int)len, c->second);
	snprintf(usage, sizeof(usage), "%s%s%s%s%s", c->name,
	    len > 0 ? " " : "", c->second, c->usage[0] != '\0' ? " " : "",
	    c->usage);
	bars_close(usage);
	if (!man_item(page, it, &head, &body))
		fail_msg("%s is missing", it);
	bars_close(head);
	assert_string_equal(head, usage);
	if (strncmp(body, c->help, strlen(c->help)) != 0)
		fail_msg("%s: \"%s\" is not \"%s\"", usage, body, c->help);
	free(head);
	free(body);
}

/* chatctl(8) has each command as the table has it, and no other one. */
static void
test_manual(void **state)
{
	char *page = man_read("man/chatctl.8"), *end;
	const char *at;
	int n = 0;

	if (page == NULL)
		skip();
	end = strstr(page, "\n.Ss JSON");
	assert_non_null(end);
	end[1] = '\0';
	for (int i = 0; i < COMMANDS; i++)
		item_check(page, &commands[i]);
	for (at = page; (at = strstr(at, "\n.It Cm ")) != NULL; at++)
		n++;
	assert_int_equal(n, COMMANDS);
	free(page);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_right),
	    cmocka_unit_test(test_wrong),
	    cmocka_unit_test(test_manual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
