/* task: a process that does one thing with the database, and ends. */
#include "codec/birth.h"
#include "store/kinds.h"

void
store_task_main(struct child_start *start)
{
	child_hello(start);
	child_leave();
}
