#include "base/sparse.h"

#include <errno.h>
#include <sys/mman.h>

void *
sparse_new(size_t n, size_t size)
{
	size_t bytes;
	void *p;

	if (__builtin_mul_overflow(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

void
sparse_free(void *table, size_t n, size_t size)
{
	if (table != NULL)
		munmap(table, n * size);
}
