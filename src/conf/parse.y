/*
 * parse: the configuration's files, in the manner of OpenBSD's daemons. One
 * `key value` a line; include, macros, blocks in braces, comments, and lines
 * continued by a backslash. conf.c judges the values of keys.
 *
 * Used by one thread at a time; nothing is kept between two loads.
 */
%{
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "macro.h"
#include "parse.h"
#include "piece.h"
#include "source.h"

/* byacc frees its stack after each load: it is left half grown, and the next
 * load crashes, when memory was short. */
#define YY_NO_LEAKS

enum {
	INCLUDE_DEPTH = 16,
	ERRORS = 10                /* reported before giving up */
};

struct place {
	const char *file;
	int line;
};

static struct {
	struct conf *conf;
	struct source *source;
	struct bundle *bundle; /* NULL: files are read */
	struct piece *pieces;  /* until the end: recovery drops tokens */
	struct macros macros;
	struct conf_channel_draft draft; /* the channel block at hand */
	struct conf_certificate_draft pair; /* the certificate at hand */
	int depth, braces, errors;
	size_t read;           /* bytes of all files so far */
	bool at_start;         /* the next word is a key or a macro's name */
	bool no_memory;
	bool secret;           /* what is on this line must not be shown */
	const char *key;       /* of this line, NULL: none */
	const struct conf_key *list; /* whose values follow */
	char token[64];        /* the last one, for complaints */
	struct place here;     /* of the last token */
	struct place complained;
	char *error;
	size_t error_len, error_used;
} p;

static void complain(const char *, ...)
    __attribute__((format(printf, 1, 2)));
static void set(const struct conf_key *, const char *);
static void include(const char *);
static void skip_block(void);
static void yyerror(const char *);
static int yylex(void);
int yyparse(void);

/* Reports what conf.c found wrong, if anything. */
static void
check(const char *wrong)
{
	if (wrong != NULL)
		complain("%s", wrong);
}
%}

%union {
	const char *text;
	const struct conf_key *key;
}

%token <key> VALUE LISTEN RATE ORIGIN CHANNEL CERTIFICATE
%token <text> NAME STRING
%token INCLUDE BAD

%%

file	: /* empty */
	| file '\n'
	| file include '\n'
	| file macro '\n'
	| file setting '\n'
	| file error '\n' {
		skip_block();
		p.at_start = true;
		yyerrok;
	}
	;

include	: INCLUDE STRING	{ include($2); }
	;

macro	: NAME '=' STRING	{ check(macro_define(&p.macros, $1, $3)); }
	;

setting	: VALUE STRING	{ set($1, $2); }
	| LISTEN STRING { set($1, $2); } words
	| RATE STRING	{ set($1, $2); }
	| RATE STRING STRING STRING {
		if (strcmp($3, "burst") != 0)
			complain("message-rate: \"%s\" instead of burst", $3);
		else if (set_once($1))
			check(conf_set_rate(p.conf, $1, $2, $4));
	}
	| ORIGIN origins
	| ORIGIN '{' newlines block '}'
	| CERTIFICATE STRING { check(conf_certificate_begin(&p.pair, p.conf, $2)); } files {
		check(conf_certificate_end(&p.pair, p.conf));
		p.no_memory |= !conf_note_first(p.conf, $1, p.here.file, p.here.line);
	}
	| CHANNEL STRING '{' {
		check(conf_channel_begin(&p.draft, p.conf, $2));
		p.no_memory |= !conf_note_first(p.conf, $1, p.here.file, p.here.line);
	} rules last '}' {
		check(conf_channel_end(&p.draft, p.conf));
	}
	;

words	: /* empty */
	| words STRING	{ check(conf_listen_word(p.conf, $2)); }
	;

files	: /* empty */
	| files STRING STRING { check(conf_certificate_set(&p.pair, $2, $3)); }
	;
rules	: /* empty */
	| rules '\n'
	| rules rule '\n'
	;

last	: /* empty */
	| rule
	;

rule	: STRING STRING	{ check(conf_channel_set(&p.draft, $1, $2)); }
	;

origins	: origin
	| origins origin
	;

