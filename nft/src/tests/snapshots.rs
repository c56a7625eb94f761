//! Rulesets and transactions as a person reads them.

use insta::assert_snapshot;

use super::build::*;
use crate::{
    AddressField, Chain, Comment, CtState, Edit, EditError, Elements, ElementsKind, Endpoint, Family, Key, Mark, Match,
    Rule, Ruleset, Set, SetEdit, Summary, TableChange, Transaction, Verdict, diff,
};

/// The transaction of an edit of one pod's ruleset, which the law tests hold to be right.
fn transaction(edit: Edit) -> Transaction {
    Transaction::from(&one_pod().apply(edit).unwrap())
}

fn chains<const N: usize>(chains: [(&str, Option<Chain>); N]) -> Edit {
    Edit { chains: chains.into_iter().map(|(n, chain)| (name(n), chain)).collect(), ..Edit::default() }
}

fn sets<const N: usize>(sets: [(&str, SetEdit); N]) -> Edit {
    Edit { sets: sets.into_iter().map(|(n, set)| (name(n), set)).collect(), ..Edit::default() }
}

#[test]
fn a_ruleset() {
    assert_snapshot!(one_pod(), @r#"
    table inet palisade {
    	comment "layout 1"
    	set cidrs {
    		type ipv4_addr
    		flags interval
    		elements = { 10.0.0.0/8, 11.0.0.3-11.0.0.9 }
    	}

    	map egress-pods {
    		type ipv4_addr : verdict
    		elements = { 10.1.1.1 : goto pod-shop-web }
    	}

    	set pods {
    		type ipv4_addr
    		elements = { 10.1.1.1, 10.1.1.2 }
    	}

    	map ports {
    		type inet_service : verdict
    		flags interval
    		elements = { 80 : accept, 90-100 : jump segment }
    	}

    	chain egress {
    		type filter hook forward priority -20; policy accept;
    		meta l4proto icmp accept
    		ip saddr vmap @egress-pods
    	}

    	chain pod-shop-web {
    		comment "pod shop/web"
    		ip daddr 10.1.1.1 accept
    		meta l4proto tcp ct reply proto-src vmap @ports
    		ip daddr @cidrs accept
    		counter drop comment "shop/web egress"
    	}

    	chain segment {
    		ip daddr @pods accept
    	}
    }
    "#);
}

#[test]
fn a_script_replaces_the_table() {
    assert_snapshot!(Ruleset::empty(name("palisade")).to_text(), @r"
    table inet palisade
    delete table inet palisade
    table inet palisade {
    }
    ");
}

#[test]
fn long_element_lists_are_wrapped() {
    let many: Vec<String> = (1..=12).map(|i| format!("10.100.100.{i}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_snapshot!(table(&[], &[("many", addresses(&many))]), @r"
    table inet palisade {
    	set many {
    		type ipv4_addr
    		elements = { 10.100.100.1, 10.100.100.2, 10.100.100.3, 10.100.100.4, 10.100.100.5, 10.100.100.6,
    			     10.100.100.7, 10.100.100.8, 10.100.100.9, 10.100.100.10, 10.100.100.11, 10.100.100.12 }
    	}
    }
    ");
}

#[test]
fn what_is_foreign_is_a_comment() {
    let mut ruleset = table(&[("c", chain([rule([], Verdict::Accept)]))], &[]);
    ruleset.chains.get_mut(&name("c")).unwrap().rules.push(Rule::Foreign);
    ruleset.foreign.insert("set Odd\n".to_owned());
    assert_snapshot!(ruleset, @r"
    table inet palisade {
    	# not of ours: set Odd\n
    	chain c {
    		accept
    		# a rule that is not of ours
    	}
    }
    ");
}

#[test]
fn a_new_table_is_created_from_the_ground_up() {
    assert_snapshot!(Transaction::from(&diff(None, &one_pod())), @r#"
    add table { comment "layout 1"; }
    add chain egress { type filter hook forward priority -20; policy accept; }
    add chain pod-shop-web { comment "pod shop/web"; }
    add chain segment
    add set cidrs { type ipv4_addr; flags interval; }
    add map egress-pods { type ipv4_addr : verdict; }
    add set pods { type ipv4_addr; }
    add map ports { type inet_service : verdict; flags interval; }
    add element cidrs { 10.0.0.0/8, 11.0.0.3-11.0.0.9 }
    add element egress-pods { 10.1.1.1 : goto pod-shop-web }
    add element pods { 10.1.1.1, 10.1.1.2 }
    add element ports { 80 : accept, 90-100 : jump segment }
    add rule egress meta l4proto icmp accept
    add rule egress ip saddr vmap @egress-pods
    add rule pod-shop-web ip daddr 10.1.1.1 accept
    add rule pod-shop-web meta l4proto tcp ct reply proto-src vmap @ports
    add rule pod-shop-web ip daddr @cidrs accept
    add rule pod-shop-web counter drop comment "shop/web egress"
    add rule segment ip daddr @pods accept
    "#);
}

#[test]
fn a_remote_pod_touches_elements() {
    let edit = SetEdit::Elements { add: addresses(&["10.9.9.9", "10.1.1.1"]), remove: addresses(&["10.1.1.2"]) };
    assert_snapshot!(transaction(sets([("pods", edit)])), @r"
    delete element pods { 10.1.1.2 }
    add element pods { 10.9.9.9 }
    ");
}

#[test]
fn a_pod_that_goes_takes_its_chain_along() {
    let mut edit = chains([("pod-shop-web", None), ("segment", None)]);
    let gone = SetEdit::Elements { add: verdicts([]), remove: verdicts([("10.1.1.1", Verdict::Drop)]) };
    edit.sets = [(name("egress-pods"), gone), (name("ports"), SetEdit::Remove)].into();
    let transaction = transaction(edit);
    assert_snapshot!(transaction, @r"
    flush chain pod-shop-web
    flush chain segment
    delete element egress-pods { 10.1.1.1 : goto pod-shop-web }
    delete element ports { 90-100 : jump segment }
    delete set ports
    delete chain pod-shop-web
    delete chain segment
    ");
}

#[test]
fn a_map_key_with_another_verdict_goes_and_comes() {
    let edit = SetEdit::Elements { add: verdicts([("10.1.1.1", goto("segment"))]), remove: verdicts([]) };
    assert_snapshot!(transaction(sets([("egress-pods", edit)])), @r"
    delete element egress-pods { 10.1.1.1 : goto pod-shop-web }
    add element egress-pods { 10.1.1.1 : goto segment }
    ");
}

#[test]
fn a_set_of_another_type_is_recreated_with_its_references() {
    assert_snapshot!(transaction(sets([("pods", SetEdit::Put(set(ranges(&[("10.1.1.1", "10.1.1.2")]))))])), @r"
    flush chain segment
    delete set pods
    add set pods { type ipv4_addr; flags interval; }
    add element pods { 10.1.1.1-10.1.1.2 }
    add rule segment ip daddr @pods accept
    ");
}

/// Some kernels take a chain to be used by a map that goes in the same transaction, unless its elements went first.
#[test]
fn a_map_that_goes_and_comes_again_releases_first_what_its_elements_lead_to() {
    let held = one_pod().sets[&name("ports")].elements.clone();
    let lead_nowhere = held.with_verdict(|verdict| verdict.target().is_none());
    let ports = Set { elements: lead_nowhere, comment: Some(Comment::new("another")) };
    let mut edit = chains([("segment", None)]);
    edit.sets = [(name("ports"), SetEdit::Put(ports))].into();
    assert_snapshot!(transaction(edit), @r#"
    flush chain pod-shop-web
    flush chain segment
    delete element ports { 90-100 : jump segment }
    delete set ports
    delete chain segment
    add map ports { type inet_service : verdict; flags interval; comment "another"; }
    add element ports { 80 : accept }
    add rule pod-shop-web ip daddr 10.1.1.1 accept
    add rule pod-shop-web meta l4proto tcp ct reply proto-src vmap @ports
    add rule pod-shop-web ip daddr @cidrs accept
    add rule pod-shop-web counter drop comment "shop/web egress"
    "#);
}

#[test]
fn a_chain_with_another_comment_is_recreated_with_its_references() {
    let segment = commented(chain([rule([], Verdict::Accept)]), "open");
    assert_snapshot!(transaction(chains([("segment", Some(segment))])), @r#"
    flush chain segment
    delete element ports { 90-100 : jump segment }
    delete chain segment
    add chain segment { comment "open"; }
    add element ports { 90-100 : jump segment }
    add rule segment accept
    "#);
    let pod = commented(chain([rule([], Verdict::Drop)]), "pod shop/other");
    assert_snapshot!(transaction(chains([("pod-shop-web", Some(pod))])), @r#"
    flush chain pod-shop-web
    delete element egress-pods { 10.1.1.1 : goto pod-shop-web }
    delete chain pod-shop-web
    add chain pod-shop-web { comment "pod shop/other"; }
    add element egress-pods { 10.1.1.1 : goto pod-shop-web }
    add rule pod-shop-web drop
    "#);
}

#[test]
fn a_base_chain_with_another_priority_is_recreated() {
    let egress = base(-10, [vmap(SADDR, "egress-pods")]);
    assert_snapshot!(transaction(chains([("egress", Some(egress))])), @r"
    flush chain egress
    delete chain egress
    add chain egress { type filter hook forward priority -10; policy accept; }
    add rule egress ip saddr vmap @egress-pods
    ");
}

#[test]
fn commands_name_the_table() {
    let mut ruleset = table(&[("c", base(0, [rule([], Verdict::Accept)]))], &[]);
    ruleset.comment = Some(Comment::new("layout 1"));
    let endpoint = Endpoint { address: v4("10.0.0.1"), protocol: 132, port: 9 };
    ruleset.sets.insert(
        name("s"),
        Set { elements: Elements::Ipv4Endpoints([endpoint].into()), comment: Some(Comment::new("named ports")) },
    );
    assert_snapshot!(Transaction::from(&diff(None, &ruleset)).to_commands(&ruleset.table), @r#"
    add table inet palisade { comment "layout 1"; }
    add chain inet palisade c { type filter hook forward priority 0; policy accept; }
    add set inet palisade s { type ipv4_addr . inet_proto . inet_service; comment "named ports"; }
    add element inet palisade s { 10.0.0.1 . sctp . 9 }
    add rule inet palisade c accept
    "#);
}

#[test]
fn foreign_rules_and_objects_are_repaired() {
    let mut tampered = one_pod();
    tampered.chains.get_mut(&name("segment")).unwrap().rules.push(Rule::Foreign);
    assert_snapshot!(Transaction::from(&diff(Some(&tampered), &one_pod())), @r"
    flush chain segment
    add rule segment ip daddr @pods accept
    ");
    tampered.foreign.insert("flowtable f".to_owned());
    let replacement = diff(Some(&tampered), &one_pod());
    assert_eq!(replacement.table, TableChange::Recreated { comment: one_pod().comment });
    assert_snapshot!(Transaction::from(&replacement).to_string().lines().take(3).collect::<Vec<_>>().join("\n"), @r#"
    delete table
    add table { comment "layout 1"; }
    add chain egress { type filter hook forward priority -20; policy accept; }
    "#);
}

#[test]
fn a_table_of_another_name_counts_as_none() {
    let other = Ruleset { table: name("other").into(), ..one_pod() };
    assert_eq!(diff(Some(&other), &one_pod()), diff(None, &one_pod()));
}

#[test]
fn a_summary_counts_what_is_written() {
    let none = Summary::default();
    assert_eq!(
        diff(None, &one_pod()).summary(),
        Summary { chains_added: 3, rules_added: 7, sets_added: 4, elements_added: 7, ..none }
    );
    assert_eq!(
        diff(Some(&one_pod()), &Ruleset { comment: one_pod().comment, ..table(&[], &[]) }).summary(),
        Summary { chains_removed: 3, rules_removed: 7, sets_removed: 4, elements_removed: 7, ..none }
    );
    let mut pod = one_pod();
    let edit = SetEdit::Put(set(addresses(&["10.1.1.1", "10.1.1.3", "10.1.1.4"])));
    assert_eq!(
        pod.apply(sets([("pods", edit)])).unwrap().summary(),
        Summary { elements_added: 2, elements_removed: 1, ..none }
    );
}

#[test]
fn edits_that_make_no_sense_change_nothing() {
    let ipv6 = || Elements::empty(ElementsKind::Ipv6);
    let foreign = Chain { rules: vec![Rule::Foreign], ..chain([]) };
    let wrong = EditError::WrongKind { set: name("pods"), kind: ElementsKind::Ipv4, given: ElementsKind::Ipv6 };
    for (edit, expected) in [
        (sets([("x", SetEdit::Elements { add: ipv6(), remove: ipv6() })]), EditError::NoSuchSet(name("x"))),
        (sets([("pods", SetEdit::Elements { add: ipv6(), remove: addresses(&[]) })]), wrong.clone()),
        (sets([("pods", SetEdit::Elements { add: addresses(&[]), remove: ipv6() })]), wrong),
        (chains([("c", Some(foreign))]), EditError::ForeignRule(name("c"))),
    ] {
        let mut edit = edit;
        edit.chains.insert(name("a"), None);
        edit.sets.insert(name("cidrs"), SetEdit::Remove);
        let mut ruleset = one_pod();
        assert_eq!(ruleset.apply(edit), Err(expected));
        assert_eq!(ruleset, one_pod());
    }
}

#[test]
fn an_edit_of_what_is_so_already_is_no_difference() {
    let mut ruleset = one_pod();
    let mut edit = Edit::default();
    edit.chains.extend(ruleset.chains.iter().map(|(n, chain)| (n.clone(), Some(chain.clone()))));
    edit.sets.extend(ruleset.sets.iter().map(|(n, set)| (n.clone(), SetEdit::Put(set.clone()))));
    edit.chains.insert(name("x"), None);
    edit.sets.insert(name("x"), SetEdit::Remove);
    assert!(ruleset.apply(edit).unwrap().is_empty());
}

#[test]
fn statements_read_as_in_nft() {
    let texts: Vec<String> = [
        Match::CtState([CtState::Invalid, CtState::Untracked].into()),
        Match::CtStateIsNot(CtState::Related),
        Match::CtMark(Mark { mask: 0xff00_0000, value: 0x4100_0000 }),
        Match::L4Proto(58),
        Match::L4Proto(47),
        Match::Icmpv6Types { first: 133, last: 137 },
        Match::Address(AddressField::Saddr, "fd00::1".parse().unwrap()),
        Match::Address(AddressField::OriginalSaddr, "fd00::1".parse().unwrap()),
        within(DADDR, "s"),
        within(Key::Address(Family::Ipv4, AddressField::ReplySaddr), "s"),
        within(Key::Endpoint(Family::Ipv6, 17), "s"),
        within(Key::Port(132), "s"),
    ]
    .iter()
    .map(Match::to_string)
    .collect();
    assert_snapshot!(texts.join("\n"), @r"
    ct state invalid,untracked
    ct state != related
    ct mark & 0xff000000 == 0x41000000
    meta l4proto ipv6-icmp
    meta l4proto 47
    icmpv6 type 133-137
    ip6 saddr fd00::1
    ct original ip6 saddr fd00::1
    ip daddr @s
    ct reply ip saddr @s
    meta l4proto udp ct reply ip6 saddr . meta l4proto . ct reply proto-src @s
    meta l4proto sctp ct reply proto-src @s
    ");
}
