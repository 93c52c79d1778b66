/* Tokens: who somebody is, and for how long. */
#include <string.h>

#include "base/log.h"
#include "centrifugo.h"
#include "codec/jwt.h"
#include "codec/name.h"

/* Takes the user's name; the empty one is nobody's. */
static bool
take_user(struct claims *out)
{
	struct json_value v;

	json_member(out->all, "sub", &v);
	if (!take_string(v, out->user, sizeof(out->user), &out->user_len) ||
	    out->user_len == SIZE_MAX)
		return false;
	return out->user_len == 0 ||
	    name_check_signed(out->user, out->user_len) == NULL;
}

/* Takes what else is said of him, without white space. */
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

/* Says in the log why a token is refused, and is that error. */
static enum centrifugo_error
refuse(const char *why)
{
	log_info("a token was refused: %s", why);
	return C_END_INVALID_TOKEN;
}

enum centrifugo_error
token_read(struct chat *ch, struct json_value token, struct claims *out)
{
	static char text[JWT_TOKEN_MAX], claims[JWT_CLAIMS_MAX];
	const struct jwt_key key = {
	    JWT_HS256, ch->live.token_key, strlen(ch->live.token_key)};
	enum jwt_result r;
	int64_t expires;
	size_t len;

	if (!take_string(token, text, sizeof(text), &len) || len == SIZE_MAX)
		return refuse("too long");
	if (key.secret_len == 0)
		return refuse("there is no token-key");
	r = jwt_verify(&key, text, len, claims, &out->all);
	if (r == JWT_OK)
		r = jwt_check_claims(out->all, (double)ch->wall_ms / 1000,
		    ch->live.token_audience, ch->live.token_issuer, &expires);
	if (r == JWT_EXPIRED || r == JWT_NOT_YET)
		return C_TOKEN_EXPIRED;
	if (r != JWT_OK)
		return refuse(jwt_result_name(r));
	if (!take_user(out))
		return refuse("bad sub");
	if (!take_info(out))
		return refuse("info is too long");
	/* 100 years are as good as never, and no time overflows */
	if (expires > ch->wall_ms / 1000 + 100ll * 365 * 86400)
		expires = 0;
	out->expires_ms = ch->live.insecure ? 0 : expires * 1000;
	return C_OK;
}

uint32_t
info_keep(struct chat *ch, uint32_t conn, const struct claims *claims)
{
	uint32_t blob = blob_put(
	    &ch->input, slot_id(ch->hub, conn), claims->info, claims->info_len);

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
