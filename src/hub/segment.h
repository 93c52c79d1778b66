/* segment: what output.c asks of frame.c. Private to the hub layer. */
#ifndef CHATD_SRC_HUB_SEGMENT_H
#define CHATD_SRC_HUB_SEGMENT_H

#include "hub/output.h"

/* One reference less into a segment; without any it is free again. */
void frame_unuse(struct output_pool *pool, uint32_t segment);

#endif
