#!/bin/bash
# Speed of chatd against a floor program that does the least possible, once by
# send() and once by io_uring: the same load on the same core, in turn, in one
# go; medians of the ratios of each round. README.md beside this file says why.
#
#   run.sh [build|table]  build: only the load generator and the floor;
#                         table: that of the last run again
#
# ROUNDS (3) per scenario, SECONDS_EACH (3) measured per run, CPU (the last
# one), SCENARIOS (fan1 fan4 fan10 priv1 priv16 connect latency accept, over TLS
# tfan1 tfan4 tshake tresume tconnect ttakeover), CHATD (build/chatd; with its
# chatctl beside it).
# Exit 0: measured, whether the targets are met or not; 1: a message was lost,
# doubled, reordered or went astray, or a server failed; 2: could not run.
set -u
cd "$(dirname "$0")/../.." || exit 2

rounds=${ROUNDS:-3}
seconds=${SECONDS_EACH:-3}
cpu=${CPU:-$(($(nproc) - 1))}
scenarios=${SCENARIOS:-fan1 fan4 fan10 priv1 priv16 connect latency accept \
    tfan1 tfan4 tshake tresume tconnect ttakeover}
chatd=${CHATD:-build/chatd}
chatctl=$(dirname "$chatd")/chatctl
bench=build/bench
results=$bench/results # lines "scenario server round value"
clients_idle=10000
clients_peer=2000 # of servers whose processes have fewer descriptors left
clients_shake=2000
wrong=0
server=
behind= # a second process of the server
dir=

