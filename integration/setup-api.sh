#!/usr/bin/env bash
# Everything that the tests against a real Kubernetes API need: etcd, and kube-apiserver, which is built once from the
# Go module in integration/apiserver (about 4 minutes) and kept in ${XDG_CACHE_HOME:-~/.cache}/palisade.
#
# A kube-apiserver (and etcd) in KUBEBUILDER_ASSETS, or in TEST_ASSET_KUBE_APISERVER (TEST_ASSET_ETCD), is taken instead.
set -euo pipefail
cd "$(dirname "$0")/apiserver"

say() { printf '%s\n' "$*" >&2; }
fail() { say "setup-api.sh: $*"; exit 1; }
has() { command -v "$1" >/dev/null; }

install_etcd() {
    [[ -x "${TEST_ASSET_ETCD:-${KUBEBUILDER_ASSETS:+$KUBEBUILDER_ASSETS/etcd}}" ]] && return
    has etcd && return
    has apt-get || fail "etcd is missing and there is no apt: install etcd >= 3.4, or set TEST_ASSET_ETCD to its path"
    say "installing etcd-server"
    local sudo=()
    [[ $EUID -eq 0 ]] || sudo=(sudo)
    # The package would start a server of its own; ours runs only in tests.
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y --no-install-recommends etcd-server >&2 ||
        fail "apt-get could not install etcd-server: try \`apt-get update\` first"
}

build_apiserver() {
    [[ -x "${TEST_ASSET_KUBE_APISERVER:-${KUBEBUILDER_ASSETS:+$KUBEBUILDER_ASSETS/kube-apiserver}}" ]] && return
    local version cache
    version=$(sed -n 's|^\tk8s.io/kubernetes \(v[0-9.]*\)$|\1|p' go.mod)
    cache=${XDG_CACHE_HOME:-$HOME/.cache}/palisade
    local binary=$cache/kube-apiserver-$version
    mkdir -p "$cache"
    exec 9>"$binary.lock"
    flock 9
    [[ -x $binary ]] && return
    has go || fail "go is missing: install Go >= $(sed -n 's/^go //p' go.mod) from https://go.dev/dl, or set" \
        "TEST_ASSET_KUBE_APISERVER to a kube-apiserver"
    say "building kube-apiserver $version, once: $binary"
    go build -trimpath -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version" -o "$binary.new" . ||
        fail "kube-apiserver does not build: $(go version) must be >= $(sed -n 's/^go //p' go.mod) or able to fetch it"
    mv "$binary.new" "$binary"
}

install_etcd
build_apiserver
