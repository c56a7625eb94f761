#!/usr/bin/env bash
# In namespaces of its own (network, mounts, processes): has a program make its tables as it does on a node, and writes down what it made, in
# the form in which it can be loaded again. What it would forbid of all forwarded traffic is opened as its manual says for pods.
#
#   neighbour.sh ROOT docker|netavark-iptables|netavark-nftables|firewalld|ufw FOLDER
set -euo pipefail
root=$1 whose=$2 rules=$3

enter() { chroot "$root" /usr/bin/env PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }

until_it_does() {
    for _ in $(seq 600); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.2
    done
    echo "never: $*" >&2
    return 1
}

mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /dev "$root/dev"
for folder in run tmp var/lib/docker; do
    mkdir -p "$root/$folder"
    mount -t tmpfs tmpfs "$root/$folder"
done
ip link set lo up
ip link add outside type veth peer name far
ip addr add 192.168.7.1/24 dev outside
ip link set outside up
ip link set far up
ip route add default via 192.168.7.2
# Docker forbids all that is forwarded where it is the first to have the machine forward.
[ "$whose" = docker ] || sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1

make_docker() {
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup" 2>/dev/null || true
    enter dockerd --storage-driver vfs --experimental --ip6tables=true >"$rules/log" 2>&1 &
    # It makes its chains before it says that it is ready, and before it needs more of a machine than a network.
    until_it_does enter iptables -t nat -S DOCKER || { tail -n 20 "$rules/log"; return 1; }
    until_it_does enter iptables -S DOCKER-USER
    sleep 2
    enter iptables -I DOCKER-USER -j ACCEPT
    enter ip6tables -I DOCKER-USER -j ACCEPT || true
}

make_netavark() {
    local id=2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9
    ip netns add container 2>/dev/null || { mount -t tmpfs tmpfs /run; ip netns add container; }
    mkdir -p "$root/run/netns"
    mount --rbind /run/netns "$root/run/netns"
    NETAVARK_FW=$1 enter env NETAVARK_FW="$1" /usr/lib/podman/netavark --config /run/networks setup /run/netns/container <<END
{"container_id": "c1", "container_name": "one",
 "port_mappings": [{"container_port": 80, "host_ip": "", "host_port": 8080, "protocol": "tcp", "range": 1}],
 "networks": {"podman": {"interface_name": "eth0", "static_ips": ["10.88.0.2"]}},
 "network_info": {"podman": {"name": "podman", "id": "$id", "driver": "bridge", "network_interface": "podman0",
  "subnets": [{"subnet": "10.88.0.0/16", "gateway": "10.88.0.1"}], "ipv6_enabled": false, "internal": false, "dns_enabled": false,
  "ipam_options": {"driver": "host-local"}, "options": {}}}}
END
}

make_firewalld() {
    mkdir -p "$root/run/dbus"
    enter dbus-daemon --system --fork
    enter firewalld --nofork --nopid >"$rules/log" 2>&1 &
    until_it_does enter firewall-cmd --state || { tail -n 20 "$rules/log"; return 1; }
    enter firewall-cmd --zone=public --add-service=http
    enter firewall-cmd --add-masquerade
    enter firewall-cmd --set-default-zone=trusted
}

make_ufw() {
    sed -i 's/^DEFAULT_FORWARD_POLICY=.*/DEFAULT_FORWARD_POLICY="ACCEPT"/' "$root/etc/default/ufw"
    enter ufw allow 22/tcp
    enter ufw limit 443/tcp
    enter ufw route deny proto tcp from 203.0.113.0/24 to any port 25
    enter ufw --force enable
    enter ufw status verbose
}

case $whose in
netavark-*) make_netavark "${whose#netavark-}" ;;
*) "make_$whose" ;;
esac

# Its iptables are told by iptables, its own nft tables by nft: nft shows both.
for family in iptables ip6tables; do
    enter "$family-nft-save" | grep -v '^#' >"$rules/$family" || true
    grep -q '^-A' "$rules/$family" || : >"$rules/$family"
done
{ enter nft -s list tables | grep -Ev ' (ip|ip6) (filter|nat|mangle|raw|security)$' || true; } | while read -r _ family name; do
    enter nft -s list table "$family" "$name"
done | sed '/^\tflags owner/d' >"$rules/nft"
cat "$rules/iptables" "$rules/ip6tables" "$rules/nft" >"$rules/loaded"
wc -l "$rules"/*
[ -s "$rules/loaded" ]
