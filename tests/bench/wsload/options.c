#include "options.h"

#include "token.h"
#include "util.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "wsload - load generator and yardstick for WebSocket chat servers "
    "(loopback only)\n"
    "\n"
    "usage: wsload SCENARIO --port PORT [options]\n"
    "\n"
    "scenarios\n"
    "  connect   open the clients as fast as possible; handshakes/s, server "
    "CPU per\n"
    "            handshake, memory per idle connection\n"
    "  idle      the same, then hold them for --duration, answering pings; "
    "server CPU\n"
    "  fanout    --publishers of the clients publish, every client receives "
    "everything;\n"
    "            each client's copies are checked: lost, duplicated, "
    "reordered, corrupted\n"
    "  private   clients 2i and 2i+1 send each other messages, --window in "
    "flight per\n"
    "            pair; a message that reaches anyone else counts as "
    "misdelivered\n"
    "  hold      the same as idle, until the end of standard input; each line "
    "there is\n"
    "            answered by one of JSON: how many are open, were closed by a "
    "close\n"
    "            frame, have failed; a client that fails does not end the run\n"
    "  shake     over TLS: each client leaves when it has shaken hands and the "
    "server\n"
    "            has sent something, such as tickets; figures as of connect\n"
    "\n"
    "connections\n"
    "  --host ADDR          server's address, within 127.0.0.0/8 (127.0.0.1)\n"
    "  --port PORT          server's port\n"
    "  --clients N          number of connections (100)\n"
    "  --first F            number of the first client, even (0): several "
    "wsload at once\n"
    "                       share out more clients than one process may open\n"
    "  --sources K          source addresses 127.0.0.1..K (one per 10000 "
    "clients)\n"
    "  --inflight C         handshakes under way at once (256)\n"
    "  --connect-rate R     handshakes/s at most (0: no limit)\n"
    "  --tls                over TLS 1.3; certificates are not looked at\n"
    "  --tls-resume         the same, all resume one session\n"
    "  --url TEMPLATE       request target (/ws?user=u%d)\n"
    "  --protocol NAME      Sec-WebSocket-Protocol to offer\n"
    "  --header 'K: V'      further request header, a TEMPLATE; repeatable\n"
    "  --hello TEMPLATE     message each client sends after its handshake; "
    "repeatable\n"
    "  --ready TEXT         a client counts as ready once it received TEXT\n"
    "  --settle S           pause after the last client is ready, seconds (1)\n"
    "\n"
    "traffic\n"
    "  --message TEMPLATE   what to send, with %b for the body (%b)\n"
    "  --size BYTES         size of the body, at least 32 (64)\n"
    "  --binary             send binary frames (text)\n"
    "  --publishers P       fanout: number of publishing clients (10)\n"
    "  --rate R             fanout: messages/s of all publishers together, "
    "open loop;\n"
    "                       latency counts from the time a message was due\n"
    "  --window W           closed loop: messages in flight per publisher or "
    "pair (1)\n"
    "  --ack all|own        fanout, closed loop: a message is done when all "
    "clients have\n"
    "                       it, or when its publisher has it (all)\n"
    "  --pair COMMAND       private: only the two clients talk whose numbers "
    "COMMAND prints\n"
    "                       when all are ready; the others are idle\n"
    "  --no-self            fanout: the server sends a publisher no copy of "
    "its own\n"
    "  --warmup S           traffic before measuring, seconds (1)\n"
    "  --duration S         measured time, seconds (5)\n"
    "  --drain S            wait for outstanding messages at the end, seconds "
    "(5)\n"
    "  --stall S            give up when nothing arrives for so long, seconds "
    "(5)\n"
    "\n"
    "measuring\n"
    "  --server-pid PID     server process; its descendants are found; "
    "repeatable\n"
    "  --cpu N              run on CPU N only, as a batch process; start the "
    "server with\n"
    "                       taskset -c N too: its CPU figures are steadiest "
    "this way, for\n"
    "                       nobody wakes anybody on another core (see README)\n"
    "  --time S             the whole run ends after this at the latest (120)\n"
    "  --label TEXT         copied into the report\n"
    "  --json               print the JSON object only\n"
    "\n"
    "templates: %d the client's number, %r its peer's (private), %b the body, "
    "%l its\n"
    "length in bytes, %% a percent sign; \\r \\n \\t \\\\ \\xHH.\n"
    "The body is ~SSSSSSQQQQQQQQTTTTTTTTTTTTTTTT~ (sender, sequence number, "
    "send time in\n"
    "ns, in hexadecimal), padded to --size; it is found anywhere in what is "
    "received,\n"
    "several times per frame too.\n"
    "\n"
    "The report is a table, then one JSON object on the last line. CPU figures "
    "are CPU\n"
    "time (user + system) of all the server's processes and threads in the "
    "measured time.\n"
    "exit status: 0 all well, 1 errors or lost, duplicated, reordered, "
    "corrupted or\n"
    "misdelivered messages, 2 could not run, 3 out of time.\n";

