/* Tokens: who a user is, and for how long. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "conn/head.h"
#include "centrifugo.h"
#include "codec/jwt.h"

/* Takes what else is said of the user, without white space. */
static bool
take_info(struct claims *out)
{
	struct json_writer w;
	struct json_value v;

	out->info_len = 0;
	if (!json_member(out->all, "info", &v) || json_absent(v))
		return true;
	json_writer_init(&w, out->info, sizeof(out->info));
	json_put_compact(&w, v);
	out->info_len = w.len;
	return !json_writer_failed(&w);
}

_Static_assert((int)CONF_TOKEN_SIZE_MAX <= (int)JWT_TOKEN_MAX, "conf.h");

enum centrifugo_error
token_refuse(const struct command *c, const char *why)
{
	char peer[64];

	log_info("%s: a token is refused: %s",
	    slot_peer_name(command_slot(c), peer), why);
	return C_END_INVALID_TOKEN;
}

/* Verifies a token's text and the claims that all tokens may have. */
static enum jwt_result
token_verify(struct chat *ch, const char *text, size_t len, struct claims *out,
    int64_t *expires)
{
	static char claims[JWT_CLAIMS_MAX];
	const struct conf_live *live = &ch->live;
	const struct jwt_key key = {
	    JWT_HS256, live->token_key, strlen(live->token_key)};
	const struct jwt_terms terms = {(double)ch->wall_ms / 1000,
	    (double)live->token_leeway_ms / 1000, live->token_audience,
	    live->token_issuer};
	enum jwt_result r = jwt_verify(&key, text, len, claims, &out->all);

	return r == JWT_OK ? jwt_check_claims(out->all, &terms, expires) : r;
}

enum centrifugo_error
token_read(const struct command *c, struct json_value token, enum token_use use,
    struct claims *out)
{
	static char text[CONF_TOKEN_SIZE_MAX];
	const struct conf_live *live = &c->ch->live;
	int64_t expires = 0;
	enum jwt_result r;
	char why[64];
	const char *wrong;
	size_t len;

	if (!take_string(token, text, live->token_size, &len) ||
	    len == SIZE_MAX) {
		snprintf(why, sizeof(why), "longer than token-size, %u bytes",
		    live->token_size);
		return token_refuse(c, why);
	}
	if (live->token_key[0] == '\0')
		return token_refuse(c, "there is no token-key");
	r = token_verify(c->ch, text, len, out, &expires);
	if (r != JWT_OK)
		(void)token_refuse(c, jwt_result_name(r));
	if (r == JWT_EXPIRED || r == JWT_NOT_YET)
		return C_TOKEN_EXPIRED;
	if (r != JWT_OK)
		return C_END_INVALID_TOKEN;
	if (use == TOKEN_CONNECTS && jwt_is_for_channel(out->all))
		return token_refuse(
		    c, "it has a channel: it is a subscription's");
	wrong = jwt_subject(out->all, out->user, &out->user_len);
	if (wrong != NULL)
		return token_refuse(c, wrong);
	if (!take_info(out))
		return token_refuse(c, "info is too long");
	/* 100 years are as good as never, and no time overflows */
	if (expires > c->ch->wall_ms / 1000 + 100ll * 365 * 86400)
		expires = 0;
	out->expires_ms = live->insecure ? 0 : expires * 1000;
	return C_OK;
}

uint32_t
info_keep(struct chat *ch, uint32_t conn, const struct claims *claims)
{
	uint32_t blob = head_blob(
	    ch, slot_id(ch->hub, conn), claims->info, claims->info_len);

	if (blob == 0 && claims->info_len > 0)
		log_warn("input-memory is full: a token's info is not kept");
	return blob;
}

void
info_replace(
    struct chat *ch, uint32_t conn, uint32_t *info, const struct claims *claims)
{
	uint32_t before = *info;

	/* first: until then the other one is what others may read */
	*info = info_keep(ch, conn, claims);
	KILL_POINT();
	blob_drop(&ch->input, before);
}

void
put_expiry(struct chat *ch, struct json_writer *w, uint64_t expires_ms)
{
	int64_t left = (int64_t)expires_ms - ch->wall_ms;

	if (expires_ms == 0)
		return;
	json_put_name(w, "expires");
	json_put_bool(w, true);
	json_put_name(w, "ttl");
	json_put_int(w, left > 1000 ? left / 1000 : 1);
}
