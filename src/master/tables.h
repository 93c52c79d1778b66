/* tables: what this program's tables of doors, framings and transports number,
 * for the next program, whose tables may differ. */
#ifndef CHATD_SRC_MASTER_TABLES_H
#define CHATD_SRC_MASTER_TABLES_H

/* Lines of a printed layout (hub/print.h): "enum door", "door.NAME 3", ... */
const char *tables_print(void);

#endif
