# A node with 110 pods, all of which a kubelet takes by default, each isolated.

want_palisade
node=node1
fresh_namespace full
taken=$(kubectl get pod -A --field-selector "spec.nodeName=$node" -o name | wc -l)
count=$((110 - taken))
start=$SECONDS
{
    deny_all full
    for ((i = 0; i < count; i++)); do pod full "pod-$i" "$node" "app: full, pod: p$i" --listen "$port"; done
} | apply
running full 600s
took=$((SECONDS - start))
sleep 3
isolated=$(palisade_on "$node" status -o json | jq .agent.isolatedPods)
start_outsider
sleep 5
line=$(outsider_line)
stop_outsider
reached=$(value out "$line") tried=$(value failed "$line")
usage=$(on "$node" ps -C palisade -o rss= | awk '{ printf "%.0f MiB", $1 / 1024 }')
judge full "a node with $((count + taken)) pods" \
    "all run after $took s; $isolated isolated, as the agent says; $reached of $((reached + tried)) connections pass; $usage" \
    test "$reached" -eq 0 -a "$tried" -gt 0 -a "$isolated" -eq "$count"
kubectl delete namespace full --timeout 300s >/dev/null
