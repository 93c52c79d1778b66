#include "tickets.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory_file.h"
#include "codec/tls_files.h"
#include "private.h"

enum {
	/* How long a key makes tickets; it opens them for as long again, which
	 * together is what clients are told (TLS_TICKET_S). Larger: a stolen
	 * key opens more; smaller: tickets are of no use sooner. */
	TICKETS_TURN_MS = TLS_TICKET_S / 2 * 1000
};

/* Maps the file that there is. */
static int
tickets_map(struct beginners *b)
{
	void *p = mmap(NULL, TLS_TICKETS_BYTES, PROT_READ | PROT_WRITE,
	    MAP_SHARED, b->tickets, 0);

	if (p == MAP_FAILED)
		return -1;
	(void)madvise(p, TLS_TICKETS_BYTES, MADV_DONTDUMP);
	(void)mlock(p, TLS_TICKETS_BYTES);
	b->ticket = p;
	return 0;
}

void
tickets_drop(struct beginners *b)
{
	if (b->ticket != NULL)
		munmap(b->ticket, TLS_TICKETS_BYTES);
	if (b->tickets != -1)
		close(b->tickets);
	b->ticket = NULL;
	b->tickets = -1;
}

/* Adds a key. */
static void
tickets_turn(struct master *m, uint64_t now)
{
	struct beginners *b = &m->beginners;
	struct tls_ticket_key key;

	if (getrandom(&key, sizeof(key), 0) != sizeof(key)) {
		log_error(
		    "no new key for session tickets: %s", strerror(errno));
		return;
	}
	tls_tickets_turn(b->ticket, &key);
	explicit_bzero(&key, sizeof(key));
	b->turn_ms = now + TICKETS_TURN_MS;
}

int
tickets_make(struct master *m)
{
	struct beginners *b = &m->beginners;
	int saved;

	if (b->ticket != NULL)
		return 0;
	if (b->tickets == -1 &&
	    ((b->tickets = memory_file("chatd-tickets")) == -1 ||
		ftruncate(b->tickets, TLS_TICKETS_BYTES) == -1 ||
		fcntl(b->tickets, F_ADD_SEALS,
		    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == -1))
		goto fail;
	if (tickets_map(b) == -1)
		goto fail;
	if (b->turn_ms == 0)
		tickets_turn(m, master_clock_ms(m));
	return 0;
fail:
	saved = errno;
	tickets_drop(b);
	errno = saved;
	return -1;
}

void
tickets_time(struct master *m, uint64_t now)
{
	if (m->beginners.tickets == -1 || tickets_make(m) == -1)
		return;
	if (now >= m->beginners.turn_ms)
		tickets_turn(m, now);
}

void
tickets_save(const struct beginners *b, FILE *f)
{
	if (b->tickets != -1)
		fprintf(f, "tickets %d %" PRIu64 "\n", b->tickets, b->turn_ms);
}

bool
tickets_load(struct beginners *b, const char *text)
{
	return sscanf(text, "%d %" SCNu64, &b->tickets, &b->turn_ms) == 2;
}