enum {
	OPT_HOST = 256,
	OPT_PORT,
	OPT_CLIENTS,
	OPT_FIRST,
	OPT_SOURCES,
	OPT_INFLIGHT,
	OPT_CONNECT_RATE,
	OPT_URL,
	OPT_PROTOCOL,
	OPT_HEADER,
	OPT_HELLO,
	OPT_READY,
	OPT_SETTLE,
	OPT_MESSAGE,
	OPT_SIZE,
	OPT_BINARY,
	OPT_PUBLISHERS,
	OPT_RATE,
	OPT_WINDOW,
	OPT_ACK,
	OPT_PAIR,
	OPT_NO_SELF,
	OPT_TLS,
	OPT_TLS_RESUME,
	OPT_WARMUP,
	OPT_DURATION,
	OPT_DRAIN,
	OPT_STALL,
	OPT_SERVER_PID,
	OPT_CPU,
	OPT_TIME,
	OPT_LABEL,
	OPT_JSON,
};

static const struct option long_options[] = {
    {"help", no_argument, NULL, 'h'},
    {"host", required_argument, NULL, OPT_HOST},
    {"port", required_argument, NULL, OPT_PORT},
    {"clients", required_argument, NULL, OPT_CLIENTS},
    {"first", required_argument, NULL, OPT_FIRST},
    {"sources", required_argument, NULL, OPT_SOURCES},
    {"inflight", required_argument, NULL, OPT_INFLIGHT},
    {"connect-rate", required_argument, NULL, OPT_CONNECT_RATE},
    {"url", required_argument, NULL, OPT_URL},
    {"protocol", required_argument, NULL, OPT_PROTOCOL},
    {"header", required_argument, NULL, OPT_HEADER},
    {"hello", required_argument, NULL, OPT_HELLO},
    {"ready", required_argument, NULL, OPT_READY},
    {"settle", required_argument, NULL, OPT_SETTLE},
    {"message", required_argument, NULL, OPT_MESSAGE},
    {"size", required_argument, NULL, OPT_SIZE},
    {"binary", no_argument, NULL, OPT_BINARY},
    {"publishers", required_argument, NULL, OPT_PUBLISHERS},
    {"rate", required_argument, NULL, OPT_RATE},
    {"window", required_argument, NULL, OPT_WINDOW},
    {"ack", required_argument, NULL, OPT_ACK},
    {"pair", required_argument, NULL, OPT_PAIR},
    {"no-self", no_argument, NULL, OPT_NO_SELF},
    {"tls", no_argument, NULL, OPT_TLS},
    {"tls-resume", no_argument, NULL, OPT_TLS_RESUME},
    {"warmup", required_argument, NULL, OPT_WARMUP},
    {"duration", required_argument, NULL, OPT_DURATION},
    {"drain", required_argument, NULL, OPT_DRAIN},
    {"stall", required_argument, NULL, OPT_STALL},
    {"server-pid", required_argument, NULL, OPT_SERVER_PID},
    {"cpu", required_argument, NULL, OPT_CPU},
    {"time", required_argument, NULL, OPT_TIME},
    {"label", required_argument, NULL, OPT_LABEL},
    {"json", no_argument, NULL, OPT_JSON},
    {0},
};

static const char *
option_name(int c)
{
	for (const struct option *o = long_options; o->name; o++)
		if (o->val == c)
			return o->name;
	return "?";
}

