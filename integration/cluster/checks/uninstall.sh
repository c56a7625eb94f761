# Removing it: without the agent what was enforced stays, and after the cleanup nothing of it is left.

want_palisade
fresh_namespace uninstall
{
    deny_all uninstall
    for node in "${nodes[@]}"; do pod uninstall "server-$node" "$node" 'app: server' --listen "$port"; done
} | apply
running uninstall
sleep 3

# How many of the two a stranger reaches.
reached() {
    local count=0 node
    for node in "${nodes[@]}"; do
        if outside timeout 1 bash -c "exec 3<>/dev/tcp/$(address_of uninstall "server-$node")/$port" 2>/dev/null; then
            count=$((count + 1))
        fi
    done
    echo "$count"
}
tables() { for node in "${nodes[@]}"; do on "$node" nft list tables; done | grep -c palisade || true; }

helm uninstall palisade --namespace palisade-system --wait >/dev/null
wait_until 60 'the agents end' no_agents
now=$(reached)
judge uninstall 'without the agent it stays enforced' "a stranger reaches $now of 2 pods" test "$now" -eq 0
entries() { for node in "${nodes[@]}"; do on "$node" sh -c 'cat /etc/cni/net.d/*'; done | grep -c palisade || true; }
no_entries() { [[ $(entries) -eq 0 ]]; }
if with_plugin; then
    started=no
    wait_until 60 'the plugin goes' no_entries || true
    for node in "${nodes[@]}"; do pod uninstall "early-$node" "$node" 'app: early' pause; done | apply
    if running uninstall 60s; then started=yes; fi
    now=$(reached)
    judge uninstall 'pods start without the agent' "$started, network configurations name it $(entries) times; a stranger reaches $now of 2" \
        test "$started" = yes -a "$(entries)" -eq 0 -a "$now" -eq 0
fi
kubectl apply -f "$repository/deploy/cleanup.yaml" >/dev/null
kubectl -n palisade-system rollout status daemonset/palisade-cleanup --timeout 120s >/dev/null
now=$(reached) left=$(tables)
judge uninstall 'after the cleanup it is not' "a stranger reaches $now of 2 pods, $left tables are left" \
    test "$now" -eq 2 -a "$left" -eq 0
entered=$(entries)
for node in "${nodes[@]}"; do pod uninstall "late-$node" "$node" 'app: late' pause; done | apply
started=no
if running uninstall 30s; then started=yes; fi
judge uninstall 'pods start after it' "$started, network configurations name it $entered times" \
    test "$started" = yes -a "$entered" -eq 0
kubectl delete namespace palisade-system uninstall >/dev/null
left=$(kubectl get clusterrole,clusterrolebinding,namespace -o name | grep -c palisade || true)
judge uninstall 'nothing is left in the API' "$left objects" test "$left" -eq 0
