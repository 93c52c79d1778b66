/* former_time: preloaded into openssl, has it live $DAYS_AGO days ago: what it
 * makes has ended, since it takes no end in the past. */
#include <stdlib.h>
#include <time.h>

time_t
time(time_t *out)
{
	const char *days = getenv("DAYS_AGO");
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (days != NULL)
		now.tv_sec -= 86400 * atol(days);
	if (out != NULL)
		*out = now.tv_sec;
	return now.tv_sec;
}