# Builds what measures; it is no part of the daemon.
build() {
	local source=tests/bench flags="-std=gnu11 -O2 -g -Wall -Wextra"

	mkdir -p $bench || exit 2
	${CC:-gcc} $flags -D_GNU_SOURCE -Iinclude -o $bench/wsload \
	    $source/wsload/*.c src/codec/tls_{head,key,record,suite}.c \
	    -lm -lssl -lcrypto || exit 2
	${CC:-gcc} $flags -I$source/wsload -o $bench/floor \
	    $source/floor/floor.c $source/wsload/ws.c -luring || exit 2
}

# Ends the server that is running, each process within 10 s.
server_stop() {
	local tries pid

	for pid in $server $behind; do
		tries=0
		kill "$pid" 2>/dev/null
		while kill -0 "$pid" 2>/dev/null; do
			[ $((tries += 1)) -lt 200 ] || kill -9 "$pid"
			sleep 0.05
		done
		wait "$pid" 2>/dev/null
	done
	server=
	behind=
}

# Writes the configuration of an nginx at $1 that ends TLS before a server at
# $2.
nginx_conf() {
	cat <<-EOF
	daemon off;
	pid $dir/nginx.pid;
	worker_processes 2;
	worker_rlimit_nofile 20000;
	error_log $dir/nginx.log;
	events { worker_connections 19000; }
	http {
		access_log off;
		client_body_temp_path $dir/temp1;
		proxy_temp_path $dir/temp2;
		fastcgi_temp_path $dir/temp3;
		uwsgi_temp_path $dir/temp4;
		scgi_temp_path $dir/temp5;
		server {
			listen 127.0.0.1:$1 ssl backlog=4096;
			ssl_certificate $dir/cert.pem;
			ssl_certificate_key $dir/key.pem;
			ssl_protocols TLSv1.2 TLSv1.3;
			location / {
				proxy_pass http://127.0.0.1:$2;
				proxy_http_version 1.1;
				proxy_set_header Host \$http_host;
				proxy_set_header Upgrade \$http_upgrade;
				proxy_set_header Connection Upgrade;
				proxy_read_timeout 1h;
			}
		}
	}
	EOF
}

# Whether the server at $port answers, over TLS if $1 is one that does that.
server_answers() {
	case $1 in
	*-tls)
		timeout 5 openssl s_client -connect 127.0.0.1:$port \
		    </dev/null >"$dir/shaken" 2>&1
		grep -q "^ *Verification\|^Verify return" "$dir/shaken" &&
		    { [ -z "$behind" ] ||
			(exec 3<>"/dev/tcp/127.0.0.1/$((port + 1))"); }
		;;
	*) (exec 3<>"/dev/tcp/127.0.0.1/$port") ;;
	esac 2>/dev/null
}

leave() {
	server_stop
	[ -z "$dir" ] || rm -rf "$dir"
}

# Starts NAME on a free port (a taken one makes it fail, then another is
# tried) and waits until a connection succeeds; the rest of the arguments says
# on which processors. Sets server and port.
server_start() {
	local attempt deadline on="${*:2}"

	for attempt in 1 2 3 4 5 6 7 8; do
		port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
		case $1 in
		floor-*)
			$on $bench/floor $port "${1#floor-}" \
			    >"$dir/log" 2>&1 &
			;;
		chatd-4 | chatd-1)
			$on "$chatd" -d -f "$dir/uring.conf" \
			    -w "${1#chatd-}" -l 127.0.0.1:$port \
			    -s "$dir/sock" >"$dir/log" 2>&1 &
			;;
		chatd-plain)
			$on "$chatd" -d -f "$dir/plain.conf" \
			    -w 4 -l 127.0.0.1:$port -s "$dir/sock" \
			    >"$dir/log" 2>&1 &
			;;
		chatd-tls | handshakers-tls)
			{
				cat "$dir/uring.conf"
				echo "listen 127.0.0.1:$port tls"
				echo "certificate \"$dir/cert.pem\" \
key \"$dir/key.pem\""
			} >"$dir/tls.conf"
			$on "$chatd" -d -f "$dir/tls.conf" -w 4 \
			    -s "$dir/sock" >"$dir/log" 2>&1 &
			;;
		nginx-tls)
			$on "$chatd" -d -f "$dir/uring.conf" -w 4 \
			    -l 127.0.0.1:$((port + 1)) -s "$dir/sock" \
			    >"$dir/log" 2>&1 &
			behind=$!
			nginx_conf $port $((port + 1)) >"$dir/nginx.conf"
			$on nginx -e "$dir/nginx.log" -c "$dir/nginx.conf" \
			    2>"$dir/log" &
			;;
		ws-tls)
			$on node tests/bench/wss.js $port "$dir/cert.pem" \
			    "$dir/key.pem" >"$dir/log" 2>&1 &
			;;
		openssl-tls)
			$on openssl s_server -quiet -accept 127.0.0.1:$port \
			    -cert "$dir/cert.pem" -key "$dir/key.pem" \
			    >"$dir/log" 2>&1 </dev/null &
			;;
		esac
		server=$!
		deadline=$((SECONDS + 10))
		while kill -0 $server 2>/dev/null &&
		    [ $SECONDS -lt $deadline ]; do
			if server_answers "$1" &&
			    kill -0 $server 2>/dev/null; then
				return 0
			fi
			sleep 0.02
		done
		server_stop
	done
	echo "bench: $1 does not start:" >&2
	tail -5 "$dir/log" >&2
	exit 2
}

# The load of a scenario: $1 scenario, $2 server; of latency, $3 where the two
# that talk are: "same" worker, or "other" ones.
load() {
	local message='/msg u%r %b' pin="--cpu $cpu" idle=$clients_idle
	local also='' pids="$server $behind" pid

	case $2 in
	floor-*) message='%r %b' ;;
	chatd-tls) also="$also --tls" ;;
	handshakers-tls)
		also="$also --tls"
		pids=$(ps -o pid=,args= --ppid $server |
		    awk '/: handshaker/ { print $1 }')
		;;
	*-tls)
		also="$also --tls"
		idle=$clients_peer
		;;
	esac
	case ${1#t} in
	shake) set -- shake --clients $clients_shake --inflight 16 \
	    --settle 1 ;;
	resume) set -- shake --clients $clients_shake --inflight 16 \
	    --settle 1 --tls-resume ;;
	fan1) set -- fanout --clients 1000 --publishers 1 --window 1 \
	    --settle 0.3 --duration "$seconds" ;;
	fan4) set -- fanout --clients 1000 --publishers 10 --window 4 \
	    --settle 0.3 --duration "$seconds" ;;
	fan10) set -- fanout --clients 10 --publishers 1 --window 1 \
	    --settle 0.3 --duration "$seconds" ;;
	priv1) set -- private --clients 400 --window 1 \
	    --message "$message" --duration "$seconds" ;;
	priv16) set -- private --clients 400 --window 16 \
	    --message "$message" --duration "$seconds" ;;
	connect) set -- connect --clients $idle --settle 2 ;;
	latency)
		pin=
		set -- private --clients 16 --window 1 --message "$message" \
		    --pair "$(pair "$2" "$3")" --settle 0.3 \
		    --duration "$seconds"
		;;
	esac
	for pid in $pids; do
		also="$also --server-pid $pid"
	done
	timeout -k 5 120 $bench/wsload "$@" $pin $also --port $port \
	    --json --time 90
}

# Prints the command that chooses two clients of $1 who are at the same worker
# or at other ones, as $2 says.
pair() {
	case $1 in
	floor-*) echo "echo 0 1" ;;
	*) echo "'$chatctl' -s '$dir/sock' show connections |
	    awk -v want=$2 -f '$dir/pair.awk'" ;;
	esac
}

# The value of a key in a line of JSON, or nothing.
json_value() {
	sed -n "s/.*\"$1\": \([-0-9.]*\)[,}].*/\1/p" "$2" | tail -1
}

