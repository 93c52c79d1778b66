#include "report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static char json[16384];
static size_t len;
static int quiet_table;

static void
add(const char *text)
{
	size_t n = strlen(text);
	if (len + n < sizeof json) {
		memcpy(json + len, text, n + 1);
		len += n;
	}
}

static void
add_string(const char *s)
{
	char c[8];
	add("\"");
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			snprintf(c, sizeof c, "\\%c", *s);
		else if ((unsigned char)*s < 32)
			snprintf(c, sizeof c, "\\u%04x", (unsigned)*s);
		else
			snprintf(c, sizeof c, "%c", *s);
		add(c);
	}
	add("\"");
}

static void
add_key(const char *key)
{
	add(len > 1 ? ", " : "");
	add_string(key);
	add(": ");
}

static void
row(const char *key, const char *value)
{
	if (!quiet_table)
		printf("  %-28s %s\n", key, value);
}

void
report_begin(int quiet)
{
	quiet_table = quiet;
	len = 0;
	add("{");
}

void
report_text(const char *key, const char *value)
{
	row(key, value);
	add_key(key);
	add_string(value);
}

void
report_number(const char *key, double value, int decimals)
{
	char s[64];
	if (isfinite(value))
		snprintf(s, sizeof s, "%.*f", decimals, value);
	else
		snprintf(s, sizeof s, "null");
	row(key, s);
	add_key(key);
	add(s);
}

void
report_flag(const char *key, int value)
{
	row(key, value ? "yes" : "no");
	add_key(key);
	add(value ? "true" : "false");
}

void
report_end(void)
{
	add("}");
	puts(json);
	fflush(stdout);
}
