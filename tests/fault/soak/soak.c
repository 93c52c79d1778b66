/* The soak's course: all join, all talk while processes die, all fall silent,
 * everything is compared, all leave, nothing is left. */
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "soak.h"

enum {
	PATIENCE_MS = 30000, /* without a byte */
	PATIENCE_MAX_MS = 120000,
	/* a quiet moment, in which custody is looked at, in each so many ms of
	 * a storm; shorter: less is said and hit in the time there is */
	QUIET_MS = 5000,
	/* when memory is looked at, once the journal has been filled: then all
	 * has been in use that is used over and over; after half of a soak that
	 * is shorter */
	PSS_S = 60,
	ROUND_MS = 1000 /* between two looks at that */
};

struct settings set = {
    .chatd = "build/chatd", .clients = 400, .hits = 1000, .seconds = 180};
uint64_t now_ms;
static uint64_t dice_state;

uint32_t
dice(uint32_t n)
{
	dice_state ^= dice_state << 13;
	dice_state ^= dice_state >> 7;
	dice_state ^= dice_state << 17;
	return n < 2 ? 0 : (uint32_t)(dice_state >> 16) % n;
}

/* Milliseconds since the start. */
static uint64_t
clock_now(void)
{
	static uint64_t first;
	struct timespec t;
	uint64_t ms;

	clock_gettime(CLOCK_MONOTONIC, &t);
	ms = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
	if (first == 0)
		first = ms - 1;
	return ms - first;
}

/* One turn of the loop. */
static void
turn(bool talk, bool still)
{
	static uint32_t first;
	struct epoll_event ev[256];
	uint32_t i, k;
	int n = epoll_wait(poll_fd, ev, 256, 1), j;

	now_ms = clock_now();
	for (j = 0; j < n; j++)
		if (client[ev[j].data.u32].fd >= 0)
			client_read(ev[j].data.u32);
	first = dice(set.clients);
	for (k = 0; k < set.clients; k++) {
		i = (first + k) % set.clients;
		client_time(i, still);
		if (talk && client[i].phase == OPEN && dice(3) == 0)
			client_say(i);
		if (wire_has(i))
			client_read(i);
		if (client[i].out_len > 0 || wire_waits(i) > 0)
			client_flush(i);
	}
}

/* Whether all are in a phase. */
static bool
all_are(enum phase phase)
{
	uint32_t i;

	for (i = 0; i < set.clients; i++)
		if (client[i].phase != phase)
			return false;
	return true;
}

/* Whether all have heard everything. */
static bool
all_quiet(void)
{
	uint32_t i;

	for (i = 0; i < set.clients; i++)
		if (!client_is_quiet(&client[i]) ||
		    client[i].sent != order.next[i] ||
		    (set.reader && !reader_is_quiet(i)))
			return false;
	return true;
}

/* Runs turns until something is so. A slow client with a small window gets
 * what waits for it in drops, as TCP probes it: as long as something comes it
 * is waited for. */
static bool
wait_for(const char *what, bool (*is)(void))
{
	const uint64_t last = clock_now() + PATIENCE_MAX_MS;
	uint64_t until = clock_now() + PATIENCE_MS, bytes = counts.bytes;

	while (!is()) {
		turn(false, true);
		if (counts.bytes != bytes)
			until = now_ms + PATIENCE_MS;
		bytes = counts.bytes;
		if (now_ms > until || now_ms > last) {
			fault(F_OTHER, "not in time: %s", what);
			return false;
		}
	}
	return true;
}

static bool
all_open(void)
{
	uint32_t i;

	for (i = 0; set.reader && i < set.clients; i++)
		if (client[i].asked != client[i].answered)
			return false;
	return all_are(OPEN);
}

