/* macro: names that stand for a value in the configuration. */

#include <string.h>

#include "macro.h"
#include "parse.h"

/* The place of that name; m->n: it is new. */
static int
macro_index(const struct macros *m, const char *name)
{
	int i;

	for (i = 0; i < m->n; i++)
		if (strcmp(m->macro[i].name, name) == 0)
			break;
	return i;
}

/* The value of that name. */
const char *
macro_find(const struct macros *m, const char *name)
{
	int i = macro_index(m, name);

	return i < m->n ? m->macro[i].value : NULL;
}

/* Defines a macro, or gives it another value. */
const char *
macro_define(struct macros *m, const char *name, const char *value)
{
	const char *key = conf_nearest(name);
	int i = macro_index(m, name);

	if (name[strspn(name,
		"abcdefghijklmnopqrstuvwxyz"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")] != '\0')
		return conf_complain("\"%.64s\" is neither a key nor a macro's "
				     "name (letters, digits, _)%s%s%s",
		    name, key != NULL ? "; did you mean " : "",
		    key != NULL ? key : "",
		    key != NULL ? ", which takes no =?" : "");
	if (i == MACROS_MAX)
		return conf_complain("more than %d macros", MACROS_MAX);
	m->macro[i].name = name;
	m->macro[i].value = value;
	if (i == m->n)
		m->n++;
	return NULL;
}
