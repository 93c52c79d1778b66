/* The web page: three files, built in or from a folder. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/siphash.h"
#include "web.h"

enum { WEB_FILE_MAX = 1024 * 1024 /* of a folder; answers are held whole */ };

/*
 * The page may load what comes from here and connect to here, nothing else;
 * nobody may frame it. It is asked for again each time, but sent only if it
 * has changed: its names do not change with its bytes.
 */
static const char fixed_headers[] =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; "
    "style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cache-Control: no-cache\r\n"
    "Vary: Accept-Encoding\r\n";

/* Makes the headers of one form. All workers must make the same ETag of the
 * same bytes, so the hash has no key. */
static void
form_describe(struct web_form *form, bool gzip)
{
	static const uint8_t key[16];

	if (form->begin == NULL)
		return;
	snprintf(form->etag, sizeof(form->etag), "\"%016llx\"",
	    (unsigned long long)siphash(
		key, form->begin, (size_t)(form->end - form->begin)));
	snprintf(form->headers, sizeof(form->headers), "ETag: %s\r\n%s%s",
	    form->etag, gzip ? "Content-Encoding: gzip\r\n" : "",
	    fixed_headers);
}

/* Reads a whole file; NULL and errno (EFBIG: over WEB_FILE_MAX). */
static char *
read_whole(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), saved;
	char *bytes = NULL;
	struct stat st;
	ssize_t got;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) < 0)
		goto out;
	errno = EINVAL;
	if (!S_ISREG(st.st_mode))
		goto out;
	errno = EFBIG;
	if (st.st_size > WEB_FILE_MAX)
		goto out;
	bytes = malloc((size_t)st.st_size + 1);
	if (bytes == NULL)
		goto out;
	for (*len = 0; *len < (size_t)st.st_size; *len += (size_t)got) {
		got = read(fd, bytes + *len, (size_t)st.st_size - *len);
		if (got > 0)
			continue;
		if (got == 0)
			break; /* it has become shorter */
		free(bytes);
		bytes = NULL;
		break;
	}
out:
	saved = errno;
	close(fd);
	errno = saved;
	return bytes;
}

/* Takes a file from the folder; without it, the one built in stays. */
static void
file_replace(struct web_file *file, const char *folder)
{
	char path[4096];
	char *bytes;
	size_t len;

	snprintf(path, sizeof(path), "%s/%s", folder, file->name);
	bytes = read_whole(path, &len);
	if (bytes == NULL) {
		log_warn("%s: %s; the %s that is built in is served", path,
		    strerror(errno), file->name);
		return;
	}
	file->form[0].begin = bytes;
	file->form[0].end = bytes + len;
	file->form[1].begin = NULL;
}

void
web_init(const char *folder)
{
	int k;

	for (k = 0; k < WEB_FILES; k++) {
		if (folder != NULL)
			file_replace(&web_files[k], folder);
		form_describe(&web_files[k].form[0], false);
		form_describe(&web_files[k].form[1], true);
	}
}

const struct web_file *
web_find(struct http_span path)
{
	int k;

	for (k = 0; k < WEB_FILES; k++)
		if (path.p != NULL && path.len == strlen(web_files[k].path) &&
		    memcmp(path.p, web_files[k].path, path.len) == 0)
			return &web_files[k];
	return NULL;
}

void
web_answer(const struct web_file *file, const struct http_request *r,
    struct route *out)
{
	bool gzip = r->gzip && file->form[1].begin != NULL;
	const struct web_form *form = &file->form[gzip];
	struct http_span seen = r->none_match;

	route_refuse(200, form->begin, out);
	out->body_len = (size_t)(form->end - form->begin);
	out->type = file->type;
	out->headers = form->headers;
	/* a tag has quotes around it and none inside: it is found or it is
	 * not there */
	if (seen.p != NULL &&
	    ((seen.len == 1 && *seen.p == '*') ||
		memmem(seen.p, seen.len, form->etag, strlen(form->etag)) !=
		    NULL))
		out->status = 304;
}
