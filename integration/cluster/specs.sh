# run_specs FOCUS SKIP NAME: upstream's specs, in parallel. Leaves NAME.counts (how many ran, passed, failed) among the logs,
# and $took.
run_specs() {
    local focus=$1 skip=$2 name=$3 start=$SECONDS
    ginkgo --procs "${CLUSTER_SPECS:-3}" --no-color --timeout 2h --keep-going --focus "$focus" --skip "$skip" \
        --json-report "$name.json" --output-dir "$logs" "$programs/specs.test" -- \
        --kubeconfig "$KUBECONFIG" --provider skeleton --num-nodes "${#nodes[@]}" >"$logs/$name.log" 2>&1 || true
    # shellcheck disable=SC2034 # Whoever asked tells it.
    took=$((SECONDS - start))
    jq -r '[.[].SpecReports[] | select(.LeafNodeType == "It" and .State != "skipped" and .State != "pending") | .State]
        | "\(length) \(map(select(. == "passed")) | length) \(map(select(. != "passed")) | length)"' \
        "$logs/$name.json" >"$logs/$name.counts"
    jq -r '.[].SpecReports[] | select(.State != "skipped" and .State != "passed" and .State != "pending")
        | "   \(.State): \(.LeafNodeText)"' "$logs/$name.json" >&2
}
