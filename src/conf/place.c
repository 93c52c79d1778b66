/* place: where keys are set. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

/* Where a key is set. */
const char *
conf_where(const struct conf *c, const char *key)
{
	for (int i = 0; conf_keys[i].name != NULL; i++)
		if (strcmp(conf_keys[i].name, key) == 0)
			return c->where[i];
	return NULL;
}

const char *
conf_listen_place(const struct conf *c, int address)
{
	const char *where = c->listen_where[address];

	return where != NULL ? conf_complain("%s: listen: ", where)
			     : "listen: ";
}

/* Notes where a key is set. */
bool
conf_note_where(
    struct conf *c, const struct conf_key *key, const char *file, int line)
{
	char **where = key->kind == CONF_KIND_LISTEN
	    ? &c->listen_where[c->n_listen - 1]
	    : &c->where[key - conf_keys];
	char *text;

	if (asprintf(&text, "%s:%d", file, line) == -1)
		return false;
	free(*where);
	*where = text;
	return true;
}

bool
conf_note_option(struct conf *c, const char *key, const char *option)
{
	char *copy = strdup(option);

	if (copy == NULL)
		return false;
	for (int i = 0; conf_keys[i].name != NULL; i++)
		if (strcmp(conf_keys[i].name, key) == 0) {
			free(c->where[i]);
			c->where[i] = copy;
			return true;
		}
	free(copy);
	return true;
}

void
conf_take_where(struct conf *to, struct conf *from)
{
	char *where;

	for (int i = 0; conf_keys[i].name != NULL; i++)
		if (conf_keys[i].reloads) {
			where = to->where[i];
			to->where[i] = from->where[i];
			from->where[i] = where;
		}
}

/* Notes where a key that may repeat is set first. */
bool
conf_note_first(
    struct conf *c, const struct conf_key *key, const char *file, int line)
{
	return c->where[key - conf_keys] != NULL ||
	    conf_note_where(c, key, file, line);
}
