/* wires: what the file of what transports know (hub/wire.h) is said to hold,
 * for the next program, which may understand it in another way. */
#ifndef CHATD_SRC_MASTER_WIRES_H
#define CHATD_SRC_MASTER_WIRES_H

#include <stdbool.h>

struct endpoints;

/* "512 at 0, 40960 at 1073741824; tls 1": where it is, and the version of what
 * each transport knows that keeps something. */
const char *wires_print(void);

/* Whether this program goes on with a file of which another one has said that
 * (NULL: nothing), for the transports of those endpoints. */
bool wires_fit(const char *theirs, const struct endpoints *endpoints);

#endif
