# What the scripts of the kernels share: which kernels there are, where things are kept, and a few words.
# shellcheck disable=SC2034 # They are used where this is read.

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
scripts=$repository/integration/kernels
. "$repository/deploy/architecture.sh"

# for_architecture ARCHITECTURE: what depends on it, by Debian's name.
for_architecture() {
    architecture_of "$1" || exit 2
    architecture=$1
    cache=${XDG_CACHE_HOME:-$HOME/.cache}/palisade/kernels/$architecture
    logs=$cache/logs
    # What is for this machine lies where cargo puts it anyway.
    target_of_cargo=()
    [[ $(rustc -vV) == *"host: $rust"* ]] || target_of_cargo=(--target "$rust")
    case $architecture in
        # What copies byte by byte where it is emulated, a deeper page table, and a check at each access to a program's memory: off.
        amd64) machine=(qemu-system-x86_64 -machine pc -cpu 'max,erms=off,fsrm=off,la57=off,smap=off') console=ttyS0 ;;
        arm64) machine=(qemu-system-aarch64 -machine virt -cpu cortex-a72) console=ttyAMA0 ;;
        *) fail "no machine for $architecture: amd64 and arm64 are known" ;;
    esac
}

# Where Debian has each version: the suites of the archive, the newest package of which is taken.
all_versions=(5.10 6.1 6.12 newest)
declare -A suites_of=(
    [5.10]='bullseye bullseye-security'
    [6.1]='bookworm bookworm-security'
    [6.12]='trixie trixie-security'
    [newest]='sid experimental trixie-backports'
)

say() { printf '%s\n' "$*" >&2; }
fail() { say "${0##*/}: $*"; exit 1; }
has() { command -v "$1" >/dev/null; }

# image DIRECTORY FILE [SPARE]: an ext4 file system with what is in the directory, and so many MiB to spare.
image() {
    local used inodes
    used=$(du -sm --apparent-size "$1" | cut -f1)
    inodes=$(find "$1" | wc -l)
    rm -f "$2" "$2.new"
    mke2fs -q -t ext4 -O ^has_journal -m 0 -N $((inodes + 20000)) -E root_owner=0:0 -d "$1" \
        "$2.new" "$((used * 5 / 4 + ${3:-16}))M" >/dev/null
    mv "$2.new" "$2"
}
