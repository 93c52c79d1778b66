/*
 * field: fields of a struct by name, for a program in which the struct is
 * another one. Layer 0.
 */
#ifndef CHATD_BASE_FIELD_H
#define CHATD_BASE_FIELD_H

#include <stddef.h>
#include <stdint.h>

/* Where a field is, in bytes, and what it is: FIELD_KIND(). */
struct field {
	const char *name;
	uint16_t at, size;
	char kind;
};

/* u: an unsigned number, i: a signed one, b: an array or a struct. */
#define FIELD_KIND(f)            \
	_Generic((f), uint8_t    \
		 : 'u', uint16_t \
		 : 'u', uint32_t \
		 : 'u', uint64_t \
		 : 'u', int8_t   \
		 : 'i', int16_t  \
		 : 'i', int32_t  \
		 : 'i', int64_t  \
		 : 'i', default  \
		 : 'b')

#endif
