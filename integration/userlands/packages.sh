# shellcheck shell=bash
# Debian's packages, unpacked into folders of their own, by an apt configuration of its own.

mirror=http://deb.debian.org/debian

# unpacked SUITE NAME PACKAGE...: a folder with these packages and all that they need, unpacked but not set up.
unpacked() {
    local suite=$1 root=$cache/$2-$1 apt=$cache/$2-$1.apt
    shift 2
    if [ ! -e "$root/.complete" ]; then
        mkdir -p "$root" "$apt/lists/partial" "$apt/archives/partial" "$apt/preferences.d"
        : >"$apt/status"
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$apt/sources.list"
        # A mirror may stand still for longer than the signature of sid says; it is verified all the same.
        cat >"$apt/apt.conf" <<END
Dir::Etc "$apt"; Dir::Etc::main "/dev/null"; Dir::Etc::parts "/dev/null"; Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "$apt/lists"; Dir::State::status "$apt/status"; Dir::Cache "$apt"; Dir::Cache::archives "$apt/archives";
Acquire::Check-Valid-Until "false"; APT::Install-Recommends "false"; APT::Sandbox::User "root"; Debug::NoLocking "true";
END
        APT_CONFIG=$apt/apt.conf apt-get update -qq >&2
        APT_CONFIG=$apt/apt.conf apt-get install -y -qq --download-only "$@" >&2
        for package in "$apt"/archives/*.deb; do dpkg-deb -x "$package" "$root"; done
        rm -rf "$apt"
        touch "$root/.complete"
    fi
    echo "$root"
}

# program ROOT PATH: a script that runs a program of an unpacked folder with the libraries and the loader of that folder.
program() {
    local root=$1 path=$2 loader script
    loader=$(find "$root" -name 'ld-linux-x86-64.so.2' | head -n 1)
    script=$work/$(basename "$root")-$(basename "$path")
    printf '#!/bin/sh\nexec %s --library-path %s:%s %s "$@"\n' \
        "$loader" "$root/usr/lib/x86_64-linux-gnu" "$root/lib/x86_64-linux-gnu" "$root$path" >"$script"
    chmod +x "$script"
    echo "$script"
}

# The root of a Debian 13 with the programs whose tables stand beside ours.
neighbours() {
    local root=$cache/neighbours-trixie
    local packages=docker.io,netavark,firewalld,ufw,iptables,nftables,dbus,iproute2,procps
    if [ ! -e "$root/.complete" ]; then
        rm -rf "$root"
        mkdir -p "$cache"
        mmdebstrap --quiet --variant=minbase --aptopt='Acquire::Check-Valid-Until "false"' \
            --aptopt='APT::Install-Recommends "false"' --include="$packages" trixie "$root" "deb $mirror trixie main" >&2
        touch "$root/.complete"
    fi
    echo "$root"
}