/* Waits until all are there, or says who is not. */
static bool
wait_for_all(const char *what)
{
	const struct client *c;
	uint32_t i;

	if (wait_for(what, all_open))
		return true;
	for (i = 0; i < set.clients; i++) {
		c = &client[i];
		if (c->phase != OPEN || (set.reader && c->asked != c->answered))
			fault(F_OTHER,
			    "client %u%s%s: phase %d, answers %u of %u, at %u "
			    "of %u",
			    i, c->json ? " (json)" : "",
			    c->slow ? " (slow)" : "", c->phase, c->answered,
			    c->asked, c->at + 1, order.n);
	}
	return false;
}

static bool
all_away(void)
{
	uint32_t i;

	for (i = 0; i < set.clients; i++) {
		if (client[i].phase == OPEN)
			client_leave(i);
		if (client[i].phase == AWAY)
			client[i].turn_ms = UINT64_MAX;
	}
	return all_are(AWAY);
}

/* Every client sends one message that can be recognised, so that a client that
 * has just come knows its place in the order. */
static void
last_words(void)
{
	struct text t;
	uint32_t i;

	for (i = 0; i < set.clients; i++) {
		do {
			text_make(&t, i, client[i].sent++, -1);
			counts.lobby++;
			if (client[i].json)
				json_say(i, -1, &t);
			else
				message_put(&client[i], t.bytes, t.len);
		} while (t.len < 24);
	}
}

/* Says which clients are not done, and with what. */
static void
tell_unquiet(void)
{
	const struct client *c;
	uint32_t i;

	for (i = 0; i < set.clients; i++) {
		c = &client[i];
		if (client_is_quiet(c) && c->sent == order.next[i])
			continue;
		fault(F_LOST,
		    "client %u%s%s: at %u of %u, said %u of %u, answers %u "
		    "of %u, whispers %u of %u, %zu bytes unsent, phase %d",
		    i, c->json ? " (json)" : "", c->slow ? " (slow)" : "",
		    c->at + 1, order.n, order.next[i], c->sent, c->answered,
		    c->asked, c->whispers_heard, c->whispered, c->out_len,
		    c->phase);
	}
}

/* What the master says of users and connections. */
static unsigned
shown(const char *what, const char *member)
{
	const char *const words[] = {"show", what};
	const char *p = daemon_ask(words, 2);
	unsigned n = 0;

	for (; p != NULL && (p = strstr(p, member)) != NULL; p++)
		n++;
	return n;
}

/* Polls until the daemon has so many connections. */
static void
settle(unsigned connections)
{
	uint64_t until = clock_now() + PATIENCE_MS;
	unsigned users = 0, conns = 0;

	while (clock_now() < until) {
		turn(false, true);
		users = shown("users", "\"user\":");
		conns = shown("connections", "\"user\":");
		if (users == connections && conns == connections)
			return;
	}
	fault(F_PRESENCE, "%u users and %u connections shown, not %u", users,
	    conns, connections);
}

/* Runs turns for a while: claims and custody become quiet. */
static void
rest(unsigned ms)
{
	uint64_t until = clock_now() + ms;

	do
		turn(false, true);
	while (now_ms < until);
}

/* All fall silent for a moment, and nobody is hit: the sockets that each family
 * of processes has are those that its slots claim. */
static void
custody_look(void)
{
	uint64_t until = clock_now() + PATIENCE_MS;

	if (!wait_for("no order is carried out", order_settled) ||
	    !wait_for("all workers and keepers are there", hit_settled) ||
	    !wait_for_all("all are back"))
		return;
	while (!custody_is_right(now_ms > until) && now_ms <= until)
		turn(false, true);
}

/* How much memory is taken early, in KiB; 0: not known yet. Called in each turn
 * of the storm. */
static long
early_turn(uint64_t begun)
{
	static uint64_t next_ms, full_ms; /* when the journal was filled */
	static long early;
	unsigned early_s = set.seconds < 2 * PSS_S ? set.seconds / 2 : PSS_S;

	if (early != 0 || now_ms < next_ms)
		return early;
	next_ms = now_ms + ROUND_MS;
	if (full_ms == 0 && journal_is_full())
		full_ms = now_ms;
	if (full_ms != 0 && now_ms > full_ms + MEMORY_MS &&
	    now_ms - begun > early_s * 1000ull)
		early = memory_now();
	return early;
}