block	: /* empty */
	| block origin newlines
	;

origin	: STRING {
		check(conf_set(p.conf, p.list, $1));
		p.no_memory |= !conf_note_first(p.conf, p.list, p.here.file, p.here.line);
	}
	;

newlines : /* empty */
	| newlines '\n'
	;

%%

/* Appends one line to the caller's message: whole lines, as many as fit. */
static void
report(const char *line)
{
	size_t len = strlen(line), room = p.error_len - p.error_used;

	if (room < 2 || (len + 2 > room && p.error_used > 0))
		return;
	if (len + 2 > room)
		len = room - 2;
	memcpy(p.error + p.error_used, line, len);
	p.error_used += len;
	p.error[p.error_used++] = '\n';
	p.error[p.error_used] = '\0';
}

/* Reports an error at the last token, one a line and ERRORS in all. */
static void
complain(const char *fmt, ...)
{
	char what[512], line[1024];
	va_list ap;

	if (p.no_memory || p.errors >= ERRORS ||
	    (p.complained.file == p.here.file &&
	    p.complained.line == p.here.line))
		return;
	p.complained = p.here;
	p.errors++;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	snprintf(line, sizeof(line), "%s:%d: %s", p.here.file, p.here.line,
	    what);
	report(line);
}

/* Called by yacc when a line does not fit the grammar. */
static void
yyerror(const char *msg)
{
	bool end = p.token[0] == '\n' || p.token[0] == '\0';

	/* The grammar needs little depth: any other message means memory. */
	if (strcmp(msg, "syntax error") != 0)
		p.no_memory = true;
	else if (p.token[0] == '\0' && p.braces > 0)
		complain("a block that begins with { has no }");
	else if (end && p.key != NULL)
		complain("%s: its value is missing", p.key);
	else if (end)
		complain("the line ends too early");
	else if (p.secret && p.token[1] != '\0')
		complain("%s%smore than one value; one with blanks stands in "
		    "quotes", p.key ? p.key : "", p.key ? ": " : "");
	else
		complain("%s%sunexpected \"%s\"", p.key ? p.key : "",
		    p.key ? ": " : "", p.token);
}

/* A copy that lives until the end of the load; NULL: no memory. */
static const char *
keep(const char *text, size_t len)
{
	const char *copy = piece_keep(&p.pieces, text, len);

	p.no_memory = p.no_memory || copy == NULL;
	return copy;
}

/* Whether a key may be set here: only `listen` may repeat. */
static bool
set_once(const struct conf_key *key)
{
	const char *where = conf_where(p.conf, key->name);

	if (key->kind == CONF_KIND_LISTEN)
		return true;
	if (where != NULL) {
		complain("%s is set twice, first at %s", key->name, where);
		return false;
	}
	if (!conf_note_where(p.conf, key, p.here.file, p.here.line))
		p.no_memory = true;
	return !p.no_memory;
}

/* Sets a key that has one value, or one address of `listen`. */
static void
set(const struct conf_key *key, const char *value)
{
	const char *wrong;

	if (!set_once(key))
		return;
	if ((wrong = conf_set(p.conf, key, value)) != NULL)
		complain("%s", wrong);
	else if (key->kind == CONF_KIND_LISTEN &&
	    !conf_note_where(p.conf, key, p.here.file, p.here.line))
		p.no_memory = true;
}

/* Puts a file on the stack. -1 and errno; 0 as errno when it has been
 * complained about already. */
static int
source_push(const char *name)
{
	struct source *s;
	const char *wrong;

	s = source_open(name, CONF_FILES_BYTES - p.read, p.source == NULL,
	    p.bundle);
	if (s == NULL)
		return -1;
	if ((s->name = keep(name, strlen(name))) == NULL) {
		source_free(s);
		return -1;
	}
	p.read += s->len;
	s->begins = p.source != NULL;
	s->up = p.source;
	p.source = s;
	p.depth++;
	wrong = source_judge(s);
	p.here.file = s->name;
	p.here.line = s->line;
	if (wrong == NULL)
		return 0;
	/* Not a line of it is read. */
	complain("%s", wrong);
	s->at = s->len;
	errno = 0;
	return -1;
}

