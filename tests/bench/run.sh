#!/bin/bash
# Speed of chatd against a floor program that does the least possible: the
# same load on the same core, in turn, in one go; medians of the ratios of
# each round. README.md beside this file says why so.
#
#   run.sh [build|table]  build: only the load generator and the floor;
#                         table: that of the last run again
#
# ROUNDS (3) per scenario, SECONDS_EACH (3) measured per run, CPU (the last
# one), SCENARIOS (fan1 fan4 priv1 priv16 connect accept), CHATD (build/chatd).
# Exit 0: measured, whether the targets are met or not; 1: a message was lost,
# doubled, reordered or went astray, or a server failed; 2: could not run.
set -u
cd "$(dirname "$0")/../.." || exit 2

rounds=${ROUNDS:-3}
seconds=${SECONDS_EACH:-3}
cpu=${CPU:-$(($(nproc) - 1))}
scenarios=${SCENARIOS:-fan1 fan4 priv1 priv16 connect accept}
chatd=${CHATD:-build/chatd}
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
	${CC:-gcc} $flags -D_GNU_SOURCE -o $bench/wsload \
	    $source/wsload/*.c -lm || exit 2
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
# tried) and waits until a connection succeeds. Sets server and port.
server_start() {
	local attempt deadline

	for attempt in 1 2 3 4 5 6 7 8; do
		port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
		case $1 in
		floor-*)
			taskset -c "$cpu" $bench/floor $port "${1#floor-}" \
			    >"$dir/log" 2>&1 &
			;;
		chatd-4 | chatd-1)
			taskset -c "$cpu" "$chatd" -d -f "$dir/uring.conf" \
			    -w "${1#chatd-}" -l 127.0.0.1:$port \
			    -s "$dir/sock" >"$dir/log" 2>&1 &
			;;
		chatd-plain)
			taskset -c "$cpu" "$chatd" -d -f "$dir/plain.conf" \
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

# The load of a scenario: $1 scenario, $2 server.
load() {
	local message='/msg u%r %b' own="--cpu $cpu --port $port \
--server-pid $server --json --time 90"

	case $2 in
	floor-*) message='%r %b' ;;
	esac
	case $1 in
	fan1) set -- fanout --clients 1000 --publishers 1 --window 1 \
	    --settle 0.3 --duration "$seconds" ;;
	fan4) set -- fanout --clients 1000 --publishers 10 --window 4 \
	    --settle 0.3 --duration "$seconds" ;;
	priv1) set -- private --clients 400 --window 1 \
	    --message "$message" --duration "$seconds" ;;
	priv16) set -- private --clients 400 --window 16 \
	    --message "$message" --duration "$seconds" ;;
	connect) set -- connect --clients $clients_idle --settle 2 ;;
	esac
	timeout -k 5 120 $bench/wsload "$@" $own
}

# The value of a key in a line of JSON, or nothing.
json_value() {
	sed -n "s/.*\"$1\": \([-0-9.]*\)[,}].*/\1/p" "$2" | tail -1
}

# One run: appends "scenario server round value" to the results.
measure() {
	local key=server_us_per_delivery status

	[ "$1" != connect ] || key=server_us_per_handshake
	server_start "$2"
	load "$1" "$2" >"$dir/out" 2>"$dir/err"
	status=$?
	if [ $status != 0 ]; then
		wrong=$((wrong + 1))
		echo "bench: $1 $2: wsload says $status:" >&2
		tail -3 "$dir/err" "$dir/out" "$dir/log" >&2
	elif [ "$(json_value other_cores "$dir/out" |
	    awk '{ print ($1 > 0.2) }')" = 1 ]; then
		busy=$((busy + 1))
	fi
	echo "$1 $2 $3 $(json_value $key "$dir/out")" >>$results
	[ "$1" != connect ] || echo "memory $2 $3 \
$(json_value server_bytes_per_client "$dir/out")" >>$results
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

# The servers that a scenario compares; the first is what the others are
# divided by.
servers() {
	case $1 in
	fan1) echo floor-send floor-uring chatd-4 chatd-plain chatd-1 ;;
	fan4) echo floor-send floor-uringtick chatd-4 chatd-plain chatd-1 ;;
	priv*) echo floor-private floor-privuring chatd-4 chatd-plain ;;
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
	function row(what, target, got, ring, floor) {
		if (got == "")
			return
		printf "%-46s %7s %8.3f  %-6s %7s %9s\n", what, target, got,
		    target == "" ? "" : got <= target ? "met" : "missed",
		    ring == "" ? "" : sprintf("%.2f", ring),
		    floor == "" ? "" : sprintf("%.2f us", floor)
	}
	function rows(scenario, what, base, ring, target, plain) {
		row(what, target, ratio(scenario, "chatd-4", base),
		    ratio(scenario, ring, base), absolute(scenario, base))
		row("  without io_uring", plain,
		    ratio(scenario, "chatd-plain", base), "", "")
	}
	NF == 4 { value[$1, $2, $3] = $4; if ($3 > rounds) rounds = $3 }
	END {
		printf "%-46s %7s %8s  %-6s %7s %9s\n",
		    "CPU of chatd -w 4, as a ratio to the floor", "target",
		    "measured", "", "floor", "floor"
		printf "%-46s %7s %8s  %-6s %7s %9s\n", "", "", "", "",
		    "uring", "send"
		rows("fan1", "fan-out to 1,000, window 1", "floor-send",
		    "floor-uring", 0.65, 1.15)
		rows("fan4", "fan-out to 1,000, window 4", "floor-send",
		    "floor-uringtick", 0.12, "")
		rows("priv1", "private, 200 pairs, window 1", "floor-private",
		    "floor-privuring", 1.8, "")
		rows("priv16", "private, 200 pairs, window 16",
		    "floor-private", "floor-privuring", 0.35, "")
		rows("connect", "CPU per handshake", "floor-send",
		    "floor-uring", 2.0, "")
		row("-w 4 by -w 1, fan-out, window 1", 1.15,
		    ratio("fan1", "chatd-4", "chatd-1"), "", "")
		row("-w 4 by -w 1, fan-out, window 4", 1.15,
		    ratio("fan4", "chatd-4", "chatd-1"), "", "")
		row("us to accept and book, 4 workers, contended", 1,
		    absolute("accept", "four"), "", "")
		row("  one process does it all", 1,
		    absolute("accept", "alone"), "", "")
		row("  of that, to accept", "",
		    absolute("accept", "publish"), "", "")
		memory = absolute("memory", "chatd-4")
		if (memory == "")
			exit
		printf "%-46s %7d %8d  %-6s %7s %9s\n",
		    "bytes per idle connection", 700, memory,
		    memory <= 700 ? "met" : "missed", "",
		    absolute("memory", "floor-send") " B"
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
for program in "$chatd" $bench/accept; do
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
: >$results
busy=0
for ((round = 1; round <= rounds; round++)); do
	for scenario in $scenarios; do
		if [ "$scenario" = accept ]; then
			echo "bench: round $round: accept" >&2
			measure_accept "$round"
			continue
		fi
		for name in $(servers "$scenario"); do
			echo "bench: round $round: $scenario $name" >&2
			measure "$scenario" "$name" "$round"
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
