#include "codec/command.h"

#include <string.h>

const struct command commands[COMMANDS] = {
#define LATER true
#define AT_ONCE false
#define COMMAND(id, name, second, usage, later, help) \
	{name, second, usage, help, later},
#include "codec/command.def"
#undef COMMAND
#undef LATER
#undef AT_ONCE
};

const char *
command_word(const char **at, size_t *len)
{
	const char *word = *at;

	if (*word == '\0')
		return NULL;
	*len = strcspn(word, "|");
	*at = word + *len + (word[*len] == '|');
	return word;
}

/* Whether a word is one of a list. */
static bool
list_has(const char *list, const char *word)
{
	const char *one;
	size_t len;

	while ((one = command_word(&list, &len)) != NULL)
		if (strlen(word) == len && memcmp(one, word, len) == 0)
			return true;
	return false;
}

/* The fewest and the most words of a command, with its name. */
static void
words_count(const struct command *c, int *min, int *max)
{
	const char *at = c->usage;

	*min = *max = 1 + (c->second[0] != '\0');
	while (*(at += strspn(at, " ")) != '\0') {
		++*max;
		if (*at == '[')
			at += strcspn(at, "]") + 1;
		else {
			++*min;
			at += strcspn(at, " ");
		}
	}
}

int
command_judge(
    int argc, char *const *argv, enum command_fault *fault, int *words)
{
	int min, max;

	*fault = COMMAND_UNKNOWN;
	for (int i = 0; i < COMMANDS; i++) {
		if (strcmp(argv[0], commands[i].name) != 0)
			continue;
		words_count(&commands[i], &min, &max);
		if (commands[i].second[0] != '\0' && argc > 1 &&
		    !list_has(commands[i].second, argv[1])) {
			*fault = COMMAND_SECOND; /* or the next row's */
			continue;
		}
		if (argc < min) {
			*fault = COMMAND_SHORT;
			return -1;
		}
		*words = max;
		*fault = argc > max ? COMMAND_LONG : COMMAND_RIGHT;
		return argc > max ? -1 : i;
	}
	return -1;
}
