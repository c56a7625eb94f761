use super::namespace::{change, in_namespace, load, open};
use super::sample::everything;
use crate::tests::build::name;
use crate::{Backend, Ownership, Rule};

/// Scripts that another hand may run on our table, and what is read of that.
const OBJECTS: [(&str, &[&str]); 14] = [
    ("add chain inet palisade Odd", &["chain Odd"]),
    ("add chain inet palisade nat { type nat hook prerouting priority -100; }", &["chain nat"]),
    ("add chain inet palisade late { type filter hook forward priority 10; policy drop; }", &["chain late"]),
    ("add chain inet palisade in { type filter hook output priority 0; }", &["chain in"]),
    ("add set inet palisade marks { type mark; }", &["set marks"]),
    ("add set inet palisade brief { type ipv4_addr; timeout 1h; }", &["set brief"]),
    ("add set inet palisade small { type ipv4_addr; size 9; }", &["set small"]),
    ("add map inet palisade to { type ipv4_addr : ipv4_addr; }", &["set to"]),
    ("add element inet palisade peers-4 { 10.9.9.9 comment \"mine\" }", &["set peers-4"]),
    ("add element inet palisade pods-4 { 10.9.9.9 : return }", &["set pods-4"]),
    ("add counter inet palisade Hits; add set inet palisade Odd { type ipv4_addr; }", &["object Hits", "set Odd"]),
    ("add quota inet palisade some { 5 bytes }", &["object some"]),
    ("add limit inet palisade dropped { rate 5/second }", &["object dropped"]),
    ("add table inet palisade { flags dormant; }", &["flags dormant"]),
];

/// Rules of others, and how many of ours and theirs the chain has then.
const RULES: [&str; 18] = [
    "tcp dport { 22, 80 } accept",
    "meta l4proto { tcp, udp } jump { accept; }",
    "ip saddr 10.0.0.0/8 accept",
    "meta nfproto ipv4 accept",
    "ct status snat accept",
    "ip saddr != 10.0.0.1 accept",
    "counter log drop",
    "log prefix \"p\" level warn",
    "log group 6",
    "log prefix \"\u{e9}\" group 6",
    "log prefix \"p\" group 6 queue-threshold 5",
    "limit rate 10/minute counter drop",
    "limit rate 10/minute",
    "limit rate over 10/second drop",
    "limit rate 10 bytes/second",
    "log prefix \"p\" group 6 counter",
    "tcp sport vmap @ports",
    "return",
];

#[test]
fn objects_of_others_are_told_and_go() {
    let ours = everything();
    for (script, told) in OBJECTS {
        in_namespace(|| {
            let mut kernel = open(Ownership::Plain);
            change(&mut kernel, None, &ours).unwrap();
            load(script);
            let read = kernel.read().unwrap().unwrap();
            assert_eq!(read.foreign.iter().map(String::as_str).collect::<Vec<_>>(), told, "{script}");
            change(&mut kernel, Some(&read), &ours).unwrap();
            assert_eq!(kernel.read().unwrap().as_ref(), Some(&ours), "{script}");
        });
    }
}

#[test]
fn rules_of_others_are_told_and_go() {
    let ours = everything();
    for rule in RULES {
        in_namespace(|| {
            let mut kernel = open(Ownership::Plain);
            change(&mut kernel, None, &ours).unwrap();
            load(&format!("insert rule inet palisade late {rule}"));
            let mut expected = ours.clone();
            expected.chains.get_mut(&name("late")).unwrap().rules.insert(0, Rule::Foreign);
            let read = kernel.read().unwrap().unwrap();
            assert_eq!(read, expected, "{rule}");
            change(&mut kernel, Some(&read), &ours).unwrap();
            assert_eq!(kernel.read().unwrap().as_ref(), Some(&ours), "{rule}");
        });
    }
}

#[test]
fn tables_of_others_are_not_ours() {
    in_namespace(|| {
        load("add table ip palisade; add chain ip palisade c; add table inet palisade-2; add chain inet palisade-2 c");
        let mut kernel = open(Ownership::Take);
        assert_eq!(kernel.read().unwrap(), None);
        change(&mut kernel, None, &everything()).unwrap();
        assert_eq!(kernel.read().unwrap(), Some(everything()));
    });
}
