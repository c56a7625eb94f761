# Palisade, as a user installs it: the chart, with the image that the nodes have.

helm() {
    "${HELM:-$(compgen -G "$cache/helm-v*[0-9]" | head -n1)}" "$@"
}

# Whether this version of the chart has the CNI plugin, and it is wanted.
with_plugin() { [[ $CLUSTER_PLUGIN == yes ]] && chart_has_plugin; }
with_pod_range() { [[ $CLUSTER_POD_RANGE == yes ]]; }
chart_has_plugin() { grep -q '^cni:' "$repository/deploy/helm/palisade/values.yaml"; }

install_palisade() {
    local values=()
    if chart_has_plugin && [[ $CLUSTER_PLUGIN != yes ]]; then values=(--set cni.enabled=false); fi
    ! with_pod_range || values+=(--set guard.podRange=true)
    kubectl create namespace palisade-system --dry-run=client -o yaml | kubectl apply -f - >/dev/null
    kubectl label --overwrite namespace palisade-system pod-security.kubernetes.io/enforce=privileged >/dev/null
    helm install palisade "$repository/deploy/helm/palisade" --namespace palisade-system "${values[@]}" "$@" >/dev/null
    kubectl -n palisade-system rollout status daemonset/palisade --timeout 120s >/dev/null
}

uninstall_palisade() {
    helm uninstall palisade --namespace palisade-system --wait >/dev/null
    wait_until 60 'the agents end' no_agents
    kubectl apply -f "$repository/deploy/cleanup.yaml" >/dev/null
    kubectl -n palisade-system rollout status daemonset/palisade-cleanup --timeout 120s >/dev/null
    kubectl delete namespace palisade-system >/dev/null
}

no_agents() { [[ -z $(kubectl -n palisade-system get pod -l app.kubernetes.io/name=palisade -o name) ]]; }
installed() { kubectl -n palisade-system get daemonset palisade >/dev/null 2>&1; }
# For checks that need it, and for those that need it not to be there.
want_palisade() { installed || install_palisade; }
want_no_palisade() { ! installed || uninstall_palisade; }

agent_of() {
    kubectl -n palisade-system get pod -l app.kubernetes.io/name=palisade --field-selector "spec.nodeName=$1" \
        -o jsonpath='{.items[0].metadata.name}'
}
palisade_on() {
    local node=$1
    shift
    kubectl -n palisade-system exec "$(agent_of "$node")" -- palisade "$@"
}
# Where the agent serves them by default, which is for the node alone.
metrics_of() {
    on "$1" bash -c 'exec 3<>/dev/tcp/127.0.0.1/9468; printf "GET /metrics HTTP/1.0\r\n\r\n" >&3; cat <&3'
}
enforces() { on "$1" nft list chain inet palisade forward-ingress; }
