#include "net/loop.h"

#include <event2/event.h>
#include <stddef.h>

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
