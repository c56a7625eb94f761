# The machine around the cluster: everything of a cluster is in namespaces of its own, whose end is the end of all its
# processes, mounts and links. What is left then are control groups and files, and they are removed here.
#
# Invariants: nothing is written to the machine's network namespace; kernel parameters that have no namespace are as before
# afterwards (the nodes write to files instead, see node.sh; that they did is checked).

# The parameters without a namespace that kubelet sets.
kubelet_parameters=(vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys
    kernel/keys/root_maxbytes)

# One cluster a machine at a time.
only_one() {
    mkdir -p "$cache"
    exec 9>"$cache/cluster.lock"
    flock --nonblock 9 || fail "another one is running (it holds $cache/cluster.lock)"
}

in_own_namespaces() {
    mkdir -p "$run" "$logs"
    local before status=0
    before=$(cd /proc/sys && head -n1 "${kubelet_parameters[@]}")
    trap 'leave' EXIT
    trap 'exit 130' INT TERM HUP
    # Whoever kills this script kills the cluster: each of these ends with the one before it.
    setpriv --pdeathsig KILL unshare --mount --net --pid --ipc --uts --fork --kill-child=KILL --mount-proc \
        env CLUSTER_INSIDE=yes CLUSTER_PROXY="$CLUSTER_PROXY" CLUSTER_DUAL_STACK="$CLUSTER_DUAL_STACK" \
        CLUSTER_PLUGIN="$CLUSTER_PLUGIN" CLUSTER_POD_RANGE="$CLUSTER_POD_RANGE" "$@" <&0 9>&- &
    cluster=$!
    wait "$cluster" || status=$?
    leave
    trap - EXIT
    [[ $(cd /proc/sys && head -n1 "${kubelet_parameters[@]}") == "$before" ]] ||
        say "cluster.sh: kernel parameters are not what they were: $before"
    return "$status"
}

leave() {
    if [[ -n ${cluster:-} ]]; then
        local first
        first=$(pgrep -P "$cluster" || true)
        kill -KILL "$cluster" 2>/dev/null || true
        wait "$cluster" 2>/dev/null || true
        [[ -z $first ]] || wait_for_end "$first"
        cluster=
    fi
    leave_nothing
}

# The first process of a PID namespace ends after all others; then it may be a zombie for a while, which is in no namespace.
wait_for_end() {
    while readlink "/proc/$1/ns/net" >/dev/null 2>&1; do sleep 0.05; done
}

leave_nothing() {
    remove_cgroups "$cgroup"
    rm -rf "$run"
}

# All hierarchies that control groups are made in: those of version 1 (and of version 2 beside them, where runc makes groups
# too), or the one of version 2.
cgroup_hierarchies() {
    if [[ $(stat -fc %T /sys/fs/cgroup) == cgroup2fs ]]; then
        echo /sys/fs/cgroup
    else
        find /sys/fs/cgroup -mindepth 1 -maxdepth 1 -type d
    fi
}

# remove_cgroups GROUP: with those in it. Processes that were just killed leave theirs a moment later.
remove_cgroups() {
    local hierarchy attempt
    for hierarchy in $(cgroup_hierarchies); do
        for attempt in {1..50}; do
            [[ -d $hierarchy/$1 ]] || break
            find "$hierarchy/$1" -depth -type d -exec rmdir {} + 2>/dev/null && break
            [[ $attempt -lt 50 ]] || say "cluster.sh: cannot remove $hierarchy/$1"
            sleep 0.1
        done
    done
}

# make_cgroup GROUP: in every hierarchy, ready for kubelet.
make_cgroup() {
    local hierarchy group part
    for hierarchy in $(cgroup_hierarchies); do
        group=$hierarchy
        for part in ${1//\// }; do
            if [[ -e $group/cgroup.subtree_control ]]; then
                sed 's/\(^\| \)/ +/g' "$group/cgroup.controllers" >"$group/cgroup.subtree_control"
            fi
            mkdir -p "$group/$part"
            # In version 1 a group of processors can be used only when it has some.
            for file in cpuset.cpus cpuset.mems; do
                [[ ! -e $group/$file || -e $group/cgroup.controllers ]] || cat "$group/$file" >"$group/$part/$file"
            done
            group=$group/$part
        done
        if [[ -e $group/cgroup.subtree_control ]]; then
            sed 's/\(^\| \)/ +/g' "$group/cgroup.controllers" >"$group/cgroup.subtree_control"
        fi
    done
}

# join_cgroup GROUP: this process, and those that it starts from now on, have processors as that group does.
join_cgroup() {
    local hierarchy weight
    make_cgroup "$(dirname "$1")"
    for hierarchy in $(cgroup_hierarchies); do
        mkdir -p "$hierarchy/$1"
        for weight in "$hierarchy/$1/"cpu.{shares,weight}; do
            [[ ! -e $weight ]] || echo $$ >"$hierarchy/$1/cgroup.procs"
        done
    done
}
