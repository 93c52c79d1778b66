/* web: the files of the web page. For web.c and files.c. */
#ifndef CHATD_SRC_DOOR_WEB_H
#define CHATD_SRC_DOOR_WEB_H

#include "door/door.h"

extern const struct door web_door;

enum {
	WEB_FILES = 3,
	WEB_HEADERS = 640,
	WEB_ETAG = 20,
	WEB_FILE_MAX = 1024 * 1024, /* of a folder; answers are held whole */
	WEB_IMAGE_MAX = 3 * 1024 * 1024 + 4096
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

#endif
