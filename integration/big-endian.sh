#!/usr/bin/env bash
# The tests of the model and of nft's encoders and readers that ask no kernel, on a processor of the other byte order: s390x, whose
# programs qemu runs one by one. As root, on Debian, with a Rust of rustup's: it installs a compiler and qemu-user, and keeps the
# libraries of s390x in ~/.cache/palisade/s390x.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C.UTF-8
. deploy/architecture.sh
. integration/apt.sh
. integration/kernels/packages.sh

architecture=s390x
architecture_of "$architecture"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/palisade/$architecture
# What with_apt asks.
# shellcheck disable=SC2034
declare -A suites_of=([libraries]=bookworm)

apt_install "$compiler" libc6-dev-s390x-cross pkg-config qemu-user
rustup --quiet target add "$rust"
if [[ ! -e $cache/usr/lib/$gnu/libnftnl.so ]]; then
    with_apt libraries apt-get update -qq
    mkdir -p "$cache/debs"
    (cd "$cache/debs" && with_apt libraries apt-get download -qq lib{mnl0,mnl-dev,nftnl11,nftnl-dev})
    for package in "$cache"/debs/*.deb; do dpkg-deb -x "$package" "$cache"; done
fi

compile_for "$architecture"
# shellcheck disable=SC2154 # compile_for sets it.
export "PKG_CONFIG_LIBDIR_$target=$cache/usr/lib/$gnu/pkgconfig" "PKG_CONFIG_SYSROOT_DIR_$target=$cache"
export CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_RUNNER="qemu-s390x -L /usr/$gnu -E LD_LIBRARY_PATH=$cache/usr/lib/$gnu"
cargo test --target "$rust" -p palisade-model -p palisade-nft --lib -- \
    --skip netlink::tests --skip netlink::conntrack --skip netlink::kernel --skip tests::kernel
