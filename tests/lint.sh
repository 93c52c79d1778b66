#!/bin/sh
# What no compiler checks: formatting, layers, file lengths, man pages, the
# sample configuration. Fails on any finding.
set -u
cd "$(dirname "$0")/.." || exit 1

bad=0

# Reports a finding.
finding() {
	echo "lint: $*" >&2
	bad=1
}

# Formatting of all C.
check_format() {
	# shellcheck disable=SC2046 # no blanks in our file names
	clang-format --dry-run -Werror $(find src include tests/unit \
	    tests/doors tests/kinds tests/fuzz tests/fault tests/bench \
	    -name '*.[ch]') ||
	    finding "clang-format -i mends this"
}

# Folders are layers: a file includes its own folder and lower layers alone, and
# room may include conn. hub and net, takeover and door, keeper, worker, logger
# and master do not see each other, one door does not see another; the lowest
# four know no libevent. A header names the layer of its folder.
check_layers() {
	find src include -name '*.[chy]' -exec awk '
	BEGIN {
		split("base 0 codec 1 conf 1 hub 2 net 2 conn 3 room 3 " \
		    "show 3 takeover 4 door 4 process 5 keeper 6 worker 6 " \
		    "logger 6 master 6 mover 6 store 6 handshaker 6 " \
		    "redirector 6",
		    w, " ")
		for (i = 1; i in w; i += 2)
			layer[w[i]] = w[i + 1]
	}
	FNR == 1 {
		n = split(FILENAME, part, "/")
		own = n >= 3 ? part[2] : ""
		told = 0
		door = n == 4 ? part[3] : ""
		if (own != "" && !(own in layer))
			tell("the folder " own " has no layer")
	}
	# The finding with its place.
	function tell(what) {
		printf "lint: %s:%d: %s\n", FILENAME, FNR, what
		bad = 1
	}
	!told && /Layer [0-9]/ { # of the header itself, in its first comment
		told = 1
		match($0, /Layer [0-9]/)
		if (substr($0, RSTART + 6, 1) != layer[own])
			tell("the folder " own " is layer " layer[own])
	}
	/^[ \t]*#[ \t]*include[ \t]*<event/ {
		if (own ~ /^(base|codec|conf|hub)$/)
			tell(own " must not know libevent")
	}
	/^[ \t]*#[ \t]*include[ \t]*"/ {
		split($0, q, "\"")
		if (q[2] ~ /^\.\./)
			tell("includes upwards: " q[2])
		if (split(q[2], t, "/") < 2 || own == "")
			next # its own folder, or a main program
		if (!(t[1] in layer))
			tell("includes of no layer: " q[2])
		else if (own == t[1]) {
			if (3 in t && t[2] != door)
				tell("includes a door: " q[2])
		} else if (layer[t[1]] > layer[own])
			tell(own " (layer " layer[own] ") includes " q[2] \
			    " (layer " layer[t[1]] ")")
		else if (layer[t[1]] == layer[own] && layer[own] > 1 &&
		    !(own == "room" && t[1] == "conn") &&
		    !(FILENAME == "src/master/log_child.c" &&
		    q[2] == "logger/logger.h")) # where the child goes
			tell(own " must not know its neighbour " q[2])
	}
	END { exit bad }' {} + >&2 || bad=1
}

# What includes do not tell: the graph of files by their symbols.
check_graph() {
	tests/graph.py || bad=1
}

# A door is named in its own folder alone.
check_doors() {
	tests/doors.py build >&2 || bad=1
}

# A framing and a transport are named in their own files and tables alone.
check_members() {
	tests/members.py || bad=1
}

