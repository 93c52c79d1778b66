/*
 * replay: runs a fuzz target over the files and folders that are named, without
 * the fuzzer, and prints how many inputs that were. A target that finds
 * something aborts.
 */
#include "fuzz.h"

#include <err.h>
#include <ftw.h>

static unsigned long inputs;

/* Runs the target over one file; folders are walked into by nftw. */
static int
replay_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	size_t size = (size_t)st->st_size;
	uint8_t *data;
	FILE *f;

	if (type == FTW_NS || type == FTW_DNR)
		errx(1, "%s: cannot be read", path);
	if (type != FTW_F)
		return 0;
	/* Of exact size, so that a sanitizer sees a read beyond the end. */
	if ((data = malloc(size)) == NULL && size > 0)
		err(1, "malloc");
	if ((f = fopen(path, "r")) == NULL)
		err(1, "%s", path);
	if (fread(data, 1, size, f) != size)
		errx(1, "%s: short read", path);
	fclose(f);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	inputs++;
	return 0;
}

int
main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		if (nftw(argv[i], replay_file, 16, FTW_PHYS) == -1)
			err(1, "%s", argv[i]);
	printf("%lu inputs\n", inputs);
	return inputs == 0;
}
