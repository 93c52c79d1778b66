/*
 * archive_rows: the rows of an answer, read as if who answers were hostile.
 * Layer 3.
 */
#ifndef CHATD_ROOM_ARCHIVE_ROWS_H
#define CHATD_ROOM_ARCHIVE_ROWS_H

#include "room/archive.h"

/* Copies the rows of an answer: len bytes, that are there or in that file;
 * NULL: they are not. */
uint8_t *rows_copy(const void *bytes, size_t len, int fd);

/* Whether n rows are what was asked for. */
bool rows_are_sound(const struct message_ask *ask, const uint8_t *bytes,
    size_t len, uint32_t n);

#endif
