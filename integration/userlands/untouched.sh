#!/usr/bin/env bash
# In namespaces of its own: an agent comes and goes beside other tables, and these are loaded again while it runs. Neither changes the other.
#
#   untouched.sh PALISADE LOAD OBJECTS
set -euo pipefail
palisade=$1 load=$2
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT
cp "$3" "$objects"
source=(--manifests "$objects" --node-name node-1)

theirs() {
    nft -s list tables | grep -v ' palisade$' | while read -r _ family name; do nft -s list table "$family" "$name"; done
}
ours() { for family in inet bridge; do nft -s list table "$family" palisade 2>/dev/null || true; done; }
same() { [ "$2" = "$3" ] || { echo "$1"; diff <(echo "$2") <(echo "$3"); exit 1; }; }
settled() {
    for _ in $(seq 300); do
        [ -z "$("$palisade" diff "${source[@]}" 2>/dev/null)" ] && return
        sleep 0.2
    done
    exit 1
}

mount -t tmpfs tmpfs /run
ip link set lo up
"$load"
before=$(theirs)
[ -n "$before" ]
"$palisade" run "${source[@]}" >"$objects.log" 2>&1 &
agent=$!
settled
same 'theirs, when ours came' "$before" "$(theirs)"
table=$(ours)
[ -n "$table" ]
nft flush ruleset 2>/dev/null || true
settled
same 'ours, when everything else was flushed' "$table" "$(ours)"
"$load"
sleep 1
settled
same 'ours, when theirs were loaded again' "$table" "$(ours)"
same 'theirs, when they were loaded again' "$before" "$(theirs)"
kill "$agent"
wait "$agent" || true
same 'theirs, when the agent stopped' "$before" "$(theirs)"
"$palisade" cleanup >/dev/null
same 'theirs, after the cleanup' "$before" "$(theirs)"
[ -z "$(ours)" ]
rm -f "$objects.log"
