# chatd: see README.md. `make help` lists the targets.
#
# One tree of objects per VARIANT: release (build/), san (address, undefined
# and leak sanitizers), kill (kill points, see base/shared.h), other-layout (lays
# shared memory out in another way, see base/other.h), clang.

PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
MANDIR ?= $(PREFIX)/share/man
LIBEXECDIR ?= $(PREFIX)/libexec
UNITDIR ?= /usr/lib/systemd/system
SYSUSERSDIR ?= /usr/lib/sysusers.d
TMPFILESDIR ?= /usr/lib/tmpfiles.d
PORT ?= 8080
HITS ?= 1000
VERSION := 0.1.0

VARIANT ?= release
ifeq ($(VARIANT),release)
OUT := build
else
OUT := build/$(VARIANT)
endif

CC := gcc
YACC := byacc
ifeq ($(VARIANT),clang)
CC := clang
endif
WARN := -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes \
	-Wmissing-prototypes -Wwrite-strings -Wformat-nonliteral \
	-Wno-unused-parameter -Werror
OPT := -O2 -g -fno-strict-aliasing -fno-plt
CPPFLAGS += -D_GNU_SOURCE -DLIBBSD_OPENBSD_VIS -DLIBBSD_OVERLAY \
	-isystem /usr/include/bsd -Iinclude -DCHATD_VERSION='"$(VERSION)"' \
	-DCHATD_SYSCONFDIR='"$(SYSCONFDIR)"' \
	-DCHATD_LIBEXECDIR='"$(LIBEXECDIR)/chatd"'
ifeq ($(VARIANT),san)
OPT := -O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer -fno-strict-aliasing
CPPFLAGS += -DCHATD_SANITIZED
endif
# These two are for tests alone, and are to be built fast.
ifeq ($(VARIANT),kill)
OPT := -O1 -g1 -fno-strict-aliasing
CPPFLAGS += -DCHATD_KILL_POINTS
endif
ifeq ($(VARIANT),other-layout)
OPT := -O1 -g1 -fno-strict-aliasing
CPPFLAGS += -DCHATD_OTHER_LAYOUT
endif
ifeq ($(VARIANT),release)
HARDEN := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
LDHARDEN := -pie -Wl,-z,relro,-z,now
endif
# Tests run once: to optimize them, and to link them well, takes longer than they
# run. (The warning is wrong about what is not optimized.)
ifneq ($(filter san kill,$(VARIANT)),)
TEST_OPT := -O0 -Wno-format-truncation \
	$(if $(shell command -v ld.gold),-fuse-ld=gold)
# But for those that count for long.
$(addprefix $(OUT)/unit/,output_test hostile_test lock_test): TEST_OPT := -O1
endif
CFLAGS += -std=gnu11 $(WARN) $(OPT) $(HARDEN) -pthread
LDFLAGS += $(LDHARDEN) -pthread -Wl,--as-needed
LDLIBS += -lseccomp -levent_core -luring -lidn2 -lunistring -lbsd -lmd \
	-lresolv -lcrypto
# Of the processes of the database, and of none else.
LDSTORE := -lsqlite3
# Of those that shake hands.
LDTLS := -lssl
# Of what the master's children execute, which must not open a library; but the
# sanitizers need theirs to be shared, and tests preload one.
ifneq ($(filter san kill,$(VARIANT)),)
LDCHILD := $(LDFLAGS)
else
LDCHILD := -static-pie -pthread -Wl,-z,relro,-z,now \
	-Wl,--wrap=dlopen,--fatal-warnings
CHILD_NAMES := $(OUT)/obj/chatd_child_names.o
# The master holds all of that file in memory: what debuggers read is apart.
STRIP = objcopy --only-keep-debug $@ $@.debug && \
	objcopy --strip-all --add-gnu-debuglink=$@.debug $@
endif

# V=1 shows whole commands.
Q := $(if $(V),,@)
say = $(if $(V),,@echo "  $(1) $@")

