/* Workers die at chosen kill points. */
#include "soak.h"

void
points_open(void)
{
}

void
points_turn(void)
{
}

void
points_print(void)
{
}
