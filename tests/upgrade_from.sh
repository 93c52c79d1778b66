#!/bin/sh
# Proves the upgrade from another commit to what is built here: upgrade_from.sh
# [REV], HEAD^ if none is named. Builds that commit in a temporary folder, has
# clients talk at it, and upgrades: nobody may be disconnected, and nothing may
# be lost, doubled or reordered (system/upgrade_from.js).
set -eu
cd "$(dirname "$0")/.."
rev=$(git rev-parse --verify "${1:-HEAD^}^{commit}")
folder=$(mktemp -d "${TMPDIR:-/tmp}/chatd-from-XXXXXX")
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
chmod 755 "$folder" # workers have another user
git archive "$rev" | tar -x -C "$folder"
echo "from $(git log -1 --format='%h %s' "$rev")"
env -u VARIANT -u MAKEFLAGS make -s -C "$folder" -j"$(nproc)" all >"$folder/log" 2>&1 || {
	cat "$folder/log"
	exit 1
}
CHATD=$folder/build/chatd NEXT=$PWD/build/chatd node tests/system/upgrade_from.js
