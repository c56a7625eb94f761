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
isolated=$(palisade_on "$node" status -o json | jq .isolatedPods)
reached=0
for address in $(kubectl -n full get pod -o jsonpath='{.items[*].status.podIP}'); do
    if outside timeout 0.05 bash -c "exec 3<>/dev/tcp/$address/$port" 2>/dev/null; then reached=$((reached + 1)); fi
done
usage=$(on "$node" ps -C palisade -o rss=,cputimes= | awk '{ printf "%.0f MiB, %d s of CPU", $1 / 1024, $2 }')
judge full "a node with $((count + taken)) pods" \
    "all run after $took s; a stranger reaches $reached of $count; $isolated isolated; agent: $usage" \
    test "$reached" -eq 0
kubectl delete namespace full --timeout 300s >/dev/null
