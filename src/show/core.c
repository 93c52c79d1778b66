#include "core.h"

#include <elf.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hub/peek.h"

enum {
	CORE_SEGMENTS_MAX = 65534, /* PN_XNUM and above are told elsewhere */
	CORE_COPY = 1024 * 1024	   /* bytes of one read */
};

/* Reads so many bytes at a place; false: they are not there. */
static bool
core_bytes(int fd, void *out, size_t len, uint64_t at)
{
	char *to = out;
	ssize_t n;

	for (; len > 0; to += n, at += (uint64_t)n, len -= (size_t)n) {
		if (at > INT64_MAX - len)
			return false;
		n = pread(fd, to, len, (off_t)at);
		if (n == 0 || (n == -1 && errno != EINTR))
			return false;
		if (n == -1)
			n = 0;
	}
	return true;
}

/* The file's head; false: it is no core file of this kind of machine. */
static bool
core_head(int fd, Elf64_Ehdr *head)
{
	return core_bytes(fd, head, sizeof(*head), 0) &&
	    memcmp(head->e_ident, ELFMAG, SELFMAG) == 0 &&
	    head->e_ident[EI_CLASS] == ELFCLASS64 && head->e_type == ET_CORE &&
	    head->e_phentsize == sizeof(Elf64_Phdr) &&
	    head->e_phnum <= CORE_SEGMENTS_MAX;
}

/* The segment of a number; false: it is not there, or has no bytes. */
static bool
core_segment(int fd, const Elf64_Ehdr *head, int i, Elf64_Phdr *out)
{
	return core_bytes(fd, out, sizeof(*out),
		   head->e_phoff + (uint64_t)i * sizeof(*out)) &&
	    out->p_type == PT_LOAD && out->p_filesz > 0 &&
	    out->p_filesz <= out->p_memsz &&
	    out->p_vaddr <= UINT64_MAX - out->p_memsz;
}

/* Finds where the memory was mapped, by its beginning; its size, or 0. */
static uint64_t
core_find(int fd, const Elf64_Ehdr *head, uint64_t *address)
{
	static _Alignas(64) char bytes[HUB_PEEK_MIN];
	Elf64_Phdr p;
	uint64_t size;

	for (int i = 0; i < head->e_phnum; i++) {
		if (!core_segment(fd, head, i, &p) ||
		    p.p_filesz < sizeof(bytes) ||
		    !core_bytes(fd, bytes, sizeof(bytes), p.p_offset))
			continue;
		*address = p.p_vaddr;
		if ((size = hub_peek_size(bytes)) != 0)
			return size;
	}
	return 0;
}

/* Copies a segment's bytes, but holes of the file, which are zero already. */
static bool
core_copy(int fd, char *to, uint64_t at, uint64_t len)
{
	const uint64_t end = at + len;
	off_t data;
	size_t n;

	while (at < end) {
		if ((data = lseek(fd, (off_t)at, SEEK_DATA)) == -1)
			return errno == ENXIO;
		if ((uint64_t)data >= end)
			return true;
		to += (uint64_t)data - at;
		at = (uint64_t)data;
		n = end - at < CORE_COPY ? (size_t)(end - at) : CORE_COPY;
		if (!core_bytes(fd, to, n, at))
			return false;
		to += n;
		at += n;
	}
	return true;
}

/* Puts a segment's bytes into place: maps them if they lie so that they can be,
 * as the kernel writes them, else copies them. */
static bool
core_place(int fd, char *to, uint64_t at, uint64_t len)
{
	if (at % SHM_PAGE != 0 || (uintptr_t)to % SHM_PAGE != 0)
		return core_copy(fd, to, at, len);
	return mmap(to, (size_t)len, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd,
		   (off_t)at) != MAP_FAILED;
}

/* Puts what segments have of the memory at that address into place; returns how
 * many bytes they have. */
static uint64_t
core_gather(
    int fd, const Elf64_Ehdr *head, uint64_t address, char *to, uint64_t size)
{
	uint64_t got = 0, from, end, file_size;
	struct stat st;
	Elf64_Phdr p;

	if (fstat(fd, &st) == -1)
		return 0;
	file_size = (uint64_t)st.st_size;
	for (int i = 0; i < head->e_phnum; i++) {
		if (!core_segment(fd, head, i, &p) || p.p_offset > file_size ||
		    p.p_filesz > file_size - p.p_offset)
			continue;
		from = p.p_vaddr > address ? p.p_vaddr : address;
		end = p.p_vaddr + p.p_filesz;
		if (end > address + size)
			end = address + size;
		if (from >= end ||
		    !core_place(fd, to + (from - address),
			p.p_offset + (from - p.p_vaddr), end - from))
			continue;
		got += end - from;
	}
	return got;
}

bool
core_is(int fd)
{
	char magic[SELFMAG];

	return core_bytes(fd, magic, sizeof(magic), 0) &&
	    memcmp(magic, ELFMAG, SELFMAG) == 0;
}

int
core_read(int fd, void **base, size_t *size, char *error, size_t error_len)
{
	uint64_t address = 0, bytes, got;
	Elf64_Ehdr head;

	if (!core_head(fd, &head)) {
		snprintf(error, error_len,
		    "it is not a core file of this kind of machine");
		return -1;
	}
	if ((bytes = core_find(fd, &head, &address)) == 0) {
		snprintf(error, error_len,
		    "the core file has no shared memory of chatd: bit 1 of "
		    "/proc/PID/coredump_filter was not set, or it is of "
		    "another program");
		return -1;
	}
	*base = MAP_FAILED;
	if (bytes <= UINT64_MAX - address && bytes <= PTRDIFF_MAX)
		*base = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (*base == MAP_FAILED) {
		snprintf(error, error_len, "no memory for %llu bytes",
		    (unsigned long long)bytes);
		return -1;
	}
	*size = (size_t)bytes;
	got = core_gather(fd, &head, address, *base, bytes);
	if (got >= bytes)
		return 0;
	munmap(*base, *size);
	snprintf(error, error_len,
	    "the core file is cut off: it has %llu of %llu bytes of the shared "
	    "memory",
	    (unsigned long long)got, (unsigned long long)bytes);
	return -1;
}
