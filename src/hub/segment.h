/* segment: functions of frame.c for output*.c, and the other way round. Private
 * to the hub layer. */
#ifndef CHATD_SRC_HUB_SEGMENT_H
#define CHATD_SRC_HUB_SEGMENT_H

#include "hub/output.h"

/* One reference less into a segment; without any it is free again. */
void frame_unuse(struct output_pool *pool, uint32_t segment);

/* A chunk for references from number `base` on. */
uint32_t output_chunk(struct output_pool *pool, uint64_t base, uint64_t start);

/* A list without references and chunks, whose bytes are all written. */
void output_begin_at(struct output *o, uint64_t appended, uint64_t written);

/*
 * Reference number f of a list, *chunk being the chunk that it is in or the one
 * before; its place in *piece. NULL if what is written there is corrupted: the
 * list ends here.
 */
struct reference *output_reference(const struct hub *h, uint32_t *chunk,
    uint64_t f, struct frame_piece *piece);

/* What follows from a slot's newest reference, by its tag. */
void output_derive(struct slot *s, uint64_t tag);

#endif
