# What came of it: a row a suite, a column a kernel.

# finding VERSION SUITE: as `187 in 95 s`, in the guest's time; `FAILED 2 of 187`; `not ended (12 passed)`; `measured in 95 s`.
finding() {
    awk -v measured="$([[ " ${measured[*]} " == *" $2 "* ]] && echo 1)" '
        /^test .* ok$/ { ok++ }
        /^test result: / { passed += $4; failed += $6 }
        $1 == "@" && $2 == "end" { ended = 1; status = $4; seconds = $5 }
        END {
            if (!ended) printf "not ended (%d passed)\n", ok
            else if (status == 0 && measured) printf "measured in %d s\n", seconds
            else if (status != 0 || passed == 0) printf "FAILED %d of %d\n", failed, passed + failed
            else printf "%d in %d s\n", passed, seconds
        }' "$logs/$1-$2.log"
}

# print_table VERSION...: 1 where something failed, or was not reached.
print_table() {
    local version suite found status=0
    printf '| suite |'
    for version in "$@"; do printf ' %s |' "$(cat "$cache/$version/release")"; done
    printf '\n|---|'
    for version in "$@"; do printf -- '---|'; done
    printf '\n'
    for suite in "${chosen[@]}"; do
        printf '| %s |' "$suite"
        for version in "$@"; do
            found=$(finding "$version" "$suite")
            [[ $found == [0-9]* || $found == measured* ]] || status=1
            printf ' %s |' "$found"
        done
        printf '\n'
    done
    [[ $status -eq 0 ]] || say "what failed is told in $logs/VERSION-SUITE.log, what the kernel said in $logs/VERSION-SUITE.console"
    return "$status"
}