/* All clients talk while processes die. Returns how much memory it took early,
 * in KiB; 0: so little was said that it is not known. */
static long
storm(void)
{
	uint64_t begun = clock_now(), told = begun;
	uint64_t end = begun + set.seconds * 1000ull;
	uint64_t looked = begun;
	long early;

	do {
		turn(true, false);
		if (set.points)
			points_turn();
		if (set.one || !set.points)
			hit_turn(true);
		if (set.orders)
			order_turn();
		memory_turn();
		if (!set.one && !set.points && now_ms - looked > QUIET_MS) {
			custody_look();
			looked = clock_now();
			counts.looks++;
		}
		early = early_turn(begun);
		if (set.verbose && now_ms - told > 5000) {
			told = now_ms;
			printf("%6llu ms: %u hits, %llu said, %llu heard\n",
			    (unsigned long long)now_ms, hits_done(),
			    (unsigned long long)counts.lobby,
			    (unsigned long long)counts.deliveries);
			fflush(stdout);
		}
	} while (now_ms < end);
	return early;
}

/* What came of it. */
static int
result(void)
{
	unsigned n, max_ms, corrupted, sum = 0;
	int k;

	daemon_takeovers(&n, &max_ms, &corrupted);
	if (n == 0 && hit_counts.workers > 0)
		fault(F_OTHER,
		    "no takeover was seen in the log though workers were "
		    "killed");
	if (corrupted > 0)
		fault(F_OTHER, "%u connections corrupted at takeovers",
		    corrupted);
	for (k = 0; k < FAULTS; k++)
		sum += faults[k];
	printf(
	    "%u hits on workers (%u hung), %u on keepers (%u hung): %u times "
	    "a worker and one, %u within an order, %u times both; "
	    "%u takeovers, %u ms at most; %u quiet looks\n",
	    hit_counts.workers, hit_counts.stopped, hit_counts.keepers,
	    hit_counts.keepers_stopped, hit_counts.pairs, hit_counts.orders,
	    hit_counts.both, n, max_ms, counts.looks);
	printf("%llu said, %llu whispered, %llu frames (%llu MB) heard; %u "
	       "joins, %u left, %u handshakes again, %u cut, %u fragments\n",
	    (unsigned long long)counts.lobby,
	    (unsigned long long)counts.whispers,
	    (unsigned long long)counts.deliveries,
	    (unsigned long long)(counts.bytes >> 20), counts.joins,
	    counts.leaves, counts.retries, counts.cut, counts.fragments);
	if (set.orders)
		order_print();
	if (set.tls)
		printf(
		    "%u connections over TLS, %u keys renewed by clients, %u "
		    "deaths of handshakers\n",
		    counts.tls, counts.keys, hit_counts.handshakers);
	if (set.oracle) {
		printf("%u workers failed by themselves\n", hit_counts.crashes);
		oracle_judge();
	}
	faults_tell(); /* who keeps the end of the log alone has them, too */
	printf("%u disconnects, %u lost, %u doubled, %u out of order, %u "
	       "corrupt, %u answers wrong, %u presence, %u alerts, %u leaks, "
	       "%u others\n",
	    faults[F_DISCONNECT], faults[F_LOST], faults[F_DOUBLED],
	    faults[F_ORDER], faults[F_CORRUPT], faults[F_ANSWER],
	    faults[F_PRESENCE], faults[F_ALERT], faults[F_LEAK],
	    faults[F_OTHER]);
	printf("seed %llu: %s\n", (unsigned long long)set.seed,
	    sum == 0 ? "good" : "BAD");
	return sum == 0 ? 0 : 1;
}

