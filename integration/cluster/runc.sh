#!/usr/bin/env bash
# runc, as containerd calls it here.
#
# - Where root may not lower oom_score_adj (no CAP_SYS_RESOURCE, as in many containers and VMs) runc fails with "can't get
#   final child's PID from pipe: EOF", and no setting of containerd's helps: the value is taken out of what it is given.
# - A container whose pod's namespace has a file in /run/holds/pods-of is not made before that file is gone: so a check can say
#   in which order pods start.
set -euo pipefail

bundle=. process=
arguments=("$@")
for ((i = 0; i < $#; i++)); do
    case ${arguments[i]} in
        --bundle | -b) bundle=${arguments[i + 1]} ;;
        --process | -p) process=${arguments[i + 1]} ;;
        create | exec | run) verb=${arguments[i]} ;;
    esac
done

without_oom_score() { sed -i -E 's/,"oomScoreAdj":-?[0-9]+//; s/"oomScoreAdj":-?[0-9]+,//' "$1"; }

# CAP_SYS_RESOURCE is the bit 24.
may_lower() { (((0x$(sed -n 's/^CapEff:\t//p' /proc/self/status) >> 24) & 1)); }

wait_for_turn() {
    local namespace
    namespace=$(jq -r '.annotations["io.kubernetes.cri.sandbox-namespace"] // ""' "$1")
    while [[ -n $namespace && -e /run/holds/pods-of/$namespace ]]; do sleep 0.05; done
}

case ${verb:-} in
    create | run)
        may_lower || without_oom_score "$bundle/config.json"
        wait_for_turn "$bundle/config.json"
        ;;
    exec) may_lower || [[ -z $process ]] || without_oom_score "$process" ;;
esac
exec runc "$@"
