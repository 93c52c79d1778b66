/*
 * body: requests with a body, which some paths take: by its length or in
 * chunks. One is answered before the next is looked at, and its answer is sent
 * before anything else happens: a backend that gets none knows that, but for
 * the moment between the two, nothing was published. Layer 3.
 */
#ifndef CHATD_CONN_BODY_H
#define CHATD_CONN_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chat;
struct door_route;
struct http_request;

/*
 * Begins with a head of n bytes that has `more` bytes behind it, which are
 * written over. Returns how many bytes the request had if it is answered and
 * another may come; 0: its body goes on in the connection's request, or the
 * connection is ended.
 */
size_t body_begin(struct chat *ch, uint32_t conn, const struct http_request *r,
    const struct door_route *path, char *head, size_t n, size_t more);

/* Reads more of a body. True: it is answered, and another request may come,
 * which begins with *more bytes at *next, good until the next call. */
bool body_input(struct chat *ch, uint32_t conn, char **next, size_t *more);

/*
 * What a request has waited for has come, or not in time: it is looked at
 * again. *another: another one may come, which begins with *more bytes at
 * *next. Returns what has these bytes, for free().
 */
void *body_again(
    struct chat *ch, uint32_t conn, bool *another, char **next, size_t *more);

#endif
