/* What is said when all workers are ready. */
#include <string.h>

#include "base/log.h"
#include "hub/stats.h"
#include "codec/framing.h"
#include "net/endpoint.h"
#include "net/transport.h"
#include "private.h"
#include "ready.h"

/* Says how many connections there is room for, now that all workers have told
 * how many descriptors are left to them. */
void
ready_log_room(const struct master *m)
{
	const uint32_t wanted = m->conf->connections;
	uint64_t all = 0, most = 0, n;

	for (int i = 0; i < m->n_workers; i++) {
		n = SHM_LOAD(m->hub.worker[i].spare_files);
		/* each worker has a link to each other one */
		n = n > (uint64_t)m->n_workers ? n - (uint64_t)m->n_workers : 0;
		all += n;
		most = n > most ? n : most;
	}
	if (most >= wanted)
		log_info("up to %u connections, on any worker", wanted);
	else
		log_info("up to %llu connections, at most %llu on each worker "
			 "(%llu open files allowed; `connections` is %u)",
		    (unsigned long long)(all < wanted ? all : wanted),
		    (unsigned long long)most, (unsigned long long)m->files,
		    wanted);
}

/* Says that clients can come, and where to: the first address that serves
 * pages, as it is typed into a browser. */
void
ready_log_address(const struct master *m)
{
	const char *name, *port, *secure;
	bool any;
	int k = 0;

	while (k < m->endpoints.n &&
	    (m->endpoints.at[k].purpose == ENDPOINT_ADMIN ||
		m->endpoints.at[k].purpose == ENDPOINT_REDIRECT ||
		!framing_of(m->endpoints.at[k].framing)->http))
		k++;
	if (k == m->endpoints.n) {
		log_info("ready");
		return;
	}
	name = m->endpoints.at[k].name;
	any =
	    strncmp(name, "0.0.0.0:", 8) == 0 || strncmp(name, "[::]:", 5) == 0;
	port = strrchr(name, ':');
	secure = transport_of(m->endpoints.at[k].transport)->secure ? "s" : "";
	log_info("ready: page http%s://%s%s/, clients ws%s://%s%s/ws", secure,
	    any ? "localhost" : name, any ? port : "", secure,
	    any ? "localhost" : name, any ? port : "");
}
