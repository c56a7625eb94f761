#!/usr/bin/env bash
# Everything that the tests against a real Kubernetes API need: kube-apiserver and etcd, which are built once from the Go
# module in integration/apiserver (about 5 minutes) and kept in ${XDG_CACHE_HOME:-~/.cache}/palisade.
#
# Programs in KUBEBUILDER_ASSETS, or in TEST_ASSET_KUBE_APISERVER and TEST_ASSET_ETCD, are taken instead. The etcd must be
# one with which the API server streams lists: 3.4.31, 3.5.13 or later.
set -euo pipefail
cd "$(dirname "$0")/apiserver"

say() { printf '%s\n' "$*" >&2; }
fail() { say "setup-api.sh: $*"; exit 1; }
has() { command -v "$1" >/dev/null; }

# The version of a module that go.mod requires.
version() { sed -n "s|^\t$1 \(v[0-9.]*\).*|\1|p" go.mod; }

# build NAME VERSION ASSET PACKAGE LINKER-FLAGS: the program, unless the variable ASSET or KUBEBUILDER_ASSETS has it.
build() {
    local name=$1 version=$2 asset=$3 package=$4 flags=$5 cache=${XDG_CACHE_HOME:-$HOME/.cache}/palisade
    [[ -x "${!asset:-${KUBEBUILDER_ASSETS:+$KUBEBUILDER_ASSETS/$name}}" ]] && return
    local binary=$cache/$name-$version
    mkdir -p "$cache"
    exec 9>"$binary.lock"
    flock 9
    [[ -x $binary ]] && return
    has go || fail "go is missing: install Go >= $(sed -n 's/^go //p' go.mod) from https://go.dev/dl, or set $asset to the" \
        "path of $name"
    say "building $name $version, once: $binary"
    go build -trimpath -ldflags "-s -w $flags" -o "$binary.new" "$package" ||
        fail "$name does not build: $(go version) must be >= $(sed -n 's/^go //p' go.mod) or able to fetch it"
    mv "$binary.new" "$binary"
}

kubernetes=$(version k8s.io/kubernetes)
build kube-apiserver "$kubernetes" TEST_ASSET_KUBE_APISERVER . "-X k8s.io/component-base/version.gitVersion=$kubernetes"
build etcd "$(version go.etcd.io/etcd/server/v3)" TEST_ASSET_ETCD go.etcd.io/etcd/server/v3 ""
