/* wsload - load generator and yardstick for WebSocket chat servers. */
#include "engine.h"
#include "options.h"
#include "proc.h"
#include "report.h"
#include "traffic.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* What has been used up to some moment. */
struct snapshot {
	uint64_t ns;
	struct cpu server;
	double self;
	struct machine machine;
	uint64_t server_pss, self_pss;
	uint64_t deliveries, sent, reads, frames_in, bytes_in;
};

static struct options opt;
static struct engine engine;
static struct traffic traffic;
static struct proc_tree server;

static void
on_alarm(int sig)
{
	static const char text[] = "wsload: stuck past its time limit\n";
	(void)sig;
	if (write(2, text, sizeof text - 1) < 0)
		_exit(4);
	_exit(3);
}

static void
raise_fd_limit(int clients)
{
	struct rlimit r;
	rlim_t want = (rlim_t)clients + 64;
	getrlimit(RLIMIT_NOFILE, &r);
	if (r.rlim_cur >= want)
		return;
	r.rlim_cur = want;
	if (r.rlim_max < want)
		r.rlim_max = want;
	if (setrlimit(RLIMIT_NOFILE, &r) < 0)
		die("%d clients need %lu open files and the limit cannot be "
		    "raised; run several wsload, "
		    "each with its own --first",
		    clients, (unsigned long)want);
}

static void
pin(int cpu)
{
	const struct sched_param none = {0};
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof set, &set) < 0)
		die("--cpu %d: %s", cpu, strerror(errno));
	sched_setscheduler(0, SCHED_BATCH, &none);
}

static struct snapshot
snap(int memory)
{
	struct snapshot s = {0};
	if (memory) {
		s.server_pss = proc_tree_pss(&server);
		s.self_pss = self_pss();
	}
	machine_read(&s.machine);
	s.deliveries = traffic.deliveries;
	s.sent = traffic.sent;
	s.reads = engine.reads;
	s.frames_in = engine.frames_in;
	s.bytes_in = engine.bytes_in;
	s.server = proc_tree_cpu(&server);
	s.self = self_cpu();
	s.ns = now_ns();
	return s;
}

static double
seconds(const struct snapshot *a, const struct snapshot *b)
{
	return (double)(b->ns - a->ns) * 1e-9;
}

static void
report_setup(void)
{
	report_text("scenario", opt.scenario_name);
	report_text("label", opt.label);
	report_number("clients", opt.clients, 0);
	report_number("sources", opt.sources, 0);
	report_number("server_processes", server.n, 0);
	report_number("cpu", opt.cpu, 0);
}

static void
report_connect(const struct snapshot *a, const struct snapshot *b,
    const struct snapshot *settled)
{
	/* clients that leave: the server has that to do, too */
	const struct snapshot *end = opt.scenario == SC_SHAKE ? settled : b;
	double n = opt.clients, cpu = end->server.total - a->server.total;
	double own = (double)settled->self_pss - (double)a->self_pss;
	double avail = (double)a->machine.mem_available -
	    (double)settled->machine.mem_available - own;
	double pss = (double)settled->server_pss - (double)a->server_pss;

	report_number("connect_s", seconds(a, b), 3);
	report_number("handshakes_per_s", n / seconds(a, b), 0);
	report_number("handshake_p50_ms",
	    (double)hist_quantile(&engine.handshake, .5) * 1e-6, 3);
	report_number("handshake_p99_ms",
	    (double)hist_quantile(&engine.handshake, .99) * 1e-6, 3);
	if (server.n) {
		report_number("server_us_per_handshake", cpu / n * 1e6, 2);
		report_number(
		    "server_pss_before_kb", (double)a->server_pss / 1024, 0);
		report_number("server_pss_after_kb",
		    (double)settled->server_pss / 1024, 0);
		report_number("server_bytes_per_client", pss / n, 0);
		report_number("kernel_bytes_per_client", (avail - pss) / n, 0);
	}
	report_number("available_bytes_per_client", avail / n, 0);
	report_number("slab_bytes_per_client",
	    ((double)settled->machine.slab - (double)a->machine.slab) / n, 0);
	if (opt.tls)
		report_number("resumed", engine.resumed, 0);
	report_number(
	    "generator_us_per_handshake", (b->self - a->self) / n * 1e6, 2);
}

