#!/usr/bin/env bash
# What the cluster needs: Debian's packages, the programs of Kubernetes, Palisade, and images of what pods run. It is built
# once and kept in ${XDG_CACHE_HOME:-~/.cache}/palisade; Palisade is built each time.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
cd "$repository"
. integration/apt.sh

packages=(containerd runc containernetworking-plugins conntrack iptables nftables iproute2 openssl jq procps util-linux)
needed=(containerd ctr runc conntrack iptables ip6tables nft ip openssl jq pgrep unshare nsenter setpriv flock)

install_packages() {
    local missing=() program
    for program in "${needed[@]}" /usr/lib/cni/ptp; do
        has "$program" || missing+=("$program")
    done
    [[ ${#missing[@]} -gt 0 ]] || return 0
    has apt-get || fail "missing: ${missing[*]}; on Debian they are in ${packages[*]}"
    say "installing ${packages[*]}, for ${missing[*]}"
    apt_install "${packages[@]}"
}

# Loading modules is left to who owns the machine: it would outlast the cluster.
check_kernel() {
    local missing=()
    [[ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]] || missing+=(br_netfilter)
    grep -qw overlay /proc/filesystems || missing+=(overlay)
    [[ ${#missing[@]} -eq 0 ]] || fail "the kernel lacks something that nodes need: modprobe -a ${missing[*]}"
}

# The image of the agent as in deploy/Dockerfile, and what runs in other pods.
make_images() {
    local target triple library plugin=()
    cargo build --release --locked --quiet -p palisade
    # Linked statically, which needs a target to be named: programs that run while it is built are not.
    triple=$(rustc -vV | sed -n 's/^host: //p')
    RUSTFLAGS='-C target-feature=+crt-static' cargo build --release --locked --quiet -p palisade-witness --target "$triple"
    target=$(cargo metadata --no-deps --offline --format-version 1 | jq -r .target_directory)

    rm -rf "$images"
    mkdir -p "$images"
    trap 'rm -rf "$images"/tree-*' EXIT
    # Where this version has the CNI plugin.
    if [[ -x deploy/build-plugin.sh ]]; then plugin=("$(deploy/build-plugin.sh)"); fi
    deploy/image-tree.sh "$target/release/palisade" "${plugin[@]}" "$images/tree-palisade"
    "$scripts/image.sh" "localhost/palisade:$(sed -n 's/^appVersion: *//p' deploy/helm/palisade/Chart.yaml | tr -d '"')" \
        "$images/tree-palisade" "$images/palisade.tar" '["/palisade"]' '["run"]' '["PATH=/usr/local/bin"]'
    install -D "$target/$triple/release/witness" "$images/tree-witness/witness"
    "$scripts/image.sh" localhost/witness:1 "$images/tree-witness" "$images/witness.tar" '["/witness"]' '["pause"]'
    install -D "$programs/agnhost" "$images/tree-agnhost/agnhost"
    for library in $(ldd "$programs/agnhost" | grep -o '/[^ ]*'); do
        mkdir -p "$images/tree-agnhost$(dirname "$library")" "$images/tree-agnhost/tmp"
        cp -L "$library" "$images/tree-agnhost$library"
    done
    "$scripts/image.sh" "$(agnhost_image)" "$images/tree-agnhost" "$images/agnhost.tar" '["/agnhost"]' '["pause"]'
    make_image_of_tiers
    cp "$target/$triple/release/witness" "$images/witness"
    cp "$target/release/palisade" "$images/palisade"
}

# agnhost as the conformance suite of ClusterNetworkPolicy calls it: by a shell. What serves SCTP would end at once where the
# kernel has no such sockets, and the suite waits for all containers.
make_image_of_tiers() {
    local tree=$images/tree-agnhost library
    mv "$tree/agnhost" "$tree/agnhost.program"
    install -D "$(command -v bash)" "$tree/bin/bash"
    for library in $(ldd "$tree/bin/bash" | grep -o '/[^ ]*'); do
        mkdir -p "$tree$(dirname "$library")"
        cp -L "$library" "$tree$library"
    done
    cat >"$tree/agnhost" <<'END'
#!/bin/bash
if [[ ! -e /proc/net/sctp && -n ${!SERVE_SCTP*} ]]; then exec /agnhost.program pause; fi
exec /agnhost.program "$@"
END
    chmod +x "$tree/agnhost"
    "$scripts/image.sh" "registry.k8s.io/e2e-test-images/agnhost:2.45" "$tree" "$images/agnhost-tiers.tar" '["/agnhost"]' '["pause"]'
}

# The name that this Kubernetes' specs expect.
agnhost_image() {
    local module
    module=$(cd "$scripts/programs" && go list -m -f '{{.Dir}}' k8s.io/kubernetes)
    sed -n 's/.*configs\[Agnhost\] *= Config{list.PromoterE2eRegistry, "agnhost", "\(.*\)"}.*/registry.k8s.io\/e2e-test-images\/agnhost:\1/p' \
        "$module/test/utils/image/manifest.go"
}

check_kernel
install_packages
integration/setup.sh
integration/setup-api.sh
integration/setup-deploy.sh
"$scripts/programs/build.sh" "$kubernetes" "$programs"
make_images
