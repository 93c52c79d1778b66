/* start: from the command line to a master that runs, or a check. Layer 6. */
#ifndef CHATD_MASTER_START_H
#define CHATD_MASTER_START_H

struct options;

/*
 * Has the configuration read, and runs the master with it, or only says whether
 * it is without error. Returns the program's exit status; what is wrong is on
 * stderr or in the log. A file that does not answer is given up after 5 s.
 */
int start(const struct options *options);

#endif
