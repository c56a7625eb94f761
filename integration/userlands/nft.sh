# shellcheck shell=bash
# Versions of nft, over a table that has a bit of everything: tiers, ranges, exceptions, named ports, both families, ports of a bridge.

part_nft() {
    local suite root nft version
    for suite in bookworm trixie sid; do
        root=$(unpacked "$suite" nft nftables)
        nft=$(program "$root" /usr/sbin/nft)
        version=$("$nft" --version | sed 's/nftables v\([^ ]*\).*/nft \1/')
        for state in rendered plain running stopped; do
            judged "reads and loads what is $state" "$version ($suite)" \
                unshare --net --mount bash -euo pipefail integration/userlands/listing.sh "$target/palisade" "$nft" "$state"
        done
    done
}
