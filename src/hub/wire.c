#include "hub/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory_file.h"

enum { WIRE_SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

/* Bytes of both parts of a hub. */
static size_t
wire_bytes(const struct hub *h)
{
	return (size_t)SHM_WIRE * h->n_slots;
}

static size_t
rest_bytes(const struct hub *h)
{
	return (size_t)SHM_REST * h->n_slots;
}

int
wire_create(void)
{
	const off_t bytes = WIRE_REST_AT + (off_t)SHM_REST * WIRE_SLOTS;
	int fd = memory_file("chatd-wire"), saved;

	if (fd == -1 ||
	    (ftruncate(fd, bytes) == 0 &&
		fcntl(fd, F_ADD_SEALS, WIRE_SEALS) == 0))
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

const char *
wire_places(void)
{
	static char text[WIRE_PLACES];

	snprintf(text, sizeof(text), "%d at 0, %d at %d", SHM_WIRE, SHM_REST,
	    WIRE_REST_AT);
	return text;
}

/* Maps a part of the file; NULL and errno. */
static uint8_t *
wire_map(int fd, size_t bytes, off_t at)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_NORESERVE, fd, at);

	if (p == MAP_FAILED || madvise(p, bytes, MADV_DONTDUMP) == 0)
		return p != MAP_FAILED ? p : NULL;
	munmap(p, bytes);
	return NULL;
}

int
wire_attach(struct hub *h, int fd)
{
	int saved;

	if (h->n_slots > WIRE_SLOTS) {
		errno = E2BIG;
		return -1;
	}
	h->wire = wire_map(fd, wire_bytes(h), 0);
	if (h->wire != NULL)
		h->rest = wire_map(fd, rest_bytes(h), WIRE_REST_AT);
	if (h->rest != NULL)
		return 0;
	saved = errno;
	wire_detach(h);
	errno = saved;
	return -1;
}

int
wire_own(struct hub *h)
{
	return madvise(h->wire, wire_bytes(h), MADV_DONTFORK) == 0
	    ? madvise(h->rest, rest_bytes(h), MADV_DONTFORK)
	    : -1;
}

int
wire_lock(struct hub *h)
{
	/* of the rest, which is as it came over the network, memory could not
	 * be given back */
	return mlock2(h->wire, wire_bytes(h), MLOCK_ONFAULT);
}

void
wire_detach(struct hub *h)
{
	if (h->wire != NULL)
		munmap(h->wire, wire_bytes(h));
	if (h->rest != NULL)
		munmap(h->rest, rest_bytes(h));
	h->wire = h->rest = NULL;
}
