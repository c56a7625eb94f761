# What the network plugin waits for when it tells the agent of a pod: pods one at a time, then waves of pods that start together.
# Agents are left alone.

waves=${CLUSTER_WAVES:-5} wave_size=${CLUSTER_WAVE_SIZE:-20}

# The agents' histogram of it, summed up: an upper bound in seconds, and how many pods waited for no longer.
waited() {
    for node in "${nodes[@]}"; do metrics_of "$node"; done |
        sed -n 's/^palisade_cni_add_duration_seconds_bucket{le="\(.*\)"} \(.*\)$/\1 \2/p' |
        awk '{ pods[$1] += $2 } END { for (bound in pods) print bound, pods[bound] }' | sort -g
}

# since BEFORE: of the pods that came since then, what Prometheus' histogram_quantile() would say.
since() {
    join <(sort <<<"$1") <(waited | sort) | sort -g | awk '
        { bound[NR] = $1; pods[NR] = $3 - $2 }
        function quantile(q,  i, from, below) {
            for (i = 1; pods[i] < q * pods[NR]; i++);
            if (bound[i] == "+Inf") return "more than " bound[i - 1] * 1000
            from = bound[i - 1]; below = pods[i - 1]
            return sprintf("%.1f", 1000 * (from + (bound[i] - from) * (q * pods[NR] - below) / (pods[i] - below)))
        }
        END { if (pods[NR]) printf "%d pods, median %s ms, p99 %s ms", pods[NR], quantile(0.5), quantile(0.99) }'
}

# How long the agents' threads have run, and could have run and had no processor, in milliseconds.
ran() {
    for node in "${nodes[@]}"; do on "$node" bash -c 'cat /proc/$(pgrep -x palisade)/task/*/schedstat'; done |
        awk '{ ran += $1; waited += $2 } END { printf "%d %d\n", ran / 1e6, waited / 1e6 }'
}

with_plugin || { row shown adds 'without the plugin' 'nobody waits' && exit; }
want_palisade
fresh_namespace adds
deny_all adds | apply
before=$(waited)
for ((i = 0; i < 2 * wave_size; i++)); do
    pod adds "alone-$i" "${nodes[i % 2]}" 'app: alone' pause | apply
    running adds
done
row shown adds 'an ADD waits for the agent, one pod at a time' "$(since "$before")"
before=$(waited)
read -r ran_before waited_before < <(ran)
for ((number = 1; number <= waves; number++)); do
    for ((i = 0; i < wave_size; i++)); do pod adds "wave-$number-$i" "${nodes[i % 2]}" 'app: wave' pause; done | apply
    running adds
done
read -r ran_after waited_after < <(ran)
row shown adds "the same, $wave_size pods at a time" "$(since "$before")"
row shown adds 'meanwhile agents had to wait for a processor' \
    "$((waited_after - waited_before)) ms, having run for $((ran_after - ran_before)) ms"
kubectl delete namespace adds >/dev/null
