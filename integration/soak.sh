#!/usr/bin/env bash
# The long versions of the tests that random moments and random events make better: never open, through ROUNDS rounds of
# everything that happens there (300), a third as many rounds of odd packets, and EVENTS events (a million) in which
# addresses are reused, late and told twice, as many with a failing netlink, and a third as many put in force piece by piece.
# Half an hour on two idle cores.
#
#     integration/soak.sh [ROUNDS [EVENTS]]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C.UTF-8
. integration/namespaces.sh

rounds=${1:-300}
events=${2:-1000000}

run() {
    printf '\n== %s\n' "$*"
    local start=$SECONDS status=0
    with_namespaces "$@" || status=$?
    printf '== %s after %d s\n' "$([ "$status" -eq 0 ] && echo passed || echo FAILED)" $((SECONDS - start))
    return "$status"
}

cargo build --workspace --bins --quiet
status=0
# A sequence has 79 events on average.
run env PROPTEST_CASES=$((events / 78)) cargo test -p palisade-model --test events -- --nocapture || status=1
# And 15 changes, among commits and faults.
run env PROPTEST_CASES=$((events / 15)) cargo test -p palisade --test faults -- --nocapture || status=1
# And 30, in pieces, while packets are waited for.
run env PROPTEST_CASES=$((events / 90)) cargo test -p palisade --lib what_waits_to_go -- --nocapture || status=1
run env PALISADE_SOAK="$rounds" cargo test -p palisade-integration --test never_open -- --nocapture || status=1
run env PALISADE_SOAK=$((rounds / 3 + 1)) cargo test -p palisade-integration --test forging odd -- --nocapture || status=1
exit "$status"
