/* The kinds of children that chatd has, with both of their sides. */
#include <stddef.h>

#include "master/roles.h"
#include "process/kinds.h"

#define ROW(kind, role) extern const struct child_kind kind##_kind;
#include "kinds.def"
#undef ROW

#define ROW(kind, role) {&kind##_kind, role},
const struct child_row kinds[] = {
#include "kinds.def"
    {NULL, NULL}};
