# Debian's archive by an apt configuration of its own: the machine's sources, lists and packages stay as they are.

keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# source_line SUITE: its line in a list of sources.
source_line() {
    local archive=debian
    [[ $1 != *-security ]] || archive=debian-security
    printf 'deb [signed-by=%s] http://deb.debian.org/%s %s main\n' "$keyring" "$archive" "$1"
}

# with_apt VERSION COMMAND...: runs an apt program that knows the suites of that version alone.
with_apt() {
    local apt suite
    apt=$cache/$1/apt
    mkdir -p "$apt"/{lists/partial,cache/archives/partial}
    for suite in ${suites_of[$1]}; do source_line "$suite"; done >"$apt/sources.list"
    cat >"$apt/apt.conf" <<END
APT::Architecture "$architecture";
APT::Architectures { "$architecture"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "-";
Dir::State::Lists "$apt/lists";
Dir::State::Status "/dev/null";
Dir::Cache "$apt/cache";
END
    shift
    APT_CONFIG=$apt/apt.conf "$@"
}

# The packages of the newest kernel in a version's suites: one, or what it is divided into since 7.3.
kernel_packages() {
    local newest image part
    newest=$(with_apt "$1" apt-cache madison "linux-image-$architecture" | awk '{ print $3 }' | sort -rV | head -n1)
    [[ -n $newest ]] || fail "Debian has no kernel in ${suites_of[$1]} any more"
    image=$(with_apt "$1" apt-cache show "linux-image-$architecture=$newest" |
        sed -n 's/^Depends:.*\(linux-image-[^ ,]*\).*/\1/p')
    echo "$image"
    for part in base binary modules; do
        if with_apt "$1" apt-cache show "${image/image/"$part"}" >/dev/null 2>&1; then echo "${image/image/"$part"}"; fi
    done
}

# fetch VERSION DIRECTORY: unpacks the newest kernel there.
fetch() {
    local packages directory=$2
    with_apt "$1" apt-get update -qq
    mapfile -t packages < <(kernel_packages "$1")
    rm -rf "$directory" && mkdir -p "$directory/debs"
    (cd "$directory/debs" && with_apt "$1" apt-get download -qq "${packages[@]}")
    for package in "$directory"/debs/*.deb; do dpkg-deb -x "$package" "$directory"; done
    rm -r "$directory/debs"
}
