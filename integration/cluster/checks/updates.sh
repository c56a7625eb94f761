# Two rolling updates under traffic: to a server on each node, from pods of both that may connect and from pods that may not, and
# connections that are held open.

want_palisade
fresh_namespace updates
{
    policy updates only-friends \
        '{podSelector: {matchLabels: {app: server}}, ingress: [{from: [{podSelector: {matchLabels: {app: friend}}}]}]}'
    for node in "${nodes[@]}"; do pod updates "server-$node" "$node" 'app: server' --listen "$port"; done
} | apply
running updates
for node in "${nodes[@]}"; do
    for server in "${nodes[@]}"; do
        to=$(address_of updates "server-$server"):$port
        pod updates "friend-$node-$server" "$node" 'app: friend' --patience 500 --connect "$to"
        pod updates "stream-$node-$server" "$node" 'app: friend' --patience 500 --stream "$to"
        pod updates "stranger-$node-$server" "$node" 'app: stranger' --connect "$to"
    done
done | apply
running updates
sleep 5
lines_of updates >"$logs/updates-before"
for update in 1 2; do
    kubectl -n palisade-system rollout restart daemonset/palisade >/dev/null
    kubectl -n palisade-system rollout status daemonset/palisade --timeout 180s >/dev/null
    say "   update $update is done"
done
sleep 2
lines_of updates >"$logs/updates-after"
kubectl delete namespace updates >/dev/null

# grown PODS VALUE: by how much, between the two, of the pods whose name begins so.
grown() {
    awk "$awk_get"' index($1, "name=" who) != 1 { next } FNR == NR { before += get(what); next } { after += get(what) }
        END { print after - before }' who="$1" what="$2" "$logs/updates-before" "$logs/updates-after"
}
passed=$(grown stranger out) tried=$(grown stranger failed)
judge updates 'what is forbidden stays so' "$passed of $((passed + tried)) connections passed" test "$passed" -eq 0 -a "$tried" -gt 0
lost=$(grown friend failed) made=$(grown friend out)
judge updates 'what is allowed stays so' "$lost of $((lost + made)) connections failed" test "$lost" -eq 0 -a "$made" -gt 0
broken=$(grown stream broken) echoes=$(grown stream echoes)
judge updates 'connections live on' "$broken of 4 broke, after $echoes echoes" test "$broken" -eq 0 -a "$echoes" -gt 0
