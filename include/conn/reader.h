/* reader: from a client's bytes to messages. Layer 3. */
#ifndef CHATD_CONN_READER_H
#define CHATD_CONN_READER_H

#include "conn/chat.h"

/* Handles bytes that begin at an input position. */
void conn_input(struct chat *ch, uint32_t i, uint64_t start,
    const uint8_t *bytes, size_t len);

/* Goes on with input that waits. True: there is more of it. */
bool conn_input_rest(struct chat *ch, uint32_t i);

/* Takes one message from the connection's allowance; false if it is over its
 * rate. */
bool conn_rate(struct chat *ch, uint32_t i);

/* Takes n of them for what a client sends that is no message: it has not said
 * anything by it. */
bool conn_rate_quiet(struct chat *ch, uint32_t i, unsigned n);

#endif
