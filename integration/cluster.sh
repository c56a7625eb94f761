#!/usr/bin/env bash
# A real Kubernetes cluster on this machine, and what Palisade does in it: two nodes, each with containerd, kubelet,
# kube-proxy and a CNI plugin (ptp on node1, bridge on node2), a control plane, a host outside. Palisade is installed from
# deploy/, as a user would. integration/cluster/README.md says what the checks are, what they need, and how it is built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C.UTF-8

usage() {
    cat <<'END'
integration/cluster.sh [OPTION...] [CHECK...]               runs these checks (all), prints a table
integration/cluster.sh [OPTION...] shell [COMMAND...]       brings the cluster up, and a shell in it; ends with it
integration/cluster.sh clean                                removes what a run that was killed has left

checks:  specs tiers monitor control window adds reboot updates force full ports uninstall
options: --proxy nftables|iptables   how kube-proxy makes Services (nftables)
         --dual-stack                IPv6 beside IPv4
         --without-plugin            without Palisade's CNI plugin: what leaks without it
         --pod-range                 without it, but with the nodes' pod ranges guarded
END
}

. integration/cluster/settings.sh
. integration/cluster/machine.sh

words=()
while [[ $# -gt 0 ]]; do
    case $1 in
        --proxy) export CLUSTER_PROXY=${2:?--proxy nftables or iptables} && shift ;;
        --dual-stack) export CLUSTER_DUAL_STACK=yes ;;
        --without-plugin) export CLUSTER_PLUGIN=no ;;
        --pod-range) export CLUSTER_PLUGIN=no CLUSTER_POD_RANGE=yes ;;
        -h | --help) usage && exit ;;
        -*) usage >&2 && exit 2 ;;
        shell) words+=("$@") && break ;;
        *) words+=("$1") ;;
    esac
    shift
done
[[ $CLUSTER_PROXY == nftables || $CLUSTER_PROXY == iptables ]] || { usage >&2 && exit 2; }
[[ ${#words[@]} -gt 0 ]] || words=("${all_checks[@]}")
if [[ ${words[0]} != shell && ${words[0]} != clean ]]; then
    for word in "${words[@]}"; do
        [[ -f integration/cluster/checks/$word.sh ]] || { usage >&2 && exit 2; }
    done
fi

if [[ -n ${CLUSTER_INSIDE:-} ]]; then
    # In a shell of the cluster: it is there already.
    exec integration/cluster/inside.sh "${words[@]}"
fi
[[ $(id -u) -eq 0 ]] || fail "it needs root: kubelets and containerd do"
only_one
leave_nothing
[[ ${words[0]} != clean ]] || exit 0
integration/cluster/setup.sh
in_own_namespaces integration/cluster/inside.sh "${words[@]}"
