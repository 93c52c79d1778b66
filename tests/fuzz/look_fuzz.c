/*
 * look_fuzz: what chatctl -m makes of memory of which any bytes are written
 * over, and of any file. What it prints ends, is JSON, or lines without control
 * characters. The first byte says which: 0 mod 4: the rest is a file, by its
 * words or a core; else five bytes are one step: where, and what.
 */
#include "fuzz.h"
#include "../unit/scribble_fixture.h"

#include <sys/mman.h>

#include "codec/json.h"
#include "hub/peek.h"
#include "show/memory.h"

enum { STEP = 5, STEPS_MAX = 64, REACH = 16384, PARTS_MAX = 4096 };

static struct scene scene;
static char connection[20];

/* Two users in rooms, who have said something, made once. */
static void
begin(void)
{
	static bool done;
	struct hub_words words = {.lobby = 2};

	if (done)
		return;
	done = true;
	scene_begin(&scene);
	alarm(0);
	for (int k = 0; k < 4; k++)
		say(scene.n, "room0", "a text");
	strcpy(words.door[1], "plain");
	hub_words_put(&scene.h, &words);
	snprintf(connection, sizeof(connection), "%016llx",
	    (unsigned long long)slot_id(&scene.h, scene.alice));
}

/* Shows one subject to its end. */
static void
show_all(const struct show_from *from, const char *what, bool json, char *word)
{
	char *text = NULL, error[512], *words[] = {word, NULL};
	struct json_value v;
	size_t len = 0, n;
	FILE *out = open_memstream(&text, &len);
	struct show *s = show_new(from, show_subject_find(what), json);

	REQUIRE(out != NULL && s != NULL);
	n = 0;
	if (show_ask(s, word != NULL, words, error, sizeof(error)) == 0)
		for (; show_more(s, out) == 1; n++)
			REQUIRE(n < PARTS_MAX);
	show_free(s);
	fclose(out);
	for (n = 0; n < len; n++)
		REQUIRE((uint8_t)text[n] >= ' ' || text[n] == '\n');
	REQUIRE(!json || len == 0 || json_validate(text, len, &v));
	free(text);
}

/* Shows everything, if the memory can be looked at. */
static void
look(const struct memory *m)
{
	struct show_from from;

	memory_from(m, &from);
	for (int json = 0; json < 2; json++) {
		show_all(&from, "workers", json, NULL);
		show_all(&from, "users", json, NULL);
		show_all(&from, "connections", json, NULL);
		show_all(&from, "connection", json, connection);
		show_all(&from, "channels", json, NULL);
		show_all(&from, "journal", json, NULL);
		show_all(&from, "stats", json, NULL);
	}
}

/* A place in memory: a region, and a byte of its beginning. */
static uint8_t *
place(const struct hub *h, uint8_t region, uint32_t at)
{
	void *const begins[] = {h->heads, h->line, h->worker, h->entry,
	    h->charge, (void *)h->slot_touched, h->slot, (void *)h->socket,
	    h->chunk, h->page, h->subscription, (void *)h->chain, h->index,
	    h->journal};
	const size_t n = sizeof(begins) / sizeof(begins[0]);
	uint8_t *b = (uint8_t *)begins[region % n] + at % REACH;

	return b < h->base + h->size ? b : h->base;
}

/* Looks at memory of which some bytes are written over, and mends it. */
static void
look_scribbled(const uint8_t *data, size_t size)
{
	const size_t n = size / STEP < STEPS_MAX ? size / STEP : STEPS_MAX;
	uint8_t *b, *where[STEPS_MAX], was[STEPS_MAX];
	struct memory m = {.lives = false};
	char error[512];

	for (size_t k = 0; k < n; k++, data += STEP) {
		b = place(&scene.h, data[0],
		    (uint32_t)(data[1] | data[2] << 8 | data[3] << 16));
		where[k] = b;
		was[k] = *b;
		*b = data[4];
	}
	if (hub_peek(
		&m.hub, scene.h.base, scene.h.size, error, sizeof(error)) == 0)
		look(&m);
	for (size_t k = n; k-- > 0;)
		*where[k] = was[k];
}

/* Looks at any file. */
static void
look_file(const uint8_t *data, size_t size)
{
	char path[64], error[512];
	struct memory m;
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	REQUIRE(fd != -1 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (memory_open(&m, path, error, sizeof(error)) == 0) {
		look(&m);
		memory_close(&m);
	}
	close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	begin();
	if (size == 0)
		return 0;
	if (data[0] % 4 == 0)
		look_file(data + 1, size - 1);
	else
		look_scribbled(data + 1, size - 1);
	return 0;
}
