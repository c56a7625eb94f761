# Who is refused finds out why: over the cluster, as a plugin of kubectl's, through the API server alone; and what a policy under
# audit would drop passes, and is told.

want_palisade
fresh_namespace monitor
agnhost=$(agnhost_of_nodes)

# server NODE, caller NAME NODE
server() { pod monitor "server-$1" "$1" "app: server" --listen "$port"; }
caller() { pod monitor "$1" "$2" "app: $1" pause | sed "s#localhost/witness:1#$agnhost#"; }
from_pod() { kubectl -n monitor exec "$1" -- /agnhost connect "$2:$port" --timeout 2s >/dev/null 2>&1; }
admits='{podSelector: {matchLabels: {app: server}}, ingress: [{from: [{podSelector: {matchLabels: {app: friend}}}]}]}'

# The program under the name by which kubectl finds it.
ln -sf "$images/palisade" "$run/kubectl-palisade"
monitor() { "$run/kubectl-palisade" monitor "$@" -o json; }

{
    policy monitor servers "$admits"
    server node1
    server node2
    caller stranger node1
    caller friend node2
} | apply
running monitor

# lines VERDICT SERVER FILTER...: what is told of the stranger.
lines() {
    local verdict=$1 server=$2
    shift 2
    monitor --since 10m --pod "monitor/$server" "$@" | grep "\"verdict\":\"$verdict\"" | grep '"name":"stranger"' || true
}
is_told() { [[ $(lines "$@") == *app=stranger* ]]; }

refused=0 found=0
for node in "${nodes[@]}"; do
    from_pod friend "$(address_of monitor "server-$node")" || refused=9
    from_pod stranger "$(address_of monitor "server-$node")" || refused=$((refused + 1))
    ! wait_until 30 "a line of server-$node" is_told dropped "server-$node" || found=$((found + 1))
done
judge monitor 'a refused pod finds its line, over the cluster' "$refused refused, $found lines that say what lacks" \
    test "$refused.$found" = 2.2

kubectl -n monitor annotate networkpolicy servers palisade.dev/enforcement=audit >/dev/null
passes() { from_pod stranger "$(address_of monitor server-node2)"; }
passed=no told=no
! wait_until 30 'what is audited passes' passes || passed=yes
! wait_until 30 'a line of the audit' is_told wouldDrop server-node2 --would-drop || told=yes
judge monitor 'a policy under audit forbids nothing, and is told' "passes: $passed, told: $told" test "$passed.$told" = yes.yes

kubectl -n monitor annotate networkpolicy servers palisade.dev/enforcement- >/dev/null
is_shut() { ! passes; }
shut=no
! wait_until 30 'what is enforced again is refused' is_shut || shut=yes
judge monitor 'without the annotation it forbids' "refused: $shut" test "$shut" = yes
kubectl delete namespace monitor >/dev/null
