#!/usr/bin/env bash
# Palisade beside other userlands: other versions of nft, none at all, and other programs' tables. As root, on Debian. No part of
# integration/test.sh: it downloads some 300 MB of Debian's packages, which are kept in ${XDG_CACHE_HOME:-~/.cache}/palisade/userlands.
# Nothing of this machine changes but that folder: packages are unpacked there, and everything runs in network namespaces.
#
#   integration/userlands.sh [nft|absent|beside]...
#
#   nft     what the kernel holds is listed, loaded and found equal by nft 1.0.6 (Debian 12), 1.1 (Debian 13) and the newest
#   absent  conformance cases, with the agent in a root that holds a busybox and nothing else of a system: no nft, no PATH
#   beside  conformance cases on nodes that have the tables of docker, netavark (Podman), firewalld or ufw, made by these
#           programs; ours are the same after theirs were loaded again, and theirs after ours came and went
#
# A table at the end; exit 1 where something failed. USERLANDS_CASES (e2e-0) says which cases are played, by a part of their names.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. integration/packages.sh
cache=${XDG_CACHE_HOME:-$HOME/.cache}/palisade/userlands
cases=${USERLANDS_CASES:-e2e-0}
work=$(mktemp -d)
failed=0
. integration/userlands/packages.sh
. integration/userlands/nft.sh
. integration/userlands/absent.sh
. integration/userlands/beside.sh

# row WHAT WHOSE RESULT
row() {
    printf '%s\t%s\t%s\n' "$@" >>"$work/table"
    printf 'userlands: %s: %s: %s\n' "$@" >&2
    [ "$3" != FAILED ] || failed=1
}

# judged WHAT WHOSE COMMAND...: a row that says whether the command succeeds; what it says is shown where it does not.
judged() {
    local what=$1 whose=$2
    shift 2
    if "$@" >"$work/said" 2>&1; then
        row "$what" "$whose" passed
    else
        tail -n 40 "$work/said" >&2
        row "$what" "$whose" FAILED
    fi
}

# play BINARY: the cases, by that binary.
play() { PALISADE_BIN=$1 "$conformance" "one-node::$cases" --test-threads 4; }

[ "$(id -u)" -eq 0 ] || fail 'as root: it makes roots of file systems and enters them'
[ "$(. /etc/os-release && echo "$ID")" = debian ] || fail "on Debian alone: it unpacks Debian's packages"
trap 'rm -rf "$work"' EXIT
need mmdebstrap busybox-static jq iproute2
cargo build --quiet -p palisade --bins
target=$(cargo metadata --no-deps --format-version 1 | jq -r .target_directory)/debug
conformance=$(cargo test --quiet -p palisade-integration --test conformance --no-run --message-format json |
    jq -r 'select(.target.name == "conformance" and .executable) | .executable')

for part in "${@:-nft absent beside}"; do
    for one in $part; do "part_$one"; done
done
printf '\n'
column -t -s "$(printf '\t')" -N what,whose,result "$work/table"
exit "$failed"
