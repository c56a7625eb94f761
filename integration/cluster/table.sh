# What was found, a line each, and the table of it.

# row passed|FAILED|shown CHECK WHAT FINDING: "shown" is for what is measured but not judged.
row() {
    printf '%s\t%s\t%s\t%s\n' "$2" "$3" "$4" "$1" >>"$logs/table"
    say "   $1: $3: $4"
}

# judge CHECK WHAT FINDING COMMAND...: passed where the command succeeds.
judge() {
    local check=$1 what=$2 finding=$3
    shift 3
    if "$@" >/dev/null 2>&1; then row passed "$check" "$what" "$finding"; else row FAILED "$check" "$what" "$finding"; fi
}

print_table() {
    [[ -e $logs/table ]] || return 0
    awk -F '\t' '
        { for (i = 1; i <= NF; i++) { cell[NR, i] = $i; if (length($i) > width[i]) width[i] = length($i) } }
        END {
            for (line = 0; line <= NR; line++) {
                if (line == 1) { for (i = 1; i <= 4; i++) printf "|%s", dashes(width[i] + 2); print "|" }
                for (i = 1; i <= 4; i++) printf "| %-" width[i] "s ", line ? cell[line, i] : head[i]
                print "|"
            }
        }
        function dashes(n,  s) { while (n-- > 0) s = s "-"; return s }
        BEGIN { split("check,what,found,verdict", head, ","); for (i in head) width[i] = length(head[i]) }
    ' "$logs/table"
}
all_passed() { [[ -e $logs/table ]] && ! grep -q $'\tFAILED$' "$logs/table"; }
