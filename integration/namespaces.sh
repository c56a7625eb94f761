# For scripts that run tests.

# The tests make network namespaces: whoever is not root becomes it in a user namespace.
with_namespaces() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif unshare --user --map-root-user --net --mount true 2>/dev/null; then
        unshare --user --map-root-user --net --mount "$@"
    else
        echo "this user may make no namespaces: run as root, or allow user namespaces" >&2
        return 1
    fi
}
