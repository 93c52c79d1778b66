/* Outputs as another process sees them, which has none of what is private to
 * the worker. */
#include "hub/output.h"
#include "hub/slot.h"
#include "segment.h"

void
output_look(const struct hub *h, uint32_t slot, struct output_seen *out)
{
	const struct slot *s = &h->slot[slot];
	uint32_t chunk = shm_index(SHM_LOAD(s->chunk)), n;
	uint64_t appended = SHM_LOAD(s->appended);
	struct frame_piece piece;

	*out = (struct output_seen){.whole = chunk == SHM_NONE};
	if (chunk >= h->n_chunks)
		return;
	/* numbers of references are told by their low halves */
	n = (uint32_t)appended - SHM_ONCE(h->chunk[chunk].base);
	out->references = n;
	out->from = out->end = SHM_ONCE(h->chunk[chunk].start);
	for (uint32_t k = 0; k < n; k++) {
		if (k == OUTPUT_LOOK_MAX ||
		    output_reference(h, &chunk, appended - n + k, &piece) ==
			NULL)
			return;
		out->end += piece.length;
	}
	out->whole = true;
}
