/*
 * database: a soak beside the store: the lobby and the clients' rooms are
 * stored, and at the end the database has exactly what was heard, in its order,
 * as the program sqlite3 tells.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "soak.h"

enum { LINE_MAX = 2 * TEXT_MAX + 256 };

/* The path of the database. */
static void
database_path(char *path, size_t size)
{
	char folder[96];

	reader_folder(folder, sizeof(folder));
	snprintf(path, size, "%s/chat.db", folder);
}

void
database_conf(FILE *f)
{
	static const char *const channel[][2] = {{"lobby", "yes"},
	    {"told", "yes"}, {"kept", "yes"}, {"acked", "ack"},
	    {"strict", "strict"}};
	char path[128];

	database_path(path, sizeof(path));
	fprintf(f, "store \"%s\"\n", path);
	for (size_t k = 0; k < sizeof(channel) / sizeof(channel[0]); k++)
		fprintf(f,
		    "channel \"%s\" {\nsubscribe all\npublish all\n"
		    "history 100000\nrecovery yes\npresence yes\nstore %s\n}\n",
		    channel[k][0], channel[k][1]);
}

/* Asks the database; each line of the answer is one of take(). Returns how many
 * there were. */
static unsigned
database_ask(const char *sql, bool (*take)(char *line, unsigned k))
{
	static char line[LINE_MAX];
	char path[128], command[1024];
	unsigned n = 0;
	FILE *f;

	database_path(path, sizeof(path));
	snprintf(command, sizeof(command),
	    "sqlite3 -readonly -separator ' ' '%s' \"%s\"", path, sql);
	if ((f = popen(command, "r")) == NULL)
		err(2, "sqlite3");
	while (fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (!take(line, n++))
			break;
	}
	if (pclose(f) != 0)
		fault(F_OTHER, "sqlite3: %.200s", sql);
	return n;
}

/* Bytes of hexadecimal digits, in their place; returns how many. */
static size_t
hex_read(char *text)
{
	size_t n = 0;
	unsigned byte;

	for (; sscanf(text + 2 * n, "%2x", &byte) == 1; n++)
		text[n] = (char)byte;
	return n;
}

/* A row of the lobby: the user and the text. */
static bool
lobby_row(char *line, unsigned k)
{
	char *text = strchr(line, ' ');
	const struct said *s = &order.said[k];
	uint32_t from;
	size_t len;

	if (k >= order.n) {
		fault(F_DOUBLED, "the database's lobby has more than %u",
		    order.n);
		return false;
	}
	if (text == NULL || !heard_name(line, (size_t)(text - line), &from)) {
		fault(F_CORRUPT, "the database's lobby: %.60s", line);
		return false;
	}
	len = hex_read(text + 1);
	if (from == s->from && text_is(text + 1, len, from, s->seq, -1))
		return true;
	fault(F_ORDER, "the database's lobby at %u: %.40s of %u, not %u of %u",
	    k, text + 1, from, s->seq, s->from);
	return false;
}

/* A number that is to be 0, or a word. */
static bool
none_row(char *line, unsigned k)
{
	if (strcmp(line, "0") != 0 && strcmp(line, "ok") != 0)
		fault(F_OTHER, "the database: %.200s (%u)", line, k);
	return true;
}

/* The text of a row, whatever door it came by. */
#define TEXT                                                            \
	"hex(CASE format WHEN 2 THEN json_extract(CAST(data AS TEXT), " \
	"'$.text') ELSE data END)"

void
database_judge(bool (*room_row)(char *line, unsigned k))
{
	unsigned n;

	database_ask("SELECT count(*) FROM hole", none_row);
	database_ask("SELECT clean != 1 FROM mark", none_row);
	database_ask("PRAGMA quick_check", none_row);
	database_ask(
	    "SELECT count(*) FROM publication p WHERE before != (SELECT "
	    "coalesce(max(offset), 0) FROM publication q WHERE q.channel = "
	    "p.channel AND q.offset < p.offset)",
	    none_row);
	n = database_ask(
	    "SELECT user, " TEXT " FROM publication WHERE channel = (SELECT id "
	    "FROM channel WHERE name = 'lobby') AND format <= 2 ORDER BY id",
	    lobby_row);
	if (n < order.n)
		fault(F_LOST, "the database's lobby has %u of %u", n, order.n);
	database_ask(
	    "SELECT name, CAST(data AS TEXT) FROM publication p JOIN channel c "
	    "ON c.id = p.channel WHERE name != 'lobby' AND format <= 2 ORDER "
	    "BY p.id",
	    room_row);
	printf("database: %u of the lobby\n", n);
}
