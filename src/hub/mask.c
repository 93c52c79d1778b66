#include "mask.h"

#include "hub/charge.h"
#include "hub/presence.h"

void
presence_mask_redo(struct hub *h, uint32_t e, uint64_t mask)
{
	uint64_t was = SHM_LOAD(h->entry[e].mask);

	SHM_STORE(h->entry[e].mask, mask);
	if ((was == 0) != (mask == 0))
		charge_change(h, e, mask != 0);
}
