#include "codec/tls_files.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Before each file: its path with the NUL follows, then its bytes. */
struct tls_files_head {
	uint32_t what, error, path_len, len;
};

int
tls_files_put(struct tls_files *f, enum tls_file_what what, const char *path,
    int error, const void *bytes, size_t len)
{
	const struct tls_files_head head = {(uint32_t)what, (uint32_t)error,
	    (uint32_t)strlen(path) + 1, (uint32_t)len};
	const size_t need = f->len + sizeof(head) + head.path_len + len;
	const size_t size = 2 * need;
	uint8_t *more;

	if (need > f->size) {
		/* not realloc(): keys would be left in what it frees */
		if ((more = malloc(size)) == NULL)
			return -1;
		if (f->len > 0)
			memcpy(more, f->bytes, f->len);
		if (f->bytes != NULL)
			explicit_bzero(f->bytes, f->size);
		free(f->bytes);
		f->bytes = more;
		f->size = size;
	}
	memcpy(f->bytes + f->len, &head, sizeof(head));
	f->len += sizeof(head);
	memcpy(f->bytes + f->len, path, head.path_len);
	f->len += head.path_len;
	if (len > 0)
		memcpy(f->bytes + f->len, bytes, len);
	f->len += len;
	return 0;
}

int
tls_files_next(const struct tls_files *f, size_t *at, struct tls_file *out)
{
	struct tls_files_head head;
	size_t left = f->len - *at;

	if (left == 0)
		return 0;
	if (left < sizeof(head))
		return -1;
	memcpy(&head, f->bytes + *at, sizeof(head));
	left -= sizeof(head);
	if (head.path_len == 0 || head.path_len > left ||
	    head.len > left - head.path_len || head.error > INT_MAX ||
	    head.what < TLS_FILE_CHAIN || head.what > TLS_FILE_STAPLE)
		return -1;
	out->what = head.what;
	out->error = (int)head.error;
	out->path = (const char *)f->bytes + *at + sizeof(head);
	if (out->path[head.path_len - 1] != '\0')
		return -1;
	out->bytes = f->bytes + *at + sizeof(head) + head.path_len;
	out->len = head.len;
	*at += sizeof(head) + head.path_len + head.len;
	return 1;
}

void
tls_files_free(struct tls_files *f)
{
	if (f->bytes != NULL)
		explicit_bzero(f->bytes, f->size);
	free(f->bytes);
	*f = (struct tls_files){.bytes = NULL};
}
