# shellcheck shell=sh disable=SC2034 # They are used where this is read.
# What Rust and GNU call an architecture, by Debian's name of it. Palisade is built for the first two, and tested on the last, whose
# byte order is the other one. Read by build-setup.sh, build.sh and by those who build its tests.

# architecture_of ARCHITECTURE: sets `rust`, `gnu` and `compiler`.
architecture_of() {
    case $1 in
        amd64) rust=x86_64-unknown-linux-gnu gnu=x86_64-linux-gnu compiler=gcc-x86-64-linux-gnu ;;
        arm64) rust=aarch64-unknown-linux-gnu gnu=aarch64-linux-gnu compiler=gcc-aarch64-linux-gnu ;;
        s390x) rust=s390x-unknown-linux-gnu gnu=s390x-linux-gnu compiler=gcc-s390x-linux-gnu ;;
        *) echo "${0##*/}: no recipe for $1: amd64, arm64 and s390x are known" >&2 && return 1 ;;
    esac
}

# compile_for ARCHITECTURE: has cargo, cc and pkg-config find what that needs, whichever machine this is. What runs while it is
# compiled is for this machine, and finds what is here: so each variable names its target.
compile_for() {
    architecture_of "$1" || return
    target=$(echo "$rust" | tr - _)
    export "CARGO_TARGET_$(echo "$target" | tr '[:lower:]' '[:upper:]')_LINKER=$gnu-gcc" "CC_$target=$gnu-gcc" \
        PKG_CONFIG_ALLOW_CROSS=1 "PKG_CONFIG_LIBDIR_$target=/usr/lib/$gnu/pkgconfig"
}