/* CPU in the measured window; count: what to divide by (0: nothing). */
static void
report_cpu(const struct snapshot *a, const struct snapshot *b, double count)
{
	double s = seconds(a, b), own = b->self - a->self;
	double busy = b->machine.busy - a->machine.busy,
	       cpu = b->server.total - a->server.total;
	double user = b->server.user - a->server.user,
	       sys = b->server.sys - a->server.sys;

	report_number("window_s", s, 3);
	if (server.n) {
		report_number("server_cpu_s", cpu, 3);
		report_number("server_cores", cpu / s, 3);
		report_number("server_user_share",
		    user + sys > 0 ? user / (user + sys) : 0, 3);
		if (count > 0)
			report_number(
			    "server_us_per_delivery", cpu / count * 1e6, 3);
	}
	report_number("generator_cores", own / s, 3);
	if (count > 0)
		report_number(
		    "generator_us_per_delivery", own / count * 1e6, 3);
	report_number("other_cores", (busy - own - cpu) / s, 3);
	report_number(
	    "steal_cores", (b->machine.steal - a->machine.steal) / s, 3);
	report_number("ksoftirqd_cores",
	    (b->machine.ksoftirqd - a->machine.ksoftirqd) / s, 3);
}

static void
report_traffic(const struct snapshot *a, const struct snapshot *b, int gave_up)
{
	const struct traffic *t = &traffic;
	double s = seconds(a, b),
	       count = (double)(b->deliveries - a->deliveries);
	double frames = (double)(b->frames_in - a->frames_in);
	uint64_t expected = traffic_expected(t);
	uint64_t lost, outstanding;

	traffic_missing(t, &lost, &outstanding);
	report_number("size", opt.size, 0);
	if (opt.scenario == SC_FANOUT) {
		report_number("publishers", opt.publishers, 0);
		report_number("rate_asked", opt.rate, 0);
	}
	report_number("window",
	    opt.scenario == SC_FANOUT && opt.rate > 0 ? 0 : opt.window, 0);
	report_number("messages_per_s", (double)(b->sent - a->sent) / s, 1);
	report_number("deliveries_per_s", count / s, 0);
	report_number(
	    "latency_p50_us", (double)hist_quantile(&t->latency, .5) * 1e-3, 1);
	report_number(
	    "latency_p90_us", (double)hist_quantile(&t->latency, .9) * 1e-3, 1);
	report_number("latency_p99_us",
	    (double)hist_quantile(&t->latency, .99) * 1e-3, 1);
	report_number("latency_max_us", (double)t->latency.max * 1e-3, 1);
	if (opt.rate > 0)
		report_number(
		    "send_late_max_us", (double)t->max_late * 1e-3, 1);
	report_cpu(a, b, count);
	report_number(
	    "deliveries_per_read", count / (double)(b->reads - a->reads), 2);
	report_number(
	    "deliveries_per_frame", frames > 0 ? count / frames : 0, 2);
	report_number("bytes_per_delivery",
	    (double)(b->bytes_in - a->bytes_in) / count, 1);

	report_number("sent_total", (double)t->sent, 0);
	report_number("expected_total", (double)expected, 0);
	report_number("received_total", (double)t->distinct, 0);
	report_number("lost", (double)lost, 0);
	report_number("undelivered", (double)outstanding, 0);
	report_number("duplicated", (double)t->duplicated, 0);
	report_number("reordered", (double)t->reordered, 0);
	report_number("corrupted", (double)t->corrupted, 0);
	report_number("misdelivered", (double)t->misdelivered, 0);
	report_number("stray", (double)t->stray, 0);
	report_number("other_frames", (double)t->other, 0);
	report_flag("gave_up", gave_up);
}

static int
traffic_ok(int gave_up)
{
	const struct traffic *t = &traffic;
	return !gave_up && t->distinct == traffic_expected(t) &&
	    !t->duplicated && !t->reordered && !t->corrupted &&
	    !t->misdelivered && !t->stray;
}

/* Asks the command of --pair which two clients are to talk. */
static void
choose_pair(void)
{
	int a, b, n, status;
	FILE *f = popen(opt.pair, "re");

	if (!f)
		die("--pair: %s", strerror(errno));
	n = fscanf(f, "%d %d", &a, &b);
	status = pclose(f);
	a -= opt.first;
	b -= opt.first;
	if (n != 2 || status != 0 || a < 0 || b < 0 || a >= opt.clients ||
	    b >= opt.clients || a == b)
		die("--pair: \"%s\" does not print two clients", opt.pair);
	traffic_pair(&traffic, a, b);
}

