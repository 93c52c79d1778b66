/*
 * door_centrifugo_fuzz: a client of the centrifugo door, whose commands arrive
 * at a worker over a socket. Whatever it sends, what it and others get are
 * whole frames of JSON, and nothing is left of it. Its tokens are signed here,
 * so that their claims are read.
 */
#include "script.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

enum { CLAIMS_MAX = 3000 };

/* Appends base64url; returns where it ends. */
static char *
base64_put(char *out, const uint8_t *in, size_t len)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmn"
				      "opqrstuvwxyz0123456789-_";
	uint32_t bits = 0;
	unsigned have = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		bits = bits << 8 | in[i];
		for (have += 8; have >= 6; have -= 6)
			*out++ = letters[bits >> (have - 6) & 63];
	}
	if (have > 0)
		*out++ = letters[bits << (6 - have) & 63];
	return out;
}

/* Makes a token with these claims; returns where it ends. */
static char *
token_put(char *out, const uint8_t *claims, size_t len)
{
	static const char head[] = "eyJhbGciOiJIUzI1NiJ9.";
	uint8_t mac[EVP_MAX_MD_SIZE];
	unsigned mac_len;
	char *p = out + sizeof(head) - 1;

	memcpy(out, head, sizeof(head) - 1);
	p = base64_put(p, claims, len);
	HMAC(EVP_sha256(), WORLD_KEY, sizeof(WORLD_KEY) - 1,
	    (const unsigned char *)out, (size_t)(p - out), mac, &mac_len);
	*p++ = '.';
	return base64_put(p, mac, mac_len);
}

/* The commands that have a token. */
static bool
token_part(struct world_client *c, int kind, const uint8_t *p, size_t len)
{
	static char text[CLAIMS_MAX * 2];
	const char *before = kind == SCRIPT_CONNECT
	    ? "{\"id\":7,\"connect\":{\"token\":\""
	    : kind == SCRIPT_SUBSCRIBE ? "{\"id\":8,\"subscribe\":{\"channel\":"
					 "\"token\",\"token\":\""
	    : kind == SCRIPT_REFRESH   ? "{\"id\":9,\"refresh\":{\"token\":\""
				       : "{\"id\":9,\"sub_refresh\":{"
					 "\"channel\":\"token\",\"token\":\"";
	char *end;

	if (kind < SCRIPT_CONNECT || kind > SCRIPT_SUB_REFRESH ||
	    len > CLAIMS_MAX)
		return false;
	end = token_put(stpcpy(text, before), p, len);
	end = stpcpy(end, "\"}}");
	world_frame(c, 0x81, text, (size_t)(end - text));
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	script_run(&centrifugo_door, data, size, token_part);
	return 0;
}
