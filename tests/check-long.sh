#!/bin/sh
# What takes long: make check-long. Everything in tests/long (systemd among it)
# and the tests that know LONG=1 (more rounds), and the unit tests under valgrind.
set -eu
cd "$(dirname "$0")/.."
. tests/parts.sh

unset MAKEFLAGS MFLAGS MAKELEVEL VARIANT # ours, not those of `make check`
jobs=$(nproc)
root=$(pwd)
export LONG=1

need "packages" 300 tests/deps.sh
need "npm packages" 120 npm ci --prefix tests --no-audit --no-fund \
    --loglevel=error
need "build" 600 make -s -j"$jobs" all units build/lines/chatd \
    build/kinds/sbin/chatd build/other-layout/chatd build/other-layout/lines/chatd \
    build/fault/million_test build/fault/soak build/fault/invariant
need "build, sanitizers" 300 make -s -j"$jobs" VARIANT=san all units
need "build, kill points" 300 make -s -j"$jobs" VARIANT=kill all kills

part "lint, both compilers" 600 make -s lint
for source in tests/unit/*_test.c; do
	name=$(basename "$source" .c)
	part "valgrind unit/$name" 600 valgrind -q --error-exitcode=99 \
	    --leak-check=full --errors-for-leak-kinds=definite \
	    --trace-children=yes "build/unit/$name"
done
for file in tests/fault/*_test.* tests/long/*_test.*; do
	[ -e "$file" ] || continue
	name=${file#tests/}
	parts_run "${name%.*} (long)" 3600 "$file"
done

# Those that check.sh runs without sanitizers, since they take three times as
# long with them.
CHATD=$root/build/san/chatd
export CHATD
for name in api away balance bulk check close control daemon erase errand fair \
    host library log look member moves names past personal proxies quota \
    retention rooms search store store_page store_rows store_use streams; do
	parts_run "system/$name (san)" 1200 "tests/system/${name}_test.js"
done
CHATD=$root/build/chatd
parts_run "system/layouts (release)" 600 tests/system/layouts_test.js
parts_run "system/tls_upgrade (release)" 600 tests/system/tls_upgrade_test.js

# stock NAME PATTERN [TCP_WMEM]: once more as on a stock kernel: small receive
# buffers (and send buffers), in a network of its own, which takes root.
stock() {
	CHATD=$root/build/san/chatd
	export CHATD
	part "system/$1 (stock tcp_rmem)" 90 unshare -n sh -ec "
	    ip link set lo up
	    sysctl -q -w net.ipv4.tcp_rmem='4096 131072 6291456' \
	        net.ipv4.tcp_wmem='${3:-4096 16384 4194304}'
	    exec node tests/system/$1_test.js '$2'"
}

# All of them.
stocks() {
	if [ "$(id -u)" != 0 ] || ! unshare -n true 2>/dev/null; then
		echo "skip  stock tcp_rmem: needs root"
		return
	fi
	stock plain_door ''
	stock frames '^([1-5]|7) '
	stock bulk '9\.[1-4]|limits'
	stock web webroot '4096 16384 65536' # answers do not fit at once
}

stocks
unset CHATD

part "fault/soak (long)" 600 build/fault/soak -d build/chatd -j -e -i -n 1000 \
    -t 160
part "fault/soak, TLS (long)" 600 build/kill/fault/soak -d build/kill/chatd -j \
    -O -i -c 100 -n 600 -t 120
part "fault/soak, reader (long)" 600 build/kill/fault/soak \
    -d build/kill/kinds/sbin/chatd -j -r -n 1000 -t 200
part "fault/soak, store (long)" 600 build/kill/fault/soak \
    -d build/kill/chatd -j -S -n 1000 -t 200
part "fault/back, 4,000" 120 build/fault/soak -d build/chatd -T 4000
part "fault/back, 50,000" 300 build/fault/soak -d build/chatd -T 50000
part "fault/adoption (long)" 300 build/fault/soak -d build/chatd -j -o -n 400 \
    -t 90
part "fault/points (long)" 900 build/kill/fault/soak -d build/kill/chatd -j -O -p \
    -t 400

parts_sum
