/* http_key: the answer to a WebSocket's key (RFC 6455, 4.2.2). */
#include <endian.h>
#include <netinet/in.h>
#include <resolv.h>
#include <sha1.h>
#include <string.h>

#include "codec/http.h"

void
http_accept_key(const char *key, char out[29])
{
	/* what is hashed, padded here: SHA1Update() and SHA1Final() cost more
	 * than the hash itself */
	static const uint8_t tail[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
				      "\x80";
	uint8_t block[2][SHA1_BLOCK_LENGTH] = {{0}};
	uint8_t digest[SHA1_DIGEST_LENGTH];
	const uint64_t bits = htobe64((HTTP_KEY_LEN + sizeof(tail) - 2) * 8);
	uint32_t word;
	SHA1_CTX ctx;

	_Static_assert(HTTP_KEY_LEN + sizeof(tail) - 1 <= SHA1_BLOCK_LENGTH,
	    "the length is in the second block");
	memcpy(block[0], key, HTTP_KEY_LEN);
	memcpy(block[0] + HTTP_KEY_LEN, tail, sizeof(tail) - 1);
	memcpy(
	    block[1] + SHA1_BLOCK_LENGTH - sizeof(bits), &bits, sizeof(bits));
	SHA1Init(&ctx);
	SHA1Transform(ctx.state, block[0]);
	SHA1Transform(ctx.state, block[1]);
	for (size_t k = 0; k < SHA1_DIGEST_LENGTH / sizeof(word); k++) {
		word = htobe32(ctx.state[k]);
		memcpy(digest + k * sizeof(word), &word, sizeof(word));
	}
	b64_ntop(digest, sizeof(digest), out, 29);
}
