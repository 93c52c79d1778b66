/* answer: answers to requests, of connections that are not open. Layer 3. */
#ifndef CHATD_CONN_ANSWER_H
#define CHATD_CONN_ANSWER_H

#include "conn/chat.h"

/* Sends bytes to a connection in CONN_REQUEST and ends it. What the socket
 * does not take at once is copied and follows as it does, for as long as a
 * request may take to come. */
void conn_refuse(struct chat *ch, uint32_t i, const void *answer, size_t len);

/*
 * Sends the answer to a request; with `keep` another one may come. True: all is
 * sent, and the caller goes on with the input behind the request. False: that
 * input, `next`, is kept until the rest of the answer has left, or the
 * connection is ended. The request's bytes may be freed by
 * then.
 */
bool conn_reply(struct chat *ch, uint32_t i, const void *answer, size_t len,
    bool keep, const char *next, size_t next_len);

/* The socket of one in CONN_ANSWER takes more. Returns memory for free() once
 * all has left and another request may come, with the *len bytes of input that
 * came behind its request at *next; NULL: not yet, or it is ended. */
void *conn_answer_more(struct chat *ch, uint32_t i, char **next, size_t *len);

/* The worker is about to go: connections that are between two requests are
 * ended, and no other is kept for another request. */
void conn_part(struct chat *ch);

#endif
