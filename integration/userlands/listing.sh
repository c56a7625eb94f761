#!/usr/bin/env bash
# In network and mount namespaces of its own: makes our tables, has an nft list them, loads the list in an empty network namespace
# with the same links, and has palisade read that and say what it would change: no more than where the list is from.
#
#   listing.sh PALISADE NFT rendered|plain|running|stopped
#
# `rendered` is the text that `palisade render` gives; `plain` a table that `run --once` left; `running` one that its agent owns;
# `stopped` one that its agent left behind.
set -euo pipefail
palisade=$1 nft=$2 state=$3
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT
cp "$(dirname "$0")/cluster.yaml" "$objects"
source=(--manifests "$objects" --node-name node-1)

# A pod's link, and one on a bridge; none for a text that is rendered, which knows of none. Their addresses are given, so that they are
# the same in both namespaces.
links() {
    mount -t tmpfs tmpfs /run
    sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    ip link set lo up
    [ "$state" != rendered ] || return 0
    ip netns add pod
    ip link add routed address 02:00:00:00:00:01 type veth peer name eth0 address 02:00:00:00:00:02 netns pod
    ip -n pod addr add 10.0.0.1/32 dev eth0
    ip -n pod link set eth0 up
    ip link set routed up
    ip route add 10.0.0.1 dev routed
    ip link add pods address 02:00:00:00:00:03 type bridge
    ip addr add 10.0.0.254/24 dev pods
    ip link add port address 02:00:00:00:00:04 type veth peer name eth1 address 02:00:00:00:00:05 netns pod
    ip link set port master pods
    ip -n pod addr add 10.0.0.2/24 dev eth1
    ip -n pod link set eth1 up
    for link in pods port; do ip link set "$link" up; done
}

settled() {
    for _ in $(seq 300); do
        [ -z "$("$palisade" diff "${source[@]}" 2>/dev/null)" ] && return
        sleep 0.2
    done
    echo "not in force:" >&2
    "$palisade" diff "${source[@]}" >&2
    return 1
}

# Makes our tables, and leaves them, or their agent, there.
made() {
    case $state in
    rendered) "$palisade" render "${source[@]}" | "$nft" -f - ;;
    plain) "$palisade" run --once "${source[@]}" >&2 ;;
    running | stopped)
        "$palisade" run "${source[@]}" >"$objects.log" 2>&1 &
        settled
        if [ "$state" = stopped ]; then kill $! && wait $!; fi
        ;;
    esac
}

links
made
"$nft" -s list ruleset >"$objects.listing"
if [ "$state" = running ]; then kill %1 && wait %1; fi
# What an agent would change as it starts: nothing, or that an epoch ends that was there when the last one stopped.
"$palisade" diff "${source[@]}" >"$objects.starts"
grep -q '^table bridge palisade' "$objects.listing" || [ "$state" = rendered ] || { echo 'there is no table for bridges' >&2; exit 1; }

# As the documentation says: an nft before 1.1 knows no flag for a table that outlives its agent, and lists it as nothing.
if [ "$state" = stopped ] && ! grep -q 'flags persist' "$objects.listing"; then
    sed -i '/^\tflags $/d' "$objects.listing"
fi
# Whoever loads the list of an owned table owns it until he ends: without that it stays, and can be compared.
sed '/^\tflags owner/d; /^\tflags persist/d' "$objects.listing" >"$objects.plain"

export -f links
export palisade nft objects state
# shellcheck disable=SC2016 # Expanded by the inner shell.
unshare --net --mount bash -euo pipefail -c '
    links
    "$nft" -f "$objects.listing"
    "$nft" flush ruleset
    "$nft" -f "$objects.plain"
    # Who owns a table is said in a comment behind its name.
    diff <(sed "s/ # progname .*//; /^\$/d" "$objects.plain") <("$nft" -s list ruleset | sed "/^\$/d")
    diff "$objects.starts" <("$palisade" diff --manifests "$objects" --node-name node-1)
'
rm -f "$objects".*
