# shellcheck shell=bash
# Other programs' tables beside ours.

part_beside() {
    local root rules whose
    root=$(neighbours)
    for whose in docker netavark-iptables netavark-nftables firewalld ufw; do
        rules=$work/$whose
        mkdir "$rules"
        judged "makes its tables" "$whose" \
            unshare --net --mount --pid --fork bash -euo pipefail integration/userlands/neighbour.sh "$root" "$whose" "$rules"
        [ -s "$rules/loaded" ] || continue
        beside_binary "$root" "$rules"
        judged "cases: $cases" "beside $whose" play "$rules/palisade"
        judged "neither changes the other" "beside $whose" unshare --net --mount --pid --fork --mount-proc \
            bash -euo pipefail integration/userlands/untouched.sh "$target/palisade" "$rules/load" "$(dirname "$0")"/userlands/cluster.yaml
    done
}

# A palisade that first loads another program's tables where it runs, and a script that loads them.
beside_binary() {
    local root=$1 rules=$2
    cat >"$rules/load" <<END
#!/bin/sh
set -e
for family in iptables ip6tables; do
    [ ! -s $rules/\$family ] || chroot $root \$family-nft-restore --noflush <$rules/\$family
done
[ ! -s $rules/nft ] || chroot $root nft -f - <$rules/nft
END
    cat >"$rules/palisade" <<END
#!/bin/sh
[ "\$1" != run ] || $rules/load || exit
exec $target/palisade "\$@"
END
    chmod +x "$rules/load" "$rules/palisade"
}
