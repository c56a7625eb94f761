//! Named counters, and rules that count, limit and tell.

use insta::assert_snapshot;

use super::build::*;
use crate::{
    Chain, Comment, Diff, Division, Edit, Met, NamedCounter, Outcome, Packet, PacketState, Ruleset, Statement, Summary,
    Transaction, Transport, Verdict, WalkError, diff, walk,
};

/// A pod whose chain counts in `counter`.
fn pod(counter: &str) -> Ruleset {
    let pod = chain([told(counter), rule([], Verdict::Drop)]);
    let mut ruleset = table(&[("forward", base(0, [rule([], jump("pod"))])), ("pod", pod)], &[]);
    ruleset.counters = counters(&[counter]);
    ruleset
}

fn commented_counter(comment: &str) -> NamedCounter {
    NamedCounter { comment: Some(Comment::new(comment)) }
}

fn commands(diff: &Diff) -> String {
    Transaction::from(diff).to_string()
}

#[test]
fn they_read_as_in_nft() {
    let mut ruleset = pod("dropped-web");
    ruleset.counters.insert(name("dropped-web"), commented_counter("pod shop/web"));
    assert_snapshot!(ruleset, @r#"
    table inet palisade {
    	counter dropped-web {
    		comment "pod shop/web"
    	}

    	chain forward {
    		type filter hook forward priority 0; policy accept;
    		jump pod
    	}

    	chain pod {
    		counter name "dropped-web" limit rate 10/second burst 7 packets log prefix "dropped-web " group 6 snaplen 192
    		drop
    	}
    }
    "#);
    let plain = Statement { limit: Some(limit(1, 5)), log: Some(log("p", 0, 0)), ..rule([], Verdict::Accept) };
    assert_snapshot!(plain, @r#"limit rate 1/second log prefix "p" group 0 accept"#);
}

#[test]
fn a_counter_comes_before_and_goes_after_what_names_it() {
    assert_snapshot!(commands(&diff(Some(&pod("old")), &pod("new"))), @r#"
    flush chain pod
    delete counter old
    add counter new
    add rule pod counter name "new" limit rate 10/second burst 7 packets log prefix "new " group 6 snaplen 192
    add rule pod drop
    "#);
    let none = Ruleset::empty(name("palisade"));
    assert_snapshot!(commands(&diff(Some(&pod("old")), &none)), @r"
    flush chain forward
    flush chain pod
    delete chain forward
    delete chain pod
    delete counter old
    ");
}

#[test]
fn a_counter_that_is_there_is_not_touched() {
    let held = pod("dropped");
    let mut other = held.clone();
    other.counters.insert(name("dropped"), commented_counter("another"));
    assert!(diff(Some(&held), &other).is_empty());
    let mut edited = held.clone();
    let edit = Edit { counters: [(name("dropped"), Some(commented_counter("another")))].into(), ..Edit::default() };
    assert!(edited.apply(edit).unwrap().is_empty());
    assert_eq!(edited, held);
}

#[test]
fn a_counter_that_goes_and_comes_again_stays() {
    let (held, none) = (pod("dropped"), Ruleset::empty(name("palisade")));
    let [away, back] = [diff(Some(&held), &none), diff(Some(&none), &held)];
    assert!(away.clone().then(back.clone()).counters.is_empty());
    assert!(back.then(away).counters.is_empty());
}

#[test]
fn what_is_counted_is_summed_up() {
    let both = diff(Some(&pod("old")), &pod("new")).summary();
    assert_eq!(both, Summary { counters_added: 1, counters_removed: 1, rules_added: 2, rules_removed: 2, ..both });
}

#[test]
fn of_steps_counters_go_with_the_last() {
    let before = pod("old");
    let mut after = pod("new");
    after.chains.insert(name("pod"), chain([]));
    after.chains.insert(name("more"), chain([told("new")]));
    after.sets.insert(name("ranges"), set(ranges(&[("10.0.0.0", "10.0.0.9")])));
    let steps: Vec<_> = diff(Some(&before), &after).into_steps().iter().map(commands).collect();
    assert_snapshot!(steps.join("--\n"), @r#"
    add counter new
    add chain more
    add set ranges { type ipv4_addr; flags interval; }
    add element ranges { 10.0.0.0-10.0.0.9 }
    add rule more counter name "new" limit rate 10/second burst 7 packets log prefix "new " group 6 snaplen 192
    --
    flush chain pod
    --
    delete counter old
    "#);
}

#[test]
fn of_parts_none_counts_in_what_is_not_there() {
    let (before, after) = (pod("old"), pod("new"));
    let division = Division { budget: 1, sets: 0, entries: [].into() };
    let parts: Vec<_> = diff(Some(&before), &after).parts(&division).iter().map(commands).collect();
    assert_snapshot!(parts.join("--\n"), @r#"
    add counter new
    --
    flush chain pod
    add rule pod counter name "new" limit rate 10/second burst 7 packets log prefix "new " group 6 snaplen 192
    add rule pod drop
    --
    delete counter old
    "#);
}

#[test]
fn what_counts_in_what_is_pending_is_not_apart() {
    let is_apart = |later: &Diff, pending: &Diff| later.extract_what_precedes(&mut vec![pending.clone()]).0.is_empty();
    let before = pod("old");
    let mut with_counter = before.clone();
    with_counter.counters.extend(counters(&["new"]));
    let pending = diff(Some(&before), &with_counter);
    let mut after = with_counter.clone();
    after.chains.insert(name("more"), chain([told("new")]));
    let later = diff(Some(&with_counter), &after);
    assert!(!is_apart(&later, &pending));
    let away = diff(Some(&with_counter), &before);
    assert!(!is_apart(&away, &pending) && away.shares_names_with(&pending));
    after.chains.insert(name("more"), chain([told("old")]));
    assert!(is_apart(&diff(Some(&with_counter), &after), &pending));
}

#[test]
fn a_packet_meets_counters_and_logs_in_order() {
    let mut ruleset = pod("first");
    let packet = Packet::new(
        v4("10.0.0.1").into(),
        v4("10.0.0.2").into(),
        Transport::Ports { protocol: 17, destination: 1 },
        PacketState::New,
    );
    let Chain { rules, .. } = chain([rule([crate::Match::L4Proto(6)], Verdict::Drop), told("second")]);
    ruleset.counters.extend(counters(&["second"]));
    ruleset.chains.get_mut(&name("forward")).unwrap().rules.splice(0..0, rules);
    let way = walk(&ruleset, &packet).unwrap();
    let log = |prefix| Met::Log(log(prefix, 6, 0).prefix);
    let met = [Met::Counter(name("second")), log("second "), Met::Counter(name("first")), log("first ")];
    assert_eq!((way.verdict, way.met.as_slice()), (Outcome::Drop, met.as_slice()));
    ruleset.counters.remove(&name("second"));
    assert_eq!(walk(&ruleset, &packet), Err(WalkError::NoSuchCounter(name("second"))));
}
