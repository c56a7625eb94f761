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
          --list              names all, costs too, which is measured only where it is named
          --architecture A    amd64, or arm64, cross-compiled
          --minutes N         for one suite, then it is given up (60)
          --jobs N            machines at once, one for each suite and kernel (one a processor)
          --fresh             fetches the kernels again
END
}

. integration/apt.sh
. integration/kernels/settings.sh
. integration/kernels/setup.sh
. integration/kernels/packages.sh
. integration/kernels/root.sh
. integration/kernels/kernel.sh
. integration/kernels/tests.sh
. integration/kernels/boot.sh
. integration/kernels/table.sh
. integration/kernels/suites.sh

versions=() minutes=60 at_once=$(nproc) fresh=no architecture=amd64 chosen=()
while [[ $# -gt 0 ]]; do
    case $1 in
        --suites) IFS=, read -ra chosen <<<"${2:?--suites NAME,...}" && shift ;;
        --minutes) minutes=${2:?--minutes N} && shift ;;
        --jobs) at_once=${2:?--jobs N} && shift ;;
        --fresh) fresh=yes ;;
        --architecture) architecture=${2:?--architecture A} && shift ;;
        --list) printf '%s\n' "${suites[@]}" "${measured[@]}" && exit ;;
        -h | --help) usage && exit ;;
        *) [[ -n ${suites_of[$1]:-} ]] || { usage >&2 && exit 2; } && versions+=("$1") ;;
    esac
    shift
done
for_architecture "$architecture"
[[ ${#versions[@]} -gt 0 ]] || versions=("${all_versions[@]}")
[[ ${#chosen[@]} -gt 0 ]] || chosen=("${suites[@]}")
for suite in "${chosen[@]}"; do
    [[ " ${suites[*]} ${measured[*]} " == *" $suite "* ]] || { usage >&2 && exit 2; }
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
compile_for "$architecture"
run_suite() {
    say "Linux $(cat "$cache/$1/release"): $2 begins"
    boot "$1" "$2" "$images/tests.ext4" "$((minutes * 60))" || true
    say "Linux $(cat "$cache/$1/release"): $2: $(finding "$1" "$2")"
}

images=$(mktemp -d "$cache/run.XXXXXX")
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$images"' EXIT
make_tests "$images/tests.ext4" "${chosen[@]}"
for version in "${versions[@]}"; do
    for suite in "${chosen[@]}"; do
        while [[ $(jobs -rp | wc -l) -ge $at_once ]]; do wait -n || true; done
        run_suite "$version" "$suite" &
    done
done
wait
print_table "${versions[@]}"
