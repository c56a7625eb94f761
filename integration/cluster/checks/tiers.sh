# Upstream's conformance suite of ClusterNetworkPolicy, and its report. Left out is what needs SCTP sockets where the kernel has
# none.

want_palisade
kubectl apply --server-side -f "$repository/deploy/helm/palisade/files/clusternetworkpolicies-experimental.yaml" >/dev/null
kubectl wait --for condition=established --timeout 60s crd/clusternetworkpolicies.policy.networking.k8s.io >/dev/null
skip=()
[[ -e /proc/net/sctp ]] || { skip=(-test.skip '/.*SCTP'); say '   SCTP is left out: this kernel has no such sockets'; }
start=$SECONDS
"$programs/tiers.test" -test.v -test.timeout 60m -test.run '^TestConformanceProfiles$' "${skip[@]}" \
    --conformance-profiles ClusterNetworkPolicy \
    --supported-features ClusterNetworkPolicy,ClusterNetworkPolicyNamedPorts,ClusterNetworkPolicyEgressNodePeers \
    --organization palisade --project palisade --url https://example.invalid/palisade --version 0.1.0 \
    --contact https://example.invalid/palisade --additional-info 'integration/cluster.sh tiers' --report-output "$logs/tiers-report.yaml" >"$logs/tiers.log" 2>&1 || true
took=$((SECONDS - start))
# A line for each test of the suite: those below it are its parts.
results=$(grep -oE '^    --- (PASS|FAIL|SKIP): [^ ]+' "$logs/tiers.log" || true)
count() { grep -c "$1" <<<"$results" || true; }
passed=$(count PASS) failed=$(count FAIL)
grep FAIL <<<"$results" >&2 || true
kubectl delete clusternetworkpolicies --all >/dev/null
judge tiers "upstream's conformance suite of ClusterNetworkPolicy" "$passed of $((passed + failed)) passed, in $took s" \
    test "$passed" -gt 15 -a "$failed" -eq 0
