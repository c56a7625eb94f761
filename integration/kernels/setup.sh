# The programs that this needs, on Debian from apt.

set_up() {
    local needed=(qemu-system-x86_64 mmdebstrap mke2fs depmod cpio jq xz zstd) program missing=()
    local packages=(qemu-system-x86 mmdebstrap e2fsprogs kmod cpio jq xz-utils zstd)
    for program in "${needed[@]}"; do has "$program" || missing+=("$program"); done
    [[ ${#missing[@]} -gt 0 ]] || return 0
    has apt-get || fail "missing: ${missing[*]}; on Debian they are in ${packages[*]}"
    say "installing ${packages[*]}, for ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >&2
}
