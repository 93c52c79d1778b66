#!/bin/sh
# All tests, at most 10 minutes: make check. The last line is the sum.
# ONLY=WORD runs the parts whose name contains WORD (after building).
set -eu
cd "$(dirname "$0")/.."
. tests/parts.sh

root=$(pwd)
unset MAKEFLAGS MFLAGS MAKELEVEL VARIANT # ours, not those of `make check`
jobs=$(nproc)
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1

# Whether a part was asked for.
wanted() {
	case $1 in
	*"${ONLY:-}"*) return 0 ;;
	esac
	return 1
}

# system BUILD NAME SECONDS [PATTERN]: one file of system tests against that
# build, perhaps only the tests whose names match.
system() {
	wanted "system/$2 ($1)" || return 0
	case $1 in
	release) CHATD=$root/build/chatd ;;
	*) CHATD=$root/build/$1/chatd ;;
	esac
	export CHATD
	parts_run "system/$2 ($1)" "$3" "tests/system/$2_test.js" "${4:-}"
}

need "packages" 300 tests/deps.sh
need "npm packages" 120 npm ci --prefix tests --no-audit --no-fund \
    --loglevel=error
need "build" 300 make -s -j"$jobs" all build/bench/accept \
    build/fault/million_test build/other-layout/chatd build/fault/soak \
    build/fault/invariant build/lines/chatd build/kinds/sbin/chatd
need "build, sanitizers" 300 make -s -j"$jobs" VARIANT=san all units fuzzers
if ls tests/fault/*_test.* >/dev/null 2>&1; then
	need "build, kill points" 300 make -s -j"$jobs" VARIANT=kill all kills
fi
# What is in no list measures pauses in milliseconds, or loads the machine by
# itself, and is run alone at the end.
patient='torture_test successor_test claims_kill_test once_kill_test publish_kill_test
    exhaustion_test relay_chaos_test leave_test api_kill_test
    centrifugo_kill_test descriptors_test stations_kill_test family_kill_test'
calm='kill_publish_test million_test'
waiting='custody_test planned_test adopt_test quit_test
    limit_test link_test memory_test kill_family_test kill_filter_test
    kill_leave_test kill_move_test kill_point_test kill_wait_test lines_test
    keeper_test own_fault_test copy_kill_test noexec_test
    mover_kill_test accepted_test backoff_test hold_test kill_claim_test
    kill_open_test kill_watch_test kill_event_test kill_held_test
    kill_reader_test'
readers='reader_test reader_kill_test reader_event_test reader_copy_test
    reader_opening_test pace_test kill_hold_test kill_opening_test
    kill_away_test hostile_test'
stored='store_test store_disk_test store_file_test store_kill_test
    store_start_test erase_kill_test'
late='hostile_table_test kinds_test'
# Each is named where it has room.
slight='small_memory_test transport_test'

# Unit tests, corpora, and what loads no processor for long.
units() {
	! wanted "bench/accept" ||
	    part "bench/accept, short" 60 build/bench/accept 100000
	for source in tests/unit/*_test.c; do
		name=$(basename "$source" .c)
		! wanted "unit/$name" || part "unit/$name" 120 "build/san/unit/$name"
	done
	for source in tests/fuzz/*_fuzz.c; do
		name=$(basename "$source" _fuzz.c)
		[ -d "tests/fuzz/corpus/$name" ] || continue
		! wanted "fuzz/$name" || part "fuzz/$name corpus" 60 \
		    "build/san/fuzz/${name}_fuzz" "tests/fuzz/corpus/$name"
	done
	faults small_memory_test
	system release page 180
	system san centrifugo_limits 120
}

# Without limits in milliseconds: may have company.
calm() {
	system san handshake 90
	system san requests 120
	system san plain_door 90
	system san names 120
	system san frames 120
	system san bulk 120
	system san look 90
	system san daemon 90
	system san balance 60
	system san library 60
	system san centrifugo 90
	system san centrifugo_sdk 90
	system san rooms 60
	system san quota 60
	system san fair 90
	system san api 60
	system san member 60
	system san personal 60
	system san web 90
	system san host 120
	system san endpoint 60
	system san check 60
	system san errand 60
	system san proxies 120
	system release machine 180
	system release look 60 gcore
	# shellcheck disable=SC2086 # a list
	faults $calm
}

# They wait most of their time, or do not mind.
patient() {
	# shellcheck disable=SC2086 # a list
	faults $patient
	system release files 120
	system release readme 90
	system release firefox 120
	system release layouts 180
}

# faults NAME...: those fault tests.
faults() {
	for name; do
		for file in tests/fault/"$name".*; do
			! wanted "fault/$name" ||
			    parts_run "fault/$name" 240 "$file"
		done
	done
}

# They wait for processes that are to be late, or are one process.
waiting() {
	# shellcheck disable=SC2086 # a list
	faults $waiting
	system release upgrade 180
	system release fdstore 90
}

# As patient ones, in a lane of their own.
late() {
	system release page_trouble 180
	system san log 120
	# shellcheck disable=SC2086 # a list
	faults $late
	system san moves 180
}

# With a reader of the journal: most of them wait for it, so that soaks have room
# beside them.
readers() {
	# shellcheck disable=SC2086 # a list
	faults $readers
	! wanted "fault/soak, reader" || part "fault/soak, reader" 90 \
	    build/kill/fault/soak -d build/kill/kinds/sbin/chatd -j -r -n 40 \
	    -t 7
	system san close 60
	! wanted "fault/adoption" || part "fault/adoption" 90 \
	    build/fault/soak -d build/chatd -j -o -n 100 -t 10
}

# With a store.
stored() {
	system san store 120
	system release store_use 180
	system release store_rows 120
	system release store_page 120
	system release past 60
	system san search 90
	system san retention 90
	system san erase 90
	system san control 60
	system san away 120
	system san streams 120
	faults transport_test
}

# With a store that waits for its disk, and what has found room beside it.
disks() {
	! wanted lint || part "lint" 200 make -s lint
	# shellcheck disable=SC2086 # a list
	faults $stored
	! wanted "fault/soak, store" || part "fault/soak, store" 90 \
	    build/kill/fault/soak -d build/kill/chatd -j -S -n 40 -t 7
}

together patient calm waiting late readers stored disks units

system release plain_door 60 'workers|io_uring|queue'
system release balance 60
system release bulk 60 'limits'

! wanted "fault/soak" || part "fault/soak" 90 build/fault/soak -d build/chatd -j \
    -n 70 -t 7
! wanted "fault/points" || part "fault/points" 120 build/kill/fault/soak \
    -d build/kill/chatd -j -p -t 22

for file in tests/fault/*_test.*; do
	[ -e "$file" ] || continue
	name=$(basename "$file")
	# shellcheck disable=SC2086 # words
	case " "$(echo $patient $waiting $calm $late $readers $stored $slight)" " in
	*" ${name%.*} "*) continue ;; # done above
	esac
	! wanted "fault/$name" || parts_run "fault/${name%.*}" 240 "$file"
done

parts_sum
