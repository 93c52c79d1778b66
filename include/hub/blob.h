/*
 * blob: up to about 1,000 bytes that go with a connection or subscription
 * (what its token says of it), in one page of the input pool. Layer 2.
 *
 * A page is used again, for a blob or for what another client has sent of a
 * message: it carries the id of its connection, and a reader in another process
 * looks for that id before the copy and after it.
 */
#ifndef CHATD_HUB_BLOB_H
#define CHATD_HUB_BLOB_H

#include "base/other.h"
#include "hub/input.h"

enum { BLOB_MAX = INPUT_PAGE - OTHER_EITHER(16, 32) };

/* Keeps a copy for the connection of that id; returns its number, the link
 * (shm.h) of its page, or 0: too long or no page. */
uint32_t
blob_put(struct input_pool *pool, uint64_t conn, const void *bytes, size_t len);

/* Gives a blob back; 0 is fine. */
void blob_drop(struct input_pool *pool, uint32_t blob);

/* Copies a blob out, from any process. Returns its length; 0: there is none, or
 * it is not that connection's (any more). */
size_t
blob_get(const struct hub *h, uint32_t blob, uint64_t conn, char out[BLOB_MAX]);

#endif
