#!/usr/bin/env bash
# Packs a directory as an image of one layer, an OCI archive that `ctr images import` takes, with nothing but tar.
#
#     image.sh NAME DIRECTORY ARCHIVE ENTRYPOINT [COMMAND [ENVIRONMENT]]        the last three as JSON arrays
set -euo pipefail
name=$1 tree=$2 archive=$3 entrypoint=$4 command=${5:-[]} environment=${6:-[]}
work=$(mktemp -d "$archive.XXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/blobs/sha256"

# Moves a file to where its digest says, and prints what refers to it.
blob() {
    local digest size
    digest=$(sha256sum "$2" | cut -d' ' -f1)
    size=$(stat -c %s "$2")
    mv "$2" "$work/blobs/sha256/$digest"
    printf '"mediaType":"%s","digest":"sha256:%s","size":%d' "$1" "$digest" "$size"
}

architecture=$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$tree" -cf "$work/layer" .
layer_id=$(sha256sum "$work/layer" | cut -d' ' -f1)
layer=$(blob application/vnd.oci.image.layer.v1.tar "$work/layer")
cat >"$work/config" <<END
{"architecture":"$architecture","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:$layer_id"]},
 "config":{"Entrypoint":$entrypoint,"Cmd":$command,"Env":$environment}}
END
config=$(blob application/vnd.oci.image.config.v1+json "$work/config")
cat >"$work/manifest" <<END
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{$config},"layers":[{$layer}]}
END
manifest=$(blob application/vnd.oci.image.manifest.v1+json "$work/manifest")
cat >"$work/index.json" <<END
{"schemaVersion":2,"manifests":[{$manifest,"platform":{"architecture":"$architecture","os":"linux"},
 "annotations":{"io.containerd.image.name":"$name","org.opencontainers.image.ref.name":"${name##*:}"}}]}
END
echo '{"imageLayoutVersion":"1.0.0"}' >"$work/oci-layout"
tar -C "$work" -cf "$archive" oci-layout index.json blobs
