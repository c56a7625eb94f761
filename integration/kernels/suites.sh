# What is run on a kernel. A suite is a function of that name; `tests PACKAGE TARGET [ARGUMENT...]` runs a program of tests.
# shellcheck disable=SC2034 # They are used where this is read.

# The tests of integration/ that each needs.
declare -A test_of=([lifecycle]=lifecycle [established]=established [never-open]=never_open [guard]=forging [links]=links
    [topologies]=topologies [elsewhere]=topologies [drops]=drops [one-node]=conformance [two-nodes]=conformance)
# Measured, not judged: run where it is named.
measured=(costs)
# What takes longest first: the others fill the gaps.
suites=(two-nodes one-node guard nft lifecycle never-open topologies established links drops units elsewhere controller)

# What asks no kernel.
suite-units() {
    tests model palisade_model
    tests nft palisade_nft --skip netlink --skip tests::kernel
}
# What does.
suite-nft() { tests nft palisade_nft netlink tests::kernel --skip garbage; }
suite-controller() { tests controller palisade kernel; }
suite-lifecycle() { tests integration lifecycle; }
suite-established() { tests integration established; }
# Where memory is short the kernel is not what matters.
suite-never-open() { tests integration never_open --skip too_little_memory; }
suite-guard() { tests integration forging; }
suite-links() { tests integration links; }
suite-topologies() { tests integration topologies; }
suite-elsewhere() { tests integration topologies elsewhere --ignored; }
# Times are instructions, a nanosecond each: to be compared with those of another kernel that was emulated.
suite-costs() { tests integration commits pods && PALISADE_TURNS=3 tests integration packets single; }
suite-drops() { tests integration drops; }
suite-one-node() { PALISADE_CASES=/tests/cases tests integration conformance one-node; }
suite-two-nodes() { PALISADE_CASES=/tests/cases tests integration conformance two-nodes --skip open; }