# Loads the server that runs and appends "scenario server round value": $1
# scenario, $2 server, $3 round, $4 as load's $3.
measure() {
	local key=server_us_per_delivery status name=$1

	case $1 in
	connect | tconnect | tshake | tresume) key=server_us_per_handshake ;;
	latency)
		key=latency_p50_us
		name=$4
		;;
	esac
	load "$1" "$2" "${4:-}" >"$dir/out" 2>"$dir/err"
	status=$?
	if [ $status != 0 ]; then
		wrong=$((wrong + 1))
		echo "bench: $1 $2: wsload says $status:" >&2
		tail -n 3 "$dir/err" "$dir/out" "$dir/log" >&2
	elif [ "$(json_value other_cores "$dir/out" |
	    awk '{ print ($1 > 0.2) }')" = 1 ]; then
		busy=$((busy + 1))
	fi
	echo "$name $2 $3 $(json_value $key "$dir/out")" >>$results
	case $1 in
	connect | tconnect) echo "memory $2 $3 \
$(json_value server_bytes_per_client "$dir/out")" >>$results ;;
	esac
}

# One run of a server under a scenario: $1 scenario, $2 server, $3 round.
run() {
	if [ "$1" = latency ]; then
		server_start "$2"
		measure "$1" "$2" "$3" same
		measure "$1" "$2" "$3" other
	else
		server_start "$2" taskset -c "$cpu"
		measure "$1" "$2" "$3"
	fi
	server_stop
}

# One run of what accepts without sockets, on all cores: its processes are to
# get in each other's way. $1 round.
measure_accept() {
	local mode

	if ! timeout -k 5 400 $bench/accept >"$dir/out" 2>"$dir/err"; then
		wrong=$((wrong + 1))
		echo "bench: accept fails:" >&2
		tail -3 "$dir/err" >&2
	fi
	for mode in publish alone four; do
		echo "accept $mode $1 $(awk -v mode=$mode \
		    '$1 == mode && $2 == "median" { print $3 / 1000 }' \
		    "$dir/out")" >>$results
	done
}

# One run of a takeover over TLS, on all cores. $1 round.
measure_takeover() {
	if ! CHATD=$chatd timeout -k 5 300 node tests/bench/takeover.js \
	    12500 1 4 tls >"$dir/out" 2>"$dir/err"; then
		wrong=$((wrong + 1))
		echo "bench: ttakeover fails:" >&2
		tail -3 "$dir/err" >&2
	fi
	sed -n "s/^medians: \([0-9.]*\) ms until [0-9]* are answered, \
\([0-9.]*\) ms.*/ttakeover some $1 \1\nttakeover all $1 \2/p" \
	    "$dir/out" >>$results
}

# The servers that a scenario compares; the first two are the floors, or over
# TLS the first is what others are compared with.
servers() {
	case $1 in
	tfan*) echo chatd-4 chatd-tls nginx-tls ws-tls ;;
	tshake | tresume) echo openssl-tls handshakers-tls chatd-tls ;;
	tconnect) echo chatd-tls nginx-tls ws-tls ;;
	fan1) echo floor-send floor-uring chatd-4 chatd-plain chatd-1 ;;
	fan10) echo floor-send floor-uring chatd-4 chatd-plain ;;
	fan4) echo floor-send floor-uringtick chatd-4 chatd-plain chatd-1 ;;
	priv* | latency) echo floor-private floor-privuring chatd-4 chatd-plain ;;
	connect) echo floor-send floor-uring chatd-4 chatd-plain ;;
	esac
}