static double
parse_number(int c, double min, double max)
{
	char *end;
	double v = strtod(optarg, &end);
	if (end == optarg || *end || !(v >= min && v <= max))
		die("--%s: a number from %g to %g, not \"%s\"", option_name(c),
		    min, max, optarg);
	return v;
}

static int
parse_int(int c, int min, int max)
{
	double v = parse_number(c, min, max);
	if (v != (double)(int)v)
		die("--%s: an integer, not \"%s\"", option_name(c), optarg);
	return (int)v;
}

static uint32_t
parse_host(void)
{
	struct in_addr a;
	if (inet_pton(AF_INET, optarg, &a) != 1 || ntohl(a.s_addr) >> 24 != 127)
		die("--host: an address within 127.0.0.0/8, not \"%s\"",
		    optarg);
	return ntohl(a.s_addr);
}

static void
parse_one(struct options *o, int c)
{
	enum { LOTS = 1000000000 };
	switch (c) {
	case OPT_HOST:
		o->host = parse_host();
		break;
	case OPT_PORT:
		o->port = parse_int(c, 1, 65535);
		break;
	case OPT_CLIENTS:
		o->clients = parse_int(c, 1, 1000000);
		break;
	case OPT_FIRST:
		o->first = parse_int(c, 0, 10000000);
		break;
	case OPT_SOURCES:
		o->sources = parse_int(c, 1, 250);
		break;
	case OPT_INFLIGHT:
		o->inflight = parse_int(c, 1, 1000000);
		break;
	case OPT_CONNECT_RATE:
		o->connect_rate = parse_number(c, 0, LOTS);
		break;
	case OPT_URL:
		o->url = optarg;
		break;
	case OPT_PROTOCOL:
		o->protocol = optarg;
		break;
	case OPT_HEADER:
		if (o->headers == MAX_HEADERS)
			die("too many --header");
		o->header[o->headers++] = optarg;
		break;
	case OPT_HELLO:
		if (o->hellos == MAX_HELLOS)
			die("too many --hello");
		o->hello[o->hellos++] = optarg;
		break;
	case OPT_READY:
		o->ready = optarg;
		break;
	case OPT_SETTLE:
		o->settle = parse_number(c, 0, 3600);
		break;
	case OPT_MESSAGE:
		o->message = optarg;
		break;
	case OPT_SIZE:
		o->size = parse_int(c, TOKEN_LEN, 100000);
		break;
	case OPT_BINARY:
		o->binary = 1;
		break;
	case OPT_PUBLISHERS:
		o->publishers = parse_int(c, 1, 100000);
		break;
	case OPT_RATE:
		o->rate = parse_number(c, 0, LOTS);
		break;
	case OPT_WINDOW:
		o->window = parse_int(c, 1, 100000);
		break;
	case OPT_ACK:
		if (strcmp(optarg, "all") != 0 && strcmp(optarg, "own") != 0)
			die("--ack: all or own, not \"%s\"", optarg);
		o->ack_own = strcmp(optarg, "own") == 0;
		break;
	case OPT_PAIR:
		o->pair = optarg;
		break;
	case OPT_TLS_RESUME:
		o->tls_resume = 1;
		/* fallthrough */
	case OPT_TLS:
		o->tls = 1;
		break;
	case OPT_NO_SELF:
		o->no_self = 1;
		break;
	case OPT_WARMUP:
		o->warmup = parse_number(c, 0, 3600);
		break;
	case OPT_DURATION:
		o->duration = parse_number(c, 0.01, 86400);
		break;
	case OPT_DRAIN:
		o->drain = parse_number(c, 0, 3600);
		break;
	case OPT_STALL:
		o->stall = parse_number(c, 0.1, 3600);
		break;
	case OPT_SERVER_PID:
		if (o->server_pids ==
		    (int)(sizeof o->server_pid / sizeof *o->server_pid))
			die("too many --server-pid");
		o->server_pid[o->server_pids++] = parse_int(c, 1, LOTS);
		break;
	case OPT_CPU:
		o->cpu = parse_int(c, 0, CPU_SETSIZE - 1);
		break;
	case OPT_TIME:
		o->time_limit = parse_number(c, 1, 86400);
		break;
	case OPT_LABEL:
		o->label = optarg;
		break;
	case OPT_JSON:
		o->json_only = 1;
		break;
	case 'h':
		fputs(help, stdout);
		exit(0);
	default:
		die("see wsload --help");
	}
}

