#include "net/endpoint.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/nearest.h"
#include "codec/framing.h"
#include "net/transport.h"

static const char *const purposes[] = {[ENDPOINT_PUBLIC] = "public",
    [ENDPOINT_CLIENTS] = "clients",
    [ENDPOINT_ADMIN] = "admin",
    [ENDPOINT_REDIRECT] = "tls-redirect"};

enum { N_PURPOSES = sizeof(purposes) / sizeof(purposes[0]), WORD_MAX = 32 };

const struct endpoints endpoints_usual = {.n = 1,
    .at[0] = {.fd = -1,
	.purpose = ENDPOINT_PUBLIC,
	.transport = TRANSPORT_USUAL,
	.framing = FRAMING_USUAL,
	.doors = UINT32_MAX}};

/* What the words have said so far. */
struct endpoint_draft {
	struct endpoint *e;
	const struct endpoint_door *doors;
	bool purpose, transport, framing; /* a word has said it */
};

/* The number of the purpose of a name; -1: there is none. */
static int
purpose_find(const char *name)
{
	for (int k = 0; k < N_PURPOSES; k++)
		if (strcmp(purposes[k], name) == 0)
			return k;
	return -1;
}

/* The number of the door of a name; 0: there is none. */
static unsigned
door_find(const struct endpoint_door *doors, const char *name)
{
	for (unsigned k = 1; k < ENDPOINT_DOORS; k++)
		if (doors[k].name != NULL && strcmp(doors[k].name, name) == 0)
			return k;
	return 0;
}

/* Whether a door is spoken in an endpoint's framing. */
static bool
door_speaks(const struct endpoint_door *door, const struct framing *framing)
{
	if (door->name == NULL)
		return false;
	return door->framing != NULL ? strcmp(door->framing, framing->name) == 0
				     : framing->http;
}

/* Appends a word to a list. */
static void
word_add(char *out, size_t size, const char *word)
{
	if (out[0] != '\0')
		strlcat(out, " ", size);
	strlcat(out, word, size);
}

/* All known words, and the nearest one to a word that is unknown. */
struct endpoint_words {
	char all[ENDPOINT_TEXT];
	struct nearest nearest;
};

/* Adds a known word. */
static void
word_offer(struct endpoint_words *w, const char *word)
{
	word_add(w->all, sizeof(w->all), word);
	nearest_offer(&w->nearest, word);
}

/* Complains about a word that is unknown. */
static int
word_no_such(const struct endpoint_door *doors, const char *word, char *error,
    size_t len)
{
	struct endpoint_words w = {.nearest = {.word = word}};

	for (int k = 0; k < N_PURPOSES; k++)
		word_offer(&w, purposes[k]);
	for (uint8_t k = 1; k < TRANSPORTS_MAX; k++)
		if (transports[k] != NULL)
			word_offer(&w, transports[k]->name);
	for (uint8_t k = 1; k < FRAMINGS_MAX; k++)
		if (framing_of(k) != NULL)
			word_offer(&w, framing_of(k)->name);
	for (unsigned k = 1; k < ENDPOINT_DOORS; k++)
		if (doors[k].name != NULL)
			word_offer(&w, doors[k].name);
	snprintf(error, len, "\"%s\" is unknown; %s%s%sknown words are %s",
	    word, w.nearest.best != NULL ? "did you mean " : "",
	    w.nearest.best != NULL ? w.nearest.best : "",
	    w.nearest.best != NULL ? "? " : "", w.all);
	return -1;
}

/* Sets a field that one word may set, and no second one; `before` is the word
 * for what the field has. */
static int
word_once(bool *said, uint8_t *to, int value, const char *word,
    const char *before, char *error, size_t len)
{
	if (!*said) {
		*said = true;
		*to = (uint8_t)value;
		return 0;
	}
	if (*to == value)
		snprintf(error, len, "%s: another word says so already", word);
	else
		snprintf(error, len, "%s and %s contradict each other", before,
		    word);
	return -1;
}

