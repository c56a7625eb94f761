#!/usr/bin/env bash
# A node: the first process in namespaces of its own (mounts, network, processes, IPC, host name). It has an /etc, /var and
# /opt of its own laid over the machine's, and runs what a node runs.
#
#     node.sh NAME
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
. "$scripts/machine.sh"
. "$scripts/services.sh"
node=$1
disk=$run/$node
holds=/run/holds
logs=$logs/$node

# mkdir and mount.
over() {
    local directory=$1
    mkdir -p "$disk/over$directory/"{upper,work}
    mount -t overlay node -o "lowerdir=$directory,upperdir=$disk/over$directory/upper,workdir=$disk/over$directory/work" \
        "$directory"
}

make_file_systems() {
    over /etc
    over /var
    over /opt
    # Not on an overlay: containerd lays its own on it, and the control plane looks at the addresses that are given.
    local directory
    for directory in /var/lib/containerd /var/lib/kubelet /var/lib/cni; do
        mkdir -p "$disk$directory" "$directory"
        mount --bind "$disk$directory" "$directory"
    done
    # /sys shows the network devices of who has mounted it.
    mkdir -p "$disk/cgroup"
    mount --rbind /sys/fs/cgroup "$disk/cgroup"
    mount -t sysfs sysfs /sys
    mount --rbind "$disk/cgroup" /sys/fs/cgroup
    umount -l "$disk/cgroup"
    mount -t tmpfs -o mode=755 tmpfs /run
    # Parameters without a namespace: kubelet writes to copies.
    local parameter
    for parameter in "${kubelet_parameters[@]}"; do
        mkdir -p "/run/parameters/$(dirname "$parameter")"
        cat "/proc/sys/$parameter" >"/run/parameters/$parameter"
        mount --bind "/run/parameters/$parameter" "/proc/sys/$parameter"
    done
    mkdir -p "$holds"
    mount --bind "$disk/holds" "$holds"
    # kubelet's mounts are the containers'. Not earlier: what is unmounted above would be so in its copies.
    mount --make-rshared /
}

make_network() {
    hostname "$node"
    ip link set lo up
    wait_until 10 'the cable' ip link show eth0
    ip address add "${address[$node]}/24" dev eth0
    ip address add "${address6[$node]}/64" dev eth0 nodad
    ip link set eth0 up
    ip route add default via "${address[control]}"
    ip -6 route add default via "${address6[control]}"
    local peer
    for peer in "${nodes[@]}"; do
        if [[ $peer == "$node" ]]; then
            # Or packets to addresses that no pod has go back and forth between this node and the next router.
            ip route add unreachable "${pod_range[$node]}" metric 5000
            ip route add unreachable "${pod_range6[$node]}" metric 5000
        else
            ip route add "${pod_range[$peer]}" via "${address[$peer]}"
            ip route add "${pod_range6[$peer]}" via "${address6[$peer]}"
        fi
    done
    # As deploy/README.md says: /etc/sysctl.d/90-palisade.conf.
    sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
        net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1
}

# The network plugin: ptp on the first node, bridge on the second.
make_cni() {
    mkdir -p /opt/cni/bin /etc/cni/net.d
    cp -n /usr/lib/cni/* /opt/cni/bin
    local ranges="[{\"subnet\": \"${pod_range[$node]}\"}]" routes='{"dst": "0.0.0.0/0"}' kind
    if dual_stack; then
        ranges+=", [{\"subnet\": \"${pod_range6[$node]}\"}]"
        routes+=', {"dst": "::/0"}'
    fi
    case $node in
        node1) kind='"type": "ptp"' ;;
        *) kind='"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true' ;;
    esac
    while [[ -e $holds/network-plugin ]]; do sleep 0.1; done
    # What is there from an earlier start stays, with what others have made of it.
    [[ ! -e /etc/cni/net.d/10-pods.conflist ]] || return 0
    cat >/etc/cni/net.d/.new <<END
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
    {$kind, "ipMasq": false, "ipam": {"type": "host-local", "ranges": [$ranges], "routes": [$routes]}},
    {"type": "portmap", "capabilities": {"portMappings": true}}]}
END
    mv /etc/cni/net.d/.new /etc/cni/net.d/10-pods.conflist
}

start_containerd() {
    cat >/etc/containerd.toml <<END
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/witness:1"
  disable_tcp_service = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      BinaryName = "$scripts/runc.sh"
      SystemdCgroup = false
END
    keep containerd containerd --config /etc/containerd.toml
    wait_until 60 'containerd' ctr version
    local image
    for image in "$images"/*.tar; do
        [[ -e $disk/has-$(basename "$image") ]] && continue
        wait_until 60 "the image $image" ctr -n k8s.io images import "$image"
        touch "$disk/has-$(basename "$image")"
    done
}

start_kubelet() {
    local addresses=${address[$node]}
    ! dual_stack || addresses+=,${address6[$node]}
    echo 'nameserver 192.0.2.53' >/etc/kubelet-resolv.conf
    cat >/etc/kubelet.yaml <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {x509: {clientCAFile: $pki/ca.crt}, webhook: {enabled: true}, anonymous: {enabled: false}}
authorization: {mode: Webhook}
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup/$node
failCgroupV1: false
failSwapOn: false
resolvConf: /etc/kubelet-resolv.conf
clusterDomain: cluster.local
clusterDNS: ["${service_range%%.0/*}.10"]
evictionHard: {memory.available: "0%", nodefs.available: "0%", imagefs.available: "0%", nodefs.inodesFree: "0%"}
imageGCHighThresholdPercent: 100
oomScoreAdj: 0
END
    keep kubelet "$programs/kubelet" --config /etc/kubelet.yaml --kubeconfig "$run/$node.kubeconfig" \
        --hostname-override "$node" --node-ip "$addresses"
}

start_kube_proxy() {
    cat >/etc/kube-proxy.yaml <<END
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $run/proxy.kubeconfig}
hostnameOverride: $node
mode: $CLUSTER_PROXY
clusterCIDR: $cluster_range
conntrack: {maxPerCore: 0, min: 0}
oomScoreAdj: 0
END
    keep kube-proxy "$programs/kube-proxy" --config /etc/kube-proxy.yaml
}

make_file_systems
make_network
# Beside kubelet's group of pods, as where systemd starts them.
join_cgroup "$cgroup/$node/system"
make_cni &
start_containerd
start_kubelet
start_kube_proxy
wait
