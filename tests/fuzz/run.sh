#!/bin/sh
# Fuzzes each target for FUZZ_SECONDS (60) with clang's libFuzzer, beginning
# with the committed corpus. What is found in earlier runs is kept in
# build/fuzz-clang/corpus; a crash lies in build/fuzz-clang/crash/NAME-... and
# belongs into tests/fuzz/corpus/NAME with its repair. With arguments, only the
# targets named: tests/fuzz/run.sh ws http
set -eu
cd "$(dirname "$0")/../.."
seconds=${FUZZ_SECONDS:-60}
out=build/fuzz-clang
san=address,undefined

mkdir -p "$out/crash"
make --no-print-directory -s VARIANT=fuzz OUT="$out" CC=clang \
    OPT="-O1 -g -fsanitize=fuzzer-no-link,$san -fno-sanitize-recover=undefined \
    -fno-omit-frame-pointer -fno-strict-aliasing" \
    "$out/libchatd.a"

failed=0
for source in tests/fuzz/*_fuzz.c; do
	name=$(basename "$source" _fuzz.c)
	[ $# -eq 0 ] || case " $* " in *" $name "*) ;; *) continue ;; esac
	clang -std=gnu11 -D_GNU_SOURCE -DLIBBSD_OPENBSD_VIS -DLIBBSD_OVERLAY \
	    -isystem /usr/include/bsd -Iinclude -O1 -g -fsanitize="fuzzer,$san" \
	    -fno-sanitize-recover=undefined -o "$out/$name" "$source" \
	    "$out/libchatd.a" -pthread -Wl,--as-needed -lcmocka -lseccomp \
	    -levent_core -luring -lunistring -lcrypto -lidn2 -lbsd -lmd -lresolv
	mkdir -p "$out/corpus/$name"
	# What crashed before comes first; once repaired it is corpus.
	for crash in "$out/crash/$name"-*; do
		[ -e "$crash" ] || continue
		if "$out/$name" "$crash" >"$out/$name.log" 2>&1; then
			mv "$crash" "$out/corpus/$name/"
		else
			echo "fuzz $name: $crash still fails" >&2
			failed=1
		fi
	done
	if "$out/$name" -max_total_time="$seconds" -timeout=10 -max_len=20000 \
	    -artifact_prefix="$out/crash/$name-" -print_final_stats=1 \
	    "$out/corpus/$name" "tests/fuzz/corpus/$name" \
	    >"$out/$name.log" 2>&1; then
		echo "fuzz $name: $(sed -n \
		    's/.*number_of_executed_units: *//p' "$out/$name.log")" \
		    "runs in $seconds s, nothing found"
	else
		tail -n 30 "$out/$name.log" >&2
		echo "fuzz $name: failed, see $out/$name.log" >&2
		failed=1
	fi
done
exit $failed
