#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/siphash.h"
#include "codec/tls_oracle.h"

#ifdef CHATD_KILL_POINTS
enum {
	OWN = 1 << 20, /* entries without a file */
	PROBES = 64
};

/* Of one key and nonce; id is stored first, and a process that dies then leaves
 * no text: the next one stores it. */
struct oracle_entry {
	_Atomic uint64_t id, text; /* hashes; 0: none */
};

static struct tls_oracle *oracle;
static struct oracle_entry *entries;
static uint64_t entry_count;

/* Any key does: nobody attacks this table. */
static const uint8_t hash_key[16] = "tls_oracle";

/* Maps it: of that file, or of nobody else's. */
static int
oracle_map(int fd, size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS | MAP_NORESERVE : 0), fd, 0);

	if (p == MAP_FAILED)
		return -1;
	oracle = p;
	entries = (void *)((uint8_t *)p + ORACLE_HEAD);
	entry_count = (bytes - ORACLE_HEAD) / sizeof(*entries);
	return 0;
}

int
tls_oracle_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC), result = -1;
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 &&
	    st.st_size >= ORACLE_HEAD + (off_t)sizeof(*entries))
		result = oracle_map(fd, (size_t)st.st_size);
	close(fd);
	return result;
}

/* Before the first fork, and in each program that is executed. */
static void __attribute__((constructor)) oracle_begin(void)
{
	const char *path = getenv("CHATD_TLS_ORACLE");

	if (path == NULL || tls_oracle_open(path) == -1)
		(void)oracle_map(-1, ORACLE_HEAD + OWN * sizeof(*entries));
}

/* The entry of a key and nonce, made if need be; NULL: no room. */
static struct oracle_entry *
oracle_find(uint64_t id)
{
	for (uint64_t k = 0; k < PROBES; k++) {
		struct oracle_entry *e = &entries[(id + k) % entry_count];
		uint64_t had = 0;

		if (atomic_compare_exchange_strong(&e->id, &had, id) ||
		    had == id)
			return e;
	}
	return NULL;
}

void
tls_oracle_note(const struct tls_oracle_record *r)
{
	uint8_t name[1 + 32 + 12];
	uint64_t part[3], text, had = 0;
	struct oracle_entry *e;

	if (oracle == NULL)
		return;
	name[0] = r->suite;
	memcpy(name + 1, r->key, 32);
	memcpy(name + 33, r->nonce, 12);
	part[0] = siphash(hash_key, r->plain, r->len);
	part[1] = siphash(hash_key, r->aad, r->aad_len);
	part[2] = r->type;
	text = siphash(hash_key, part, sizeof(part)) | 1;
	if ((e = oracle_find(siphash(hash_key, name, sizeof(name)) | 1)) ==
	    NULL) {
		atomic_fetch_add(&oracle->lost, 1);
		return;
	}
	if (atomic_compare_exchange_strong(&e->text, &had, text)) {
		atomic_fetch_add(&oracle->sealed, 1);
		return;
	}
	if (had == text) {
		atomic_fetch_add(&oracle->again, 1);
		return;
	}
	atomic_fetch_add(&oracle->other, 1);
	dprintf(STDERR_FILENO,
	    "tls: two plaintexts under one key and nonce: %zu bytes of type "
	    "%u, suite %u, process %ld\n",
	    r->len, r->type, r->suite, (long)getpid());
	abort();
}
#endif
