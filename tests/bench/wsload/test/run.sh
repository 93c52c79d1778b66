#!/bin/bash
# Runs wsload (WSLOAD, default build/bench/wsload) against liar.js: every lie
# must be noticed, every honest mode accepted. Needs node.
cd "$(dirname "$0")" || exit 1
wsload=${WSLOAD:-../../../../build/bench/wsload}
passed=0 failed=0 server= out=$(mktemp)
trap '[ -z "$server" ] || kill $server; rm -f "$out"' EXIT

# check LIE EXPECTED-EXIT REGEX SCENARIO OPTIONS...
check() {
	local lie=$1 want=$2 re=$3 port text status
	shift 3
	node liar.js 0 "$lie" >"$out" &
	server=$!
	until port=$(sed -n 's/^port //p' "$out") && [ -n "$port" ]; do
		kill -0 $server || exit 1
		sleep 0.02
	done
	text=$("$wsload" --port "$port" --clients 20 --settle 0.1 \
	    --warmup 0.2 --duration 0.5 --drain 1 --stall 1 --time 15 --json \
	    --server-pid $server "$@" 2>&1)
	status=$?
	kill $server
	wait $server 2>/dev/null
	server=
	if [ $status -eq "$want" ] && grep -Eq "$re" <<<"$text"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED $lie $*: exit $status, wanted $want and /$re/"
		echo "$text"
	fi
}

F="fanout --publishers 4 --window 4"
check none 0 '"lost": 0, .*"ok": true' $F
check none 0 '"ok": true' $F --ack own
check none 0 '"ok": true' $F --size 500 --binary
check none 0 '"messages_per_s": (29[0-9]|30[0-9])\..*"ok": true' fanout \
    --publishers 4 --rate 300
check split 0 '"ok": true' $F --window 1 --publishers 1
check ping 0 '"pings_answered": [1-9].*"ok": true' $F
check drop 1 '"lost": [1-9][0-9]*, "undelivered": [0-9]+, "duplicated": 0, "reordered": 0.*"ok": false' \
    fanout --publishers 4 --rate 2000
check drop 1 '"gave_up": true.*"ok": false' $F --duration 3
check dup 1 '"lost": 0, "undelivered": 0, "duplicated": [1-9].*"reordered": 0.*"ok": false' $F
check swap 1 '"reordered": [1-9].*"ok": false' fanout --publishers 1 --rate 2000
check corrupt 1 '"corrupted": [1-9].*"ok": false' $F
check accept 2 'wrong Sec-WebSocket-Accept' $F
check refuse 2 'handshake refused: HTTP/1.1 403' connect
check ext 2 'extension that was not offered' connect
check masked 1 'bad frame head' $F
check rsv 1 'bad frame head' $F
check close 1 'close frame: 1000 bye' $F
check stall 1 '"lost": 0, "undelivered": [1-9].*"gave_up": true' $F --duration 3
check route 0 '"misdelivered": 0.*"ok": true' private --window 3 \
    --message '%r %b'
check misroute 1 '"misdelivered": [1-9].*"ok": false' private --window 4 \
    --message '%r %b'
check route 0 '"misdelivered": 0.*"ok": true' private --pair 'echo 3 8' \
    --message '%r %b'
check misroute 1 '"misdelivered": [1-9].*"ok": false' private \
    --pair 'echo 3 8' --message '%r %b'
check none 2 'does not print two clients' private --pair 'echo 3' \
    --message '%r %b'
check none 0 '"pings_answered": 0.*"ok": true' idle
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
