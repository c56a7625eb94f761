#!/bin/bash
# The first process in the guest: runs the suite that the kernel's command line names, tells on the second console what came
# of it, and ends the machine.
#
# What it tells: lines of its own begin with `@`, all others are what tests print.
set -uo pipefail
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 NO_COLOR=1 INSTA_WORKSPACE_ROOT=/tests/repository
. /tests/suites.sh

# word NAME: the value of NAME=VALUE on the kernel's command line.
word() { tr ' ' '\n' </proc/cmdline | sed -n "s/^$1=//p"; }

prepare() {
    mount -t sysfs sys /sys
    mount -t tmpfs tmp /tmp
    mount -t tmpfs run /run
    mkdir -p /dev/pts /dev/shm
    mount -t devpts pts /dev/pts
    ln -s /proc/self/fd /dev/fd
    mount -t tmpfs shm /dev/shm
    mount -t cgroup2 cgroup /sys/fs/cgroup
    local path target
    while IFS=$'\t' read -r path target; do mkdir -p "${path%/*}" && ln -s "$target" "$path"; done </tests/links
    ip link set lo up
    modprobe -a br_netfilter vxlan veth nf_tables nf_conntrack
}

# The disk answers in real time, while the time in here runs ahead where everybody waits: once all is in memory no test waits
# for it with an eye on the clock.
read_ahead() { find /tests/target /usr/bin /usr/sbin /usr/lib -xdev -type f -exec cat {} + >/dev/null; }

# tests PACKAGE TARGET [ARGUMENT...]: runs a program of tests where cargo would.
tests() {
    local package=$1 target=$2 directory program
    shift 2
    IFS=$'\t' read -r directory program <<<"$(
        awk -F '\t' -v p="$package" -v t="$target" '$1 == p && $2 == t { print $3 "\t" $4 }' /tests/programs)"
    (cd "$directory" && exec "$program" "$@")
}

# What the processor has done since the start, in hundredths of seconds: for programs, for the kernel.
processor() { awk '$1 == "cpu" { print $2 + $3, $4 + $7 + $8 }' /proc/stat; }

run() {
    local start=$SECONDS status=0
    echo "@ begin $1"
    "suite-$1" 2>&1 || status=$?
    echo "@ processor $(processor)"
    echo "@ end $1 $status $((SECONDS - start))"
}

prepare
exec >/dev/hvc0 2>&1 </dev/null
stty -F /dev/hvc0 raw
echo "@ kernel $(uname -r)"
read_ahead
run "$(word suite)"
sync
echo o >/proc/sysrq-trigger
sleep infinity
