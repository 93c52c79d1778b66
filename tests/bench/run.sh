#!/bin/bash
# Speed of chatd against a floor program that does the least possible, once by
# send() and once by io_uring: the same load on the same core, in turn, in one
# go; medians of the ratios of each round. README.md beside this file says why.
#
#   run.sh [build|table]  build: only the load generator and the floor;
#                         table: that of the last run again
#
# ROUNDS (3) per scenario, SECONDS_EACH (3) measured per run, CPU (the last
# one), SCENARIOS (fan1 fan4 fan10 priv1 priv16 connect latency accept), CHATD
# (build/chatd; with its chatctl beside it).
# Exit 0: measured, whether the targets are met or not; 1: a message was lost,
# doubled, reordered or went astray, or a server failed; 2: could not run.
set -u
cd "$(dirname "$0")/../.." || exit 2

rounds=${ROUNDS:-3}
seconds=${SECONDS_EACH:-3}
cpu=${CPU:-$(($(nproc) - 1))}
scenarios=${SCENARIOS:-fan1 fan4 fan10 priv1 priv16 connect latency accept}
chatd=${CHATD:-build/chatd}
chatctl=$(dirname "$chatd")/chatctl
bench=build/bench
results=$bench/results # lines "scenario server round value"
clients_idle=10000
wrong=0
server=
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

# Ends the server that is running, within 10 s.
server_stop() {
	local tries=0

	[ -n "$server" ] || return 0
	kill "$server" 2>/dev/null
	while kill -0 "$server" 2>/dev/null; do
		[ $((tries += 1)) -lt 200 ] || kill -9 "$server"
		sleep 0.05
	done
	wait "$server" 2>/dev/null
	server=
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
		esac
		server=$!
		deadline=$((SECONDS + 10))
		while kill -0 $server 2>/dev/null &&
		    [ $SECONDS -lt $deadline ]; do
			if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null &&
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
	local message='/msg u%r %b' pin="--cpu $cpu"

	case $2 in
	floor-*) message='%r %b' ;;
	esac
	case $1 in
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
	connect) set -- connect --clients $clients_idle --settle 2 ;;
	latency)
		pin=
		set -- private --clients 16 --window 1 --message "$message" \
		    --pair "$(pair "$2" "$3")" --settle 0.3 \
		    --duration "$seconds"
		;;
	esac
	timeout -k 5 120 $bench/wsload "$@" $pin --port $port \
	    --server-pid $server --json --time 90
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
	connect) key=server_us_per_handshake ;;
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
		tail -3 "$dir/err" "$dir/out" "$dir/log" >&2
	elif [ "$(json_value other_cores "$dir/out" |
	    awk '{ print ($1 > 0.2) }')" = 1 ]; then
		busy=$((busy + 1))
	fi
	echo "$name $2 $3 $(json_value $key "$dir/out")" >>$results
	[ "$1" != connect ] || echo "memory $2 $3 \
$(json_value server_bytes_per_client "$dir/out")" >>$results
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

# The servers that a scenario compares; the first two are the floors.
servers() {
	case $1 in
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
		print "no ratios"
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
		for name in $(servers "$scenario"); do
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