/* Takes the innermost file off the stack. */
static void
source_pop(void)
{
	struct source *s = p.source;

	p.source = s->up;
	p.depth--;
	source_free(s);
}

/* Begins an included file; a relative name is its includer's neighbour. */
static void
include(const char *name)
{
	char path[2 * SOURCE_LINE_MAX];
	struct place here = p.here;
	int c;

	/* The file's first line would else swallow what follows. */
	if ((c = source_skip_blanks(p.source)) != '\n' && c != '#' && c != EOF) {
		complain("include: one file a line");
		return;
	}
	if (p.depth >= INCLUDE_DEPTH) {
		complain("include: more than %d files deep", INCLUDE_DEPTH);
		return;
	}
	if (!source_beside(p.source, name, path, sizeof(path)))
		errno = ENAMETOOLONG;
	else if (source_push(path) == 0 || errno == 0)
		return;
	p.here = here;
	complain("include: %s: %s", name, source_error());
}

/* A string token. */
static int
string(const char *text, size_t len)
{
	if ((yylval.text = keep(text, len)) == NULL)
		return 0;
	snprintf(p.token, sizeof(p.token), "%s", yylval.text);
	return STRING;
}

/* A string in quotes; macros are not expanded. */
static int
lex_quoted(void)
{
	char text[SOURCE_LINE_MAX];
	const char *wrong;
	size_t len;

	if ((wrong = source_quoted(p.source, text, sizeof(text), &len)) == NULL)
		return string(text, len);
	complain("%s", wrong);
	/* The rest of a secret must not be taken for a key and shown. */
	if (p.secret)
		p.errors = ERRORS;
	return BAD;
}

/* Appends the value of the macro at the next byte, "$name", to a word. */
static bool
lex_macro(char *text, size_t cap, size_t *len)
{
	char name[SOURCE_LINE_MAX];
	size_t n = 0, value_len;
	const char *value;
	int c;

	p.source->at++;
	while ((c = source_peek(p.source)) != EOF && c < 0x80 && (isalnum(c) || c == '_') &&
	    n < sizeof(name) - 1) {
		name[n++] = (char)c;
		p.source->at++;
	}
	name[n] = '\0';
	if ((value = macro_find(&p.macros, name)) == NULL) {
		if (p.secret)
			complain("a value with $ that is no macro's stands "
			    "in quotes");
		else
			complain("there is no macro $%s", name);
		return false;
	}
	value_len = strlen(value);
	if (value_len >= cap - *len) {
		complain("a string is too long");
		return false;
	}
	memcpy(text + *len, value, value_len);
	*len += value_len;
	return true;
}

/* The first word of a line: a key, include, or a macro's name. */
static int
lex_key(const char *word)
{
	const struct conf_key *key;
	bool assigned = source_skip_blanks(p.source) == '=';

	for (key = conf_keys; key->name != NULL; key++)
		if (strcmp(key->name, word) == 0)
			break;
	p.secret = assigned ||
	    (key->name != NULL && key->kind == CONF_KIND_SECRET);
	if (assigned && (key->name != NULL || strcmp(word, "include") == 0))
		return complain("%s: a key takes no =", word), BAD;
	if (assigned) {
		yylval.text = keep(word, strlen(word));
		return yylval.text == NULL ? 0 : NAME;
	}
	if (strcmp(word, "include") == 0) {
		p.key = "include";
		return INCLUDE;
	}
	if (key->name == NULL)
		return complain("%s", conf_unknown(word)), BAD;
	p.key = key->name;
	yylval.key = key;
	if (key->kind == CONF_KIND_LISTEN)
		return LISTEN;
	if (key->kind == CONF_KIND_RATE)
		return RATE;
	if (key->kind == CONF_KIND_CHANNEL || key->kind == CONF_KIND_CERTIFICATE)
		return key->kind == CONF_KIND_CHANNEL ? CHANNEL : CERTIFICATE;
	p.list = key;
	return conf_key_is_list(key) ? ORIGIN : VALUE;
}

