# The control plane: etcd, kube-apiserver, the scheduler and the controllers, in the namespace in which the checks run, beside
# the bridge that is the nodes' network.

make_fabric() {
    ip link set lo up
    ip link add fabric type bridge
    ip address add "${address[control]}/24" dev fabric
    ip address add "${address6[control]}/64" dev fabric nodad
    ip link set fabric up
    local node
    for node in "${nodes[@]}"; do
        ip route add "${pod_range[$node]}" via "${address[$node]}"
        ip route add "${pod_range6[$node]}" via "${address6[$node]}"
    done
}

# certificate NAME SUBJECT [EXTENSION...]: signed by the cluster's authority.
certificate() {
    local name=$1 subject=$2
    shift 2
    openssl req -newkey rsa:2048 -nodes -keyout "$pki/$name.key" -subj "$subject" 2>/dev/null |
        openssl x509 -req -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 2 -out "$pki/$name.crt" \
            -extfile <(printf '%s\n' "$@") 2>/dev/null
}

make_credentials() {
    mkdir -p "$pki"
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$pki/ca.key" -out "$pki/ca.crt" -days 2 -subj /CN=cluster 2>/dev/null
    certificate server /CN=kube-apiserver \
        "subjectAltName=IP:${address[control]},IP:${service_range%%.0/*}.1,IP:127.0.0.1,DNS:kubernetes.default.svc"
    certificate kubelet-client /O=system:masters/CN=kube-apiserver extendedKeyUsage=clientAuth
    openssl genrsa -out "$pki/accounts.key" 2048 2>/dev/null
    openssl rsa -in "$pki/accounts.key" -pubout -out "$pki/accounts.pub" 2>/dev/null
    user admin admin system:masters
    user controllers system:kube-controller-manager ''
    user scheduler system:kube-scheduler ''
    user proxy system:kube-proxy ''
    local node
    for node in "${nodes[@]}"; do user "$node" "system:node:$node" system:nodes; done
}

# user FILE NAME GROUP: somebody with a token, and the kubeconfig that has it.
user() {
    local token
    token=$(openssl rand -hex 16)
    printf '%s,%s,%s,"%s"\n' "$token" "$2" "$2" "$3" >>"$pki/tokens"
    cat >"$run/$1.kubeconfig" <<END
apiVersion: v1
kind: Config
clusters: [{name: cluster, cluster: {server: "https://${address[control]}:6443", certificate-authority: $pki/ca.crt}}]
users: [{name: $1, user: {token: "$token"}}]
contexts: [{name: cluster, context: {cluster: cluster, user: $1}}]
current-context: cluster
END
}

start_control_plane() {
    local server
    server=$(sed -n 's|^\tk8s.io/kubernetes \(v[0-9.]*\).*|\1|p' "$repository/integration/apiserver/go.mod")
    keep etcd "$(compgen -G "$cache/etcd-v*[0-9]" | head -n1)" --data-dir "$run/etcd" --unsafe-no-fsync --log-level warn \
        --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
        --listen-peer-urls http://127.0.0.1:2380
    keep kube-apiserver "$cache/kube-apiserver-$server" --etcd-servers http://127.0.0.1:2379 \
        --advertise-address "${address[control]}" --secure-port 6443 --service-cluster-ip-range "$service_range" \
        --tls-cert-file "$pki/server.crt" --tls-private-key-file "$pki/server.key" --client-ca-file "$pki/ca.crt" \
        --token-auth-file "$pki/tokens" --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction \
        --kubelet-client-certificate "$pki/kubelet-client.crt" --kubelet-client-key "$pki/kubelet-client.key" \
        --kubelet-preferred-address-types InternalIP --allow-privileged \
        --service-account-issuer https://kubernetes.default.svc --service-account-key-file "$pki/accounts.pub" \
        --service-account-signing-key-file "$pki/accounts.key"
    wait_until 120 'kube-apiserver' kubectl get --raw /readyz
    keep kube-controller-manager "$programs/kube-controller-manager" --kubeconfig "$run/controllers.kubeconfig" \
        --leader-elect=false --root-ca-file "$pki/ca.crt" --service-account-private-key-file "$pki/accounts.key" \
        --use-service-account-credentials
    keep kube-scheduler "$programs/kube-scheduler" --kubeconfig "$run/scheduler.kubeconfig" --leader-elect=false
}