LIB_SRC := $(wildcard src/*/*.c src/*/*/*.c)
LIB_OBJ := $(LIB_SRC:src/%.c=$(OUT)/obj/%.o) $(OUT)/obj/conf/parse.o
UNIT := $(patsubst tests/unit/%.c,$(OUT)/unit/%,$(wildcard tests/unit/*_test.c))
FUZZ := $(patsubst tests/fuzz/%.c,$(OUT)/fuzz/%,$(wildcard tests/fuzz/*_fuzz.c))
FUZZ_HELP := $(wildcard tests/fuzz/*.h tests/unit/*_fixture.h)
KILL := $(patsubst tests/fault/%.c,$(OUT)/fault/%,$(wildcard tests/fault/kill_*_test.c))
KILL_HELP := $(filter-out %_test.c,$(wildcard tests/fault/kill_*.c))

all: $(OUT)/chatd $(OUT)/chatctl $(OUT)/libexec/chatd/chatd-child \
    $(OUT)/libexec/chatd/chatd-store $(OUT)/libexec/chatd/chatd-handshaker

help:
	@sed -n 's/^## //p' Makefile

## make              build build/chatd, build/chatctl and chatd-child
## make run [PORT=]  install what is missing, build, run in the foreground;
##                   what is said is kept in build/chat.db
## make deps         install what building and testing need (apt)
## make check        all tests, about 20 minutes on two processors
## make check-long   hundreds of kills, a million users, valgrind, torture
## make upgrade-from [REV=]  upgrade from the commit before, under clients
## make tls-scan           what sslscan and testssl.sh say of it: minutes
## make soak         clients at full rate, HITS (1,000) on workers and keepers
## make soak-reader  the same, beside a reader of the journal
## make soak-store   the same, with a store, whose database is compared
## make soak-tls     the same, with a look at each nonce that TLS uses
## make bench        speed against the floor program
## make tls-many     50,000 users over TLS, and all workers killed at once
## make million      1,000,000 idle users at 64 workers, 10 minutes at most, 16 GiB
## make fuzz         fuzz each target for FUZZ_SECONDS (60)
## make layout       note that what two versions share has changed
## make lint         formatting, layers, man pages, compilers
## make install uninstall  DESTDIR, PREFIX

# What is missing is named before the compiler stumbles over it.
$(OUT)/.tools: Makefile
	@mkdir -p $(OUT)
	@missing=; \
	command -v $(CC) >/dev/null || missing="$$missing $(CC)"; \
	command -v $(YACC) >/dev/null || missing="$$missing byacc"; \
	[ -e /usr/include/event2/event.h ] || missing="$$missing libevent-dev"; \
	[ -e /usr/include/bsd/stdlib.h ] || missing="$$missing libbsd-dev"; \
	[ -e /usr/include/liburing.h ] || missing="$$missing liburing-dev"; \
	[ -e /usr/include/seccomp.h ] || missing="$$missing libseccomp-dev"; \
	[ -e /usr/include/openssl/evp.h ] || missing="$$missing libssl-dev"; \
	[ -e /usr/include/idn2.h ] || missing="$$missing libidn2-dev"; \
	[ -e /usr/include/sqlite3.h ] || missing="$$missing libsqlite3-dev"; \
	[ -e /usr/include/unictype.h ] || missing="$$missing libunistring-dev"; \
	[ -z "$$missing" ] || { \
	    echo "missing packages:$$missing (make deps installs them)" >&2; exit 1; }
	@touch $@

$(OUT)/obj/%.o: src/%.c | $(OUT)/.tools
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(OUT)/obj/conf/parse.c: src/conf/parse.y | $(OUT)/.tools
	@mkdir -p $(@D)
	$(call say,YACC)
	$(Q)$(YACC) -o $@ $<
$(OUT)/obj/conf/parse.o: $(OUT)/obj/conf/parse.c
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -Isrc/conf -MMD -MP -c -o $@ $<

# The web page is embedded, as it is and compressed.
WEB := index.html chatd.css chatd.js
$(OUT)/web/%.gz: src/door/web/%
	@mkdir -p $(@D)
	$(call say,GZIP)
	$(Q)gzip -9nc $< >$@
$(OUT)/obj/door/web/files.o: CPPFLAGS += -DCHATD_WEB='"$(OUT)/web"'
$(OUT)/obj/door/web/files.o: $(WEB:%=src/door/web/%) $(WEB:%=$(OUT)/web/%.gz)

$(OUT)/libchatd.a: $(LIB_OBJ)
	@rm -f $@
	$(call say,AR)
	$(Q)ar rcs $@ $^

$(OUT)/chatd: $(OUT)/obj/chatd.o $(OUT)/obj/chatd_tls.o $(OUT)/obj/kinds.o \
    $(OUT)/libchatd.a
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(OUT)/chatctl: $(OUT)/obj/chatctl.o $(OUT)/libchatd.a
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(OUT)/libexec/chatd/chatd-child: $(OUT)/obj/chatd_child.o $(CHILD_NAMES) \
    $(OUT)/libchatd.a
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) $(LDCHILD) -o $@ $^ $(LDLIBS)
	$(Q)$(STRIP)

# A library that no other process maps.
$(OUT)/libexec/chatd/chatd-store: $(OUT)/obj/chatd_store.o $(OUT)/libchatd.a
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDSTORE) $(LDLIBS)

$(OUT)/libexec/chatd/chatd-handshaker: $(OUT)/obj/chatd_handshaker.o \
    $(OUT)/libchatd.a
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDTLS) $(LDLIBS)

# For the tests of an upgrade over layouts.
ifeq ($(VARIANT),release)
$(OUT)/other-layout/chatd: FORCE
	$(Q)$(MAKE) --no-print-directory VARIANT=other-layout $@ \
	    $(@D)/libexec/chatd/chatd-child $(@D)/libexec/chatd/chatd-store \
	    $(@D)/libexec/chatd/chatd-handshaker
# As $(OUT)/lines/chatd.
$(OUT)/other-layout/lines/chatd: FORCE
	$(Q)$(MAKE) --no-print-directory VARIANT=other-layout $@
endif
FORCE:

# A chatd with more kinds of children, one of them a program of its own.
KINDS := tests/kinds/kinds.c tests/kinds/count.c tests/kinds/announce.c \
    tests/kinds/pace.c tests/kinds/ledger.c tests/kinds/book.c
KINDS_HELP := $(wildcard tests/kinds/*.h) src/kinds.def
$(OUT)/kinds/sbin/chatd: $(KINDS) $(KINDS_HELP) src/kinds.c \
    $(OUT)/obj/chatd.o $(OUT)/obj/chatd_tls.o $(OUT)/libchatd.a \
    $(OUT)/kinds/libexec/chatd/apart \
    $(OUT)/kinds/libexec/chatd/chatd-child \
    $(OUT)/libexec/chatd/chatd-handshaker
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) -include tests/kinds/kinds.h $(CFLAGS) -o $@ \
	    $(filter %.c %.o,$^) $(OUT)/libchatd.a $(LDFLAGS) $(LDLIBS)
	$(Q)ln -sf ../../chatctl $(@D)/chatctl
	$(Q)ln -sf ../../../libexec/chatd/chatd-handshaker \
	    $(OUT)/kinds/libexec/chatd/
$(OUT)/kinds/libexec/chatd/chatd-child: $(KINDS) $(KINDS_HELP) \
    src/chatd_child.c $(CHILD_NAMES) $(OUT)/libchatd.a
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) -include tests/kinds/kinds.h $(CFLAGS) -o $@ \
	    $(filter %.c %.o %.a,$^) $(LDCHILD) $(LDLIBS)
$(OUT)/kinds/libexec/chatd/apart: tests/kinds/apart.c tests/kinds/count.c \
    tests/kinds/count.h tests/kinds/settings.h $(OUT)/libchatd.a
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -o $@ $(filter %.c,$^) $(OUT)/libchatd.a \
	    $(LDFLAGS) $(LDLIBS)
# That program, of another layout than chatd.
$(OUT)/kinds/apart-other: tests/kinds/apart.c tests/kinds/count.c \
    src/hub/layout.c $(OUT)/libchatd.a
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -DCHATD_OTHER_LAYOUT \
	    -o $@ $(filter %.c,$^) $(OUT)/libchatd.a $(LDFLAGS) $(LDLIBS)

# A chatd with one more door, framing and transport: a row of each table.
LINES := tests/doors/line_door.c tests/doors/xor_transport.c \
    src/door/registry.c src/codec/framing.c src/net/transport.c
LINES_FLAGS := -DCHATD_DOORS_MORE='ROW(line)' \
    -DCHATD_FRAMINGS_MORE='ROW(lines)' -DCHATD_TRANSPORTS_MORE='ROW(xor)'
$(OUT)/lines/chatd: $(LINES) $(OUT)/obj/chatd.o $(OUT)/obj/chatd_tls.o \
    $(OUT)/obj/kinds.o $(OUT)/libchatd.a $(OUT)/chatctl \
    $(OUT)/lines/libexec/chatd/chatd-child $(OUT)/libexec/chatd/chatd-handshaker
	@mkdir -p $(@D)
	@ln -sf ../chatctl $(@D)/chatctl
	@ln -sf ../../../libexec/chatd/chatd-handshaker $(@D)/libexec/chatd/
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(LINES_FLAGS) $(CFLAGS) -o $@ \
	    $(filter %.c %.o %.a,$^) $(LDFLAGS) $(LDLIBS)
$(OUT)/lines/libexec/chatd/chatd-child: $(LINES) $(OUT)/obj/chatd_child.o \
    $(CHILD_NAMES) $(OUT)/libchatd.a
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(LINES_FLAGS) $(CFLAGS) -o $@ \
	    $(filter %.c %.o %.a,$^) $(LDCHILD) $(LDLIBS)

$(OUT)/unit/%: tests/unit/%.c $(OUT)/libchatd.a
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(TEST_OPT) -MMD -MP -o $@ $< \
	    $(OUT)/libchatd.a $(LDFLAGS) -lcmocka $(LDSTORE) $(LDTLS) $(LDLIBS)

# Replays a corpus without the fuzzer: tests/fuzz/replay.c is its main().
$(OUT)/fuzz/%: tests/fuzz/%.c tests/fuzz/replay.c $(FUZZ_HELP) \
    $(OUT)/libchatd.a
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(TEST_OPT) -o $@ $(filter-out %.h,$^) \
	    $(LDFLAGS) -lcmocka $(LDLIBS)

# Those called kill_* need kill points: VARIANT=kill.
$(KILL): $(KILL_HELP) $(wildcard tests/fault/kill_*.h)
$(OUT)/fault/%_test: tests/fault/%_test.c $(OUT)/libchatd.a
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(TEST_OPT) -o $@ $(filter %.c,$^) \
	    $(OUT)/libchatd.a $(LDFLAGS) -lcmocka $(LDSTORE) $(LDTLS) $(LDLIBS)

$(OUT)/fault/soak: $(wildcard tests/fault/soak/*.[ch]) $(OUT)/libchatd.a
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -Itests/fault/soak -o $@ \
	    $(filter %.c,$^) $(OUT)/libchatd.a $(LDFLAGS) $(LDTLS) $(LDLIBS)

$(OUT)/fault/invariant: tests/fault/invariant.c \
    tests/fault/soak/invariant.c tests/fault/soak/invariant.h $(OUT)/libchatd.a
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -Itests/fault/soak -o $@ \
	    $(filter %.c,$^) $(OUT)/libchatd.a $(LDFLAGS) $(LDLIBS)

$(OUT)/bench/accept: tests/bench/accept/accept.c $(OUT)/libchatd.a
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(LDLIBS)

$(OUT)/bench/append: tests/bench/append/append.c $(OUT)/libchatd.a
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(LDLIBS)

$(OUT)/bench/store: tests/bench/store/store.c $(OUT)/libchatd.a
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(LDSTORE) $(LDLIBS)

$(OUT)/bench/takeover: tests/bench/takeover/takeover.c \
    tests/bench/wsload/secure.c tests/bench/wsload/util.c $(OUT)/libchatd.a
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -Itests/bench/wsload -o $@ $^ \
	    $(LDFLAGS) $(LDTLS) $(LDLIBS)

units: $(UNIT)
kills: $(KILL) $(OUT)/fault/soak $(OUT)/lines/chatd $(OUT)/kinds/sbin/chatd \
    $(OUT)/kinds/apart-other
fuzzers: $(FUZZ)

deps:
	tests/deps.sh
check:
	tests/check.sh
check-long:
	tests/check-long.sh
# From the commit REV (HEAD^) to what is here, under clients.
upgrade-from: all
	tests/upgrade_from.sh $(REV)
tls-scan: all
	tests/tls_scan.sh $(SCANS)
soak: all $(OUT)/fault/soak
	$(OUT)/fault/soak -d $(OUT)/chatd -j -e -i -n $(HITS) \
	    -t $$(($(HITS) / 5)) -v
# Each record's key and nonce is noted.
soak-tls:
	$(MAKE) -s VARIANT=kill all build/kill/fault/soak
	build/kill/fault/soak -d build/kill/chatd -j -O -i -n $(HITS) \
	    -t $$(($(HITS) / 5)) -v
soak-reader:
	$(MAKE) -s VARIANT=kill all build/kill/fault/soak \
	    build/kill/kinds/sbin/chatd
	build/kill/fault/soak -d build/kill/kinds/sbin/chatd -j -r -n $(HITS) \
	    -t $$(($(HITS) / 5)) -v
soak-store:
	$(MAKE) -s VARIANT=kill all build/kill/fault/soak
	build/kill/fault/soak -d build/kill/chatd -j -S -n $(HITS) \
	    -t $$(($(HITS) / 5)) -v
bench: all $(OUT)/bench/accept $(OUT)/bench/takeover
	tests/bench/run.sh
million: all
	tests/bench/run.sh build
	node tests/bench/million.js
tls-many: all
	tests/bench/run.sh build
	TLS=1 CLIENTS=$${CLIENTS:-50000} WORKERS=$${WORKERS:-4} \
	    node tests/bench/million.js
fuzz:
	tests/fuzz/run.sh
lint: all
	tests/lint.sh
# What two versions share has changed, and that is meant.
layout: $(OUT)/unit/layout_test
	LAYOUT_RENEW=1 $<
# What another compiler (VARIANT=clang) thinks of everything, built nowhere.
syntax:
	$(Q)printf '%s\n' src/*.c $(LIB_SRC) | \
	    xargs -n 12 -P 2 $(CC) $(CPPFLAGS) -DCHATD_WEB='""' $(CFLAGS) \
	    -Wno-unused-command-line-argument -fsyntax-only

# Where root builds, nobody else may write to build/.
run:
	@tests/deps.sh build
	@$(MAKE) --no-print-directory all
	@sed 's|@STORE@|$(CURDIR)/build/chat.db|' etc/run.conf >build/run.conf
	@exec build/chatd -d -w 4 -l localhost:$(PORT) -f $(CURDIR)/build/run.conf \
	    $$([ "$$(id -u)" != 0 ] || echo -u root)

install: all
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin \
	    $(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(MANDIR)/man7 \
	    $(DESTDIR)$(MANDIR)/man8 $(DESTDIR)$(SYSCONFDIR)/chatd \
	    $(DESTDIR)$(UNITDIR) $(DESTDIR)$(SYSUSERSDIR) \
	    $(DESTDIR)$(TMPFILESDIR) \
	    $(DESTDIR)$(LIBEXECDIR)/chatd
	install -m 755 $(OUT)/chatd $(DESTDIR)$(PREFIX)/sbin/chatd
	install -m 755 $(OUT)/chatctl $(DESTDIR)$(PREFIX)/bin/chatctl
	install -m 755 $(OUT)/libexec/chatd/chatd-child \
	    $(DESTDIR)$(LIBEXECDIR)/chatd/chatd-child
	install -m 755 $(OUT)/libexec/chatd/chatd-store \
	    $(DESTDIR)$(LIBEXECDIR)/chatd/chatd-store
	install -m 755 $(OUT)/libexec/chatd/chatd-handshaker \
	    $(DESTDIR)$(LIBEXECDIR)/chatd/chatd-handshaker
	install -m 644 man/chatd.conf.5 man/chatd-store.5 $(DESTDIR)$(MANDIR)/man5
	install -m 644 man/chatd-protocol.7 $(DESTDIR)$(MANDIR)/man7
	install -m 644 man/chatd.8 man/chatctl.8 $(DESTDIR)$(MANDIR)/man8
	cat etc/chatd.conf etc/service.conf >$(OUT)/chatd.conf
	[ -e $(DESTDIR)$(SYSCONFDIR)/chatd/chatd.conf ] || \
	    install -m 640 $(OUT)/chatd.conf $(DESTDIR)$(SYSCONFDIR)/chatd/chatd.conf
	sed 's|@PREFIX@|$(PREFIX)|g' etc/chatd.service \
	    > $(DESTDIR)$(UNITDIR)/chatd.service
	install -m 644 etc/chatd.sysusers $(DESTDIR)$(SYSUSERSDIR)/chatd.conf
	install -m 644 etc/chatd.tmpfiles $(DESTDIR)$(TMPFILESDIR)/chatd.conf

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/sbin/chatd $(DESTDIR)$(PREFIX)/bin/chatctl \
	    $(DESTDIR)$(LIBEXECDIR)/chatd/chatd-child \
	    $(DESTDIR)$(LIBEXECDIR)/chatd/chatd-store \
	    $(DESTDIR)$(LIBEXECDIR)/chatd/chatd-handshaker \
	    $(DESTDIR)$(MANDIR)/man5/chatd.conf.5 \
	    $(DESTDIR)$(MANDIR)/man5/chatd-store.5 \
	    $(DESTDIR)$(MANDIR)/man7/chatd-protocol.7 \
	    $(DESTDIR)$(MANDIR)/man8/chatd.8 $(DESTDIR)$(MANDIR)/man8/chatctl.8 \
	    $(DESTDIR)$(UNITDIR)/chatd.service \
	    $(DESTDIR)$(SYSUSERSDIR)/chatd.conf $(DESTDIR)$(TMPFILESDIR)/chatd.conf

clean:
	rm -rf build

-include $(shell find $(OUT)/obj $(OUT)/unit -name '*.d' 2>/dev/null)

.PHONY: FORCE all help units kills fuzzers deps check check-long soak \
    soak-reader soak-store soak-tls upgrade-from tls-scan bench million \
    tls-many fuzz layout lint syntax run install \
    uninstall clean
