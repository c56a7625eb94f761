#!/bin/sh
# Builds the CNI plugin so that it needs no library of the host's: the runtime starts it there, whatever distribution that is.
# Prints where it is.
#
#   build-plugin.sh [RUST_TARGET]
set -eu
cd "$(dirname "$0")/.."

target=${1:-$(rustc -vV | sed -n 's/^host: //p')}
# Cargo knows no flags for one package alone; those of this variable are for what is built here.
RUSTFLAGS='-C target-feature=+crt-static' cargo build --release --locked --quiet -p palisade-cni --target "$target"
echo "${CARGO_TARGET_DIR:-$PWD/target}/$target/release/palisade-cni"
