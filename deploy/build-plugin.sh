#!/bin/sh
# Builds the CNI plugin so that it needs no library of the host's: the runtime starts it there, whatever distribution that is.
# With musl, which starts in a third of the time that glibc takes: that asks the processor about itself, where a virtual machine
# has each question answered by its host. Prints where it is.
#
#   build-plugin.sh [RUST_TARGET]
set -eu
cd "$(dirname "$0")/.."

target=${1:-$(rustc -vV | sed -n 's/^host: //p')}
target=${target%-gnu}-musl
if [ ! -d "$(rustc --print target-libdir --target "$target")" ]; then
    rustup --quiet target add "$target" >&2 || {
        echo "${0##*/}: the standard library of $target is missing: rustup target add $target" >&2
        exit 1
    }
fi
# Cargo knows no flags for one package alone; those of this variable are for what is built here. No linker of the target is needed.
RUSTFLAGS='-C linker=rust-lld -C target-feature=+crt-static' \
    cargo build --release --locked --quiet -p palisade-cni --target "$target"
echo "${CARGO_TARGET_DIR:-$PWD/target}/$target/release/palisade-cni"
