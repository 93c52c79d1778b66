/* writer: the process that writes what is kept: follows the journal. */
#include "base/log.h"
#include "codec/birth.h"
#include "hub/reader.h"
#include "process/reader_child.h"
#include "store/kinds.h"

void
store_main(struct child_start *start)
{
	static struct reader r;
	static struct reader_child c;

	reader_init(&r, start->hub, start->kind->reader - 1u, READER_NO_MARK);
	reader_child_init(&c, start, &r);
	child_hello(start);
	while (reader_child_turn(&c, READER_CHILD_WAIT_MS))
		log_more();
	child_leave();
}
