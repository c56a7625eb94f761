# Ways to a pod other than its own address, and the kubelet's probes: what policy says of the pod holds for a host port, a node
# port and a ClusterIP; probes of all kinds reach a pod that nobody else may reach.

want_palisade
fresh_namespace ports
host_port=8700
agnhost=$(agnhost_of_nodes)

# probed NAME NODE: an isolated pod that is ready only if probes of each kind reach it.
probed() {
    cat <<END
---
apiVersion: v1
kind: Pod
metadata: {namespace: ports, name: $1, labels: {app: probed}}
spec:
  nodeName: $2
  terminationGracePeriodSeconds: 1
  containers:
    - {name: http, image: "$agnhost", args: [netexec, --http-port=8080, --udp-port=-1],
       startupProbe: {tcpSocket: {port: 8080}}, readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1},
       livenessProbe: {tcpSocket: {port: 8080}, periodSeconds: 2}}
    - {name: grpc, image: "$agnhost", args: [grpc-health-checking, --port=5000, --http-port=8081],
       startupProbe: {httpGet: {path: /, port: 8080}},
       readinessProbe: {grpc: {port: 5000}, periodSeconds: 1}, livenessProbe: {grpc: {port: 5000}, periodSeconds: 2}}
END
}

# A server behind a host port and two Services; only the host outside may connect, and pods that are friends.
server() {
    pod ports "server-$1" "$1" "app: server, on: $1" --listen "$port" |
        sed "/^  containers:/s/}\]\$/, ports: [{containerPort: $port, hostPort: $host_port}]}]/"
    cat <<END
---
apiVersion: v1
kind: Service
metadata: {namespace: ports, name: server-$1}
spec: {type: NodePort, selector: {on: $1}, ports: [{port: 80, targetPort: $port, nodePort: ${2}}]}
END
}

# reaches FROM TO PORT: whether a connection is made.
from_outside() { outside timeout 2 bash -c "exec 3<>/dev/tcp/$1/$2" 2>/dev/null; }
from_pod() { kubectl -n ports exec "$1" -- /agnhost connect "$2:$3" --timeout 2s >/dev/null 2>&1; }
caller() {
    pod ports "$1" "$2" "app: $1" pause | sed "s#localhost/witness:1#$agnhost#"
}

{
    deny_all ports
    policy ports servers "{podSelector: {matchLabels: {app: server}}, ingress: [{from: [{ipBlock: {cidr: ${address[outside]}/32}},
        {podSelector: {matchLabels: {app: friend}}}], ports: [{port: $port}]}]}"
    policy ports callers '{podSelector: {matchExpressions: [{key: app, operator: In, values: [friend, stranger]}]}, egress: [{}], policyTypes: [Egress]}'
    probed probed-1 node1
    probed probed-2 node2
    server node1 30001
    server node2 30002
    caller friend node1
    caller stranger node2
} | apply
running ports
ready=0
if kubectl -n ports wait pod/probed-1 pod/probed-2 --for condition=Ready --timeout 60s >/dev/null; then ready=2; fi
sleep 20
restarts=$(kubectl -n ports get pod -l app=probed -o json | jq '[.items[].status.containerStatuses[].restartCount] | add')
strangers=0
for name in probed-1 probed-2; do
    if from_outside "$(address_of ports "$name")" 8080; then strangers=$((strangers + 1)); fi
done
judge ports 'probes (HTTP, TCP, gRPC) reach isolated pods' \
    "$ready of 2 ready, $restarts restarts; a stranger reaches $strangers" test "$ready" -eq 2 -a "$restarts" -eq 0 -a "$strangers" -eq 0

# way NAME ADDRESS PORT WHO...: who of them gets through.
through() {
    local to=$1 at=$2 who count=0
    shift 2
    for who in "$@"; do
        case $who in
            outside) ! from_outside "$to" "$at" || count=$((count + 1)) ;;
            *) ! from_pod "$who" "$to" "$at" || count=$((count + 1)) ;;
        esac
    done
    echo "$count"
}

# way WHAT PORT ADDRESS... : a way to each server, by which those whom policy admits come, and strangers do not.
allowed=0 forbidden=0
for node in "${nodes[@]}"; do
    ip=$(kubectl -n ports get service "server-$node" -o jsonpath='{.spec.clusterIP}')
    allowed=$((allowed + $(through "$ip" 80 friend)))
    forbidden=$((forbidden + $(through "$ip" 80 stranger)))
done
judge ports 'ClusterIPs' "$allowed of 2 allowed and $forbidden of 2 forbidden ways pass" test "$allowed" -eq 2 -a "$forbidden" -eq 0
allowed=0 forbidden=0
for node in "${nodes[@]}"; do
    allowed=$((allowed + $(through "${address[$node]}" "$host_port" outside friend)))
    forbidden=$((forbidden + $(through "${address[$node]}" "$host_port" stranger)))
done
judge ports 'host ports' "$allowed of 4 allowed and $forbidden of 2 forbidden ways pass" test "$allowed" -eq 4 -a "$forbidden" -eq 0
allowed=0 forbidden=0
number=30001
for node in "${nodes[@]}"; do
    allowed=$((allowed + $(through "${address[$node]}" "$number" outside)))
    forbidden=$((forbidden + $(through "${address[$node]}" "$number" stranger)))
    number=$((number + 1))
done
judge ports 'node ports' "$allowed of 2 allowed and $forbidden of 2 forbidden ways pass" test "$allowed" -eq 2 -a "$forbidden" -eq 0
kubectl delete namespace ports >/dev/null
