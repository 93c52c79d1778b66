/*
 * other: a layout of shared memory that differs from the usual one in every
 * struct, for the tests of an upgrade over layouts (VARIANT=other-layout). Not
 * installed. Layer 0.
 */
#ifndef CHATD_BASE_OTHER_H
#define CHATD_BASE_OTHER_H

#ifdef CHATD_OTHER_LAYOUT
#define OTHER_ONLY(field) field		 /* moves what follows it */
#define OTHER_EITHER(usual, other) other /* a width, a size or a number */
#else
#define OTHER_ONLY(field)
#define OTHER_EITHER(usual, other) usual
#endif

#endif
