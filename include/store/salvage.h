/* salvage: what can still be read of a damaged database, put into a new one:
 * chatd-store -R DAMAGED NEW, by hand. Layer 6. */
#ifndef CHATD_STORE_SALVAGE_H
#define CHATD_STORE_SALVAGE_H

#define SALVAGE_OPTION "-R"

/* Prints how it went. Returns the program's status. */
int salvage(const char *damaged, const char *into);

#endif
