# Programs that are kept running, as an init system would: a kubelet ends when containerd is not ready yet.

# keep NAME COMMAND...: while there is a file of that name in $holds it is not running.
keep() {
    local name=$1
    shift
    mkdir -p "$holds" "$logs"
    while :; do
        while [[ -e $holds/$name ]]; do sleep 0.05; done
        "$@" >>"$logs/$name.log" 2>&1 9>&- &
        echo $! >"$holds/../$name.pid"
        wait $! 2>/dev/null || true
        sleep 0.3
    done &
}

