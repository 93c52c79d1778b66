#include "command.h"

#include <errno.h>
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/utf8.h"
#include "codec/command.h"
#include "codec/message.h"
#include "hub/presence.h"
#include "hub/slot.h"
#include "master/report.h"
#include "master/control.h"
#include "client.h"
#include "drain.h"
#include "errand.h"
#include "erase.h"
#include "member.h"
#include "order.h"
#include "members.h"
#include "private.h"
#include "reload.h"
#include "renew.h"
#include "resize.h"
#include "upgrade.h"

enum { DRAIN_RATE = 100, DRAIN_RATE_MAX = 1000000 }; /* a second */

struct call {
	struct master *master;
	bool json;
	int argc;
	char **argv;
	uid_t uid;
	struct answer *answer;
};

/* Refuses a command, with the reason. */
static void __attribute__((format(printf, 2, 3)))
refuse(struct call *c, const char *fmt, ...)
{
	va_list ap;

	c->answer->refused = true;
	va_start(ap, fmt);
	evbuffer_add_vprintf(c->answer->text, fmt, ap);
	va_end(ap);
}

/* show upgrade */
static void
command_show_upgrade(struct call *c)
{
	upgrade_show(c->master, c->json, c->answer->text);
}

/* Answers with a report; the words behind `skip` ones are its own. */
static void
report_answer(struct call *c, const char *what, int skip)
{
	struct report *r = report_new(c->master, what, c->json);
	char error[256];

	if (r == NULL) {
		refuse(c, "cannot show %s: %s", what,
		    errno == EINVAL ? "no such thing" : strerror(errno));
	} else if (report_ask(r, c->argc - skip, c->argv + skip, error,
		       sizeof(error)) == -1) {
		refuse(c, "%s", error);
		report_free(r);
	} else
		c->answer->report = r;
}

/* show, but `show upgrade` */
static void
command_show(struct call *c)
{
	report_answer(c, c->argv[1], 2);
}

/* backup, export USER: by a process that answers itself */
static void
command_errand(struct call *c)
{
	const char *why;

	/* The socket's group may control chatd, not read what was said. */
	if (c->uid != 0 && c->uid != geteuid()) {
		refuse(c, "only root may have copies of what was said");
		return;
	}
	why = errand_begin(c->master, c->answer, c->json, c->argc, c->argv);
	if (why != NULL)
		refuse(c, "%s", why);
	else
		log_info("user %u asks for %s%s%s", (unsigned)c->uid,
		    c->argv[0], c->argc > 1 ? " of " : "",
		    c->argc > 1 ? log_text(c->argv[1], strlen(c->argv[1]))
				: "");
}

/* store */
static void
command_store(struct call *c)
{
	report_answer(c, c->argv[0], 1);
}

/* The presence entry of a user who is connected, SHM_NONE if there is none, and
 * the workers that have it. Looks at all entries, as finding one by its name
 * takes the lock, which the master never does. */
static uint32_t
user_find(const struct hub *h, const char *user, size_t len, uint64_t *mask)
{
	struct presence_view v;

	for (uint32_t i = 1; i < presence_users_end(h); i++)
		if (presence_mask(h, i) != 0 && presence_read(h, i, &v) &&
		    v.name_len == len + 1 &&
		    presence_name_is_user(v.name, v.name_len) &&
		    memcmp(v.name + 1, user, len) == 0) {
			*mask = v.mask;
			return i;
		}
	return SHM_NONE;
}

/* Workers that have a connection of a user with that device, as a mask. */
static uint64_t
device_mask(const struct hub *h, uint32_t user, const char *device, size_t len)
{
	uint64_t id, mask = 0;
	struct slot s;

	for (uint32_t i = slot_ever(h, 0); i < h->n_slots;
	     i = slot_ever(h, i + 1))
		if (slot_is_open(h, i) && slot_read(h, i, &s, &id) &&
		    s.user == user && s.worker < SHM_WORKERS &&
		    s.device_len == len && len <= SLOT_DEVICE_MAX &&
		    memcmp(s.device, device, len) == 0)
			mask |= 1ull << s.worker;
	return mask;
}

/* Has a worker publish something; false: refused. */
static bool
command_order(struct call *c, uint32_t type, const void *payload, size_t len)
{
	struct master *m = c->master;

	if (m->phase > PHASE_RUNNING && members_lowest(m) == -1)
		refuse(c, "no worker is running");
	else if ((c->answer->order = order_give(m, type, payload, len)) == NULL)
		refuse(
		    c, "the workers cannot be told now: %s", strerror(errno));
	return c->answer->order != NULL;
}

