/*
 * door: what the doors serve by HTTP: files, and which path is whose. Layer 4.
 * Doors do not know each other; other layers reach them through
 * door/registry.h.
 */
#ifndef CHATD_DOOR_DOOR_H
#define CHATD_DOOR_DOOR_H

#include "codec/http.h"
#include "conf/conf.h"
#include "conn/door.h"
#include "conn/route.h"

struct bundle;

/*
 * Files of a folder that a door serves, or such as are built in. A folder is
 * read by a process that may wait for a disk, into an image that all others
 * map.
 */
struct door_files {
	/* Puts an image of a folder's files into a bundle that is being filled;
	 * a file that cannot be read is noted there. Returns 0, or -1 and
	 * errno. */
	int (*read)(const char *folder, struct bundle *b);
	/* Maps an image from a sealed memory file and serves it from now on,
	 * and for files that it lacks those that are built in; the one before
	 * is unmapped. Returns 0, or -1 and errno: nothing changes. */
	int (*map)(int fd);
	/* Logs which files an image lacks, and why. */
	void (*log)(const char *folder, const char *image, size_t len);
};

/* Judges a parsed request: host, path, method, upgrade, origin, user. */
void route_request(const struct conf_live *live, const struct http_request *r,
    struct route *out);

/* Whether requests for a path may have a body, for http_parse(). */
bool route_takes_body(struct http_span path);

/* Both, for the chat's `judge`. */
extern const struct route_judge door_judge;

/* Takes `user` and `device` out of the query; `missing` is said where there is
 * no user; NULL: there need not be. Returns NULL, or what is wrong. */
const char *route_names(
    const struct http_request *r, const char *missing, struct route *out);

#endif
