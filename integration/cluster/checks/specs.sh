# Kubernetes' own specs of NetworkPolicy. Left out are those that disturb a whole cluster, and those that need SCTP sockets
# where the kernel has none.

want_palisade
skip='\[Disruptive\]'
[[ -e /proc/net/sctp ]] || { skip+='|SCTPConnectivity'; say '   SCTP is left out: this kernel has no such sockets'; }
run_specs 'Netpol|NetworkPolicy' "$skip" specs
read -r ran passed failed <"$logs/specs.counts"
judge specs "upstream's NetworkPolicy specs" "$passed of $ran passed, in $took s" \
    test "$passed" -eq "$ran" -a "$failed" -eq 0 -a "$ran" -gt 40
