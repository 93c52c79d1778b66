/* The configuration: what `chatctl show config` says. */
#include <stdlib.h>
#include <string.h>
#include <vis.h>

#include "codec/json.h"
#include "conf/show.h"
#include "private.h"
#include "report_subject.h"

enum { DEFAULT_WIDTH = 14, WHERE_WIDTH = 24 };

void
report_put_json(struct show *s, const char *text)
{
	char buffer[6 * CONF_WORD_TEXT + 3];
	struct json_writer w;

	if (text == NULL) {
		show_put(s, "null");
		return;
	}
	json_writer_init(&w, buffer, sizeof(buffer));
	json_put_string(&w, text, strlen(text));
	if (json_writer_failed(&w))
		s->failed = true;
	else
		show_put(s, "%.*s", (int)w.len, w.buf);
}

void
report_put_text(struct show *s, const char *text, int width)
{
	char *shown;

	if (stravis(&shown, text, VIS_CSTYLE | VIS_NL | VIS_TAB) == -1) {
		s->failed = true;
		return;
	}
	show_put(s, "%-*s", width, shown);
	free(shown);
}

/* The word of a number of a key's value; false: there are no more. */
static bool
conf_word(const struct show *s, const struct conf_shown *key, int word,
    char out[CONF_WORD_TEXT])
{
	const struct master *m = s->from.arg;

	if (strcmp(key->name, "workers") != 0)
		return conf_show_word(m->conf, &m->live, (int)s->at, word, out);
	snprintf(out, CONF_WORD_TEXT, "%d", m->wanted);
	return word == 0;
}

/* One key as an object. */
static void
conf_key_json(struct show *s, const struct conf_shown *key)
{
	char text[CONF_WORD_TEXT];
	int n = 0;

	show_put(
	    s, "{\"key\":\"%s\",\"value\":%s", key->name, key->list ? "[" : "");
	while (conf_word(s, key, n, text)) {
		if (n++ > 0)
			show_put(s, ",");
		report_put_json(s, text);
	}
	if (key->list)
		show_put(s, "]");
	else if (n == 0)
		show_put(s, "null");
	show_put(s, ",\"default\":");
	report_put_json(s, key->usual);
	show_put(s, ",\"where\":");
	report_put_json(s, key->where);
	show_put(s, ",\"applies\":\"%s\",\"about\":",
	    key->reloads ? "reload" : "restart");
	report_put_json(s, key->words);
	show_put(s, "}");
}

/* One key as a line. */
static void
conf_key_line(struct show *s, const struct conf_shown *key)
{
	const char *usual = key->usual != NULL ? key->usual : "-";
	char text[CONF_WORD_TEXT];
	int n = 0;

	if (strlen(usual) > DEFAULT_WIDTH)
		usual = "...";
	show_put(s, "%-23s %-7s %-*s ", key->name,
	    key->reloads ? "reload" : "restart", DEFAULT_WIDTH, usual);
	report_put_text(s, key->where != NULL ? key->where : "-", WHERE_WIDTH);
	while (conf_word(s, key, n, text)) {
		show_put(s, " ");
		report_put_text(s, text, 0);
		n++;
	}
	show_put(s, "%s\n", n == 0 ? " -" : "");
}

/* One key. */
static bool
conf_next(struct show *s)
{
	const struct master *m = s->from.arg;
	struct conf_shown key;

	if (!conf_show_key(m->conf, (int)s->at, &key))
		return false;
	show_comma(s);
	(s->json ? conf_key_json : conf_key_line)(s, &key);
	s->at++;
	return true;
}

/* The head line. */
static void
conf_head(struct show *s)
{
	show_put(s, "%-23s %-7s %-*s %-*s VALUE\n", "KEY", "APPLIES",
	    DEFAULT_WIDTH, "DEFAULT", WHERE_WIDTH, "WHERE");
}

const struct show_subject report_conf = {.name = "config",
    .next = conf_next,
    .head = conf_head,
    .open = "[",
    .close = "]\n"};
