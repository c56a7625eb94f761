# The first moments of a pod: waves of pods that start together, in a namespace that denies everything, on both nodes. From
# their first instruction on they connect outward, and a host outside connects to them. Nothing may pass. With the plugin,
# agents end meanwhile. Some of them have an init container, which does the same.
#
# And the reverse: how soon a pod that is admitted by its labels reaches another of its node.

waves=${CLUSTER_WAVES:-5} wave_size=${CLUSTER_WAVE_SIZE:-20}

# Killed in every second wave, replaced in the others: a container that ends too often is started ever later.
end_agents() {
    if (($1 % 2)); then
        kubectl -n palisade-system delete pod -l app.kubernetes.io/name=palisade --wait=false >/dev/null
    else
        for node in "${nodes[@]}"; do on "$node" pkill -KILL -x palisade || true; done
    fi
}

wave() {
    local number=$1 i to
    fresh_namespace window
    deny_all window | apply
    ! { with_plugin || with_pod_range; } || end_agents "$number"
    for ((i = 0; i < wave_size; i++)); do
        to=${address[outside]}
        if dual_stack && ((i % 4 > 1)); then to="[${address6[outside]}]"; fi
        init_arguments=()
        ! ((i % 8 > 3)) || init_arguments=(--for 1000 --connect "$to:$port" --listen "$port")
        pod window "$number-$i" "${nodes[i % 2]}" 'app: window' --connect "$to:$port" --listen "$port"
    done | apply
    running window
    sleep 5
    lines_of window first >>"$lines-first"
    lines_of window
}

want_palisade
start_outsider
lines=$logs/window
: >"$lines"
: >"$lines-first"
forget_packets
for ((number = 1; number <= waves; number++)); do
    wave "$number" >>"$lines"
    say "   wave $number: $(tail -n "$wave_size" "$lines" | awk "$awk_get"' { out += get("out"); in_ += get("in") } END { print out+0, "out,", in_+0, "in" }')"
done
packets=$(packets_outside) resets=$(resets_outside)
stop_outsider
kubectl delete namespace window >/dev/null

inits=$(wc -l <"$lines-first")
read -r leaking out in < <(awk "$awk_get"'
    get("out") + get("in") > 0 { leaking++ }
    { out += get("out"); in_ += get("in") }
    END { print leaking + 0, out + 0, in_ + 0 }' "$lines-first")
of_inits="$leaking of $inits init containers leak: $out connections out, $in in"
no_init_leaks=$((inits > 0 && leaking == 0))
pods=$(wc -l <"$lines")
read -r leaking out in segments < <(awk "$awk_get"'
    get("out") + get("in") > 0 { leaking++ }
    { out += get("out"); in_ += get("in"); segments += get("segments") }
    END { print leaking + 0, out + 0, in_ + 0, segments + 0 }' "$lines")
last=$(awk "$awk_get"' get("out") + get("in") > 0 { o = get("last-out"); i = get("last-in"); print (o > i) ? o : i }' "$lines" | distribution)
finding="$leaking of $pods pods leak: $out connections out, $in in; last after $last"
traffic="from the first instruction on: $packets packets outside, $segments TCP segments in pods"
early=$(awk "$awk_get"' { early += get("early") } END { print early + 0 }' "$lines")
before="$early TCP segments came to network namespaces without a process, $resets resets went out"
if with_plugin || with_pod_range; then
    judge window 'nothing passes before a pod is judged' "$finding" test "$leaking" -eq 0
    judge window 'nor of an init container' "$of_inits" test "$no_init_leaks" -eq 1
    judge window 'nor does any packet' "$traffic" test $((packets + segments)) -eq 0
    ! with_plugin || row shown window 'what the plugin was answered' "$(for node in "${nodes[@]}"; do metrics_of "$node"; done | awk '
        /^palisade_cni_add_duration_seconds_count/ { adds += $2 }
        /^palisade_cni_add_duration_seconds_sum/ { seconds += $2 }
        /^palisade_cni_refusals_total/ { refusals += $2 }
        END { printf "%d pods by the agents that are left, %.1f ms each, %d refusals", adds, adds ? seconds * 1000 / adds : 0, refusals }')"
else
    judge window 'without the plugin pods leak' "$finding" test "$leaking" -gt 0
    row shown window 'init containers' "$of_inits"
    row shown window 'packets' "$traffic"
fi
row shown window 'before the first instruction' "$before"

fresh_namespace admitted
{
    policy admitted only-clients '{podSelector: {matchLabels: {app: server}}, ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]}'
    for node in "${nodes[@]}"; do pod admitted "server-$node" "$node" 'app: server' --listen "$port"; done
} | apply
running admitted
sleep 3
# Where the first try has to pass it must not fail for want of a processor; where it need not, more tries tell more exactly.
patience=20
! with_plugin || patience=500
for ((i = 0; i < wave_size; i++)); do
    node=${nodes[i % 2]}
    pod admitted "client-$i" "$node" 'app: client' --patience $patience --connect "$(address_of admitted "server-$node"):$port"
done | apply
running admitted
sleep 5
lines_of admitted | grep '^name=client' >"$logs/admitted"
kubectl delete namespace admitted >/dev/null
late=$(awk "$awk_get"' get("failed") > 0 && get("first-failed") <= get("first-out") { n++ } END { print n + 0 }' "$logs/admitted")
never=$(awk "$awk_get"' get("out") == 0 { n++ } END { print n + 0 }' "$logs/admitted")
first=$(awk "$awk_get"' get("out") > 0 { print get("first-out") }' "$logs/admitted" | distribution)
finding="$late of $wave_size failed at first; first connection after the start: $first"
if with_plugin; then
    judge window 'an admitted pod connects at its first try' "$finding" test $((late + never)) -eq 0
else
    judge window 'an admitted pod connects' "$finding" test "$never" -eq 0
fi
