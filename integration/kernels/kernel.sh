# The kernels: an image, its modules as a file system, and the initrd that finds the guest's file systems.

# What the initrd needs to mount them, and what is of no use to the tests, which is three quarters of all.
boot_modules=(virtio_pci virtio_blk ext4 virtio_console)
useless=(drivers/gpu drivers/media drivers/infiniband drivers/scsi drivers/staging drivers/usb drivers/iio sound)

# make_kernel VERSION: fetches and prepares it, unless it is kept.
make_kernel() {
    local kept=$cache/$1 tree release
    [[ ! -e $kept/release ]] || return 0
    say "fetching Linux $1 from Debian's ${suites_of[$1]}"
    tree=$kept/tree
    fetch "$1" "$tree"
    [[ ! -d $tree/usr/lib/modules ]] || { mkdir -p "$tree/lib" && mv "$tree/usr/lib/modules" "$tree/lib/modules"; }
    release=$(ls "$tree/lib/modules")
    find "$tree" -type f -name 'vmlinu[xz]*' -exec cp {} "$tree/kernel" \;
    [[ -s $tree/kernel ]] || fail "the packages of Linux $1 have no kernel where one is expected"
    ready_to_run "$tree/kernel" "$kept/kernel"
    (cd "$tree/lib/modules/$release/kernel" && rm -rf "${useless[@]}")
    depmod -b "$tree" "$release"
    make_initrd "$tree" "$release" "$kept/initrd"
    image "$tree/lib/modules" "$kept/modules.ext4"
    rm -rf "$tree"
    echo "$release" >"$kept/release"
}

# make_initrd TREE RELEASE FILE
make_initrd() {
    local root module file number=100
    root=$(mktemp -d)
    mkdir -p "$root"/{bin,proc,dev,new,modules}
    install -m 755 "$cache/busybox" "$root/bin/busybox"
    install -m 755 "$scripts/init.sh" "$root/init"
    for module in "${boot_modules[@]}"; do
        modprobe -d "$1" -S "$2" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
    done | awk '!seen[$0]++' >"$root/modules.list"
    while read -r file; do
        number=$((number + 1))
        unpacked "$file" >"$root/modules/$number.ko"
    done <"$root/modules.list"
    (cd "$root" && find . | cpio --quiet -o -H newc) | gzip -1 >"$3"
    rm -r "$root"
}

# ready_to_run KERNEL FILE: the program within, where the kernel unpacks itself: here that takes less than in the guest.
ready_to_run() {
    local offset tool
    for offset in $(LC_ALL=C grep -aboP '\xfd7zXZ\x00|\x28\xb5\x2f\xfd' "$1" | cut -d: -f1); do
        for tool in 'xz -dc --single-stream' 'zstd -dcq'; do
            # What follows it is no part of it, which the tools take for an error.
            tail -c +$((offset + 1)) "$1" | $tool >"$2" 2>/dev/null || true
            [[ $(head -c 4 "$2" | tr -d '\0') != $'\x7fELF' ]] || return 0
        done
    done
    cp "$1" "$2"
}

unpacked() {
    case $1 in
        *.xz) xz -dc "$1" ;;
        *.zst) zstd -dcq "$1" ;;
        *.gz) gzip -dc "$1" ;;
        *) cat "$1" ;;
    esac
}
