/* pager: the process that finds stored publications for workers. */
#include <poll.h>

#include "base/log.h"
#include "codec/birth.h"
#include "store/kinds.h"

/* Life signs a second. */
enum { PAGER_WAIT_MS = 100 };

void
store_read_main(struct child_start *start)
{
	struct pollfd p = {start->link, POLLIN, 0};

	child_hello(start);
	while (!child_must_leave(start)) {
		child_tick(start);
		log_more();
		poll(&p, 1, PAGER_WAIT_MS);
	}
	child_leave();
}
