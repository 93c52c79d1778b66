# Sourced by check.sh and check-long.sh: runs the parts of a test run, each
# with a limit of time, prints a line for each and the sum at the end. A part
# that passes is one line; of one that fails all of its output is shown.

parts_passed=0
parts_failed=0
parts_begin=$(date +%s)
parts_dir=$(mktemp -d)
parts_pid= # of what runs, or of all that run together
parts_bounded= # yes: see parts_bound

# Leaves nothing behind, however this shell ends.
parts_trap() {
	trap parts_leave EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

# Takes down what is still running and the scratch folder.
parts_leave() {
	# shellcheck disable=SC2086 # a list
	[ -z "$parts_pid" ] || kill $parts_pid 2>/dev/null || true
	rm -rf "$parts_dir"
}
parts_trap

# What an output counts: "PASSED FAILED" from `N passed, N failed` as its last
# line, else from cmocka's sums, else nothing.
parts_count() {
	sed -n '$s/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$1" |
	    grep . && return
	awk '/^\[  PASSED  \] [0-9]+ test/ { p += $4; seen = 1 }
	    /^\[  FAILED  \] [0-9]+ test/ { f += $4; seen = 1 }
	    END { if (seen) print p + 0, f + 0 }' "$1"
}

# Processor time of what this shell has waited for, in ms: part_cpu.
parts_cpu() {
	times >"$parts_dir/times" # a subshell has times of its own
	part_cpu=$(tr ms '  ' <"$parts_dir/times" | awk 'NR == 2 {
	    print int(($1 * 60 + $2 + $3 * 60 + $4) * 1000) }')
}

# Lets so many parts run at once: each takes a token out of a pipe, and puts it
# back. More of them take no less time, and find processes late.
parts_bound() {
	mkfifo "$parts_dir/tokens"
	exec 9<>"$parts_dir/tokens"
	bound_left=$1
	while [ "$bound_left" -gt 0 ]; do
		echo >&9
		bound_left=$((bound_left - 1))
	done
	parts_bounded=yes
}

# part NAME SECONDS COMMAND...: runs it, counts its single tests if it says
# how many there were, else itself as one. Its line has how long it took, and
# how much processor time.
part() {
	part_name=$1 part_limit=$2
	shift 2
	[ -z "$parts_bounded" ] || read -r part_token <&9
	parts_cpu
	part_cpu_begin=$part_cpu
	part_begin=$(date +%s%N)
	part_status=0
	timeout --kill-after=10 "$part_limit" "$@" \
	    >"$parts_dir/out" 2>&1 </dev/null 9>&- &
	parts_pid=$!
	wait "$parts_pid" || part_status=$?
	parts_pid=
	[ -z "$parts_bounded" ] || echo >&9
	part_ms=$((($(date +%s%N) - part_begin) / 1000000))
	part_time=$((part_ms / 1000)).$((part_ms / 100 % 10))s
	parts_cpu
	part_ms=$((part_cpu - part_cpu_begin))
	part_cpu=$((part_ms / 1000)).$((part_ms / 100 % 10))s
	set -- $(parts_count "$parts_dir/out")
	part_good=${1:-} part_bad=${2:-}
	if [ -z "$part_good" ]; then
		part_good=0 part_bad=0
		[ "$part_status" != 0 ] || part_good=1
	fi
	# A runner that dies has failed, whatever it counted.
	if [ "$part_status" != 0 ] && [ "$part_bad" = 0 ]; then
		part_bad=1
	fi
	parts_passed=$((parts_passed + part_good))
	parts_failed=$((parts_failed + part_bad))
	if [ "$part_bad" = 0 ]; then
		part_word=ok
		[ "$part_good" != 0 ] || part_word=skip
		printf '%-5s %-37s %6s %6s  %d passed\n' "$part_word" \
		    "$part_name" "$part_time" "$part_cpu" "$part_good"
		sed -n 's/^skip /      /p' "$parts_dir/out" # what was not tested
		return
	fi
	case $part_status in
	124 | 137) part_why="not done in $part_limit s" ;;
	*) part_why="status $part_status" ;;
	esac
	# In one piece: others may print at the same time.
	{
		printf 'FAIL  %-37s %6s %6s  %d passed, %d failed, %s\n' \
		    "$part_name" "$part_time" "$part_cpu" "$part_good" \
		    "$part_bad" "$part_why"
		sed 's/^/      | /' "$parts_dir/out"
	} >"$parts_dir/told"
	cat "$parts_dir/told"
}

# together FUNCTION...: runs the parts of each function beside those of the
# others: most of the time a test waits for something.
together() {
	for function; do
		(
			parts_all=$parts_dir
			parts_dir=$parts_all/$function
			parts_pid= parts_passed=0 parts_failed=0
			mkdir "$parts_dir"
			parts_trap
			"$function"
			echo "$parts_passed $parts_failed" \
			    >"$parts_all/$function.sum"
		) &
		parts_pid="$parts_pid $!"
	done
	for pid in $parts_pid; do
		wait "$pid" || true
	done
	parts_pid=
	for function; do
		# Without its sum it did not get to its end.
		read -r good bad 2>/dev/null <"$parts_dir/$function.sum" ||
		    good=0 bad=1
		parts_passed=$((parts_passed + good))
		parts_failed=$((parts_failed + bad))
	done
}

# need NAME SECONDS COMMAND...: a part that everything after it stands on.
need() {
	part "$@"
	if [ "$part_bad" != 0 ]; then
		parts_sum
	fi
}

# The last line; ends the run.
parts_sum() {
	printf 'in %d s\n' $(($(date +%s) - parts_begin))
	printf '%d passed, %d failed\n' "$parts_passed" "$parts_failed"
	[ "$parts_failed" = 0 ] && [ "$parts_passed" != 0 ] || exit 1
	exit 0
}

# parts_run NAME SECONDS FILE [ARG...]: a test by what kind of file it is.
parts_run() {
	run_name=$1 run_limit=$2 run_file=$3
	shift 3
	case $run_file in
	*.js) part "$run_name" "$run_limit" node "$run_file" "$@" ;;
	*.py) part "$run_name" "$run_limit" /usr/bin/python3 "$run_file" "$@" ;;
	tests/fault/kill_*.c)
		part "$run_name" "$run_limit" \
		    "build/kill/fault/$(basename "$run_file" .c)" "$@"
		;;
	*.c)
		part "$run_name" "$run_limit" \
		    "build/fault/$(basename "$run_file" .c)" "$@"
		;;
	*.sh) part "$run_name" "$run_limit" sh "$run_file" "$@" ;;
	*)
		if [ -x "$run_file" ]; then
			part "$run_name" "$run_limit" "$run_file" "$@"
		fi
		;;
	esac
}
