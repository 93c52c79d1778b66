#include <stdatomic.h>
#include <string.h>

#include "codec/tls_files.h"

void
tls_tickets_turn(struct tls_tickets *t, const struct tls_ticket_key *chance)
{
	const uint64_t n =
	    atomic_load_explicit(&t->number, memory_order_relaxed) + 1;

	t->key[n % TLS_TICKET_KEYS] = *chance;
	atomic_store_explicit(&t->number, n, memory_order_release);
	explicit_bzero(
	    &t->key[(n - 2) % TLS_TICKET_KEYS], sizeof(struct tls_ticket_key));
}

bool
tls_tickets_newest(const struct tls_tickets *t, struct tls_ticket_key *out)
{
	const uint64_t n =
	    atomic_load_explicit(&t->number, memory_order_acquire);

	if (n == 0)
		return false;
	*out = t->key[n % TLS_TICKET_KEYS];
	return true;
}

bool
tls_tickets_find(const struct tls_tickets *t, const uint8_t name[16],
    struct tls_ticket_key *out)
{
	const uint64_t n =
	    atomic_load_explicit(&t->number, memory_order_acquire);

	for (uint64_t k = n; k > 0 && n - k < 2; k--) {
		*out = t->key[k % TLS_TICKET_KEYS];
		if (memcmp(out->name, name, sizeof(out->name)) == 0)
			return true;
	}
	explicit_bzero(out, sizeof(*out));
	return false;
}
