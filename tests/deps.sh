#!/bin/sh
# Installs what is missing on Debian: deps.sh [build|all]. `build` is what
# make needs, `all` what the tests need too. Quick when nothing is missing.
set -eu

what=${1:-all}
event_min=2.1.12-stable-8+deb12u1 # eight vulnerabilities fixed in 2026
missing=

# Whether a package is installed.
installed() {
	dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null |
	    grep -qx installed
}

# Notes the packages that are not installed.
need() {
	for package; do
		installed "$package" || missing="$missing $package"
	done
}

# Notes a package unless its command is there, from wherever it came.
need_command() {
	command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}

# The same for a program that is not in everybody's PATH.
need_file() {
	[ -x "$1" ] || missing="$missing $2"
}

case $what in
build|all) ;;
*)
	echo "usage: deps.sh [build|all]" >&2
	exit 2
	;;
esac
if ! command -v dpkg-query >/dev/null 2>&1; then
	echo "deps: this is no Debian: README.md names what is needed" >&2
	exit 1
fi

need gcc make byacc libc6-dev libevent-dev libbsd-dev libidn2-dev \
    libsqlite3-dev libssl-dev liburing-dev libseccomp-dev libunistring-dev
if installed libevent-dev &&
    dpkg --compare-versions \
    "$(dpkg-query -W -f '${Version}' libevent-dev)" lt "$event_min"; then
	missing="$missing libevent-dev libevent-core-2.1-7"
fi
if [ "$what" = all ]; then
	need chromium fonts-dejavu-core gnutls-bin haproxy nginx openssl \
	    sslscan testssl.sh
	need libcmocka-dev libclang-rt-14-dev mandoc python3-websockets \
	    valgrind procps util-linux iproute2
	need_command clang clang
	need_command clang-format clang-format
	need_command curl curl
	need_command node nodejs
	need_command npm npm
	need_command sqlite3 sqlite3
	need_command ab apache2-utils
	need_command wget wget
	need_command firefox-esr firefox-esr
	need_file /usr/sbin/haproxy haproxy
	need_file /usr/sbin/nginx nginx
	need_file /usr/lib/nagios/plugins/check_http monitoring-plugins-basic
fi
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
	as_root=
elif command -v sudo >/dev/null 2>&1; then
	as_root=sudo
else
	echo "deps: missing packages:$missing" >&2
	echo "deps: neither root nor sudo here: let root install them" >&2
	exit 1
fi

echo "deps: installing$missing" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Tests start nginx and haproxy themselves: as services they would take ports.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'rm -f "$log"; $as_root rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
	$as_root chmod 755 "$policy"
fi
# Words on purpose: $as_root may be empty, $missing is a list.
# shellcheck disable=SC2086
if ! $as_root apt-get update -q >"$log" 2>&1 ||
    ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
    --no-install-recommends $missing >"$log" 2>&1; then
	cat "$log" >&2
	echo "deps: apt-get failed; wanted:$missing" >&2
	exit 1
fi
for service in nginx haproxy; do
	case "$missing " in
	*" $service "*)
		[ ! -d /run/systemd/system ] ||
		    $as_root systemctl -q disable "$service"
		;;
	esac
done
