//! Named counters count whatever becomes of the rules that name them.

use std::net::UdpSocket;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::namespace::{TABLE, change, in_namespace, load, open, owns_tables};
use crate::tests::build::{chain, counters, jump, name, rule, told};
use crate::{
    Backend, BaseChain, Chain, Comment, Counter, CounterValue, Hook, Kernel, Match, NamedCounter, Ownership, Rule,
    Ruleset, Statement, Verdict,
};

const PORT: u16 = 9;
/// Whoever waits this long waits for nothing.
const PATIENCE: Duration = Duration::from_secs(60);
/// IP and UDP headers, and a byte.
const LENGTH: u64 = 20 + 8 + 1;

/// What comes for UDP port 9 is counted, told and dropped. `number` makes the rules differ.
fn counting(number: u8) -> Ruleset {
    let dropped = Statement { matches: vec![Match::UdpDport(PORT)], ..told("dropped") };
    let own = Statement { counter: Some(Counter::Own), ..rule([Match::UdpDport(PORT)], Verdict::Drop) };
    let pod = chain([rule([Match::HopLimit(number)], Verdict::Accept), dropped, own]);
    let base = BaseChain { hook: Hook::Input, priority: 0 };
    let input = Chain { base: Some(base), rules: vec![Rule::Own(rule([], jump("pod")))], comment: None };
    Ruleset {
        chains: [(name("input"), input), (name("pod"), pod)].into(),
        counters: counters(&["dropped", "other"]),
        ..Ruleset::empty(name(TABLE))
    }
}

pub(in crate::netlink) fn bring_loopback_up() {
    let status = Command::new("ip").args(["link", "set", "lo", "up"]).status();
    assert!(status.expect("these tests need ip: apt-get install iproute2").success());
}

/// What `counter` has counted when that is at least `packets`: some may still be under way when they have been sent.
pub(in crate::netlink) fn counted_in_time(kernel: &mut Kernel, counter: &str, packets: u64) -> CounterValue {
    let begun = Instant::now();
    loop {
        let value = kernel.named_counters().unwrap()[&name(counter)];
        if value.packets >= packets || begun.elapsed() > PATIENCE {
            return value;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_counter_is_exact_through_rewrites_and_owners() {
    in_namespace(|| {
        bring_loopback_up();
        let mut first = open(Ownership::Take);
        change(&mut first, None, &counting(0)).unwrap();
        let (done, sent) = (AtomicBool::new(false), AtomicU64::new(0));
        let mut kernel = thread::scope(|scope| {
            scope.spawn(|| {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                let begun = Instant::now();
                while !done.load(Ordering::Relaxed) && begun.elapsed() < PATIENCE {
                    socket.send_to(&[1], ("127.0.0.1", PORT)).unwrap();
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            });
            for number in 1..=100 {
                change(&mut first, Some(&counting(number - 1)), &counting(number)).unwrap();
            }
            drop(first);
            let mut kernel = open(Ownership::Take);
            assert_eq!(kernel.adopt().unwrap(), owns_tables());
            let mut held = kernel.read().unwrap().unwrap();
            for number in 101..=200 {
                let mut next = counting(number);
                next.counters.insert(name("dropped"), NamedCounter { comment: Some(Comment::new("another")) });
                change(&mut kernel, Some(&held), &next).unwrap();
                held = next;
            }
            done.store(true, Ordering::Relaxed);
            kernel
        });
        let sent = sent.into_inner();
        assert!(sent > 200, "{sent}");
        assert_eq!(counted_in_time(&mut kernel, "dropped", sent), CounterValue { packets: sent, bytes: sent * LENGTH });
        assert!(kernel.counters().unwrap()[&name("pod")].packets < sent, "what a rule counts itself starts again");
        assert_eq!(kernel.named_counters().unwrap()[&name("other")], CounterValue::default());
        assert_eq!(kernel.read().unwrap(), Some(counting(200)));
    });
}

#[test]
fn any_socket_reads_them() {
    in_namespace(|| {
        let mut kernel = open(Ownership::Take);
        assert_eq!(kernel.named_counters(), Ok([].into()));
        change(&mut kernel, None, &counting(0)).unwrap();
        let other = open(Ownership::Plain).named_counters().unwrap();
        assert_eq!(other.into_keys().collect::<Vec<_>>(), [name("dropped"), name("other")]);
    });
}

#[test]
fn what_another_hand_made_is_kept_where_it_is_wanted_and_goes_where_not() {
    in_namespace(|| {
        load(
            "table inet palisade { counter dropped { comment \"mine\"; packets 7 bytes 70; }; counter third { }; \
             quota dropped { 5 bytes }; }",
        );
        let mut kernel = open(Ownership::Plain);
        let mut held = kernel.read().unwrap().unwrap();
        assert_eq!(held.foreign, ["object dropped".to_owned()].into());
        load("delete quota inet palisade dropped");
        held.foreign.clear();
        assert_eq!(kernel.read().unwrap().as_ref(), Some(&held));
        change(&mut kernel, Some(&held), &counting(0)).unwrap();
        let counted = kernel.named_counters().unwrap();
        assert_eq!(counted.len(), 2);
        assert_eq!(counted[&name("dropped")], CounterValue { packets: 7, bytes: 70 });
    });
}

#[test]
fn ten_thousand_counters_are_read_at_once() {
    in_namespace(|| {
        let names: Vec<String> = (0..10_000).map(|number| format!("pod-{number}")).collect();
        let counters = counters(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let mut kernel = open(Ownership::Take);
        let written = Ruleset { counters, ..Ruleset::empty(name(TABLE)) };
        change(&mut kernel, None, &written).unwrap();
        assert_eq!(kernel.named_counters().unwrap().len(), 10_000);
        assert_eq!(kernel.read().unwrap(), Some(written));
    });
}
