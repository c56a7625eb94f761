# Without the agent: specs that forbid something must fail, or they prove nothing.

want_no_palisade
run_specs 'NetworkPolicy.*(deny-all|default-deny-ingress|based on Ports|podSelector)' '\[Disruptive\]|SCTP|UDP' control
read -r ran passed failed <"$logs/control.counts"
judge control 'without the agent these specs fail' "$failed of $ran failed, in $took s" test "$passed" -eq 0 -a "$ran" -gt 0
