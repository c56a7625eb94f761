# The programs that this needs, on Debian from apt.

set_up() {
    local needed=("${machine[0]}" mmdebstrap mke2fs depmod cpio jq xz zstd) program missing=()
    local packages=(mmdebstrap e2fsprogs kmod cpio jq xz-utils zstd)
    case $architecture in
        amd64) packages+=(qemu-system-x86) ;;
        arm64) packages+=(qemu-system-arm) ;;
    esac
    for program in "${needed[@]}"; do has "$program" || missing+=("$program"); done
    if [[ ${#missing[@]} -gt 0 ]]; then
        has apt-get || fail "missing: ${missing[*]}; on Debian they are in ${packages[*]}"
        say "installing ${packages[*]}, for ${missing[*]}"
        apt_install "${packages[@]}"
    fi
    [[ ${#target_of_cargo[@]} -eq 0 ]] || "$repository/deploy/build-setup.sh" "$architecture"
}