void
options_parse(struct options *o, int argc, char **argv)
{
	static const char *const name[] = {
	    "connect", "idle", "fanout", "private", "hold", "shake"};

	*o = (struct options){
	    .label = "",
	    .host = INADDR_LOOPBACK,
	    .clients = 100,
	    .inflight = 256,
	    .url = "/ws?user=u%d",
	    .settle = 1,
	    .message = "%b",
	    .size = 64,
	    .publishers = 10,
	    .window = 1,
	    .warmup = 1,
	    .duration = 5,
	    .drain = 5,
	    .stall = 5,
	    .time_limit = 120,
	    .cpu = -1,
	};
	for (int c;
	     (c = getopt_long(argc, argv, "h", long_options, NULL)) != -1;)
		parse_one(o, c);
	if (optind != argc - 1)
		die("give one scenario: connect, idle, fanout, private, hold "
		    "or shake (see wsload --help)");
	o->scenario_name = argv[optind];
	int i;
	for (i = 0; i < 6 && strcmp(o->scenario_name, name[i]) != 0; i++)
		;
	if (i == 6)
		die("no such scenario: %s", o->scenario_name);
	o->scenario = (enum scenario)i;

	if (o->port == 0)
		die("--port is missing");
	if (o->sources == 0)
		o->sources = (o->clients + 9999) / 10000;
	if (o->scenario == SC_FANOUT && o->publishers > o->clients)
		die("more publishers than clients");
	if (o->scenario == SC_PRIVATE && o->clients % 2)
		die("private: an even number of clients");
	if (o->pair && o->scenario != SC_PRIVATE)
		die("--pair: private only");
	if (o->first % 2)
		die("--first: an even number");
	if (o->scenario == SC_SHAKE && !o->tls)
		die("shake: with --tls or --tls-resume");
	if (o->no_self && o->ack_own)
		die("--no-self and --ack own exclude each other");
}

struct text {
	char *p;
	size_t len, cap;
};

static void
put(struct text *t, const char *s, size_t len)
{
	if (t->len + len + 1 > t->cap) {
		t->cap = 2 * (t->len + len + 1);
		t->p = xrealloc(t->p, t->cap);
	}
	memcpy(t->p + t->len, s, len);
	t->len += len;
	t->p[t->len] = 0;
}

static void
put_int(struct text *t, long v)
{
	char s[24];
	put(t, s, (size_t)snprintf(s, sizeof s, "%ld", v));
}

char *
expand(const char *tmpl, int self, int peer, const char *body, size_t body_len,
    size_t *out_len, long *body_at)
{
	struct text t = {0};
	if (body_at)
		*body_at = -1;
	put(&t, "", 0);
	for (const char *s = tmpl; *s; s++) {
		if (*s == '%' && s[1]) {
			switch (*++s) {
			case 'd':
				put_int(&t, self);
				break;
			case 'r':
				put_int(&t, peer);
				break;
			case 'l':
				put_int(&t, (long)body_len);
				break;
			case '%':
				put(&t, "%", 1);
				break;
			case 'b':
				if (body_at)
					*body_at = (long)t.len;
				put(&t, body, body_len);
				break;
			default:
				die("template \"%s\": %%%c is unknown", tmpl,
				    *s);
			}
		} else if (*s == '\\' && s[1]) {
			char c;
			unsigned hex;
			switch (*++s) {
			case 'r':
				c = '\r';
				break;
			case 'n':
				c = '\n';
				break;
			case 't':
				c = '\t';
				break;
			case 'x':
				if (sscanf(s + 1, "%2x", &hex) != 1 || !s[1] ||
				    !s[2])
					die("template \"%s\": \\x needs two "
					    "hexadecimal digits",
					    tmpl);
				c = (char)hex;
				s += 2;
				break;
			default:
				c = *s;
				break;
			}
			put(&t, &c, 1);
		} else {
			put(&t, s, 1);
		}
	}
	if (out_len)
		*out_len = t.len;
	return t.p;
}
