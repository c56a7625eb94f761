#!/usr/bin/env bash
# What the tests of deploy/ need: helm, which is built once from the Go module in integration/helm and kept in
# ${XDG_CACHE_HOME:-~/.cache}/palisade, and readelf. A helm named in HELM is taken instead.
set -euo pipefail
cd "$(dirname "$0")/helm"

say() { printf '%s\n' "$*" >&2; }
fail() { say "setup-deploy.sh: $*"; exit 1; }
has() { command -v "$1" >/dev/null; }

build_helm() {
    [[ -n ${HELM:-} ]] && { [[ -x $HELM ]] || fail "HELM=$HELM is no program"; return; }
    local version cache
    version=$(sed -n 's|^\thelm.sh/helm/v4 \(v[0-9.]*\).*|\1|p' go.mod)
    cache=${XDG_CACHE_HOME:-$HOME/.cache}/palisade
    local binary=$cache/helm-$version
    [[ -x $binary ]] && return
    has go || fail "go is missing: install Go >= $(sed -n 's/^go //p' go.mod) from https://go.dev/dl, or set HELM to a helm"
    mkdir -p "$cache"
    exec 9>"$binary.lock"
    flock 9
    [[ -x $binary ]] && return
    say "building helm $version, once: $binary"
    go build -trimpath -ldflags "-s -w" -o "$binary.new" helm.sh/helm/v4/cmd/helm ||
        fail "helm does not build: $(go version) must be >= $(sed -n 's/^go //p' go.mod) or able to fetch it"
    mv "$binary.new" "$binary"
}

has readelf || fail "readelf is missing: install binutils"
build_helm