/* The whole course. */
static int
run(void)
{
	long early, pss;
	uint32_t i;
	int status;

	daemon_start();
	descriptors_begin();
	wait_for_all("all are connected");
	for (i = 0; i < set.clients; i++) {
		client[i].located = true; /* nothing is said yet */
		client[i].at = UINT32_MAX;
	}
	if (set.reader)
		reader_begin();
	early = storm();
	pss = memory_now();
	/* Not with points: strangers' names fill the table of presence; nor
	 * with adoption: each adopter copies what connections had in common,
	 * so how much is in use at once is a matter of chance. */
	if (set.seconds >= PSS_S && !set.points && !set.one && early != 0 &&
	    pss > early + early / 10)
		fault(F_LEAK, "%ld KiB, earlier %ld", pss, early);
	strangers_go();
	wait_for("no order is carried out", order_settled);
	wait_for("all workers and keepers are there",
	    set.points ? points_settled : hit_settled);
	wait_for_all("all are back");
	last_words();
	if (!wait_for("all heard everything", all_quiet))
		tell_unquiet();
	settle(set.clients);
	descriptors_check(set.clients, rest);
	leak_check(set.clients, rest);
	wait_for("all have left", all_away);
	settle(0);
	rest(1500); /* some do not wait for the server's FIN */
	descriptors_check(0, rest);
	leak_check(0, rest);
	printf("%ld KiB at the end, %ld earlier%s; %u descriptors\n", pss,
	    early,
	    early == 0 ? " (not compared: the journal was not full)" : "",
	    descriptors_seen());
	if (set.points)
		points_print();
	if (!daemon_stop())
		fault(F_OTHER, "the daemon did not stop well");
	if (set.reader)
		reader_judge();
	status = result();
	if (status != 0 || set.verbose)
		printf("log: %s/log\n", daemon_.dir);
	else
		daemon_forget();
	return status;
}

/* Ends the daemon, whatever happens. */
static void
end(void)
{
	if (daemon_.pid != 0)
		kill(daemon_.pid, SIGTERM);
}

/* Which clients there are. */
static void
cast(void)
{
	uint32_t i;

	for (i = 0; i < set.clients; i++) {
		client[i].fd = -1;
		client[i].slow = i % 10 == 3;
		client[i].mover = i % 16 == 5 || i % 16 == 10;
		client[i].json = set.centrifugo && i % 2;
	}
}

int
main(int argc, char **argv)
{
	struct rlimit files;
	int c;

	set.seed = (uint64_t)time(NULL);
	while ((c = getopt(argc, argv, "d:c:n:t:s:P:T:eijoOprSv")) != -1)
		switch (c) {
		case 'd':
			set.chatd = optarg;
			break;
		case 'c':
			set.clients = (unsigned)atoi(optarg);
			break;
		case 'n':
			set.hits = (unsigned)atoi(optarg);
			break;
		case 't':
			set.seconds = (unsigned)atoi(optarg);
			break;
		case 's':
			set.seed = strtoull(optarg, NULL, 10);
			break;
		case 'e':
			set.tls = true;
			break;
		case 'i':
			set.orders = true;
			break;
		case 'O':
			set.tls = set.oracle = true;
			break;
		case 'j':
			set.centrifugo = true;
			break;
		case 'P':
			set.only = optarg;
			set.points = true;
			break;
		case 'o':
			set.one = true;
			break;
		case 'T':
			set.idle = (unsigned)atoi(optarg);
			break;
		case 'p':
			set.points = true;
			break;
		case 'r':
			set.reader = true;
			break;
		case 'S':
			set.store = set.reader = true;
			break;
		case 'v':
			set.verbose = true;
			break;
		default:
			errx(2,
			    "usage: soak [-eijoOprSv] [-d chatd] [-c clients] "
			    "[-P point] [-T connections] "
			    "[-n hits] [-t seconds] [-s seed]");
		}
	if (set.clients < 10 || set.clients > CLIENTS_MAX)
		errx(2, "10 to %d clients", CLIENTS_MAX);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	dice_state = set.seed * 2654435761u + 88172645463325252ull;
	printf("seed %llu\n", (unsigned long long)set.seed);
	atexit(end);
	if (set.idle > 0)
		return back_run();
	poll_fd = epoll_create1(EPOLL_CLOEXEC);
	cast();
	if (set.points)
		points_open();
	if (set.oracle)
		oracle_open();
	return run();
}
