#!/usr/bin/env bash
# What the tests of deploy/ and .github/ need: helm and actionlint, which are built once from the Go modules in integration/helm
# and integration/actionlint and kept in ${XDG_CACHE_HOME:-~/.cache}/palisade, readelf, shellcheck, which actionlint calls, and
# Rust's standard library for musl, which the CNI plugin is built with. Programs named in HELM and ACTIONLINT are taken instead.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ./packages.sh

say() { printf '%s\n' "$*" >&2; }
has() { command -v "$1" >/dev/null; }

# build NAME MODULE PACKAGE VARIABLE: a program, unless the variable names it.
build() {
    local name=$1 module=$2 package=$3 variable=$4
    if [[ -n ${!variable:-} ]]; then
        [[ -x ${!variable} ]] || fail "$variable=${!variable} is no program"
        return
    fi
    local version needed cache
    version=$(sed -n "s|^\t$module \(v[0-9.]*\).*|\1|p" "$name/go.mod")
    needed=$(sed -n 's/^go //p' "$name/go.mod")
    cache=${XDG_CACHE_HOME:-$HOME/.cache}/palisade
    local binary=$cache/$name-$version
    [[ -x $binary ]] && return
    has go || fail "go is missing: install Go >= $needed from https://go.dev/dl, or set $variable to a $name"
    mkdir -p "$cache"
    exec 9>"$binary.lock"
    flock 9
    [[ -x $binary ]] && return
    say "building $name $version, once: $binary"
    (cd "$name" && go build -trimpath -ldflags "-s -w" -o "$binary.new" "$package") ||
        fail "$name does not build: $(go version) must be >= $needed or able to fetch it"
    mv "$binary.new" "$binary"
}

has apt-get && need binutils shellcheck
has readelf || fail "readelf is missing: install binutils"
has shellcheck || fail "shellcheck is missing: install it with this system's package manager"
has rustup && rustup --quiet target add "$(rustc -vV | sed -n 's/^host: \(.*\)-gnu$/\1-musl/p')"
build helm helm.sh/helm/v4 helm.sh/helm/v4/cmd/helm HELM
build actionlint github.com/rhysd/actionlint github.com/rhysd/actionlint/cmd/actionlint ACTIONLINT