/* Takes one word. */
static int
word_take(struct endpoint_draft *d, const char *word, char *error, size_t len)
{
	struct endpoint *e = d->e;
	int number;

	if ((number = purpose_find(word)) != -1)
		return word_once(&d->purpose, &e->purpose, number, word,
		    purposes[e->purpose], error, len);
	if ((number = transport_find(word)) != 0)
		return word_once(&d->transport, &e->transport, number, word,
		    transports[e->transport]->name, error, len);
	if ((number = framing_find(word)) != 0)
		return word_once(&d->framing, &e->framing, number, word,
		    framing_of(e->framing)->name, error, len);
	if ((number = (int)door_find(d->doors, word)) == 0)
		return word_no_such(d->doors, word, error, len);
	e->doors |= 1u << number;
	return 0;
}

/* The doors that are spoken in a framing: a bit for each. */
static uint32_t
doors_speaking(const struct endpoint_door *doors, const struct framing *framing)
{
	uint32_t speak = 0;

	for (unsigned k = 1; k < ENDPOINT_DOORS; k++)
		if (door_speaks(&doors[k], framing))
			speak |= 1u << k;
	return speak;
}

/* Whether the words of an endpoint that is not for clients leave it without a
 * door. */
static int
doors_none(struct endpoint_draft *d, char *error, size_t len)
{
	const struct framing *framing = framing_of(d->e->framing);
	const char *purpose = purposes[d->e->purpose];

	if (d->e->doors != 0)
		snprintf(error, len,
		    "%s is a door for clients, and %s opens none",
		    d->doors[__builtin_ctz(d->e->doors)].name, purpose);
	else if (!framing->http)
		snprintf(error, len,
		    "%s serves requests by HTTP, and %s has none", purpose,
		    framing->name);
	else if (d->e->purpose == ENDPOINT_REDIRECT &&
	    d->e->transport != TRANSPORT_USUAL)
		snprintf(error, len,
		    "%s is for clients that do not come by %s yet", purpose,
		    transports[d->e->transport]->name);
	else
		return 0;
	return -1;
}

/* Opens the doors that the words have named, or else all of the framing. */
static int
doors_open(struct endpoint_draft *d, char *error, size_t len)
{
	const struct framing *framing = framing_of(d->e->framing);
	uint32_t speak = doors_speaking(d->doors, framing);

	if (d->e->purpose == ENDPOINT_ADMIN ||
	    d->e->purpose == ENDPOINT_REDIRECT)
		return doors_none(d, error, len);
	for (unsigned k = 1; k < ENDPOINT_DOORS; k++)
		if (d->e->doors & ~speak & 1u << k) {
			snprintf(error, len, "the door %s does not speak %s",
			    d->doors[k].name, framing->name);
			return -1;
		}
	if (d->e->doors == 0)
		d->e->doors = speak;
	if (framing->http || endpoint_only_door(d->e) != 0)
		return 0;
	snprintf(error, len, "%s needs one door, by its name", framing->name);
	return -1;
}

int
endpoint_parse(struct endpoint *e, const char *words,
    const struct endpoint_door *doors, char *error, size_t error_len)
{
	struct endpoint_draft d = {.e = e, .doors = doors};
	char word[WORD_MAX];
	size_t n;

	e->purpose = ENDPOINT_PUBLIC;
	e->transport = TRANSPORT_USUAL;
	e->framing = FRAMING_USUAL;
	e->doors = 0;
	for (; words != NULL && *words != '\0'; words += n) {
		words += strspn(words, " ");
		n = strcspn(words, " ");
		if (n == 0)
			break;
		snprintf(word, sizeof(word), "%.*s", (int)n, words);
		if (word_take(&d, word, error, error_len) == -1)
			return -1;
	}
	return doors_open(&d, error, error_len);
}

