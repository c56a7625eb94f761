#!/bin/sh
# Prints the chart as manifests that `kubectl apply -f` takes: what palisade.yaml holds. `HELM` says which helm to use.
#
#   ./one-file.sh > palisade.yaml
set -eu
cd "$(dirname "$0")"

manifests=$("${HELM:-helm}" template palisade helm/palisade --namespace palisade-system \
    --no-hooks --set namespace.create=true)
cat <<'END'
# Palisade in one file, for `kubectl apply -f`. Written by one-file.sh from the chart in helm/palisade: change that.
#
# The image has a name that no registry serves, for images that were loaded into the nodes: push it to a registry of
# yours and name that in the DaemonSet, or use the chart.
END
echo "$manifests" | grep -v '^# Source: ' | grep .
