# Both nodes lose their power and get it back, with pods on them that nobody may reach and that may reach nobody, and what
# they need comes in other orders. Told are: from power-on until each node enforces again, and what got through.

# Of the pods: the last connection after the containers' start.
order() {
    local what=$1 prepare=$2 meanwhile=$3 node on_at
    for node in "${nodes[@]}"; do power_off "$node"; done
    forget_packets
    "$prepare"
    on_at=$(date +%s)
    for node in "${nodes[@]}"; do
        power_on "$node"
        until_enforced "$node" >"$run/enforced-$node" &
    done
    "$meanwhile"
    wait_until 240 'pods run again' run_since "$on_at"
    for node in "${nodes[@]}"; do wait_until 120 "$node enforces" test -s "$run/enforced-$node"; done
    kubectl -n palisade-system rollout status daemonset/palisade --timeout 120s >/dev/null
    sleep 3
    tell "$what" "$on_at"
}

# Seconds from now.
until_enforced() {
    local start
    start=$(date +%s%N)
    wait_until 300 "$1 enforces" enforces "$1"
    echo $((($(date +%s%N) - start) / 1000000))
}

run_since() {
    kubectl -n reboot get pod -o json | jq -e --argjson since "$1" '
        [.items[].status.containerStatuses[0].state.running.startedAt // empty | fromdateiso8601 | select(. >= $since)]
        | length == '"$pods"
}

tell() {
    local what=$1 since=$2 finding leaking out in last
    lines_of reboot | awk "$awk_get"' get("start") >= since * 1000' since="$since" >"$logs/reboot-lines"
    read -r leaking out in < <(awk "$awk_get"' get("out") + get("in") > 0 { leaking++ }
        { out += get("out"); in_ += get("in") } END { print leaking + 0, out + 0, in_ + 0 }' "$logs/reboot-lines")
    last=$(awk "$awk_get"' get("out") + get("in") > 0 { o = get("last-out"); i = get("last-in"); print (o > i) ? o : i }' \
        "$logs/reboot-lines" | distribution)
    finding="enforced after $(<"$run/enforced-node1") and $(<"$run/enforced-node2") ms; $leaking of $pods pods leak:"
    finding+=" $out connections out, $in in, last after $last; $(packets_outside) packets outside"
    if with_plugin; then
        judge reboot "$what" "$finding" test $((leaking + $(packets_outside))) -eq 0
    else
        row shown reboot "$what" "$finding"
    fi
}

nothing() { :; }

hold_pods() { for node in "${nodes[@]}"; do hold "$node" pods-of/reboot; done; }
agents_then_pods() {
    for node in "${nodes[@]}"; do
        wait_until 120 "$node enforces" test -s "$run/enforced-$node"
        release "$node" pods-of/reboot
    done
}

hold_agents() { for node in "${nodes[@]}"; do hold "$node" pods-of/palisade-system; done; }
pods_then_agents() {
    # With the plugin no pod starts before its agent.
    with_plugin || wait_until 120 'pods run without an agent' run_since "$on_at"
    sleep 5
    for node in "${nodes[@]}"; do release "$node" pods-of/palisade-system; done
}

hold_proxy() { for node in "${nodes[@]}"; do hold "$node" kube-proxy; done; }
late_proxy() { sleep 25; for node in "${nodes[@]}"; do release "$node" kube-proxy; done; }

# It writes its configuration anew, as flannel and others do.
hold_network() { for node in "${nodes[@]}"; do hold "$node" network-plugin; rm -f "$run/$node/over/etc/upper/cni/net.d/"*; done; }
late_network() { sleep 15; for node in "${nodes[@]}"; do release "$node" network-plugin; done; }

hold_api() { stop_on_control kube-apiserver; }
late_api() { sleep 15; release control kube-apiserver; wait_until 60 'kube-apiserver' kubectl get --raw /readyz; }

want_palisade
fresh_namespace reboot
pods=6
{
    deny_all reboot
    for ((i = 0; i < pods; i++)); do
        pod reboot "pod-$i" "${nodes[i % 2]}" 'app: reboot' --connect "${address[outside]}:$port" --listen "$port"
    done
} | apply
running reboot
start_outsider
order 'as it comes' nothing nothing
order 'the agent before pods' hold_pods agents_then_pods
order 'pods before the agent' hold_agents pods_then_agents
order 'kube-proxy 25 s late' hold_proxy late_proxy
helm upgrade palisade "$repository/deploy/helm/palisade" --namespace palisade-system --reuse-values \
    --set apiServer.host="${address[control]}" >/dev/null
kubectl -n palisade-system rollout status daemonset/palisade --timeout 120s >/dev/null
order 'kube-proxy 25 s late, agents know the API server' hold_proxy late_proxy
helm upgrade palisade "$repository/deploy/helm/palisade" --namespace palisade-system --reuse-values \
    --set apiServer.host= >/dev/null
kubectl -n palisade-system rollout status daemonset/palisade --timeout 120s >/dev/null
order 'the network plugin 15 s late' hold_network late_network
order 'the API server 15 s late' hold_api late_api
stop_outsider
kubectl delete namespace reboot >/dev/null
