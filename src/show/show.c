#include "show/subject.h"

#include <stdlib.h>
#include <string.h>

#include "hub/presence.h"

enum { SHOW_STEP_BYTES = 64 * 1024 /* of one part, about */ };

const struct show_subject *
show_subject_find(const char *name)
{
	static const struct show_subject *const all[] = {&show_workers,
	    &show_users, &show_connections, &show_one_connection,
	    &show_channels, &show_journal, &show_stats};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(name, all[i]->name) == 0)
			return all[i];
	return NULL;
}

struct show *
show_new(
    const struct show_from *from, const struct show_subject *subject, bool json)
{
	struct show *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->from = *from;
	s->subject = subject;
	s->json = json;
	s->n_users = presence_users_end(from->hub);
	return s;
}

void
show_free(struct show *s)
{
	if (s == NULL)
		return;
	free(s->count);
	free(s);
}

int
show_ask(struct show *s, int argc, char **argv, char *error, size_t error_len)
{
	if (s->subject->ask != NULL)
		return s->subject->ask(s, argc, argv, error, error_len);
	if (argc == 0)
		return 0;
	snprintf(error, error_len, "show %s takes no further word",
	    s->subject->name);
	return -1;
}

/* Prepares what is shown; false: there is more of that to do. */
static bool
show_prepare(struct show *s)
{
	if (!s->ready && s->subject->begin != NULL && !s->subject->begin(s))
		return false;
	if (!s->ready)
		s->at = 0;
	s->ready = true;
	return true;
}

int
show_more(struct show *s, FILE *out)
{
	bool more = true;

	s->out = out;
	s->len = 0;
	s->work = 0;
	if (!show_prepare(s))
		return 1;
	if (!s->begun && s->json)
		show_put(s, "%s", s->subject->open);
	else if (!s->begun && s->subject->head != NULL)
		s->subject->head(s);
	s->begun = true;
	while (more && !s->failed && s->work++ < SHOW_STEP_ITEMS &&
	    s->len < SHOW_STEP_BYTES)
		more = s->subject->next(s);
	if (!more && s->json)
		show_put(s, "%s", s->subject->close);
	if (s->failed)
		return -1;
	return more;
}