/* Scenario hold: says how it stands. */
static void
hold_report(void)
{
	report_begin(1);
	report_number("open", engine.alive, 0);
	report_number("closed", engine.closes, 0);
	report_number("errors", (double)engine.errors, 0);
	report_number("pings_answered", (double)engine.pings, 0);
	report_number("messages",
	    (double)engine.frames_in - (double)engine.pings - engine.closes, 0);
	report_text("first_error", engine.first_error);
	report_end();
}

/* Scenario hold: opens the clients and answers questions until there are no
 * more. Returns whether all went well, as main() does. */
static int
hold(void)
{
	struct pollfd in = {.fd = 0, .events = POLLIN};
	char line[256];
	ssize_t n = 1;

	engine_connect_all(&engine);
	hold_report();
	while (n > 0 && !engine_out_of_time(&engine)) {
		engine_poll(&engine, now_ns() + NS_PER_S / 20);
		if (poll(&in, 1, 0) == 1 &&
		    (n = read(0, line, sizeof line)) > 0)
			hold_report();
	}
	engine_close_all(&engine);
	return engine_out_of_time(&engine) ? 3 : engine.errors != 0;
}

int
main(int argc, char **argv)
{
	options_parse(&opt, argc, argv);
	int has_traffic =
		opt.scenario == SC_FANOUT || opt.scenario == SC_PRIVATE,
	    ok = 1;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGALRM, on_alarm);
	alarm((unsigned)opt.time_limit + 10);
	prctl(PR_SET_TIMERSLACK, 1);
	raise_fd_limit(opt.clients);
	if (opt.cpu >= 0)
		pin(opt.cpu);

	for (int i = 0; i < opt.server_pids; i++)
		proc_tree_add_root(&server, opt.server_pid[i]);
	proc_tree_scan(&server, 1);
	engine_init(&engine, &opt);
	if (opt.tls_resume)
		engine_session(&engine);
	if (opt.scenario == SC_HOLD)
		return hold();
	if (has_traffic)
		traffic_init(&traffic, &engine);

	struct snapshot before = snap(1);
	engine_connect_all(&engine);
	struct snapshot connected = snap(0);
	engine_run_until(&engine, now_ns() + (uint64_t)(opt.settle * 1e9));
	proc_tree_scan(&server, 1);
	struct snapshot settled = snap(1);

	struct snapshot from = settled, to;
	int gave_up = 0;
	if (opt.pair)
		choose_pair();
	if (has_traffic) {
		traffic_start(&traffic);
		gave_up = traffic_run_until(&traffic,
			      now_ns() + (uint64_t)(opt.warmup * 1e9)) < 0;
		hist_reset(&traffic.latency);
		traffic.max_late = 0;
		from = snap(0);
		if (!gave_up)
			gave_up =
			    traffic_run_until(&traffic,
				from.ns + (uint64_t)(opt.duration * 1e9)) < 0;
		proc_tree_scan(&server, 0); /* workers may have come or gone */
		to = snap(0);
		struct hist window = traffic.latency;
		traffic_drain(&traffic);
		traffic.latency = window;
		ok = traffic_ok(gave_up);
	} else if (opt.scenario == SC_IDLE) {
		from = snap(0);
		engine_run_until(
		    &engine, from.ns + (uint64_t)(opt.duration * 1e9));
		proc_tree_scan(&server, 0);
		to = snap(0);
	}

	report_begin(opt.json_only);
	report_setup();
	report_connect(&before, &connected, &settled);
	if (has_traffic)
		report_traffic(&from, &to, gave_up);
	else if (opt.scenario == SC_IDLE)
		report_cpu(&from, &to, 0);
	report_number("pings_answered", (double)engine.pings, 0);
	report_number("errors", (double)engine.errors, 0);
	report_text("first_error", engine.first_error);
	int late = engine_out_of_time(&engine);
	report_flag("out_of_time", late);
	ok = ok && !engine.errors && !late;
	report_flag("ok", ok);
	report_end();

	engine_close_all(&engine);
	return late ? 3 : ok ? 0 : 1;
}