/* kick USER [DEVICE] */
static void
command_kick(struct call *c)
{
	const char *user = c->argv[1], *device = c->argc > 2 ? c->argv[2] : "";
	const size_t user_len = strlen(user), device_len = strlen(device);
	struct master *m = c->master;
	struct message_kick kick = {
	    .user_len = (uint8_t)user_len, .device_len = (uint8_t)device_len};
	uint64_t mask = 0;
	uint32_t entry = SHM_NONE;

	if (user_len >= 1 && user_len <= sizeof(kick.user) &&
	    device_len <= sizeof(kick.device))
		entry = user_find(&m->hub, user, user_len, &mask);
	if (device_len > 0 && mask != 0)
		mask &= device_mask(&m->hub, entry, device, device_len);
	if (mask == 0) {
		refuse(c, "%s%s%s is not connected", user,
		    device_len > 0 ? " on " : "", device);
		return;
	}
	memcpy(kick.user, user, user_len);
	memcpy(kick.device, device, device_len);
	if (command_order(c, MSG_KICK, &kick, sizeof(kick)))
		log_info("user %u kicked %s%s%s", (unsigned)c->uid,
		    log_text(user, user_len), device_len > 0 ? " on " : "",
		    log_text(device, device_len));
}

/* erase USER; answered when it is done */
static void
command_erase(struct call *c)
{
	const char *user = c->argv[1], *why = erase_refuse(c->master);
	const size_t len = strlen(user);

	/* The socket's group may control chatd, not destroy what was said. */
	if (c->uid != 0 && c->uid != geteuid()) {
		refuse(c, "only root may erase what was said");
	} else if (len < 1 || len > UINT8_MAX) {
		refuse(c, "a user's name has 1 to %d bytes", UINT8_MAX);
	} else if (why != NULL) {
		refuse(c, "%s", why);
	} else {
		log_info(
		    "user %u erases %s", (unsigned)c->uid, log_text(user, len));
		erase_begin(c->master, user, len, c->json,
		    control_later(c->answer->client));
	}
}

/* say TEXT */
static void
command_say(struct call *c)
{
	static char payload[sizeof(struct message_order) + MESSAGE_TEXT_MAX];
	const char *text = c->argv[1];
	const size_t len = strlen(text), head = sizeof(struct message_order);
	struct master *m = c->master;

	if (len == 0)
		refuse(c, "nothing to say");
	else if (len > MESSAGE_TEXT_MAX)
		refuse(c, "the text is longer than %d bytes", MESSAGE_TEXT_MAX);
	else if (len > m->live.message_size)
		refuse(c, "the text is longer than message-size, %u bytes",
		    m->live.message_size);
	else if (!utf8_valid(text, len))
		refuse(c, "the text is not UTF-8");
	else {
		memcpy(payload + head, text, len);
		if (command_order(c, MSG_SAY, payload, head + len))
			log_info("user %u said %zu bytes to the lobby",
			    (unsigned)c->uid, len);
	}
}

/* log verbose|brief */
static void
command_log(struct call *c)
{
	master_set_verbose(c->master, strcmp(c->argv[1], "verbose") == 0);
	log_info("user %u made the log %s", (unsigned)c->uid, c->argv[1]);
}

/* reload; answered when it is done */
static void
command_reload(struct call *c)
{
	reload_begin(c->master, control_later(c->answer->client));
}

/* restart-worker N */
static void
command_restart_worker(struct call *c)
{
	struct master *m = c->master;
	const char *problem;
	int n = (int)strtonum(c->argv[1], 0, m->n_workers - 1, &problem);

	if (problem != NULL)
		refuse(c, "worker %s is %s (0 to %d)", c->argv[1], problem,
		    m->n_workers - 1);
	else if (m->phase != PHASE_RUNNING || !m->member[n].child.ready)
		refuse(c, "worker %d is not running", n);
	else {
		log_info("user %u restarts worker %d", (unsigned)c->uid, n);
		renew_worker(&m->member[n], control_later(c->answer->client));
	}
}

/* upgrade [PATH] */
static void
command_upgrade(struct call *c)
{
	const char *path = c->argc > 1 ? c->argv[1] : NULL;
	char error[1024];

	/* The socket's group may control chatd, not run any program as root. */
	if (path != NULL && c->uid != 0 && c->uid != geteuid()) {
		refuse(c, "only root may name another program");
		return;
	}
	log_info("user %u upgrades chatd", (unsigned)c->uid);
	if (upgrade_begin(c->master, path, error, sizeof(error)) == -1)
		refuse(c, "%s", error);
}

/* Answers how many connections are left to a drain, whose rate is that from now
 * on. */
