/* What a token's claims ask for that is done here, and what is not. */
#include <stdio.h>

#include "centrifugo.h"

/* `expire_at`: when what the token allows ends, if not with the token; 0 is
 * never. False: it is not an integer. */
static bool
claims_expiry(const struct chat *ch, struct json_value v, struct claims *claims)
{
	const int64_t most = ch->wall_ms / 1000 + 100ll * 365 * 86400;
	int64_t at = 0;

	if (json_absent(v))
		return true;
	if (!take_int(v, &at))
		return false;
	claims->expires_ms =
	    ch->live.insecure || at <= 0 || at > most ? 0 : at * 1000;
	return true;
}

enum centrifugo_error
claims_judge(const struct command *c, enum member_of of, struct claims *claims)
{
	struct json_value v[CLAIM_MEMBERS] = {0};
	const char *name;
	char why[128];

	if (members_take(c->ch, of, claims->all, v, &name) != 0) {
		snprintf(
		    why, sizeof(why), "its claim `%s` is not supported", name);
		return token_refuse(c, why);
	}
	if (!take_type(v[CLAIM_CHANNELS], JSON_ARRAY))
		return token_refuse(c, "its claim `channels` is not a list");
	if (!claims_expiry(c->ch, v[CLAIM_EXPIRE_AT], claims))
		return token_refuse(c, "its claim `expire_at` is not a number");
	return C_OK;
}
