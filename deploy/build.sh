#!/bin/sh
# Compiles the agent and the CNI plugin for an architecture (amd64, arm64), and lays out the files of the image. Nothing of that
# architecture runs meanwhile. build-setup.sh installs what it needs; the Dockerfile and CI use it.
#
#   build.sh ARCHITECTURE DIRECTORY
set -eu
deploy=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=deploy/architecture.sh
. "$deploy/architecture.sh"

compile_for "${1:?build.sh ARCHITECTURE DIRECTORY}"
tree=${2:?build.sh ARCHITECTURE DIRECTORY}
cd "$deploy/.."
cargo build --release --locked -p palisade --target "$rust"
plugin=$("$deploy/build-plugin.sh" "$rust")
"$deploy/image-tree.sh" "${CARGO_TARGET_DIR:-target}/$rust/release/palisade" "$plugin" "$tree"
