# The nodes and the host outside, seen from the control plane.
#
# A node is the namespaces of one process, node.sh: it is switched off by killing that. What is on its disk stays, in
# $run/NODE; what is in /run does not.

# power_on NODE: as it was when it was switched off.
power_on() {
    local node=$1
    make_cgroup "$cgroup/$node"
    mkdir -p "$run/$node/holds/pods-of"
    unshare --mount --net --pid --ipc --uts --fork --kill-child=KILL --mount-proc \
        bash "$scripts/node.sh" "$node" >>"$logs/$node.log" 2>&1 &
    echo $! >"$run/$node/power"
    # Its end is no news.
    disown
    wait_until 10 "$node's first process" pgrep -P "$(<"$run/$node/power")"
    ip link add "$node" type veth peer name eth0 netns "$(init_of "$node")"
    ip link set "$node" master fabric up
}

power_off() {
    local node=$1 first
    first=$(init_of "$node")
    kill -KILL "$(<"$run/$node/power")"
    wait_for_end "$first"
    ip link delete "$node" 2>/dev/null || true
    # For each one that is left a kubelet's statistics take seconds, and the node is not ready for minutes.
    remove_cgroups "$cgroup/$node"
}

init_of() { pgrep -P "$(<"$run/$1/power")"; }

# on NODE COMMAND...: there.
on() {
    local node=$1
    shift
    nsenter --target "$(init_of "$node")" --mount --net --pid --ipc --uts "$@"
}

# hold NODE|control WHAT: it is not started: a program of services.sh, the configuration of the network plugin (network-plugin),
# the containers of a namespace's pods (pods-of/NAMESPACE).
hold() { touch "$run/$1/holds/$2"; }
release() { rm -f "$run/$1/holds/$2"; }
stop_on_control() { hold control "$1" && kill -KILL "$(<"$run/control/$1.pid")"; }

# The host outside: an address that is no pod's and no node's.
make_outside() {
    unshare --net sleep infinity &
    echo $! >"$run/outside"
    wait_until 5 'a namespace for the host outside' outside_is_apart
    ip link add outside type veth peer name eth0 netns "$(<"$run/outside")"
    ip link set outside master fabric up
    outside ip link set lo up
    outside ip address add "${address[outside]}/24" dev eth0
    outside ip address add "${address6[outside]}/64" dev eth0 nodad
    outside ip link set eth0 up
    local node
    for node in "${nodes[@]}"; do
        outside ip route add "${pod_range[$node]}" via "${address[$node]}"
        outside ip route add "${pod_range6[$node]}" via "${address6[$node]}"
    done
    # What comes from pods, of any kind, by who sent it. Resets are apart: a pod's network namespace answers with them for
    # itself while no process listens.
    outside nft -f - <<END
table inet seen {
    counter resets { }
    set pods4 { type ipv4_addr; size 65535; flags dynamic; counter; }
    set pods6 { type ipv6_addr; size 65535; flags dynamic; counter; }
    chain input {
        type filter hook input priority 0
        ip saddr 10.244.0.0/16 tcp flags & rst == rst counter name resets accept
        ip6 saddr fd00:10:244::/48 tcp flags & rst == rst counter name resets accept
        ip saddr 10.244.0.0/16 add @pods4 { ip saddr }
        ip6 saddr fd00:10:244::/48 add @pods6 { ip6 saddr }
    }
}
END
}

outside_is_apart() { [[ $(readlink /proc/self/ns/net) != $(readlink "/proc/$(<"$run/outside")/ns/net") ]]; }
outside() { nsenter --target "$(<"$run/outside")" --net "$@"; }

# register NODE: with its ranges of addresses, as cloud providers do it before a kubelet starts.
register() {
    local node=$1 ranges=\"${pod_range[$1]}\"
    ! dual_stack || ranges+=,\"${pod_range6[$1]}\"
    kubectl apply -f - >/dev/null <<END
apiVersion: v1
kind: Node
metadata: {name: $node, labels: {kubernetes.io/hostname: $node, kubernetes.io/os: linux}}
spec: {podCIDR: ${pod_range[$node]}, podCIDRs: [$ranges]}
END
}

ready() { kubectl wait --for condition=Ready "node/$1" --timeout "${2:-120s}" >/dev/null; }
