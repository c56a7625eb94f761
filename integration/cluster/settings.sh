# What all scripts of the cluster share: names, addresses, directories, and a few words.
# shellcheck disable=SC2034 # They are used where this is read.

CLUSTER_PROXY=${CLUSTER_PROXY:-nftables}
CLUSTER_DUAL_STACK=${CLUSTER_DUAL_STACK:-no}
CLUSTER_PLUGIN=${CLUSTER_PLUGIN:-yes}
CLUSTER_POD_RANGE=${CLUSTER_POD_RANGE:-no}
all_checks=(control specs tiers monitor window adds reboot updates force full ports uninstall)

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
scripts=$repository/integration/cluster
cache=${XDG_CACHE_HOME:-$HOME/.cache}/palisade
kubernetes=$(sed -n 's|^\tk8s.io/kubernetes \(v[0-9.]*\).*|\1|p' "$scripts/programs/go.mod")
# The programs of that Kubernetes that setup.sh builds, and the images.
programs=$cache/cluster-$kubernetes
images=$cache/cluster-images
# All that a cluster writes; gone with it, but for the logs.
run=$cache/cluster-run
logs=$cache/cluster-logs
pki=$run/pki
# In each hierarchy of control groups.
cgroup=palisade-cluster

nodes=(node1 node2)
declare -A address=([control]=172.30.0.1 [node1]=172.30.0.11 [node2]=172.30.0.12 [outside]=172.30.0.99)
declare -A address6=([control]=fd00:30::1 [node1]=fd00:30::11 [node2]=fd00:30::12 [outside]=fd00:30::99)
declare -A pod_range=([node1]=10.244.1.0/24 [node2]=10.244.2.0/24)
declare -A pod_range6=([node1]=fd00:10:244:1::/64 [node2]=fd00:10:244:2::/64)
cluster_range=10.244.0.0/16
service_range=10.96.0.0/16
if [[ $CLUSTER_DUAL_STACK == yes ]]; then
    cluster_range+=,fd00:10:244::/48
    service_range+=,fd00:10:96::/112
fi

say() { printf '%s\n' "$*" >&2; }
fail() { say "cluster.sh: $*"; exit 1; }
has() { command -v "$1" >/dev/null; }

# with_family4 or with both: whether IPv6 is part of it.
dual_stack() { [[ $CLUSTER_DUAL_STACK == yes ]]; }

# wait_until SECONDS WHAT COMMAND...: until the command succeeds; what was waited for is told when it does not.
wait_until() {
    local seconds=$1 what=$2 end=$((SECONDS + $1))
    shift 2
    until "$@" >/dev/null 2>&1; do
        if [[ $SECONDS -ge $end ]]; then
            say "cluster.sh: waited for $seconds s in vain: $what"
            return 1
        fi
        sleep 0.2
    done
}
