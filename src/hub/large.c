#include "large.h"

#include <sys/mman.h>

#include "hub/shm.h"

#ifndef MADV_COLLAPSE /* since Linux 6.1 */
#define MADV_COLLAPSE 25
#endif

bool
large_page(uint8_t *at)
{
	/* of a range without any page nothing can be made */
	return madvise(at, 1, MADV_POPULATE_WRITE) == 0 &&
	    madvise(at, HUB_ALIGN, MADV_COLLAPSE) == 0;
}
