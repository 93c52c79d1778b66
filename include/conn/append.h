/* append: what goes to a client is appended to its output. Layer 3. */
#ifndef CHATD_CONN_APPEND_H
#define CHATD_CONN_APPEND_H

#include "conn/chat.h"
#include "conn/recipient.h"
#include "codec/framing.h"

/* Builds and appends one message for one connection that answers the input up
 * to `position` (0: none); parts as for frame_build, without the head. A
 * connection whose answer is longer than any frame or finds no memory is closed
 * with 1009 or 1013. */
void conn_answer(struct chat *ch, uint32_t i, enum framing_kind kind,
    const struct iovec *parts, int n, uint64_t position);

/* conn_answer() of a text that is made from a format. */
void conn_tell(struct chat *ch, uint32_t i, uint64_t position, const char *fmt,
    ...) __attribute__((format(printf, 4, 5)));

#endif
