# What runs in the guest: the tests, built here, with the program, the sources that they read, and cases. They lie at the same
# paths as here, since programs know some of them.

cases_of_a_kind=60

# The target directory of the programs that are run.
programs_directory() {
    local target
    target=$(cargo metadata --no-deps --offline --format-version 1 | jq -r .target_directory)
    echo "$target/${target_of_cargo[1]:+$rust/}emulated"
}

# build_tests SUITE...: builds what these suites run, and prints of each program its package, its name, where it is to run, and
# where it is. Of the whole workspace, as the test command does: of some packages alone dependencies would be built anew.
build_tests() {
    local suite targets=()
    for suite in "$@"; do
        case $suite in
            units | nft | controller) [[ " ${targets[*]} " == *" --lib "* ]] || targets+=(--lib) ;;
            costs) targets+=(--bench commits --bench packets) ;;
            *) targets+=(--test "${test_of[$suite]}") ;;
        esac
    done
    cargo build --quiet --profile emulated "${target_of_cargo[@]}" --workspace --bin palisade
    cargo test --no-run --quiet --profile emulated "${target_of_cargo[@]}" --message-format=json --workspace "${targets[@]}" |
        jq -r 'select(.reason == "compiler-artifact" and .executable and .profile.test)
            | [(.manifest_path | split("/")[-2]), .target.name, (.manifest_path | rtrimstr("/Cargo.toml")), .executable]
            | @tsv'
}

# make_tests FILE SUITE...: the file system with all that these suites need.
make_tests() {
    local file=$1 tree programs directory
    shift
    directory=$(programs_directory)
    tree=$(mktemp -d "$cache/tests.XXXXXX")
    programs=$tree/programs
    build_tests "$@" >"$programs"
    mkdir -p "$tree/target"
    while IFS=$'\t' read -r _ _ _ program; do
        install -D "$program" "$tree/target/${program#"$directory/"}"
    done <"$programs"
    [[ ! -e $directory/palisade ]] || install "$directory/palisade" "$tree/target/palisade"
    find "$tree/target" -type f -exec "$gnu-strip" {} +
    mkdir "$tree/repository"
    (cd "$repository" && git ls-files -z | xargs -0 cp --parents -t "$tree/repository")
    sample_cases "$tree/cases"
    printf '%s\t%s\n' "$repository" /tests/repository "$directory" /tests/target >"$tree/links"
    cp "$scripts"/{guest,suites}.sh "$tree"
    image "$tree" "$file" 256
    rm -r "$tree"
}

# sample_cases DIRECTORY: some cases of each kind, spread evenly over all.
sample_cases() {
    local kind
    mkdir -p "$1"
    for kind in cnp others; do
        find "$repository/integration/cases" -name '*.json' | sort |
            if [[ $kind == cnp ]]; then grep /cnp-; else grep -v /cnp-; fi |
            awk -v n="$cases_of_a_kind" '{ line[NR] = $0 } END { for (i = 0; i < n; i++) print line[int(i * NR / n) + 1] }' |
            sort -u | xargs cp -t "$1"
    done
}
