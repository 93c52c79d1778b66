#include "master/balance.h"

enum { N = CONF_WORKERS_MAX };

/* Whether a place is in a mask. */
static bool
has(uint64_t mask, int place)
{
	return (mask >> place & 1) != 0;
}

/* What those in stay have with `level` each, or what they have if that is
 * more and only taking is wanted. */
static uint64_t
filled(const uint32_t *count, uint64_t stay, bool even, uint64_t level)
{
	uint64_t sum = 0;

	for (int i = 0; i < N; i++)
		if (has(stay, i))
			sum += even || count[i] < level ? level : count[i];
	return sum;
}

/* The highest level that does not take more than there is. */
static uint64_t
level_find(const uint32_t *count, uint64_t stay, bool even, uint64_t total)
{
	uint64_t low = 0, high = total, mid;

	while (low < high) {
		mid = low + (high - low + 1) / 2;
		if (filled(count, stay, even, mid) <= total)
			low = mid;
		else
			high = mid - 1;
	}
	return low;
}

/* Gives one more to those at the level, the fullest of them first: they need
 * not give it away. */
static void
spread_rest(const uint32_t *count, uint64_t stay, uint64_t level, uint64_t rest,
    uint64_t *want)
{
	int best;

	for (; rest > 0; rest--) {
		best = -1;
		for (int i = 0; i < N; i++)
			if (has(stay, i) && want[i] == level &&
			    (best == -1 || count[i] > count[best]))
				best = i;
		if (best == -1)
			return;
		want[best]++;
	}
}

int
balance_plan(const uint32_t *count, uint64_t mask, uint64_t stay, bool even,
    struct balance_move move[BALANCE_MOVES_MAX])
{
	uint64_t want[N] = {0}, total = 0, level, n;
	uint64_t give[N] = {0}, take[N] = {0};
	int n_moves = 0, to = 0;

	stay &= mask;
	if (stay == 0)
		return 0;
	for (int i = 0; i < N; i++)
		total += has(mask, i) ? count[i] : 0;
	level = level_find(count, stay, even, total);
	for (int i = 0; i < N; i++)
		if (has(stay, i))
			want[i] = even || count[i] < level ? level : count[i];
	spread_rest(
	    count, stay, level, total - filled(count, stay, even, level), want);
	for (int i = 0; i < N; i++)
		if (has(mask, i) && count[i] > want[i])
			give[i] = count[i] - want[i];
		else if (has(mask, i))
			take[i] = want[i] - count[i];
	for (int from = 0; from < N; from++)
		while (give[from] > 0) {
			while (to < N && take[to] == 0)
				to++;
			if (to == N)
				return n_moves;
			n = give[from] < take[to] ? give[from] : take[to];
			move[n_moves++] =
			    (struct balance_move){from, to, (uint32_t)n};
			give[from] -= n;
			take[to] -= n;
		}
	return n_moves;
}

bool
balance_is_skewed(const uint32_t *count, uint64_t mask)
{
	uint64_t total = 0, max = 0, workers = 0;

	for (int i = 0; i < N; i++)
		if (has(mask, i)) {
			workers++;
			total += count[i];
			if (count[i] > max)
				max = count[i];
		}
	return total >= BALANCE_SMALL &&
	    max * workers * 100 > total * (100 + BALANCE_SKEW);
}
