/* The oracle of codec/tls_oracle.h: its file, and what it has seen at the end.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/tls_oracle.h"
#include "soak.h"

enum {
	RECORD = 16,
	EACH_S = 60000 /* records a second that it has room for */
};

static char path[] = "/tmp/chatd-oracle-XXXXXX";
static const struct tls_oracle *seen;

void
oracle_open(void)
{
	const off_t bytes =
	    ORACLE_HEAD + (off_t)RECORD * EACH_S * (60 + set.seconds);
	int fd = mkstemp(path);

	/* children open it themselves, perhaps as another user */
	if (fd < 0 || ftruncate(fd, bytes) != 0 || fchmod(fd, 0666) != 0)
		err(2, "%s", path);
	seen = mmap(NULL, sizeof(*seen), PROT_READ, MAP_SHARED, fd, 0);
	if (seen == MAP_FAILED)
		err(2, "mmap");
	close(fd);
	setenv("CHATD_TLS_ORACLE", path, 1);
}

void
oracle_judge(void)
{
	printf("%llu records sealed, %llu again with the same plaintext, %llu "
	       "with another one, %llu not noted\n",
	    (unsigned long long)seen->sealed, (unsigned long long)seen->again,
	    (unsigned long long)seen->other, (unsigned long long)seen->lost);
	if (seen->sealed == 0 || seen->other != 0 || seen->lost != 0)
		fault(F_OTHER,
		    "two plaintexts under one key and nonce, or "
		    "nothing was noted");
	unlink(path);
}
