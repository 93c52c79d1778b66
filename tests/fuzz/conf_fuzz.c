/* The configuration parser on any bytes: no crash, no leak, and either a conf
 * within its limits or a complaint. */
#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include "conf/conf.h"

/* Loads the bytes as a file. */
int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static int fd = -1;
	static char name[64];
	char error[512];
	struct conf *c;

	if (fd == -1) {
		if ((fd = memfd_create("conf", MFD_CLOEXEC)) == -1)
			abort();
		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	}
	if (ftruncate(fd, 0) == -1 || pwrite(fd, bytes, len, 0) != (ssize_t)len)
		abort();
	c = conf_load(name, error, sizeof(error));
	if (c == NULL) {
		/* An error is said, in whole lines. */
		if (error[0] == '\0' || error[strlen(error) - 1] != '\n')
			abort();
		return 0;
	}
	if (error[0] != '\0' || c->n_listen < 1 ||
	    c->n_listen > CONF_LISTEN_MAX || c->workers < 0 ||
	    c->workers > CONF_WORKERS_MAX || c->connections < 16 ||
	    c->live.message_size < 1 ||
	    c->live.message_size > CONF_MESSAGE_SIZE_MAX ||
	    c->live.queue_bytes > c->output_bytes || c->subscriptions < 16 ||
	    c->live.connection_channels > CONF_CONNECTION_CHANNELS_MAX ||
	    conf_channels_judge(&c->live) != NULL ||
	    c->live.origin_len > CONF_ORIGIN_BYTES ||
	    (c->live.origin_len > 0 &&
		c->live.origin[c->live.origin_len - 1] != '\0') ||
	    c->live.host_len > CONF_HOST_BYTES ||
	    (c->live.host_len > 0 &&
		c->live.host[c->live.host_len - 1] != '\0') ||
	    (c->live.token_key[0] != '\0' &&
		strlen(c->live.token_key) < CONF_TOKEN_KEY_MIN))
		abort();
	/* Lists are read to their ends, whatever is looked for. */
	conf_origin_listed(&c->live, (const char *)bytes, len);
	conf_host_listed(&c->live, (const char *)bytes, len);
	/* With and without blocks, a user's channel always has its rules. */
	if (conf_channel_find(&c->live, "#a", 2) == NULL)
		abort();
	conf_free(c);
	return 0;
}
