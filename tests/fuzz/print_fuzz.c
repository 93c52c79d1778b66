/*
 * print_fuzz: whatever the text of a layout is, it is refused, or all that it
 * names lies inside what it is in; and memory that is read by it is not left.
 */
#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include "hub/convert.h"
#include "hub/print.h"

enum { MEMORY = 64 * 1024 };

/* Checks what was understood. */
static void
print_judge(const struct print *p)
{
	const struct print_line *s = NULL, *l;

	for (uint32_t i = 0; i < p->n; i++) {
		l = &p->line[i];
		REQUIRE(memchr(l->name, '\0', PRINT_NAME) != NULL);
		if (l->kind == PRINT_STRUCT)
			s = l;
		else if (l->kind <= PRINT_BYTES)
			REQUIRE(s != NULL && l->size > 0 &&
			    l->at + l->size <= s->size);
		else if (l->kind == PRINT_MEMORY)
			REQUIRE(l->size <= MEMORY && l->at <= MEMORY - l->size);
		else if (l->kind == PRINT_VALUE)
			REQUIRE(l->group < i);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct print p;
	static int fd = -1;
	struct hub_limits limits = {.connections = 64,
	    .users = 64,
	    .channels = 64,
	    .journal_bytes = 1 << 16,
	    .output_bytes = 1 << 22,
	    .input_bytes = 1 << 16,
	    .subscriptions = 64,
	    .readers = 1};
	static const char tables[] = "enum door\ndoor.one 3\nenum framing\n"
				     "framing.one 1\nenum transport\n"
				     "transport.one 1\n";
	struct convert *c;
	char error[512], *text = malloc(size + 1);

	REQUIRE(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	if (fd == -1) {
		fd = memfd_create("fuzz", 0);
		REQUIRE(fd >= 0 && ftruncate(fd, MEMORY) == 0);
	}
	if (print_parse(&p, text, "", MEMORY, error, sizeof(error)) == 0)
		print_judge(&p);
	c = convert_open(fd, text, "", tables, error, sizeof(error));
	if (c != NULL) {
		(void)convert_fits(c, &limits, error, sizeof(error));
		convert_close(c);
	}
	free(text);
	return 0;
}
