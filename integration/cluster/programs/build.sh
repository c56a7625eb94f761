#!/usr/bin/env bash
# Builds what a cluster needs beside kube-apiserver and etcd, whole and unchanged, once: some 5 minutes on two idle cores
# after these two, which share most of what is compiled.
#
#     build.sh VERSION DIRECTORY
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
version=$1 directory=$2

missing() { [[ ! -x $directory/$1 ]]; }

has_go() {
    command -v go >/dev/null && return
    echo "cluster.sh: go is missing: install Go >= $(sed -n 's/^go //p' go.mod) from https://go.dev/dl" >&2
    exit 1
}

# build NAME COMMAND...: a program by `go COMMAND... -o FILE PACKAGE`.
build() {
    local name=$1 package=$2
    shift 2
    missing "$name" || return 0
    has_go
    echo "building $name of $version, once: $directory/$name" >&2
    go "$@" -trimpath -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version" -o "$directory/$name.new" "$package"
    mv "$directory/$name.new" "$directory/$name"
}

mkdir -p "$directory"
exec 9>"$directory/lock"
flock 9
for name in kubelet kube-proxy kube-scheduler kube-controller-manager kubectl; do
    build "$name" "k8s.io/kubernetes/cmd/$name" build
done
build agnhost k8s.io/kubernetes/test/images/agnhost build
build ginkgo github.com/onsi/ginkgo/v2/ginkgo build
build specs.test ./specs test -c
# The conformance suite of ClusterNetworkPolicy, which is a module of its own.
cd tiers
build tiers.test sigs.k8s.io/network-policy-api/conformance test -c