/* A word without quotes, in which $name stands for a macro's value. */
static int
lex_word(bool at_start)
{
	char text[SOURCE_LINE_MAX];
	size_t len = 0;
	bool plain = true;
	int c;

	for (;;) {
		c = source_peek(p.source);
		if (c == '$') {
			plain = false;
			if (!lex_macro(text, sizeof(text), &len))
				return BAD;
		} else if (!source_is_word(c))
			break;
		else if (len == sizeof(text) - 1)
			return complain("a string is too long"), BAD;
		else {
			text[len++] = (char)c;
			p.source->at++;
		}
	}
	text[len] = '\0';
	snprintf(p.token, sizeof(p.token), "%.*s", (int)sizeof(p.token) - 1,
	    text);
	if (at_start && plain)
		return lex_key(text);
	return string(text, len);
}

/* The end of a line, or one that is made up for the grammar's sake. */
static int
newline(void)
{
	strcpy(p.token, "\n");
	p.at_start = p.braces == 0;
	return '\n';
}

/* The next token of the innermost file. */
static int
yylex(void)
{
	struct source *s;
	bool at_start;
	int c;

	for (;;) {
		if (p.no_memory || p.errors >= ERRORS)
			return 0;
		s = p.source;
		if (s->begins) {
			s->begins = false;
			return newline();
		}
		if ((c = source_skip_blanks(s)) == '#')
			c = source_skip_comment(s);
		p.here.file = s->name;
		p.here.line = s->line;
		if (c != EOF)
			break;
		if (!s->ended) {
			s->ended = true;
			return newline();
		}
		if (s->up == NULL) {
			p.token[0] = '\0';
			return 0;
		}
		source_pop();
	}
	at_start = p.at_start;
	p.at_start = false;
	p.key = at_start ? NULL : p.key;
	p.secret = p.secret && !at_start;
	if (c == '"' || c == '\'')
		return lex_quoted();
	if (c == '$' || source_is_word(c))
		return lex_word(at_start);
	s->at++;
	snprintf(p.token, sizeof(p.token), "%c", c);
	switch (c) {
	case '\n':
		s->line++;
		return newline();
	case '{':
		p.braces++;
		return c;
	case '}':
		if (p.braces > 0)
			p.braces--;
		return c;
	case '=':
		return c;
	}
	if (p.secret)
		complain("a value with such characters stands in quotes");
	else
		complain(isprint(c) ? "unexpected %c outside quotes"
		    : "unexpected byte 0x%02x outside quotes", c);
	return BAD;
}

/* Passes over the rest of a block in which a line made no sense: its other
 * lines are no keys. */
static void
skip_block(void)
{
	for (; p.braces > 0 && yylex() != 0;)
		;
	p.braces = 0;
}

/* Reads a file into p.conf. */
static void
load(const char *file)
{
	char line[1024];
	const char *wrong = NULL, *where = NULL;

	if (source_push(file) == -1 && errno != 0)
		wrong = source_error();
	else if (p.errors == 0 && yyparse() == 0 && p.errors == 0 && !p.no_memory)
		wrong = conf_finish(p.conf, &where);
	if (wrong == NULL)
		return;
	snprintf(line, sizeof(line), "%s: %s", where != NULL ? where : file, wrong);
	report(line);
	p.errors++;
}

/* Reads a file, and those it includes, into a fresh conf. */
struct conf *
conf_load_bundle(
    const char *file, struct bundle *b, char *error, size_t error_len)
{
	struct conf *c = NULL;
	char line[1024];

	memset(&p, 0, sizeof(p));
	p.bundle = b;
	p.error = error;
	p.error_len = error_len;
	p.at_start = true;
	if (error_len > 0)
		error[0] = '\0';
	if ((p.conf = conf_new()) == NULL)
		p.no_memory = true;
	else
		load(file);
	snprintf(line, sizeof(line), "%s: %s", file, strerror(ENOMEM));
	if (p.no_memory)
		report(line);
	if (p.errors == 0 && !p.no_memory)
		c = p.conf;
	else
		conf_free(p.conf);
	while (p.source != NULL)
		source_pop();
	piece_free_all(&p.pieces);
	explicit_bzero(&p, sizeof(p));
	return c;
}
