/* The web page's files as they are in src/door/web, and gzip copies that the
 * Makefile makes of them in CHATD_WEB. */
#include "web.h"

/* clang-format off */
#define EMBED(name, file)						\
	__asm__(".section .rodata\n"					\
	    ".globl " name "\n" name ":\n"				\
	    ".incbin \"" file "\"\n"					\
	    ".globl " name "_end\n" name "_end:\n"			\
	    ".byte 0\n"							\
	    ".previous\n")
/* clang-format on */

EMBED("web_index_html", "src/door/web/index.html");
EMBED("web_index_html_gz", CHATD_WEB "/index.html.gz");
EMBED("web_chatd_css", "src/door/web/chatd.css");
EMBED("web_chatd_css_gz", CHATD_WEB "/chatd.css.gz");
EMBED("web_chatd_js", "src/door/web/chatd.js");
EMBED("web_chatd_js_gz", CHATD_WEB "/chatd.js.gz");

extern const char web_index_html[], web_index_html_end[];
extern const char web_index_html_gz[], web_index_html_gz_end[];
extern const char web_chatd_css[], web_chatd_css_end[];
extern const char web_chatd_css_gz[], web_chatd_css_gz_end[];
extern const char web_chatd_js[], web_chatd_js_end[];
extern const char web_chatd_js_gz[], web_chatd_js_gz_end[];

#define HTML "text/html; charset=utf-8"
#define CSS "text/css; charset=utf-8"
#define JS "text/javascript; charset=utf-8"

/* A form of a file, by the name of its bytes. */
#define FORM(name)                               \
	{                                        \
		.begin = name, .end = name##_end \
	}

struct web_file web_files[] = {
    {"/", "index.html", HTML, {FORM(web_index_html), FORM(web_index_html_gz)}},
    {"/chatd.css", "chatd.css", CSS,
	{FORM(web_chatd_css), FORM(web_chatd_css_gz)}},
    {"/chatd.js", "chatd.js", JS, {FORM(web_chatd_js), FORM(web_chatd_js_gz)}},
};
