# The guest's root: Debian's packages, unpacked and not configured, so that it is made for any architecture alike.

guest_packages=(base-files base-passwd libc-bin dash bash coreutils findutils mount sed grep mawk procps util-linux kmod iproute2 nftables conntrack netbase libnftnl11 libmnl0
    busybox-static ipvsadm)

make_root() {
    [[ ! -e $cache/root.ext4 ]] || return 0
    say "making the guest's root"
    local tree
    mkdir -p "$cache"
    tree=$(mktemp -d)
    mmdebstrap --quiet --mode=root --variant=extract --architectures="$architecture" \
        --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr --include="$(IFS=, && echo "${guest_packages[*]}")" \
        bookworm "$tree" http://deb.debian.org/debian >/dev/null
    cp "$tree/usr/share/base-passwd/passwd.master" "$tree/etc/passwd"
    cp "$tree/usr/share/base-passwd/group.master" "$tree/etc/group"
    # What configuring them would have linked.
    ln -sf dash "$tree/usr/bin/sh"
    ln -sf mawk "$tree/usr/bin/awk"
    mkdir -p "$tree/tests" "$tree/usr/lib/modules" "$tree/root"
    rm -rf "$tree"/usr/share/{doc,man,locale} "$tree"/var/{cache,lib}/{apt,dpkg}
    cp "$tree/bin/busybox" "$cache/busybox"
    image "$tree" "$cache/root.ext4" 512
    rm -r "$tree"
}
