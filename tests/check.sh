#!/bin/sh
# All tests, about 20 minutes on two processors: make check. The last line is
# the sum.
# ONLY=WORD runs the parts whose name contains WORD (after building).
set -eu
cd "$(dirname "$0")/.."
. tests/parts.sh

root=$(pwd)
unset MAKEFLAGS MFLAGS MAKELEVEL VARIANT # ours, not those of `make check`
jobs=$(nproc)
hangs=300 # seconds after which a test does
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1

# Whether a part was asked for.
wanted() {
	case $1 in
	*"${ONLY:-}"*) return 0 ;;
	esac
	return 1
}

# system BUILD NAME [PATTERN]: one file of system tests against that
# build, perhaps only the tests whose names match.
system() {
	wanted "system/$2 ($1)" || return 0
	case $1 in
	release) CHATD=$root/build/chatd ;;
	*) CHATD=$root/build/$1/chatd ;;
	esac
	export CHATD
	parts_run "system/$2 ($1)" $hangs "tests/system/$2_test.js" "${3:-}"
}

need "packages" 600 tests/deps.sh
need "npm packages" 600 npm ci --prefix tests --no-audit --no-fund \
    --loglevel=error
need "build" 600 make -s -j"$jobs" all build/bench/accept \
    build/fault/million_test build/fault/soak \
    build/fault/invariant build/lines/chatd build/kinds/sbin/chatd
need "build, sanitizers" 600 make -s -j"$jobs" VARIANT=san all units fuzzers
if ls tests/fault/*_test.* >/dev/null 2>&1; then
	need "build, kill points" 600 make -s -j"$jobs" VARIANT=kill all kills
fi
# What is in no list measures pauses in milliseconds, or loads the machine by
# itself, and is run alone at the end.
patient='claims_kill_test relay_chaos_test leave_test api_kill_test
    centrifugo_kill_test descriptors_test'
calm='million_test'
waiting='custody_test quit_test
    secrets_test limit_test link_test memory_test kill_family_test
    kill_filter_test kill_leave_test kill_move_test kill_tls_test
    tls_kill_test tls_peers_test kill_point_test
    kill_read_test kill_wait_test kill_wire_test lines_test wire_test keeper_test
    own_fault_test noexec_test
    accepted_test backoff_test hold_test kill_claim_test
    kill_open_test kill_watch_test kill_held_test'
readers='reader_test reader_kill_test reader_event_test reader_copy_test
    reader_opening_test kill_hold_test kill_opening_test
    kill_away_test hostile_test'
stored='store_test store_disk_test store_file_test store_kill_test
    store_start_test store_opening_test erase_kill_test'
# Much of a processor, and little that changes: check-long.sh alone runs them.
seldom='torture_test adopt_test pace_test hostile_table_test kinds_test planned_test
    publish_kill_test stations_kill_test transport_test exhaustion_test
    begun_kill_test successor_test family_kill_test once_kill_test stall_test
    copy_kill_test kill_publish_test kill_event_test kill_reader_test
    mover_kill_test'
# Each is named where it has room.
slight='small_memory_test'

# Unit tests, corpora, and what loads no processor for long.
units() {
	parts_bounded= # of one process each, which are over soon
	! wanted "bench/accept" ||
	    part "bench/accept, short" $hangs build/bench/accept 100000
	for source in tests/unit/*_test.c; do
		name=$(basename "$source" .c)
		! wanted "unit/$name" || part "unit/$name" $hangs "build/san/unit/$name"
	done
	for source in tests/fuzz/*_fuzz.c; do
		name=$(basename "$source" _fuzz.c)
		[ -d "tests/fuzz/corpus/$name" ] || continue
		! wanted "fuzz/$name" || part "fuzz/$name corpus" $hangs \
		    "build/san/fuzz/${name}_fuzz" "tests/fuzz/corpus/$name"
	done
	faults small_memory_test
	system release page
	system san centrifugo_limits
}

# Without limits in milliseconds: may have company.
calm() {
	system san handshake
	system san requests
	system san plain_door
	system release names
	system san frames
	system release bulk
	system release look
	system release daemon
	system release library
	system san centrifugo
	system san centrifugo_sdk
	system release rooms
	system release quota
	system release fair
	system release api
	system release member
	system release personal
	system san web
	system release host
	system san endpoint
	system release check
	system release errand
	system release proxies
	system release machine
	# shellcheck disable=SC2086 # a list
	faults $calm
}

# They wait most of their time, or do not mind.
patient() {
	# shellcheck disable=SC2086 # a list
	faults $patient
	system release files
	system release readme
	system release firefox
}

# faults NAME...: those fault tests.
faults() {
	for name; do
		for file in tests/fault/"$name".*; do
			! wanted "fault/$name" ||
			    parts_run "fault/$name" $hangs "$file"
		done
	done
}

# They wait for processes that are to be late, or are one process.
waiting() {
	# shellcheck disable=SC2086 # a list
	faults $waiting
	system release upgrade
	system release fdstore
	! wanted "fault/begun_kill_test" || parts_run "fault/begun_kill_test" \
	    $hangs tests/fault/begun_kill_test.js 'until it waits'
}

# As patient ones, where there is room for them.
late() {
	system release page_trouble
	system release log
	system release tls
	system release tls_web
	system release tls_doors
	system release tls_upgrade
	system release tls_files
	system release moves
}

# With a reader of the journal: most of them wait for it, so that soaks have room
# beside them.
readers() {
	# shellcheck disable=SC2086 # a list
	faults $readers
	! wanted "fault/soak, reader" || part "fault/soak, reader" $hangs \
	    build/kill/fault/soak -d build/kill/kinds/sbin/chatd -j -r -n 40 \
	    -t 7
	system release close
	! wanted "fault/adoption" || part "fault/adoption" $hangs \
	    build/fault/soak -d build/chatd -j -o -n 100 -t 10
}

# With a store.
stored() {
	system release store
	system release store_use
	system release store_rows
	system release store_page
	system release past
	system release search
	system release retention
	system release erase
	system release control
	system release away
	system release streams
}

# With a store that waits for its disk, and what has found room beside it.
disks() {
	! wanted lint || part "lint" $hangs env QUICK=1 make -s lint
	# shellcheck disable=SC2086 # a list
	faults $stored
	! wanted "fault/soak, store" || part "fault/soak, store" $hangs \
	    build/kill/fault/soak -d build/kill/chatd -j -S -n 40 -t 7
}

# In a lane of their own: each loads a processor. Those behind them wait.
soaks() {
	! wanted "fault/soak" || part "fault/soak" $hangs \
	    build/fault/soak -d build/chatd -j -e -n 70 -t 7
	! wanted "fault/points" || part "fault/points" $hangs build/kill/fault/soak \
	    -d build/kill/chatd -j -O -p -t 22
	late
}

parts_bound $((2 * jobs + 1))
together patient calm waiting readers stored disks units soaks

system release plain_door 'workers|io_uring|queue'
system release balance

for file in tests/fault/*_test.*; do
	[ -e "$file" ] || continue
	name=$(basename "$file")
	# shellcheck disable=SC2086 # words
	case " "$(echo $patient $waiting $calm $readers $stored $slight $seldom)" " in
	*" ${name%.*} "*) continue ;; # done above, or seldom
	esac
	! wanted "fault/$name" || parts_run "fault/${name%.*}" $hangs "$file"
done

parts_sum
