/* host: whose pages may come in where names are not proved. Private to
 * src/door. */
#ifndef CHATD_DOOR_HOST_H
#define CHATD_DOOR_HOST_H

#include "door/door.h"

/*
 * Whether a request is turned away, with the answer in *out, because names are
 * not proved here and it is for a name that is not this server's (421: a page
 * of strangers may have had its name point here), or came through a proxy for
 * a client that is neither on this machine nor in a private network (403).
 */
bool host_refuses(const struct conf_live *live, const struct http_request *r,
    struct route *out);

/* Whether the page that an Origin names may connect; else the answer is in
 * *out. Browsers say where their page came from; others need not. */
bool origin_refuses(const struct conf_live *live, const struct http_request *r,
    struct route *out);

#endif
