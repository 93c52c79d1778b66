/* drop: what a child gives up that is the master's. */
#include <event2/event.h>
#include <unistd.h>

#include "children.h"
#include "conversion.h"
#include "drop.h"
#include "log_child.h"
#include "master/control.h"
#include "member.h"
#include "order.h"
#include "page.h"
#include "private.h"
#include "reload.h"
#include "upgrade.h"

/* Gives up what is the master's: events, other workers' links, the control
 * socket, the lock on the pidfile, the file of the shared memory. */
void
drop_all(void *arg)
{
	struct master *m = arg;

	/* Without it, freeing an event here would unregister it there. */
	if (event_reinit(m->base) == -1)
		_exit(1);
	conversion_drop(m);
	control_drop(m->control);
	log_child_drop(m);
	children_drop(m);
	order_drop(m);
	reload_drop(m);
	page_drop(m);
	for (int i = 0; i < m->n_workers; i++) {
		family_drop(&m->member[i].family);
		giver_drop(&m->member[i]);
		control_forget(m->member[i].renew_wait);
	}
	master_drop_events(m);
	upgrade_drop(m);
	pidfile_drop(&m->pidfile);
	hub_close_file(&m->hub);
	if (m->nursery.program != -1)
		close(m->nursery.program);
	if (m->ready_pipe != -1)
		close(m->ready_pipe);
}
