/*
 * user_here: the connections here of each user. The first one of a user is
 * found by hash: of a first connection `previous` leads to the first one of
 * another user in the same bucket. There are as many buckets as users, and one
 * more is made for one more user, of half of another one (linear hashing): so
 * nothing is allocated or copied, and no user waits for others.
 */
#include "base/sparse.h"
#include "room/rooms.h"
#include "room/user.h"

/* The bucket of a presence entry. */
static uint32_t
here_bucket(const struct users_here *u, uint32_t entry)
{
	uint32_t hash = entry * 0x9e3779b1u, k;

	hash ^= hash >> 16; /* entries that come here may have a stride */
	k = hash & (2 * u->half - 1);
	return k < u->n_buckets ? k : k - u->half;
}

/* The link to a user's first connection here, or the 0 that ends its bucket. */
static uint32_t *
here_link(const struct chat *ch, uint32_t entry)
{
	const struct users_here *u = &ch->rooms->users;
	uint32_t *at = &u->bucket[here_bucket(u, entry)];
	struct conn *c;

	for (; *at != 0; at = &c->user.previous) {
		c = &ch->conn[shm_index(*at)];
		if (c->user.entry == entry)
			break;
	}
	return at;
}

/* Makes one more bucket of those users in another one that belong there. */
static void
here_split(struct chat *ch)
{
	struct users_here *u = &ch->rooms->users;
	uint32_t made = u->n_buckets++, *at = &u->bucket[made - u->half];
	uint32_t *to = &u->bucket[made];
	struct conn *c;

	*to = 0;
	while (*at != 0) {
		c = &ch->conn[shm_index(*at)];
		if (here_bucket(u, c->user.entry) == made) {
			*to = *at;
			to = &c->user.previous;
			*at = *to;
			*to = 0;
		} else
			at = &c->user.previous;
	}
	if (u->n_buckets == 2 * u->half)
		u->half = u->n_buckets;
}

int
user_list_init(struct chat *ch)
{
	struct users_here *u = &ch->rooms->users;

	*u = (struct users_here){.n_buckets = 1, .half = 1};
	u->bucket = sparse_new(ch->hub->n_slots, sizeof(*u->bucket));
	return u->bucket != NULL ? 0 : -1;
}

uint32_t
user_list_first(const struct chat *ch, uint32_t entry)
{
	return shm_index(*here_link(ch, entry));
}

uint32_t
user_list_next(const struct chat *ch, uint32_t conn)
{
	return shm_index(ch->conn[conn].user.next);
}

void
user_list_add(struct chat *ch, uint32_t conn, uint32_t entry)
{
	struct users_here *u = &ch->rooms->users;
	uint32_t *at = here_link(ch, entry);
	struct conn *c = &ch->conn[conn], *first;

	c->user.entry = entry;
	c->user.next = *at;
	c->user.previous = 0;
	if (*at != 0) {
		first = &ch->conn[shm_index(*at)];
		c->user.previous = first->user.previous;
		first->user.previous = shm_link(conn);
	}
	*at = shm_link(conn);
	if (c->user.next == 0 && u->n++ == u->n_buckets &&
	    u->n_buckets < ch->hub->n_slots)
		here_split(ch);
}

bool
user_list_remove(struct chat *ch, uint32_t conn)
{
	struct conn *c = &ch->conn[conn];
	uint32_t *at = here_link(ch, c->user.entry), next = c->user.next;
	const bool first = *at == shm_link(conn);

	if (first)
		*at = next != 0 ? next : c->user.previous;
	else
		ch->conn[shm_index(c->user.previous)].user.next = next;
	if (next != 0)
		ch->conn[shm_index(next)].user.previous = c->user.previous;
	if (!first || next != 0)
		return false;
	ch->rooms->users.n--;
	return true;
}
