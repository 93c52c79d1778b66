/* door: the client protocols. Layer 3; doors do not know each other. */
#ifndef CHATD_DOOR_DOOR_H
#define CHATD_DOOR_DOOR_H

#include "conn/chat.h"
#include "codec/http.h"
#include "codec/name.h"
#include "net/endpoint.h"

extern const struct door_ops plain_door;
extern const struct door_ops echo_door;
extern const struct door_ops centrifugo_door;

/* All doors as endpoints know them: [ENDPOINT_DOORS]. */
const struct endpoint_door *door_words(void);

/* What is to be done with a request. */
struct route {
	int status; /* 101: open the door; else answer and close */
	enum slot_door door;
	const char *body;     /* one line, sent with a newline, or a page */
	size_t body_len;      /* of a page; 0: body is a line */
	const char *type;     /* Content-Type of the body */
	const char *headers;  /* further ones, each with CRLF; "" */
	const char *protocol; /* subprotocol chosen; NULL: none */
	char user[NAME_UNPROVED_MAX];
	char device[SLOT_DEVICE_MAX];
	uint8_t user_len, device_len;
	bool keep;	/* the connection stays, for another request */
	bool head;	/* the request was HEAD: no body is sent */
	char line[512]; /* what body points to, if it was made for a request */
	/* For the log, of a refusal: the reason in short, text of the client
	 * that it is about, in the request's own bytes, and the key that can
	 * allow it; or none. */
	const char *why;
	struct http_span about;
	const char *key;
};

/* Judges a parsed request: host, path, method, upgrade, origin, user. */
void route_request(const struct conf_live *live, const struct http_request *r,
    struct route *out);

/*
 * Judges a request for the server API: false if it is for something else;
 * status 100 if its body is to be read.
 */
bool api_route(const struct conf_live *live, const struct http_request *r,
    struct route *out);

/* Does what a body says: status, body and its type of the answer, which is good
 * until the next call. */
void api_answer(struct chat *ch, const struct http_request *r, const char *body,
    size_t len, struct route *out);

/* The longest body that is read, bytes. */
size_t api_body_max(const struct conf_live *live);

/* Fills *out with the answer to a head that http_parse refused, and with 408
 * and 503: the status and one line of text. */
void route_refuse(int status, const char *why, struct route *out);

/*
 * Keeps the name that came in the URL for a connection of the centrifugo door
 * that is to be opened: its connect command enters it. len 0: forgets it.
 * False: input-memory is full.
 */
bool
centrifugo_name(struct chat *ch, uint32_t conn, const char *name, size_t len);

/* The whole answer, 101 or other. Returns its length (truncation cannot
 * happen with cap >= ROUTE_ANSWER_MAX + body_len). */
enum { ROUTE_ANSWER_MAX = 8192 };
size_t route_answer(const struct route *route, const struct http_request *r,
    char *out, size_t cap);

/* Makes the web page that is built in ready, once, before the first fork. */
void web_init(void);

/*
 * Reads the files of a folder and puts an image of them, tags made, into a
 * bundle that is being filled; a file that cannot be read is noted there. Not
 * for a process that must not wait. Returns 0, or -1 and errno.
 */
enum { WEB_IMAGE_MAX = 3 * 1024 * 1024 + 4096 };
struct bundle;
int web_read(const char *folder, struct bundle *b);

/*
 * Maps an image from a sealed memory file and serves it from now on, and for
 * files that it lacks those that are built in; the one before is unmapped.
 * Returns 0, or -1 and errno: it is none, and nothing changes.
 */
int web_map(int fd);

/* Logs which files an image lacks, and why. */
void web_log(const char *folder, const char *image, size_t len);

#endif
