/* token.h - the mark at the start of every message body:
 * ~SSSSSSQQQQQQQQTTTTTTTTTTTTTTTT~ with the sender's number, the sender's
 * sequence number and the send time in ns, in hexadecimal. */
#ifndef WSLOAD_TOKEN_H
#define WSLOAD_TOKEN_H

#include <stdint.h>

enum { TOKEN_MARK = '~', TOKEN_LEN = 32 };

struct token {
	uint32_t sender;
	uint32_t seq;
	uint64_t ns;
};

void token_write(uint8_t out[TOKEN_LEN], struct token t);

/* Returns 1 and fills *t in if a token stands at p. */
int token_read(const uint8_t p[TOKEN_LEN], struct token *t);

#endif
