#!/bin/sh
# What sslscan and testssl.sh say about a chatd with an ECDSA and an RSA
# certificate of an own authority: tls_scan.sh [FOLDER], where both outputs are
# kept. Fails on anything that costs a grade. Minutes. No network but loopback.
#
# Both offer TLS 1.2 without the extended master secret, which chatd refuses: so
# they find TLS 1.3 alone, and testssl.sh is run once more with openssl's client.
set -eu
cd "$(dirname "$0")/.."

keep=${1:-}
folder=$(mktemp -d "${TMPDIR:-/tmp}/chatd-scan-XXXXXX")
pid=
# Ends the daemon.
# shellcheck disable=SC2317 # by trap
cleanup() {
	[ -z "$pid" ] || kill "$pid"
	wait
	rm -rf "$folder"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

# A certificate of the authority: NAME and what `openssl req -newkey` takes.
certificate() {
	name=$1
	shift
	openssl req -newkey "$@" -nodes -keyout "$folder/$name-key.pem" \
	    -out "$folder/$name.csr" -subj /CN=localhost \
	    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>/dev/null
	openssl x509 -req -in "$folder/$name.csr" -CA "$folder/ca.pem" \
	    -CAkey "$folder/ca-key.pem" -CAcreateserial -days 90 \
	    -copy_extensions copy 2>/dev/null |
	    cat - "$folder/ca.pem" >"$folder/$name.pem"
}

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout "$folder/ca-key.pem" -out "$folder/ca.pem" -days 90 \
    -subj "/CN=chatd's scan" 2>/dev/null
certificate ecdsa ec -pkeyopt ec_paramgen_curve:P-256
certificate rsa rsa:2048
port=$(node -e "require('./tests/system/daemon.js').freePort().then((p) =>
    console.log(p) || process.exit())")
cat >"$folder/chatd.conf" <<EOF
listen 127.0.0.1:$port tls
insecure yes
certificate "$folder/ecdsa.pem" key "$folder/ecdsa-key.pem"
certificate "$folder/rsa.pem" key "$folder/rsa-key.pem"
EOF
build/chatd -d -w 1 -f "$folder/chatd.conf" -s "$folder/control" \
    >"$folder/log" 2>&1 &
pid=$!
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
	openssl s_client -brief -connect "127.0.0.1:$port" </dev/null \
	    >/dev/null 2>&1 && break
	sleep 1
done

# testssl.sh with what it needs to stay here.
scan() {
	testssl --quiet --color 0 --warnings off --nodns none --ip 127.0.0.1 \
	    --openssl "$(command -v openssl)" --add-ca "$folder/ca.pem" "$@" \
	    "https://localhost:$port/"
}

sslscan --no-colour --show-certificate "127.0.0.1:$port" | tee "$folder/sslscan"
scan --fast -p -s -f -P -S -h -U -c | tee "$folder/testssl"
scan --fast --ssl-native -p -s -f -P | tee -a "$folder/testssl"
if [ -n "$keep" ]; then
	cp "$folder/sslscan" "$keep/sslscan.txt"
	cp "$folder/testssl" "$keep/testssl.txt"
fi
bad=0
# The authority is nobody's, so nobody asks it whether a certificate was revoked;
# the page is packed, and has no secret.
grep -i 'not ok\|vulnerable (not\|VULNERABLE' "$folder/testssl" |
    grep -v 'not vulnerable\|neither CRL nor OCSP\|HTTP compression' && bad=1
grep 'SSLv[23] *enabled\|TLSv1\.[01] *enabled\|vulnerable' "$folder/sslscan" |
    grep -v 'not vulnerable' && bad=1
grep -q 'TLSv1\.3 *enabled' "$folder/sslscan" || bad=1
grep -q 'TLS 1\.2 *offered (OK)' "$folder/testssl" || bad=1
[ $bad = 0 ] && echo "nothing found" || echo "tls_scan: see above" >&2
exit $bad
