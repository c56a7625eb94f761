#!/bin/sh
# Lays out the files of the image: the binary, the libraries that it needs and their loader, the names by which it is
# called, and the CNI plugin, which needs none. Used by the Dockerfile, and by the test that runs what the image holds.
#
#   image-tree.sh BINARY PLUGIN DIRECTORY
#
# The libraries are read from the binary (DT_NEEDED, with theirs in turn) instead of asked of ldd, which would have to run
# it: a binary of another architecture works too, where Debian's libraries of that architecture are installed.
set -eu

binary=$1
plugin=$2
tree=$3

fail() { echo "image-tree.sh: $*" >&2; exit 1; }

machine=$(readelf -h "$binary" | sed -n 's/^ *Machine: *//p')
case $machine in
    *X86-64) triplet=x86_64-linux-gnu ;;
    AArch64) triplet=aarch64-linux-gnu ;;
    *) fail "$binary is for $machine: only x86-64 and AArch64 are known here" ;;
esac

loader=$(readelf -l "$binary" | sed -n 's/.*program interpreter: \(.*\)\]/\1/p')

# Puts a file where it is in this system, with what it needs.
place() {
    [ -e "$tree$1" ] && return
    mkdir -p "$tree$(dirname "$1")"
    cp -L "$1" "$tree$1"
    needed "$1"
}

needed() {
    for library in $(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
        [ "$library" = "${loader##*/}" ] && continue
        place "$(find_library "$library" "$1")"
    done
}

find_library() {
    for directory in "/lib/$triplet" "/usr/lib/$triplet" /lib64 /lib; do
        [ -e "$directory/$1" ] && { echo "$directory/$1"; return; }
    done
    fail "$2 needs $1, which is not in $triplet's library directories: install its package"
}

# The runtime starts it outside the image.
readelf -d "$plugin" | grep -q NEEDED && fail "$plugin needs libraries: build it with build-plugin.sh"
mkdir -p "$tree/usr/local/bin" "$tree/run/palisade"
install -m 755 "$binary" "$tree/palisade"
install -m 755 "$plugin" "$tree/palisade-cni"
place "$loader"
needed "$binary"
ln -sf /palisade "$tree/usr/local/bin/palisade"
ln -sf /palisade "$tree/usr/local/bin/kubectl-palisade"
