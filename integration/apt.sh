# shellcheck shell=bash
# apt_install PACKAGE...: with apt's lists brought up to date. One of our scripts after the other, because apt does not wait for
# whoever holds its lists; for others who install something it does.
apt_install() {
    local as_root=() cache=${XDG_CACHE_HOME:-$HOME/.cache}/palisade
    [[ $(id -u) -eq 0 ]] || as_root=(sudo)
    mkdir -p "$cache"
    (
        flock 8
        "${as_root[@]}" apt-get update -qq
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get -o DPkg::Lock::Timeout=600 install -y -qq --no-install-recommends "$@" >&2
    ) 8>"$cache/apt.lock"
}
