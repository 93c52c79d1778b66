#include "conf/conf.h"

/* Reads a file, not by a bundle. */
struct conf *
conf_load(const char *file, char *error, size_t error_len)
{
	return conf_load_bundle(file, NULL, error, error_len);
}
