# Pods that are deleted by force: the API forgets them at once, the kubelet lets them run on for as long as their grace period
# is. They stay isolated until they are gone.

want_palisade
start_outsider
fresh_namespace force
{
    deny_all force
    for ((i = 0; i < 10; i++)); do
        # A process with the number 1 that does not ask for SIGTERM is not ended by it.
        pod force "pod-$i" "${nodes[i % 2]}" 'app: force' --connect "${address[outside]}:$port" --listen "$port" |
            sed 's/GracePeriodSeconds: 1$/GracePeriodSeconds: 20/'
    done
} | apply
running force
sleep 5
forget_packets
before=$(value in "$(outsider_line)") made=$(value out "$(outsider_line)")
kubectl -n force delete pod --all --force --grace-period 0 >/dev/null 2>&1
processes() { for node in "${nodes[@]}"; do on "$node" pgrep -f 'witness --connect' || true; done | wc -l; }
ended() { [[ $(processes) -eq 0 ]]; }
sleep 3
lingering=$(processes)
wait_until 60 'the containers end' ended
sleep 1
out=$(($(value in "$(outsider_line)") - before)) in=$(($(value out "$(outsider_line)") - made))
packets=$(packets_outside)
stop_outsider
kubectl delete namespace force >/dev/null
finding="3 s later $lingering of 10 run; $out connections out, $in in; $packets packets outside"
if with_plugin; then
    judge force 'pods deleted by force stay isolated' "$finding" test $((out + in + packets)) -eq 0
else
    row shown force 'pods deleted by force' "$finding"
fi
