/* web: the files of the web page. For web.c, files.c and route.c. */
#ifndef CHATD_SRC_DOOR_WEB_H
#define CHATD_SRC_DOOR_WEB_H

#include "door/door.h"

enum {
	WEB_FILES = 3,
	WEB_HEADERS = 640,
	WEB_ETAG = 20,
	WEB_FILE_MAX = 1024 * 1024 /* of a folder; answers are held whole */
};

/* One form of a file; begin NULL: there is none. */
struct web_form {
	const char *begin, *end;
	char etag[WEB_ETAG];	   /* of its bytes, in quotes */
	char headers[WEB_HEADERS]; /* those that tell of it */
};

struct web_file {
	const char *path; /* of the request */
	const char *name; /* in the folder */
	const char *type;
	struct web_form form[2]; /* as it is, and with gzip */
};

extern struct web_file web_files[WEB_FILES];

/* The file at a path, or NULL. */
const struct web_file *web_find(struct http_span path);

/* Answers a GET: the file in the form that is wanted, or 304. */
void web_answer(const struct web_file *file, const struct http_request *r,
    struct route *out);

#endif
