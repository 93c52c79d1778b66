#include <arpa/inet.h>
#include <netinet/in.h>

#include <stdio.h>
#include <string.h>

#include "hub/slot.h"

/* A life word. Use counts are 32 bits wide and never 0. */
static uint64_t
life_of(uint32_t use, int worker, enum slot_state state)
{
	return (uint64_t)(use != 0 ? use : 1) << 16 | (uint64_t)worker << 8 |
	    (uint64_t)state;
}

uint32_t
slot_find(const struct hub *h, uint64_t id)
{
	uint32_t i = (uint32_t)id;

	return i < h->n_slots && slot_in_use(h, i) && slot_id(h, i) == id
	    ? i
	    : SHM_NONE;
}

/* From one life word to another. */
static bool
pass(struct hub *h, uint32_t i, uint64_t life, uint64_t next)
{
	if (!atomic_compare_exchange_strong(&h->slot[i].life, &life, next))
		return false;
	KILL_POINT();
	return true;
}

bool
slot_pass(struct hub *h, uint32_t i, int from, enum slot_state was, int to,
    enum slot_state is)
{
	static uint8_t turn; /* of this process, which is one giver */
	uint64_t life = SHM_LOAD(h->slot[i].life);
	uint64_t next = life_of((uint32_t)(life >> 16), to, is);

	if (is == SLOT_MOVING)
		next |= (uint64_t)++turn << 56 | (uint64_t)from << 48;
	return (life & 0xffff) == ((uint64_t)from << 8 | was) &&
	    pass(h, i, life, next);
}

bool
slot_pass_exact(
    struct hub *h, uint32_t i, uint64_t life, int to, enum slot_state is)
{
	return pass(h, i, life, life_of((uint32_t)(life >> 16), to, is));
}

/* Takes this very slot if it is free. */
static bool
slot_take_at(struct hub *h, uint32_t i)
{
	struct slot *s = &h->slot[i];
	uint64_t life = SHM_LOAD(s->life);

	if ((life & 0xff) != SLOT_FREE)
		return false;
	/* before anything else: processes that clean up look only at blocks
	 * that are marked here */
	if (SHM_OWN(h->slot_touched[i / SHM_BLOCK]) == 0)
		SHM_STORE(h->slot_touched[i / SHM_BLOCK], 1);
	if (!atomic_compare_exchange_strong(&s->life, &life,
		life_of((uint32_t)(life >> 16), h->self, SLOT_TAKEN)))
		return false;
	KILL_POINT();
	memset((char *)s + sizeof(s->life), 0, sizeof(*s) - sizeof(s->life));
	s->user = SHM_NONE;
	return true;
}

/* For claim_take_if(): takes a slot if it is free. A slot in a block of this
 * worker may have a connection that moved to another worker; nobody tells this
 * worker when that ends. */
static bool
take_cb(void *arg, uint32_t i)
{
	return slot_take_at(arg, i);
}

uint32_t
slot_take(struct hub *h, struct claim *slots)
{
	uint32_t i = claim_take_if(slots, take_cb, h);

	if (i != SHM_NONE)
		return i;
	for (i = slot_ever(h, 0); i < h->n_slots; i = slot_ever(h, i + 1))
		if (slot_take_at(h, i))
			return i;
	return SHM_NONE;
}

void
slot_set(struct hub *h, uint32_t i, enum slot_state state)
{
	SHM_STORE(h->slot[i].life,
	    (SHM_OWN(h->slot[i].life) & ~0xffull) | (uint64_t)state);
}

/* Frees a slot in one store, which also ends its id for good. */
static void
slot_free(struct hub *h, uint32_t i)
{
	SHM_STORE(h->slot[i].life,
	    life_of(
		(uint32_t)(SHM_OWN(h->slot[i].life) >> 16) + 1, 0, SLOT_FREE));
}

void
slot_release(struct hub *h, struct claim *slots, uint32_t i)
{
	slot_free(h, i);
	claim_give(slots, i);
}

uint32_t
slot_ever(const struct hub *h, uint32_t i)
{
	while (i < h->n_slots && SHM_LOAD(h->slot_touched[i / SHM_BLOCK]) == 0)
		i = (i | (SHM_BLOCK - 1)) + 1;
	return i < h->n_slots ? i : h->n_slots;
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
	if ((life & 0xff) == SLOT_FREE || (life & 0xff) == SLOT_TAKEN ||
	    (life & 0xff) > SLOT_MOVING)
		return false; /* an accepted one is nobody yet */
	memcpy(out, &h->slot[i], sizeof(*out));
	shm_copied();
	if ((uint32_t)(SHM_LOAD(h->slot[i].life) >> 16) !=
	    (uint32_t)(life >> 16))
		return false;
	*id = life >> 16 << 32 | i;
	out->worker = (uint8_t)((life & 7) == SLOT_MOVING ? life >> 48
							  : life >> 8 & 0xff);
	return out->device_len <= SLOT_DEVICE_MAX && out->worker < SHM_WORKERS;
}

void
slot_recall(struct hub *h, int worker)
{
	uint32_t i;

	for (i = slot_ever(h, 0); i < h->n_slots; i = slot_ever(h, i + 1))
		if (slot_state(h, i) == SLOT_MOVING &&
		    slot_giver(h, i) == worker)
			(void)slot_pass(h, i, slot_worker(h, i), SLOT_MOVING,
			    worker, SLOT_OPEN);
}

uint32_t
slot_held(const struct hub *h, int worker)
{
	uint32_t i, n = 0;

	for (i = slot_ever(h, 0); i < h->n_slots; i = slot_ever(h, i + 1))
		if (slot_holder(h, i) == worker && slot_in_use(h, i))
			n++;
	return n;
}

void
slot_clear(struct hub *h, int worker)
{
	uint64_t life;
	uint32_t i;

	for (i = slot_ever(h, 0); i < h->n_slots; i = slot_ever(h, i + 1)) {
		/* read once: a connection of another worker may begin to move
		 * meanwhile */
		life = SHM_LOAD(h->slot[i].life);
		if ((life >> 8 & 0xff) == (uint64_t)worker &&
		    (life & 7) != SLOT_FREE && (life & 7) != SLOT_MOVING)
			slot_free(h, i);
	}
	claim_clear(h->slot_owner, h->n_slots, worker);
}
