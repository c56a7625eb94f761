#!/usr/bin/env bash
# What runs in the cluster's namespaces: brings the cluster up, runs the checks, prints the table. Nobody takes anything down
# here: it ends with the last process (machine.sh).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/enter.sh"

bring_up() {
    local start=$SECONDS node
    rm -rf "${logs:?}"/*
    # Each node has as much of the processors as all that is no node's.
    join_cgroup "$cgroup/control"
    make_fabric
    make_credentials
    start_control_plane
    make_outside
    for node in "${nodes[@]}"; do
        register "$node"
        power_on "$node"
    done
    for node in "${nodes[@]}"; do ready "$node"; done
    say "cluster.sh: Kubernetes $kubernetes on ${nodes[*]} after $((SECONDS - start)) s; logs in $logs"
}

run_check() {
    # shellcheck source=/dev/null
    . "$scripts/checks/$1.sh"
}

run_checks() {
    local check start
    for check in "$@"; do
        say "== $check"
        start=$SECONDS
        # Each in a shell of its own: what it sets, and that it fails, is no matter of the others'. Not in a condition, where
        # bash would go on after errors.
        run_check "$check" &
        wait $! || { row FAILED "$check" 'it came to its end' 'no' && delete_fresh_namespaces; }
        say "== $check: $((SECONDS - start)) s"
    done
    printf '\nKubernetes %s, kube-proxy in %s mode%s, %s\n\n' "$kubernetes" "$CLUSTER_PROXY" \
        "$(! dual_stack || echo ', IPv4 and IPv6')" "$(if with_plugin; then echo 'with the CNI plugin'; else echo "without a CNI plugin$(! with_pod_range || echo ', pod ranges guarded')"; fi)"
    print_table
    all_passed
}

if [[ ! -e $run/up ]]; then
    bring_up
    touch "$run/up"
fi
if [[ $1 == shell ]]; then
    shift
    want_palisade
    status=0
    if [[ $# -gt 0 ]]; then "$@" || status=$?; else bash || status=$?; fi
    exit "$status"
fi
rm -f "$logs/table"
run_checks "$@"
