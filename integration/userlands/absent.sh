# shellcheck shell=bash
# A root without a userland: a busybox, and what the image holds. On Alpine the image is the same: what it needs of a C library it
# brings along.

part_absent() {
    local root=$work/busybox script=$work/in-busybox
    mkdir -p "$root/bin" "$root/proc" "$root/sys" "$root/tmp" "$root/run"
    bare_tree "$root"
    cp /bin/busybox "$root/bin/busybox"
    # The runner's directory of objects is seen in the root under its own name.
    cat >"$script" <<END
#!/bin/sh
exec unshare --mount sh -c '
    mount -t proc proc $root/proc && mount -t sysfs sysfs $root/sys && mount --rbind /tmp $root/tmp &&
    exec chroot $root /bin/busybox env -i PATH=/nowhere /palisade "\$@"' palisade "\$@"
END
    chmod +x "$script"
    judged "there is no nft" "busybox" absent_from "$root"
    judged "cases: $cases" "busybox, no PATH" play "$script"
}

# The program with its libraries and their loader, as deploy/image-tree.sh lays them out.
bare_tree() {
    local root=$1 library
    cp "$target/palisade" "$root/palisade"
    ldd "$target/palisade" | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$root$(dirname "$library")"
        cp -L "$library" "$root$library"
    done
}

absent_from() {
    local found
    found=$(find "$1" -xdev -type f ! -path "$1/tmp/*" | sed "s|^$1||" | sort)
    echo "$found"
    ! grep -E 'nft$|iptables|/sh$' <<<"$found"
}
