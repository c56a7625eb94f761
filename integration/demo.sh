#!/usr/bin/env bash
# A small shop in network namespaces: policies come one after the other, and real packets show who reaches whom.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

integration/setup.sh
cargo build --quiet -p palisade -p palisade-integration --bins
demo=$(cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug/demo

if [ "$(id -u)" -eq 0 ]; then
    exec "$demo" "$@"
fi
exec unshare --user --map-root-user --net --mount "$demo" "$@"
