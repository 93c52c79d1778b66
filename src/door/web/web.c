/*
 * The web page: three files, built in or from a folder. A folder is read by a
 * process of its own, into an image that all others map.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bundle.h"
#include "base/log.h"
#include "base/siphash.h"
#include "web.h"

/* The head of an image; the files' bytes follow. */
struct image {
	char magic[8];
	struct image_file {
		uint32_t at, len; /* of its bytes, from the image's begin */
		int32_t error;	  /* errno: could not be read */
		char etag[WEB_ETAG];
	} file[WEB_FILES];
};

static const char image_magic[8] = "chatdweb";

_Static_assert(sizeof(struct image) + WEB_FILES * WEB_FILE_MAX <= WEB_IMAGE_MAX,
    "an image of files of the largest size is allowed");

static struct web_form built_in[WEB_FILES][2];

/*
 * The page may load what comes from here and connect to here, nothing else; no
 * other page may frame it. Browsers ask again each time, as its URLs do not
 * change with its bytes, and get it only if it has changed.
 */
static const char fixed_headers[] =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; "
    "style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cache-Control: no-cache\r\n"
    "Vary: Accept-Encoding\r\n";

/* Makes the tag of some bytes. The same bytes must have the same tag whenever
 * they are read, so the hash has no key. */
static void
etag_make(char etag[WEB_ETAG], const char *bytes, size_t len)
{
	static const uint8_t key[16];

	snprintf(etag, WEB_ETAG, "\"%016llx\"",
	    (unsigned long long)siphash(key, bytes, len));
}

/* Makes the headers of one form, whose tag is known. */
static void
form_describe(struct web_form *form, bool gzip)
{
	char tag[WEB_ETAG];

	memcpy(tag, form->etag, sizeof(tag));
	snprintf(form->headers, sizeof(form->headers), "ETag: %s\r\n%s%s", tag,
	    gzip ? "Content-Encoding: gzip\r\n" : "", fixed_headers);
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

/* Makes those that are built in ready, when the first of them is asked for: a
 * process that begins has no time for that. */
static void
built_in_make(void)
{
	static bool made;

	if (made)
		return;
	made = true;
	for (int k = 0; k < WEB_FILES; k++)
		for (int gzip = 0; gzip < 2; gzip++) {
			struct web_form *form = &web_files[k].form[gzip];

			etag_make(form->etag, form->begin,
			    (size_t)(form->end - form->begin));
			form_describe(form, gzip);
			built_in[k][gzip] = *form;
		}
}

static int
web_read(const char *folder, struct bundle *b)
{
	struct image head = {.file = {{.at = 0}}};
	char *image = malloc(WEB_IMAGE_MAX), *bytes, path[4096];
	size_t used = sizeof(head), len;
	int r;

	if (image == NULL)
		return -1;
	memcpy(head.magic, image_magic, sizeof(head.magic));
	for (int k = 0; k < WEB_FILES; k++) {
		struct image_file *file = &head.file[k];

		snprintf(
		    path, sizeof(path), "%s/%s", folder, web_files[k].name);
		b->begin(b->arg, path);
		bytes = read_whole(path, &len);
		file->error = bytes == NULL ? errno : 0;
		if (bytes == NULL)
			continue;
		file->at = (uint32_t)used;
		file->len = (uint32_t)len;
		etag_make(file->etag, bytes, len);
		memcpy(image + used, bytes, len);
		used += len;
		free(bytes);
	}
	memcpy(image, &head, sizeof(head));
	r = bundle_put(b, BUNDLE_PAGE, folder, 0, image, used);
	free(image);
	return r;
}

/* Copies the head of an image; false: it is none. */
static bool
image_head(const char *image, size_t len, struct image *head)
{
	if (len < sizeof(*head) || len > WEB_IMAGE_MAX)
		return false;
	memcpy(head, image, sizeof(*head));
	if (memcmp(head->magic, image_magic, sizeof(head->magic)) != 0)
		return false;
	for (int k = 0; k < WEB_FILES; k++) {
		const struct image_file *file = &head->file[k];

		if (file->error == 0 &&
		    (file->at < sizeof(*head) || file->at > len ||
			file->len > len - file->at ||
			memchr(file->etag, '\0', sizeof(file->etag)) == NULL))
			return false;
	}
	return true;
}

/* Has an image served from now on; false: it is none. */
static bool
image_use(const char *image, size_t len)
{
	struct image head;

	if (!image_head(image, len, &head))
		return false;
	built_in_make();
	for (int k = 0; k < WEB_FILES; k++) {
		const struct image_file *file = &head.file[k];
		struct web_form *form = web_files[k].form;

		memcpy(form, built_in[k], sizeof(built_in[k]));
		if (file->error != 0)
			continue;
		form[0].begin = image + file->at;
		form[0].end = form[0].begin + file->len;
		memcpy(form[0].etag, file->etag, sizeof(form[0].etag));
		form_describe(&form[0], false);
		form[1].begin = NULL;
	}
	return true;
}

static int
web_map(int fd)
{
	static void *mapped; /* what is served now; NULL: built in */
	static size_t mapped_len;
	const int held = fcntl(fd, F_GET_SEALS);
	struct stat st;
	void *image;

	if (held == -1 || fstat(fd, &st) == -1)
		return -1;
	/* What could become shorter would kill who reads it. */
	errno = EINVAL;
	if ((held & F_SEAL_SHRINK) == 0 || (held & F_SEAL_WRITE) == 0 ||
	    st.st_size <= 0 || st.st_size > WEB_IMAGE_MAX)
		return -1;
	image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (image == MAP_FAILED)
		return -1;
	if (!image_use(image, (size_t)st.st_size)) {
		munmap(image, (size_t)st.st_size);
		errno = EINVAL;
		return -1;
	}
	if (mapped != NULL)
		munmap(mapped, mapped_len);
	mapped = image;
	mapped_len = (size_t)st.st_size;
	return 0;
}

static void
web_log(const char *folder, const char *image, size_t len)
{
	struct image head;

	if (!image_head(image, len, &head))
		return;
	for (int k = 0; k < WEB_FILES; k++)
		if (head.file[k].error != 0)
			log_warn("%s/%s: %s; the %s that is built in is served",
			    folder, web_files[k].name,
			    head.file[k].error == EINVAL
				? "not a regular file"
				: strerror(head.file[k].error),
			    web_files[k].name);
}

/* The file at a path that has one. */
static const struct web_file *
web_find(struct http_span path)
{
	int k = 0;

	while (k < WEB_FILES - 1 && !http_span_is(path, web_files[k].path))
		k++;
	return &web_files[k];
}

/* Answers a GET: the file in the form that is wanted, or 304. */
static void
web_judge(const struct conf_live *live, const struct http_request *r,
    struct route *out)
{
	const struct web_file *file = web_find(r->path);
	bool gzip = r->gzip && file->form[1].begin != NULL;
	const struct web_form *form = &file->form[gzip];
	struct http_span seen = r->none_match;

	built_in_make();
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

static const struct door_files web_folder = {
    .read = web_read, .map = web_map, .log = web_log};

static const struct door_route web_routes[] = {
    {.path = "/", .allow = DOOR_READS, .judge = web_judge},
    {.path = "/chatd.css", .allow = DOOR_READS, .judge = web_judge},
    {.path = "/chatd.js", .allow = DOOR_READS, .judge = web_judge},
    {.path = NULL}};

const struct door web_door = {
    .name = "web", .routes = web_routes, .files = &web_folder};
