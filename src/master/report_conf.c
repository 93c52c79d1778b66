/* The configuration: what `chatctl show config` says. */
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>
#include <vis.h>

#include "codec/json.h"
#include "conf/show.h"
#include "private.h"
#include "report_part.h"

enum { DEFAULT_WIDTH = 14, WHERE_WIDTH = 24 };

/* Appends an operator's text as a JSON string, or "null" for none. */
static void
conf_put_json(struct report *r, struct evbuffer *out, const char *text)
{
	char buffer[6 * CONF_WORD_TEXT + 3];
	struct json_writer w;

	if (text == NULL) {
		report_put(r, out, "null");
		return;
	}
	json_writer_init(&w, buffer, sizeof(buffer));
	json_put_string(&w, text, strlen(text));
	if (json_writer_failed(&w) || evbuffer_add(out, w.buf, w.len) == -1)
		r->failed = true;
}

/* Appends an operator's text as it can stand in a line, so wide at least. */
static void
conf_put_text(
    struct report *r, struct evbuffer *out, const char *text, int width)
{
	char *shown;

	if (stravis(&shown, text, VIS_CSTYLE | VIS_NL | VIS_TAB) == -1) {
		r->failed = true;
		return;
	}
	report_put(r, out, "%-*s", width, shown);
	free(shown);
}

/* The word of a number of a key's value; false: there are no more. */
static bool
conf_word(const struct report *r, const struct conf_shown *key, int word,
    char out[CONF_WORD_TEXT])
{
	const struct master *m = r->master;

	if (strcmp(key->name, "workers") != 0)
		return conf_show_word(m->conf, &m->live, (int)r->at, word, out);
	snprintf(out, CONF_WORD_TEXT, "%d", m->wanted);
	return word == 0;
}

/* One key as an object. */
static void
conf_key_json(
    struct report *r, struct evbuffer *out, const struct conf_shown *key)
{
	char text[CONF_WORD_TEXT];
	int n = 0;

	report_put(r, out, "{\"key\":\"%s\",\"value\":%s", key->name,
	    key->list ? "[" : "");
	while (conf_word(r, key, n, text)) {
		if (n++ > 0)
			report_put(r, out, ",");
		conf_put_json(r, out, text);
	}
	if (key->list)
		report_put(r, out, "]");
	else if (n == 0)
		report_put(r, out, "null");
	report_put(r, out, ",\"default\":");
	conf_put_json(r, out, key->usual);
	report_put(r, out, ",\"where\":");
	conf_put_json(r, out, key->where);
	report_put(r, out, ",\"applies\":\"%s\",\"about\":",
	    key->reloads ? "reload" : "restart");
	conf_put_json(r, out, key->words);
	report_put(r, out, "}");
}

/* One key as a line. */
static void
conf_key_line(
    struct report *r, struct evbuffer *out, const struct conf_shown *key)
{
	const char *usual = key->usual != NULL ? key->usual : "-";
	char text[CONF_WORD_TEXT];
	int n = 0;

	if (strlen(usual) > DEFAULT_WIDTH)
		usual = "...";
	report_put(r, out, "%-23s %-7s %-*s ", key->name,
	    key->reloads ? "reload" : "restart", DEFAULT_WIDTH, usual);
	conf_put_text(
	    r, out, key->where != NULL ? key->where : "-", WHERE_WIDTH);
	while (conf_word(r, key, n, text)) {
		report_put(r, out, " ");
		conf_put_text(r, out, text, 0);
		n++;
	}
	report_put(r, out, "%s\n", n == 0 ? " -" : "");
}

/* One key. */
static bool
conf_next(struct report *r, struct evbuffer *out)
{
	struct conf_shown key;

	if (!conf_show_key(r->master->conf, (int)r->at, &key))
		return false;
	report_comma(r, out);
	(r->json ? conf_key_json : conf_key_line)(r, out, &key);
	r->at++;
	return true;
}

/* The head line. */
static void
conf_head(struct report *r, struct evbuffer *out)
{
	report_put(r, out, "%-23s %-7s %-*s %-*s VALUE\n", "KEY", "APPLIES",
	    DEFAULT_WIDTH, "DEFAULT", WHERE_WIDTH, "WHERE");
}

const struct subject report_conf = {.name = "config",
    .next = conf_next,
    .head = conf_head,
    .open = "[",
    .close = "]\n"};