# Prints the table from the results.
table() {
	awk '
	function median(list,	n, v, i, j, t) {
		n = split(list, v, " ")
		for (i = 2; i <= n; i++)
			for (j = i; j > 1 && v[j] + 0 < v[j - 1] + 0; j--) {
				t = v[j]; v[j] = v[j - 1]; v[j - 1] = t
			}
		if (n == 0)
			return ""
		return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
	}
	# The median over the rounds of server by base, or "".
	function ratio(scenario, server, base,	r, list) {
		for (r = 1; r <= rounds; r++)
			if (value[scenario, base, r] > 0 &&
			    value[scenario, server, r] != "")
				list = list " " value[scenario, server, r] / \
				    value[scenario, base, r]
		return median(list)
	}
	function absolute(scenario, server,	r, list) {
		for (r = 1; r <= rounds; r++)
			if (value[scenario, server, r] != "")
				list = list " " value[scenario, server, r]
		return median(list)
	}
	# what, the ratios to both floors, the target and which of the two it
	# is for, both floors.
	function row(what, send, ring, target, by, floor, floor_ring,	got) {
		got = by == "io_uring" ? ring : send
		if (got == "")
			return
		printf "%-42s %7s %8s %7s %-8s  %-6s %8s %8s\n", what,
		    number(send), number(ring), target, by,
		    target == "" ? "" : got <= target ? "met" : "missed",
		    number(floor), number(floor_ring)
	}
	function number(n) {
		return n == "" ? "" : sprintf(n < 100 ? "%.3f" : "%d", n)
	}
	# Both rows of a scenario: with and without io_uring.
	function rows(scenario, what, base, ring, target, by) {
		row(what, ratio(scenario, "chatd-4", base),
		    ratio(scenario, "chatd-4", ring), target, by,
		    absolute(scenario, base), absolute(scenario, ring))
		row("  without io_uring", ratio(scenario, "chatd-plain", base),
		    ratio(scenario, "chatd-plain", ring), "", "", "", "")
	}
	# What is no ratio to a floor.
	function plain(what, got, target) {
		row(what, got, "", target, "", "", "")
	}
	# Handshakes, alone and with what comes of them.
	function shake(what, scenario) {
		plain(what, ratio(scenario, "handshakers-tls", "openssl-tls"),
		    1.11)
		plain("  with the workers that get them", ratio(scenario,
		    "chatd-tls", "openssl-tls"), "")
	}
	# A fan-out over TLS, of chatd and of others.
	function tls(what, scenario, target) {
		plain(what, ratio(scenario, "chatd-tls", "chatd-4"), target)
		plain("  nginx before chatd", ratio(scenario, "nginx-tls",
		    "chatd-4"), "")
		plain("  node ws", ratio(scenario, "ws-tls", "chatd-4"), "")
	}
	NF == 4 { value[$1, $2, $3] = $4; if ($3 > rounds) rounds = $3 }
	END {
		printf "a bare system call: %.3f us (getppid)\n\n",
		    absolute("call", "bare")
		printf "%-42s %7s %8s %7s %-8s  %-6s %8s %8s\n",
		    "", "by the", "floors:", "", "", "", "floors,", "in us:"
		printf "%-42s %7s %8s %7s %-8s  %-6s %8s %8s\n",
		    "CPU of chatd -w 4", "send", "io_uring", "target", "by",
		    "", "send", "io_uring"
		rows("fan1", "fan-out to 1,000, window 1", "floor-send",
		    "floor-uring", 1.10, "io_uring")
		rows("fan4", "fan-out to 1,000, window 4", "floor-send",
		    "floor-uringtick", 0.04, "send")
		rows("fan10", "fan-out to 10, window 1", "floor-send",
		    "floor-uring", 1.2, "send")
		rows("priv1", "private, 200 pairs, window 1", "floor-private",
		    "floor-privuring", 1.15, "io_uring")
		rows("priv16", "private, 200 pairs, window 16",
		    "floor-private", "floor-privuring", 0.15, "send")
		rows("connect", "handshake", "floor-send", "floor-uring", 1.15,
		    "send")
		print "p50 of one message, nothing else to do"
		rows("same", "to the same worker", "floor-private",
		    "floor-privuring", 1.08, "send")
		rows("other", "to another worker", "floor-private",
		    "floor-privuring", 1.5, "send")
		print "CPU of -w 4 by that of -w 1"
		plain("fan-out to 1,000, window 1",
		    ratio("fan1", "chatd-4", "chatd-1"), "")
		plain("fan-out to 1,000, window 4",
		    ratio("fan4", "chatd-4", "chatd-1"), 1.15)
		print "over TLS, CPU by that of chatd -w 4 over TCP"
		tls("fan-out to 1,000, window 1", "tfan1", 1.4)
		tls("fan-out to 1,000, window 4", "tfan4", 2)
		print "TLS handshakes, CPU by that of openssl s_server"
		shake("in full", "tshake")
		shake("resumed", "tresume")
		print "us CPU to connect over TLS"
		plain("chatd", absolute("tconnect", "chatd-tls"), "")
		plain("nginx before chatd", absolute("tconnect",
		    "nginx-tls"), "")
		plain("node ws", absolute("tconnect", "ws-tls"), "")
		print "bytes per idle connection over TLS"
		plain("chatd", absolute("memory", "chatd-tls"), 1300)
		plain("nginx before chatd", absolute("memory",
		    "nginx-tls"), "")
		plain("node ws", absolute("memory", "ws-tls"), "")
		print "no ratios"
		plain("ms until 12,500 clients over TLS are served",
		    absolute("ttakeover", "some"), 1500)
		plain("  until all that ask then are answered",
		    absolute("ttakeover", "all"), "")
		plain("bytes per idle connection",
		    absolute("memory", "chatd-4"), 400)
		plain("us to accept and book, 4 workers, contended",
		    absolute("accept", "four"), 1)
		plain("  one process does it all",
		    absolute("accept", "alone"), 1)
		plain("  of that, to accept", absolute("accept", "publish"),
		    "")
	}' "$results"
}

