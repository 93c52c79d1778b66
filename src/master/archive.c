/* archive: what the log says of the database at a start. */
#include "archive.h"

#include <inttypes.h>

#include "base/log.h"
#include "hub/journal.h"
#include "private.h"

enum {
	SAMPLE_USER = 8, /* bytes of a message that people write */
	SAMPLE_DATA = 200,
	MINUTE_S = 60
};

void
archive_log(const struct master *m)
{
	const struct hub *h = &m->hub;
	const uint64_t each = journal_entry_bytes(SAMPLE_USER, SAMPLE_DATA);

	if (m->conf->store == NULL) {
		log_info("nothing is stored: what is said is gone when chatd "
			 "ends (no store in the configuration)");
		return;
	}
	log_info("store %s: the journal holds %" PRIu64
		 " messages of %d bytes, of which %" PRIu64
		 " may wait for the disk: a minute of %" PRIu64
		 " a second (journal, reader-share)",
	    m->conf->store, h->journal_size / each, SAMPLE_DATA,
	    h->reader_share / each, h->reader_share / each / MINUTE_S);
}