void
endpoint_words(const struct endpoint *e, const struct endpoint_door *doors,
    char out[ENDPOINT_TEXT])
{
	const struct framing *framing = framing_of(e->framing);
	uint32_t all = doors_speaking(doors, framing);

	out[0] = '\0';
	word_add(out, ENDPOINT_TEXT, purposes[e->purpose]);
	word_add(out, ENDPOINT_TEXT, transports[e->transport]->name);
	word_add(out, ENDPOINT_TEXT, framing->name);
	/* With HTTP no door is named if all are open, so that a later program
	 * opens those that it adds, too. A framing without HTTP names its one
	 * door, in case the later program has a second one. */
	if (framing->http && (e->doors & all) == all)
		return;
	for (unsigned k = 1; k < ENDPOINT_DOORS; k++)
		if (e->doors & all & 1u << k)
			word_add(out, ENDPOINT_TEXT, doors[k].name);
}

unsigned
endpoint_only_door(const struct endpoint *e)
{
	if (e->doors == 0 || (e->doors & (e->doors - 1)) != 0)
		return 0;
	return (unsigned)__builtin_ctz(e->doors);
}

bool
endpoints_add(struct endpoints *all, const struct endpoint *e, int fd)
{
	struct sockaddr_storage sa = {0};
	socklen_t len = sizeof(sa);
	struct endpoint *new;

	if (all->n == ENDPOINTS_MAX)
		return false;
	new = &all->at[all->n++];
	*new = *e;
	new->fd = fd;
	(void)getsockname(fd, (struct sockaddr *)&sa, &len);
	listener_name((struct sockaddr *)&sa, new->name);
	return true;
}

const struct endpoint *
endpoints_find(const struct endpoints *all, const char *name)
{
	for (int k = 0; k < all->n; k++)
		if (strcmp(all->at[k].name, name) == 0)
			return &all->at[k];
	return NULL;
}

/* The address that a socket has; false: none over IP. */
static bool
endpoint_address(int fd, struct sockaddr_storage *sa)
{
	socklen_t len = sizeof(*sa);

	memset(sa, 0, sizeof(*sa));
	return getsockname(fd, (struct sockaddr *)sa, &len) == 0 &&
	    (sa->ss_family == AF_INET || sa->ss_family == AF_INET6);
}

/* Whether two addresses have one port; *same: they are equal. With `any` the
 * first one is every address. */
static bool
endpoint_address_match(const struct sockaddr_storage *l,
    const struct sockaddr_storage *sa, bool *same, bool *any)
{
	const struct sockaddr_in *a = (const void *)l, *b = (const void *)sa;
	const struct sockaddr_in6 *c = (const void *)l, *d = (const void *)sa;

	if (l->ss_family != sa->ss_family)
		return false;
	if (l->ss_family == AF_INET) {
		*same = a->sin_addr.s_addr == b->sin_addr.s_addr;
		*any = a->sin_addr.s_addr == htonl(INADDR_ANY);
		return a->sin_port == b->sin_port;
	}
	*same = memcmp(&c->sin6_addr, &d->sin6_addr, sizeof(c->sin6_addr)) == 0;
	*any = IN6_IS_ADDR_UNSPECIFIED(&c->sin6_addr);
	return c->sin6_port == d->sin6_port;
}

int
endpoints_accepted(const struct endpoints *all, int fd)
{
	struct sockaddr_storage sa, at;
	int k, found = -1;
	bool same, any;

	if (all == &endpoints_usual)
		return 0;
	if (!endpoint_address(fd, &sa))
		return -1;
	for (k = 0; k < all->n; k++) {
		if (!endpoint_address(all->at[k].fd, &at) ||
		    !endpoint_address_match(&at, &sa, &same, &any))
			continue;
		if (same)
			return k;
		if (any)
			found = k;
	}
	return found;
}

bool
endpoints_keep(const struct endpoints *all)
{
	const struct transport *t;

	for (int i = 0; i < all->n; i++) {
		t = transport_of(all->at[i].transport);
		if (t != NULL && t->state_bytes != 0)
			return true;
	}
	return false;
}

void
endpoints_close(struct endpoints *all)
{
	while (all->n > 0)
		close(all->at[--all->n].fd);
}