static void
drain_answer(struct call *c, uint32_t rate)
{
	const uint32_t n = drain_left(c->master);
	struct evbuffer *text = c->answer->text;

	if (c->json)
		evbuffer_add_printf(text, "{\"left\":%u}\n", n);
	else if (rate != 0)
		evbuffer_add_printf(text, "%u connections are left\n", n);
	else
		evbuffer_add_printf(text, "%s; %u connections are there\n",
		    c->master->drain_rate != 0
			? "draining has ended: clients may connect again"
			: "there was no drain",
		    n);
}

/* drain [RATE|off] */
static void
command_drain(struct call *c)
{
	struct master *m = c->master;
	const char *what = c->argc > 1 ? c->argv[1] : NULL, *problem = NULL;
	uint32_t rate = 0;

	if (m->phase != PHASE_RUNNING) {
		refuse(c, "chatd is not running");
		return;
	}
	if (what == NULL)
		rate = m->drain_rate != 0 ? m->drain_rate : DRAIN_RATE;
	else if (strcmp(what, "off") != 0)
		rate = (uint32_t)strtonum(what, 1, DRAIN_RATE_MAX, &problem);
	if (problem != NULL) {
		refuse(c, "rate %s is %s (1 to %d a second, or off)", what,
		    problem, DRAIN_RATE_MAX);
		return;
	}
	if (rate == 0 && m->drain_rate != 0)
		log_info("user %u ends the drain: clients may connect again",
		    (unsigned)c->uid);
	else if (rate != m->drain_rate)
		log_info("user %u drains at %u connections a second",
		    (unsigned)c->uid, rate);
	drain_answer(c, rate);
	drain_set(m, rate);
}

/* rebalance */
static void
command_rebalance(struct call *c)
{
	int n = rebalance(c->master);

	if (n == -1)
		refuse(c, "connections cannot be moved: %s", strerror(errno));
	else
		evbuffer_add_printf(
		    c->answer->text, "%d connections move\n", n);
}

/* stop */
static void
command_stop(struct call *c)
{
	log_info("user %u stops chatd", (unsigned)c->uid);
	master_stop(c->master);
}

/* What chatd does for each row of codec/command.def; NULL: nothing. */
static void (*const command_runs[COMMANDS])(struct call *) = {
    [COMMAND_SHOW_WORKERS] = command_show,
    [COMMAND_SHOW_PROCESSES] = command_show,
    [COMMAND_SHOW_CERTIFICATES] = command_show,
    [COMMAND_SHOW_USERS] = command_show,
    [COMMAND_SHOW_CONNECTIONS] = command_show,
    [COMMAND_SHOW_CONNECTION] = command_show,
    [COMMAND_SHOW_CHANNELS] = command_show,
    [COMMAND_SHOW_JOURNAL] = command_show,
    [COMMAND_SHOW_STATS] = command_show,
    [COMMAND_SHOW_CONFIG] = command_show,
    [COMMAND_SHOW_UPGRADE] = command_show_upgrade,
    [COMMAND_STORE] = command_store,
    [COMMAND_BACKUP] = command_errand,
    [COMMAND_EXPORT] = command_errand,
    [COMMAND_ERASE] = command_erase,
    [COMMAND_KICK] = command_kick,
    [COMMAND_SAY] = command_say,
    [COMMAND_LOG] = command_log,
    [COMMAND_RELOAD] = command_reload,
    [COMMAND_RESTART_WORKER] = command_restart_worker,
    [COMMAND_UPGRADE] = command_upgrade,
    [COMMAND_DRAIN] = command_drain,
    [COMMAND_REBALANCE] = command_rebalance,
    [COMMAND_STOP] = command_stop,
};

/* Refuses words that are no command of this version, as those of another one's
 * chatctl may. */
static void
command_refuse(struct call *c, enum command_fault fault)
{
	const char *second = fault == COMMAND_SECOND ? c->argv[1] : "";

	if (fault == COMMAND_SHORT || fault == COMMAND_LONG)
		refuse(c,
		    "chatd " CHATD_VERSION
		    " takes %s words with the command %s",
		    fault == COMMAND_SHORT ? "more" : "fewer", c->argv[0]);
	else
		refuse(c, "chatd " CHATD_VERSION " has no command %s%s%s",
		    c->argv[0], *second != '\0' ? " " : "", second);
}

void
command_run(struct master *m, bool json, int argc, char **argv, uid_t uid,
    struct answer *a)
{
	struct call c = {.master = m,
	    .json = json,
	    .argc = argc,
	    .argv = argv,
	    .uid = uid,
	    .answer = a};
	enum command_fault fault;
	int row, words;

	row = command_judge(argc, argv, &fault, &words);
	if (row != -1 && command_runs[row] != NULL)
		command_runs[row](&c);
	else
		command_refuse(&c, fault);
}
