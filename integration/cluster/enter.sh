# For bash in the cluster's namespaces: all words to tell the cluster with, and kubectl. For the checks, and for who works in a
# shell of the cluster.

. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
. "$scripts/machine.sh"
. "$scripts/services.sh"
. "$scripts/control.sh"
. "$scripts/nodes.sh"
. "$scripts/palisade.sh"
. "$scripts/table.sh"
. "$scripts/pods.sh"
. "$scripts/specs.sh"

# shellcheck disable=SC2034 # For services.sh.
holds=$run/control/holds
export KUBECONFIG=$run/admin.kubeconfig PATH=$programs:$PATH
