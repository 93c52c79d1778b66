#include <arpa/inet.h>
#include <netinet/in.h>

#include <stdio.h>
#include <string.h>

#include "hub/slot.h"

uint32_t
slot_find(const struct hub *h, uint64_t id)
{
	uint32_t i = (uint32_t)id;

	return i < h->n_slots && slot_state(h, i) != SLOT_FREE &&
		slot_id(h, i) == id
	    ? i
	    : SHM_NONE;
}

uint32_t
slot_take(struct hub *h, struct claim *slots)
{
	uint32_t i = claim_take(slots);
	uint64_t life;
	struct slot *s;

	if (i == SHM_NONE)
		return SHM_NONE;
	s = &h->slot[i];
	life = SHM_LOAD(s->life) & ~7ull;
	if (life == 0)
		life = 1 << 3;
	memset((char *)s + sizeof(s->life), 0, sizeof(*s) - sizeof(s->life));
	s->user = SHM_NONE;
	s->worker = (uint8_t)h->self;
	SHM_STORE(s->life, life | SLOT_FREE);
	return i;
}

void
slot_set(struct hub *h, uint32_t i, enum slot_state state)
{
	SHM_STORE(h->slot[i].life,
	    (SHM_OWN(h->slot[i].life) & ~7ull) | (uint64_t)state);
}

/* One store: free, and the id never again. Use counts are 32 bits wide. */
void
slot_forget(struct hub *h, uint32_t i)
{
	uint32_t use = (uint32_t)(SHM_OWN(h->slot[i].life) >> 3) + 1;

	SHM_STORE(h->slot[i].life, (uint64_t)(use ? use : 1) << 3 | SLOT_FREE);
}

void
slot_release(struct hub *h, struct claim *slots, uint32_t i)
{
	slot_forget(h, i);
	claim_give(slots, i);
}

void
slot_set_peer(struct slot *s, const struct sockaddr *sa)
{
	const struct sockaddr_in *in = (const void *)sa;
	const struct sockaddr_in6 *in6 = (const void *)sa;

	s->family = 0;
	if (sa->sa_family == AF_INET) {
		s->family = 4;
		memcpy(s->peer, &in->sin_addr, 4);
		s->peer_port = ntohs(in->sin_port);
	} else if (sa->sa_family == AF_INET6) {
		s->family = 6;
		memcpy(s->peer, &in6->sin6_addr, 16);
		s->peer_port = ntohs(in6->sin6_port);
	}
}

const char *
slot_peer_name(const struct slot *s, char out[64])
{
	char text[INET6_ADDRSTRLEN];

	if (s->family == 4 && inet_ntop(AF_INET, s->peer, text, sizeof(text)))
		snprintf(out, 64, "%s:%u", text, s->peer_port);
	else if (s->family == 6 &&
	    inet_ntop(AF_INET6, s->peer, text, sizeof(text)))
		snprintf(out, 64, "[%s]:%u", text, s->peer_port);
	else
		snprintf(out, 64, "?");
	return out;
}

bool
slot_read(const struct hub *h, uint32_t i, struct slot *out, uint64_t *id)
{
	uint64_t life;

	if (i >= h->n_slots)
		return false;
	life = SHM_LOAD(h->slot[i].life);
	if ((life & 7) == SLOT_FREE || (life & 7) > SLOT_CLOSING)
		return false;
	memcpy(out, &h->slot[i], sizeof(*out));
	atomic_thread_fence(memory_order_acquire);
	if (SHM_LOAD(h->slot[i].life) >> 3 != life >> 3)
		return false;
	*id = life >> 3 << 32 | i;
	return out->device_len <= SLOT_DEVICE_MAX && out->worker < SHM_WORKERS;
}

void
slot_clear(struct hub *h, int worker)
{
	uint32_t i;

	for (i = 0; i < h->n_slots; i++)
		if (SHM_LOAD(h->slot_owner[i / SHM_BLOCK]) == worker + 1 &&
		    slot_state(h, i) != SLOT_FREE)
			slot_forget(h, i);
	claim_clear(h->slot_owner, h->n_slots, worker);
}
