/*
 * door_plain_fuzz: a client of the plain door, whose messages arrive at a
 * worker over a socket. Whatever it sends, what it and others get are whole
 * frames of lines that look as they should, and nothing is left of it.
 */
#include "script.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	script_run(&plain_door, data, size, NULL);
	return 0;
}