build
case ${1:-} in
build) exit 0 ;;
table)
	table
	exit 0
	;;
esac
for program in "$chatd" "$chatctl" $bench/accept; do
	[ -x "$program" ] && continue
	echo "bench: no $program: make $program first" >&2
	exit 2
done

dir=$(mktemp -d)
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
chmod 755 "$dir"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout "$dir/key.pem" -out "$dir/cert.pem" -days 2 -subj /CN=localhost \
    2>"$dir/log" || exit 2
echo "io-uring yes" >"$dir/uring.conf"
echo "io-uring no" >"$dir/plain.conf"
cat >"$dir/pair.awk" <<'EOF'
$NF ~ /^u[0-9]+$/ {
	for (user in worker)
		if (!found && (worker[user] == $2) == (want == "same")) {
			print substr($NF, 2), user
			found = 1
		}
	worker[substr($NF, 2)] = $2
}
EOF
: >$results
busy=0
for ((round = 1; round <= rounds; round++)); do
	echo "call bare $round $(taskset -c "$cpu" $bench/floor call)" \
	    >>$results
	for scenario in $scenarios; do
		if [ "$scenario" = accept ]; then
			echo "bench: round $round: accept" >&2
			measure_accept "$round"
			continue
		fi
		if [ "$scenario" = ttakeover ]; then
			echo "bench: round $round: ttakeover" >&2
			measure_takeover "$round"
			continue
		fi
		for name in $(servers "$scenario"); do
			case $name in
			nginx-*) command -v nginx >/dev/null || continue ;;
			esac
			echo "bench: round $round: $scenario $name" >&2
			run "$scenario" "$name" "$round"
		done
	done
done

echo "$(uname -sr), $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo |
    sed 1q), $(date +%F), medians of $rounds rounds"
echo
table
echo
echo "Bytes: (Pss of all processes with $clients_idle idle users - Pss with" \
    "none) / $clients_idle; Pss holds the shared memory too. The journal is a" \
    "region of it that an idle run does not write to, so nothing of it is in" \
    "the difference."
[ $busy = 0 ] ||
	echo "$busy runs had more than 0.2 cores of other work beside them."
if [ $wrong != 0 ]; then
	echo "$wrong runs were wrong: see above."
	exit 1
fi
