#include "net/loop.h"

#include <event2/event.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"

/* What libevent has to say. */
static void
loop_log_cb(int severity, const char *text)
{
	if (severity == EVENT_LOG_ERR)
		log_error("libevent: %s", text);
	else if (severity == EVENT_LOG_WARN)
		log_warn("libevent: %s", text);
	else
		log_debug("libevent: %s", text);
}

/* The lowest free number, which the next descriptor gets; -1: none is free. */
static int
loop_lowest(void)
{
	const int fd = eventfd(0, EFD_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd;
}

/* Whether a descriptor is an epoll set that ends with this process. */
static bool
loop_is_set(int fd)
{
	struct epoll_event one;

	return fd >= 0 && epoll_wait(fd, &one, 1, 0) >= 0 &&
	    (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

struct event_base *
loop_new(void)
{
	struct event_config *config;
	struct event_base *base;

	event_set_log_callback(loop_log_cb);
	config = event_config_new();
	if (config == NULL)
		return NULL;
	event_config_set_flag(
	    config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
	base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

struct event_base *
loop_new_set(int *set)
{
	struct event_base *base;

	*set = loop_lowest();
	base = loop_new();
	if (!loop_is_set(*set))
		*set = -1;
	return base;
}
