#!/usr/bin/env bash
# Checks and tests everything. The last line says how many tests passed and failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C.UTF-8
. integration/namespaces.sh

step() {
    printf '\n== %s\n' "$1"
    shift
    "$@"
}

step 'set-up' integration/setup.sh
step 'set-up of the API server' integration/setup-api.sh
step 'set-up of helm and actionlint' integration/setup-deploy.sh
step 'set-up of a browser' integration/setup-browser.sh
step 'format' cargo fmt --all --check
step 'clippy' cargo clippy --workspace --all-targets --quiet -- -D warnings
step 'rustdoc' env RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --quiet
step 'build' cargo build --workspace --bins --tests --quiet

printf '\n== tests\n'
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
# Not through a pipe, which a process that a failed test left behind would keep open.
with_namespaces cargo test --workspace --no-fail-fast >"$log" 2>&1 &
tail -n +1 -f --pid=$! "$log"
wait $! || status=$?

printf '\n'
awk '/^test result: / { passed += $4; failed += $6 }
     END { printf "%d passed, %d failed\n", passed, failed; exit passed == 0 || failed > 0 }' "$log" || status=1
exit "$status"
