# Namespaces and pods for the checks, and what the witnesses in them say.

# The ports that witnesses listen at, in pods and outside.
port=7000

# What the init container of a pod is told, if it is to have one.
init_arguments=()

# pod NAMESPACE NAME NODE LABELS ARGUMENT...: the manifest of a pod that runs witness there.
pod() {
    local namespace=$1 name=$2 node=$3 labels=$4 arguments init=
    shift 4
    arguments=$(printf '"%s",' "$@")
    if [[ ${#init_arguments[@]} -gt 0 ]]; then
        init=$(printf '"%s",' "${init_arguments[@]}")
        init="initContainers: [{name: first, image: \"localhost/witness:1\", args: [${init%,}]}]"
    fi
    cat <<END
---
apiVersion: v1
kind: Pod
metadata: {namespace: $namespace, name: $name, labels: {$labels}}
spec:
  nodeName: $node
  terminationGracePeriodSeconds: 1
  automountServiceAccountToken: false
  tolerations: [{operator: Exists}]
  $init
  containers: [{name: witness, image: "localhost/witness:1", args: [${arguments%,}]}]
END
}

# policy NAMESPACE NAME SPEC: the manifest.
policy() {
    cat <<END
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: $1, name: $2}
spec: $3
END
}
deny_all() { policy "$1" deny-all '{podSelector: {}, policyTypes: [Ingress, Egress]}'; }

# A namespace that is ready for pods; gone and made anew if there is one.
fresh_namespace() {
    kubectl delete namespace "$1" --ignore-not-found >/dev/null
    kubectl create namespace "$1" >/dev/null
    kubectl label namespace "$1" palisade-check= >/dev/null
    wait_until 30 "the service account of namespace $1" kubectl -n "$1" get serviceaccount default
}

# Those that a check which failed has left: its pods would count in others'.
delete_fresh_namespaces() { kubectl delete namespace -l palisade-check --timeout 300s >/dev/null; }

apply() { kubectl apply -f - >/dev/null; }

running() {
    kubectl -n "$1" wait pod --all --for=jsonpath='{.status.phase}'=Running --timeout "${2:-180s}" >/dev/null
}

# The image that nodes have of it: each of the two does.
agnhost_of_nodes() { on node1 ctr -n k8s.io images list -q | grep -m1 '/agnhost:'; }

address_of() { kubectl -n "$1" get pod "$2" -o jsonpath='{.status.podIP}'; }

# lines_of NAMESPACE [CONTAINER]: the last line of each witness, after its pod's name; nothing of pods without such a container. Read
# from the nodes' disks, which is quick.
lines_of() {
    local name uid node log container=${2:-witness}
    kubectl -n "$1" get pod -o jsonpath='{range .items[*]}{.metadata.name} {.metadata.uid} {.spec.nodeName}{"\n"}{end}' |
        while read -r name uid node; do
            log=$(find "$run/$node/over/var/upper/log/pods/$1_${name}_$uid/$container" -name '*.log' 2>/dev/null | sort -V | tail -n1 || true)
            # Each line begins with a time, a stream and a mark.
            [[ -z $log ]] || echo "name=$name $(tail -n1 "$log" | cut -d' ' -f4-)"
        done
}

# value NAME LINE
value() { sed -n "s/\(.* \)\?$1=\([^ ]*\).*/\2/p" <<<"$2"; }

# For awk: get(NAME) is that value of the line.
awk_get='function get(name,  i, pair) { for (i = 1; i <= NF; i++) { split($i, pair, "="); if (pair[1] == name) return pair[2] } return "" }'

# distribution: "median N ms, worst N ms" of numbers, one a line.
distribution() {
    sort -n | awk '{ n[NR] = $1 } END { if (NR) printf "median %d ms, worst %d ms", n[int((NR + 1) / 2)], n[NR]; else printf "none" }'
}

# A witness on the host outside: it listens, and knocks at every address that a pod has been given, from before the network
# plugin has told anybody.
start_outsider() {
    local directories=() node
    for node in "${nodes[@]}"; do directories+=("$run/$node/var/lib/cni/networks/pods"); done
    # Not by `outside`: what is to be stopped would be a shell around it.
    nsenter --target "$(<"$run/outside")" --net \
        "$images/witness" --listen "$port" --knock "$port" "${directories[@]}" >"$logs/outside.log" 2>&1 &
    outsider=$!
}
stop_outsider() {
    kill "$outsider"
    wait "$outsider" 2>/dev/null || true
}
outsider_line() { tail -n1 "$logs/outside.log"; }

# Packets that pods have sent to the host outside since they were last forgotten: of any kind but resets, and these.
forget_packets() {
    outside nft 'flush set inet seen pods4; flush set inet seen pods6'
    outside nft reset counter inet seen resets >/dev/null
}
packets_outside() {
    outside nft -j list ruleset | jq '[.nftables[].set? // empty | .elem? // [] | .[].elem.counter.packets] | add // 0'
}
resets_outside() { outside nft -j list counter inet seen resets | jq '.nftables[].counter? // empty | .packets'; }
