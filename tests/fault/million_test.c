/* million: presence with as many users as promised, before and after all of
 * them have been replaced by others. A short run has 65,536 users. */
#include "../unit/hub_fixture.h"

#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

#include "base/siphash.h"
#include "hub/lock.h"
#include "hub/presence.h"

enum { LOOKS = 1000000, LINE = 16 };

/* Time that this process has used: others may be busy too. */
static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* A name of the kind that the daemon uses. */
static size_t
name_of(char out[32], const char *kind, uint32_t i)
{
	return (size_t)sprintf(out, "#%s%u", kind, i);
}

/* Pages of a region that are in memory. */
static size_t
pages_touched(void *at, size_t len)
{
	size_t n = (len + 4095) / 4096, i, touched = 0;
	unsigned char *in = malloc(n);

	assert_int_equal(mincore(at, len, in), 0);
	for (i = 0; i < n; i++)
		touched += in[i] & 1;
	free(in);
	return touched;
}

/* Cache lines of the index that a look for an absent name reads. */
static uint32_t
miss_lines(const struct hub *h, const char *name, size_t len)
{
	uint64_t hash = siphash(h->hash_key, name, len);
	uint32_t line = (uint32_t)((hash >> 32) * h->n_user_lines >> 32), k;

	for (k = 1; h->bucket[(size_t)line * LINE + LINE - 1] != 0; k++)
		line = line + 1 < h->n_user_lines ? line + 1 : 0;
	return k;
}

/* Time of looks for names of that kind, whose number is below n. */
static double
look_ns(struct hub *h, const char *kind, uint32_t n, bool hit)
{
	static char name[LOOKS][16];
	static uint8_t len[LOOKS];
	uint64_t begin;
	uint32_t i, e, found = 0;
	char text[32];

	for (i = 0; i < LOOKS; i++) {
		len[i] = (uint8_t)name_of(text, kind, fixture_random(n));
		memcpy(name[i], text, sizeof(name[i]));
	}
	hub_lock(h);
	begin = now_ns();
	for (i = 0; i < LOOKS; i++) {
		e = presence_find(h, name[i], len[i]);
		found += e != SHM_NONE;
	}
	begin = now_ns() - begin;
	hub_unlock(h);
	assert_int_equal(found, hit ? LOOKS : 0);
	return (double)begin / LOOKS;
}

/* Measures looks among n users of that kind. */
static void
measure(struct hub *h, const char *kind, uint32_t n)
{
	uint32_t i, lines, one = 0, most = 0, sum = 0;
	char name[32];
	double hit, miss;

	for (i = 0; i < LOOKS; i++) {
		lines = miss_lines(h, name, name_of(name, "none", i));
		one += lines == 1;
		sum += lines;
		most = lines > most ? lines : most;
	}
	hit = look_ns(h, kind, n, true);
	miss = look_ns(h, "none", n, false);
	print_message("%u users (%s): a hit %.0f ns, a miss %.0f ns; a miss "
		      "reads %.3f lines, one in %.2f %%, %u at most\n",
	    n, kind, hit, miss, (double)sum / LOOKS, 100.0 * one / LOOKS, most);
	assert_true(one > LOOKS / 100 * 95);
	assert_true(most <= 8);
}

/* Enters n users of that kind, after those of another kind have left. */
static void
enter_all(struct hub *h, const char *kind, uint32_t n, uint32_t *entry)
{
	uint64_t begin = now_ns();
	char name[32];
	uint32_t i;
	bool first;

	for (i = 0; i < n; i++) {
		hub_lock(h);
		if (entry[i] != 0)
			assert_true(presence_leave(h, entry[i], 0));
		entry[i] =
		    presence_enter(h, name, name_of(name, kind, i), &first);
		hub_unlock(h);
		assert_true(entry[i] != SHM_NONE && first);
	}
	print_message("%u enter (%s): %.0f ns each\n", n, kind,
	    (double)(now_ns() - begin) / n);
}

static void
test_million(void **state)
{
	uint32_t n = getenv("LONG") != NULL ? 1000000 : 65536, *entry, i;
	struct hub h;

	entry = calloc(n, sizeof(*entry));
	fixture_hub(&h, 16, n, 1 << 20, 1 << 20, 1 << 20);
	enter_all(&h, "a", n, entry);
	print_message("touched: index %zu pages of %zu, entries %zu, "
		      "pieces of names %zu\n",
	    pages_touched((void *)h.bucket, (size_t)h.n_lines * 64),
	    ((size_t)h.n_lines * 64 + 4095) / 4096,
	    pages_touched(h.entry, sizeof(*h.entry) * h.n_entries),
	    pages_touched(h.piece, 64ul * h.n_entries));
	measure(&h, "a", n);
	enter_all(&h, "b", n, entry);
	measure(&h, "b", n);
	enter_all(&h, "c", n, entry);
	measure(&h, "c", n);
	for (i = 0; i < n; i++)
		assert_true(presence_mask(&h, entry[i]) == 1);
	hub_destroy(&h);
	free(entry);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_million),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
