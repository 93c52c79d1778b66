/*
 * wal: the write-ahead log is written in large pieces.
 *
 * SQLite writes a page of it by two system calls, the page's head and the page:
 * two for each row where many channels are published to, and a third of a row's
 * CPU time. Here what is to be written behind each other is gathered, and
 * written at the latest with the last page of a commit, so that the file has
 * all of a commit before SQLite syncs it, and before other processes are told
 * of it. What is read, synced, cut or closed is written before.
 */
#ifndef CHATD_STORE_WAL_H
#define CHATD_STORE_WAL_H

/* The name of the file layer (VFS) that does so, for sqlite3_open_v2(); NULL:
 * SQLite's own, there is none. Registers it at the first call. */
const char *wal_layer(void);

#endif