# The name of a static function stands in one file: a debugger's `break`, a
# profile and a list of tags know no other difference.
check_names() {
	find src -name '*.c' -exec awk '
	FNR == 1 { was = "" }
	was ~ /^static / && /^[a-z_0-9]+\(/ && !/;$/ {
		name = $0
		sub(/\(.*/, "", name)
		if (!((name, FILENAME) in seen)) {
			seen[name, FILENAME] = 1
			where[name] = where[name] " " FILENAME
			n[name]++
		}
	}
	{ was = $0 }
	END {
		# what is about to go
		split("child_run has order_send process_forget", w, " ")
		for (i in w)
			known[w[i]] = 1
		for (name in n) {
			all++
			if (n[name] > 1 && !(name in known)) {
				print "lint: static " name "() is in" where[name]
				bad = 1
			}
		}
		if (all < 500)
			print "lint: only " all " static functions found"
		exit bad || all < 500
	}' {} + >&2 || bad=1
}

# A file is one noun, and one noun takes no more than this; but the web page's
# script is one module on purpose, so that it can be taken as it is.
check_length() {
	find src include tests -path '*/node_modules' -prune -o \
	    \( -name '*.[chy]' -o -name '*.js' -o -name '*.py' -o \
	    -name '*.sh' \) ! -path src/door/web/chatd.js -print |
	    while read -r file; do
		lines=$(wc -l <"$file")
		[ "$lines" -le 600 ] ||
		    echo "lint: $file: $lines lines, more than 600"
	done | grep . >&2 && bad=1
}

# Every field and value of what two versions share is in its print.
check_layout() {
	# shellcheck disable=SC2046 # no blanks in our file names
	awk '
	FILENAME ~ /_framing\.c$/ {
		while (match($0, /FIELD\([a-z_]+, [a-z0-9_]+\)/)) {
			split(substr($0, RSTART + 6, RLENGTH - 7), pair, ", ")
			wanted[pair[1]] = listed[pair[1] "." pair[2]] = 1
			$0 = substr($0, RSTART + RLENGTH)
		}
		next
	}
	FILENAME == "src/hub/layout.c" {
		if (match($0, /STRUCT\([a-z_]+\),/))
			wanted[substr($0, RSTART + 7, RLENGTH - 9)] = 1
		if (match($0, /FIELD\([a-z_]+, [a-z0-9_]+\)/)) {
			split(substr($0, RSTART + 6, RLENGTH - 7), pair, ", ")
			listed[pair[1] "." pair[2]] = 1
		}
		if (match($0, /VALUE\([A-Z0-9_]+\)/))
			listed[substr($0, RSTART + 6, RLENGTH - 7)] = 1
		next
	}
	{
		gsub(/\/\*[^*]*\*+([^\/*][^*]*\*+)*\//, "")
		if (comment && !sub(/^.*\*\//, "")) next
		comment = sub(/\/\*.*$/, "")
	}
	/^enum (message_type|message_result|custody_type|keeper_order|worker_state|lock_state|hand|used_kind|publication_format|slot_state|reason|subscription_flags) \{/ {
		values = ""
		sub(/^.*\{/, "")
		inside = 1
	}
	inside {
		gsub(/OTHER_EITHER\([^()]*\)/, "either")
		values = values " " $0
		if (!/\}/)
			next
		inside = 0
		sub(/\}.*/, "", values)
		n = split(values, name, ",")
		for (i = 1; i <= n; i++) {
			gsub(/=.*|[ \t]/, "", name[i])
			seen++
			if (name[i] != "" && !(name[i] in listed)) {
				print "lint: src/hub/layout.c lacks VALUE(" \
				    name[i] ")"
				bad = 1
			}
		}
		next
	}
	own == "" && /^struct [a-z_]+ \{/ && ($2 in wanted) {
		own = $2
		next
	}
	own != "" && /^}/ { own = "" }
	# Rows of a .def file, which layout.c includes, too.
	own != "" && (/^#/ || /\[0\]/) { next }
	own != "" {
		# what only the build of another layout has, or has wider
		gsub(/OTHER_ONLY\([^;]*\);/, "")
		gsub(/OTHER_EITHER\([^()]*\)/, "either")
		if (!/[^ \t]/)
			next
		line = line " " $0
		if (line !~ /;[ \t]*$/)
			next
		gsub(/__attribute__\(\([^;]*\)\)/, "", line)
		gsub(/\[[^\]]*\]|;/, "", line)
		n = split(line, name, ",")
		line = ""
		for (i = 1; i <= n; i++) {
			sub(/[ \t]+$/, "", name[i])
			sub(/^.*[ \t*]/, "", name[i])
			seen++
			if (!((own "." name[i]) in listed)) {
				print "lint: src/hub/layout.c, or a framing, " \
				    "lacks FIELD(" own ", " name[i] ")"
				bad = 1
			}
		}
	}
	END {
		if (seen < 100)
			print "lint: only " seen " parts of the layout found"
		exit bad || seen < 100
	}' src/codec/*_framing.c src/hub/layout.c $(find include/hub include/codec src/hub \
	    -name '*.h') >&2 || bad=1
}

# The libraries that the master maps; what children execute opens none. A kind of
# child that needs another one is a program of its own
# (include/process/executable.h). Workers judge names of hosts (idn2) and of users
# (unistring), tokens and handshakes (md for SHA-1 and SHA-256, resolv for
# base64), and seal and open records of TLS (crypto).
check_libraries() {
	readelf -d build/libexec/chatd/chatd-child | grep -q NEEDED &&
	    finding "build/libexec/chatd/chatd-child opens libraries"
	readelf -l build/libexec/chatd/chatd-child | grep -q INTERP &&
	    finding "build/libexec/chatd/chatd-child has an interpreter"
	for library in $(readelf -d build/chatd |
	    sed -n 's/.*(NEEDED).*\[\(.*\)\.so.*/\1/p'); do
		case $library in
		libc | libevent_core-2.1 | libbsd | liburing | libseccomp | \
		    libidn2 | libunistring | libmd | libresolv | libcrypto) ;;
		*) finding "build/chatd maps $library" ;;
		esac
	done
}

# The database's library is in the program of those processes that open it.
check_store() {
	readelf -d build/libexec/chatd/chatd-store | grep -q libsqlite3 ||
	    finding "build/libexec/chatd/chatd-store does not map libsqlite3"
	nm build/chatd build/chatctl build/libexec/chatd/chatd-child.debug |
	    grep -q ' sqlite3_' && finding "SQLite in another program"
}

# The man pages.
check_man() {
	mandoc -Tlint -Wwarning man/* >&2 || bad=1
}

# The sample configuration, if the daemon is built.
check_sample() {
	[ ! -x build/chatd ] || build/chatd -n -f etc/chatd.conf ||
	    finding "etc/chatd.conf"
}

# A system test that neither of the two names is never run.
check_listed() {
	for file in tests/system/*_test.js; do
		name=$(basename "$file" _test.js)
		grep -Eq "^[[:space:]]*system [a-z]+ $name( |$)" \
		    tests/check.sh ||
		    grep -q "system/${name}_test.js" tests/check-long.sh ||
		    finding "nothing runs $file"
	done
}

# The files, functions, structs, constants and make targets that the documents
# name exist. A name in capitals stands for any.
check_documents() {
	all=0
	for word in $(grep -ohE '`[^`]+`' README.md ARCHITECTURE.md \
	    CONTRIBUTING.md SECURITY.md tests/README.md | tr -d '`' | tr ' ' '_' |
	    sort -u); do
		all=$((all + 1))
		case $word in
		*NAME*) ;;
		src/* | include/* | tests/* | man/* | etc/*)
			[ -e "$word" ] || finding "a document names $word"
			;;
		[A-Z]*_[A-Z]* | *"()")
			grep -rqw --include='*.[chydm]*' --include='*.sh' \
			    --include='*.js' --include='*.def' \
			    --exclude-dir=node_modules "${word%%(*}" \
			    src include tests ||
			    finding "a document names $word"
			;;
		make_[a-z]*)
			grep -q "^${word#make_}:" Makefile ||
			    finding "a document names ${word#make_}"
			;;
		esac
	done
	[ $all -gt 100 ] || finding "documents: only $all names found"
}

# Words that make a riddle of a sentence: a comment that begins with "The same"
# and does not say as what, pronouns for a user or a process, processes that
# scribble, bury or have heirs. Tests, and the web page, may speak of somebody.
check_words() {
	find src include man etc tests/unit tests/system tests/fault \
	    \( -name '*.[chy1-8]' -o -name '*.def' -o -name '*.js' \
	    -o -name '*.conf' -o -name '*.html' \) -print |
	    xargs awk -v docs="$(echo ./*.md tests/*.md)" '
	BEGIN {
		n = split(docs, d, " ")
		for (i = 1; i <= n; i++)
			ARGV[ARGC++] = d[i]
	}
	FNR == 1 { was = "" }
	# The finding with its place.
	function tell(word) {
		printf "lint: %s:%d: \"%s\": %s\n", FILENAME, FNR, word, hint
		bad = 1
	}
	{
		lines++
		line = " " tolower($0) " "
		gsub(/[^a-z_]+/, " ", line)
		hint = "name what it is the same as"
		if (/\/\* The same[ .,:]/ ||
		    (was ~ /^[ \t]*\/\*$/ && /^[ \t]*\* The same[ .,:]/))
			tell("The same")
		hint = "say it with a noun, or the standard term"
		if (match(line, / (his|him|himself|whoever|so long what) /))
			tell(substr(line, RSTART + 1, RLENGTH - 2))
		if (FILENAME !~ /^tests|web/ && match(line, \
		    / (somebody|heirs?|bury|buries|scribble[a-z]*) /))
			tell(substr(line, RSTART + 1, RLENGTH - 2))
		was = $0
	}
	END {
		if (lines < 50000)
			print "lint: words: only " lines " lines were read"
		exit bad || lines < 50000
	}' >&2 || bad=1
}

# The newest commit, where there is a repository: what `git log --oneline` shows
# fits into a line and begins with a folder, and a change of src says why.
check_commit() {
	subject=$(git log -1 --no-merges --format=%s 2>/dev/null) || return 0
	[ "${#subject}" -le 72 ] ||
	    finding "the commit's subject has ${#subject} columns, not 72"
	case $subject in
	[a-zA-Z.]*": "*) ;;
	*) finding "the commit's subject does not begin with a folder" ;;
	esac
	git log -1 --no-merges --format= --name-only | grep -q '^src/' ||
	    return 0
	[ -n "$(git log -1 --no-merges --format=%b)" ] ||
	    finding "the commit changes src and has no body"
}

# The second compiler; the first one builds.
check_clang() {
	make -s VARIANT=clang syntax >&2 || bad=1
}

check_format
# It takes longer than all else; check-long.sh asks for it.
[ -n "${QUICK:-}" ] || check_clang
check_layers
check_graph
check_doors
check_members
check_names
check_words
check_commit
check_libraries
check_store
check_length
check_listed
check_documents
check_layout
check_man
check_sample
[ $bad = 0 ] && echo "lint: nothing found"
exit $bad
