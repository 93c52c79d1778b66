/* access: whether clients may connect without a proof of their name. */

#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/address.h"
#include "parse.h"

/* How far an address "host:port" reaches. A name is not looked up: public. */
static enum address_reach
access_reach(const char *address)
{
	const char *colon = strrchr(address, ':');
	enum address_reach reach;
	size_t len;

	if (colon == NULL)
		return ADDRESS_PUBLIC;
	len = (size_t)(colon - address);
	if (len == strlen("localhost") &&
	    strncasecmp(address, "localhost", len) == 0)
		return ADDRESS_LOOPBACK;
	reach = address_reach(address, len);
	return reach == ADDRESS_NONE ? ADDRESS_PUBLIC : reach;
}

/* Whether all listeners are on loopback. */
bool
conf_loopback(const struct conf *c)
{
	int i;

	for (i = 0; i < c->n_listen; i++)
		if (access_reach(c->listen[i]) != ADDRESS_LOOPBACK)
			return false;
	return c->n_listen > 0;
}

/* Whether a client may connect under any name. */
bool
conf_insecure(const struct conf *c)
{
	if (c->live.insecure_set)
		return c->live.insecure;
	return c->live.token_key[0] == '\0' && conf_loopback(c);
}

/* Whether the file's `insecure` is allowed with those listeners. */
const char *
conf_access_judge(const struct conf *c, const struct conf *running)
{
	int i;

	if (!c->live.insecure_set || !c->live.insecure ||
	    c->live.insecure_public)
		return NULL;
	for (i = 0; i < running->n_listen; i++)
		if (access_reach(running->listen[i]) == ADDRESS_PUBLIC)
			return conf_complain("insecure yes: chatd listens at "
					     "%.64s, where strangers may come "
					     "in; set a token-key and insecure "
					     "no, or, if anybody may come in "
					     "under any name, insecure public",
			    running->listen[i]);
	return NULL;
}

/* Writes into the live configuration what workers need to know of
 * `insecure`. */
void
conf_access_settle(struct conf *c, const struct conf *running)
{
	struct conf_live *live = &c->live;

	live->insecure =
	    conf_insecure(c) && (live->insecure_set || conf_loopback(running));
	if (gethostname(live->machine, sizeof(live->machine)) == -1)
		live->machine[0] = '\0';
	live->machine[sizeof(live->machine) - 1] = '\0';
}
