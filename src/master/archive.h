/* archive: what the log says of the database at a start. */
#ifndef CHATD_SRC_MASTER_ARCHIVE_H
#define CHATD_SRC_MASTER_ARCHIVE_H

struct master;

/* Whether what is said is stored, and how much of it the journal holds until
 * the disk has it. */
void archive_log(const struct master *m);

#endif
