/* kinds: rows of a test's kinds for src/kinds.def. */
#define CHATD_KINDS_MORE    \
	ROW(count, NULL)    \
	ROW(lock, NULL)     \
	ROW(apart, NULL)    \
	ROW(announce, NULL) \
	ROW(pace, NULL)     \
	ROW(ledger, NULL)
