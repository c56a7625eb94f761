#!/usr/bin/env bash
# Installs what building and testing Palisade needs, on Debian 12 or later; elsewhere says what is missing.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/packages.sh"

packages=(build-essential pkg-config libnftnl-dev libmnl-dev nftables iproute2 util-linux)
minimum_cargo=1.89

check_without_apt() {
    local missing=()
    for program in cc pkg-config nft ip unshare setpriv; do
        command -v "$program" >/dev/null || missing+=("$program")
    done
    if command -v pkg-config >/dev/null; then
        for library in libnftnl libmnl; do
            pkg-config --exists "$library" || missing+=("$library (headers)")
        done
    fi
    [ ${#missing[@]} -eq 0 ] || fail "install these with this system's package manager: ${missing[*]}"
}

check_rust() {
    command -v cargo >/dev/null || fail "cargo is missing; install Rust $minimum_cargo or later (https://rustup.rs):" \
        "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
    local version
    version=$(cargo --version | cut -d' ' -f2)
    printf '%s\n%s\n' "$minimum_cargo" "$version" | sort -VC \
        || fail "cargo $version is too old, $minimum_cargo is needed: rustup update stable"
    for component in rustfmt clippy; do
        cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1 || fail "missing: rustup component add $component"
    done
}

if command -v apt-get >/dev/null; then
    need "${packages[@]}"
else
    check_without_apt
fi
check_rust
