/* The settings that a reload can change. */
#include <stdio.h>

#include "base/log.h"
#include "hub/journal.h"
#include "children.h"
#include "private.h"

/* Gives all children the settings as they are now. */
static void
live_spread(struct master *m)
{
	log_set_verbose(m->live.verbose != 0);
	children_conf(m);
}

/* Has all children go by other settings. */
void
master_set_live(struct master *m, const struct conf_live *live)
{
	m->live = *live;
	live_spread(m);
}

/* Changes the log level until the next reload. */
void
master_set_verbose(struct master *m, bool on)
{
	m->live.verbose = on;
	live_spread(m);
}

bool
master_live_fits(const struct master *m, const struct conf_live *live,
    char *error, size_t error_len)
{
	uint64_t journal = m->hub.journal_size / JOURNAL_SHARE, most;

	if (live->queue_bytes > m->conf->output_bytes) {
		snprintf(error, error_len,
		    "queue %u is above %llu, which is output-memory: more "
		    "needs a restart with a larger one\n",
		    live->queue_bytes,
		    (unsigned long long)m->conf->output_bytes);
		return false;
	}
	if (journal_entry_bytes(UINT8_MAX, live->message_size) <= journal &&
	    live->message_size <= m->conf->input_bytes &&
	    live->message_size <= m->conf->output_bytes / CONF_OUTPUT_MESSAGES)
		return true;
	most = journal - journal_entry_bytes(UINT8_MAX, 0);
	if (most > m->conf->input_bytes)
		most = m->conf->input_bytes;
	if (most > m->conf->output_bytes / CONF_OUTPUT_MESSAGES)
		most = m->conf->output_bytes / CONF_OUTPUT_MESSAGES;
	snprintf(error, error_len,
	    "message-size %u is above %llu: more needs a restart with a "
	    "larger journal, input-memory or output-memory\n",
	    live->message_size, (unsigned long long)most);
	return false;
}

/* Says in the log who may connect. */
void
master_log_access(const struct master *m)
{
	if (m->live.insecure)
		log_info("insecure: anybody may connect under any name%s",
		    m->live.insecure_public
			? ", from anywhere"
			: "; pages under other names than this machine's and "
			  "those of `host` may not");
	else
		log_info("secure: who connects shows a token%s",
		    m->live.token_key[0] == '\0'
			? ", and there is no token-key to judge one"
			: "");
}
