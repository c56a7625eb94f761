#!/bin/sh
# Installs what it takes to compile Palisade for an architecture (amd64, arm64) on this machine, whichever that is: on Debian,
# whose packages of both architectures it needs, with a Rust of rustup's.
#
#   build-setup.sh ARCHITECTURE
set -eu
# shellcheck source=deploy/architecture.sh
. "$(dirname "$0")/architecture.sh"

architecture_of "${1:?build-setup.sh ARCHITECTURE}"
own=$(dpkg --print-architecture)
[ "$1" != "$own" ] || compiler=gcc
dpkg --print-foreign-architectures | grep -qx -e "$1" || [ "$1" = "$own" ] || dpkg --add-architecture "$1"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    pkg-config binutils gcc libc6-dev "$compiler" "libc6-dev:$1" "libgcc-s1:$1" "libnftnl-dev:$1" "libmnl-dev:$1" >&2
rustup --quiet target add "$rust" "${rust%-gnu}-musl"
