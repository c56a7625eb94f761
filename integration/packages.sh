# shellcheck shell=bash
# For scripts that need Debian packages: `need PACKAGE...` installs those that are missing, or says which they are.
# shellcheck source=integration/apt.sh
. "$(dirname "${BASH_SOURCE[0]}")/apt.sh"

fail() {
    printf '%s: %s\n' "$(basename "$0" .sh)" "$1" >&2
    shift
    [ $# -eq 0 ] || printf '%s\n' "$@" >&2
    exit 1
}

missing_packages() {
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || echo "$package"
    done
}

need() {
    local missing
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail "as root: apt-get install ${missing[*]}"
    fi
    echo "$(basename "$0" .sh): installing ${missing[*]}"
    apt_install "${missing[@]}"
}
