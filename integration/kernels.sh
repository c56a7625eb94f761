#!/usr/bin/env bash
# Palisade's tests on Debian's kernels, under qemu without KVM: nothing is installed but qemu and what makes file systems, and
# nothing of this machine's kernel is used. integration/kernels/README.md says what is run, how, and what it found.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C.UTF-8

usage() {
    cat <<'END'
integration/kernels.sh [OPTION...] [VERSION...]   runs the suites on these kernels (all), prints a table; 1 where one failed

versions: 5.10 6.1 6.12 newest (whatever Debian has that is newest)
options:  --suites NAME,...   these alone
          --list              names them
          --minutes N         for one kernel, then it is given up (60)
          --fresh             fetches the kernels again
END
}

. integration/kernels/settings.sh
. integration/kernels/setup.sh
. integration/kernels/packages.sh
. integration/kernels/root.sh
. integration/kernels/kernel.sh
. integration/kernels/tests.sh
. integration/kernels/boot.sh
. integration/kernels/table.sh
. integration/kernels/suites.sh

versions=() minutes=60 fresh=no chosen=("${suites[@]}")
while [[ $# -gt 0 ]]; do
    case $1 in
        --suites) IFS=, read -ra chosen <<<"${2:?--suites NAME,...}" && shift ;;
        --minutes) minutes=${2:?--minutes N} && shift ;;
        --fresh) fresh=yes ;;
        --list) printf '%s\n' "${suites[@]}" && exit ;;
        -h | --help) usage && exit ;;
        *) [[ -n ${suites_of[$1]:-} ]] || { usage >&2 && exit 2; } && versions+=("$1") ;;
    esac
    shift
done
[[ ${#versions[@]} -gt 0 ]] || versions=("${all_versions[@]}")
for suite in "${chosen[@]}"; do
    [[ " ${suites[*]} " == *" $suite "* ]] || { usage >&2 && exit 2; }
done

[[ $(id -u) -eq 0 ]] || fail "it needs root, to make the guest's root"
mkdir -p "$logs"
exec 9>"$cache/lock"
flock --nonblock 9 || fail "another one is running (it holds $cache/lock)"
set_up
make_root
for version in "${versions[@]}"; do
    [[ $fresh == no ]] || rm -rf "${cache:?}/$version"
    make_kernel "$version"
done
images=$(mktemp -d "$cache/run.XXXXXX")
trap 'rm -rf "$images"' EXIT
make_tests "$images/tests.ext4" "${chosen[@]}"
for version in "${versions[@]}"; do
    say "Linux $(cat "$cache/$version/release"): ${chosen[*]}"
    boot "$version" "$images/tests.ext4" "$(IFS=, && echo "${chosen[*]}")" "$((minutes * 60))" || true
done
print_table "${versions[@]}"
