//! What goes, when packets may be at it.

use std::sync::mpsc;

use palisade_model::testing::changes;
use proptest::prelude::*;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::*;
use crate::worker::Worker;

/// Packets that pass when the test says so.
fn with_packets(enforcer: &mut Enforcer<Fake>) -> UnboundedSender<()> {
    let (errands, begun) = mpsc::channel();
    let (pass, outcomes) = unbounded_channel();
    // Whoever begins to wait is to find somebody there.
    std::mem::forget(begun);
    enforcer.passage = Passage::with(|| {}, Worker::Elsewhere { errands, outcomes, outcome: None });
    pass
}

/// Commits until nothing is left, not even what waits for packets.
fn finish(enforcer: &mut Enforcer<Fake>, pass: &UnboundedSender<()>) {
    while enforcer.backlog.has_retired() || !enforcer.is_all_in_force() {
        if enforcer.passage.is_awaited() {
            pass.send(()).unwrap();
        }
        enforcer.commit_some().unwrap();
    }
}

#[test]
fn nobody_waits_for_packets_that_may_be_at_what_goes() {
    let mut enforcer = enforcer_of(Fake::new(table()));
    let pass = with_packets(&mut enforcer);
    let looks_up = |ruleset: &Ruleset, app: &str| {
        ruleset.sets.keys().any(|name| name.as_str().starts_with(&format!("pods-app-{app}-in-shop")))
    };
    let edit = |enforcer: &mut Enforcer<Fake>, app| {
        enforcer.apply(policy("shop", "p", &[app]));
        enforcer.commit_some().unwrap();
        assert!(looks_up(&held(enforcer), app) && enforcer.is_all_in_force());
    };
    enforcer.apply(pod_of("shop", 1));
    edit(&mut enforcer, "a");
    edit(&mut enforcer, "b");
    assert!(looks_up(&held(&mut enforcer), "a"), "packets may be at it");
    assert_eq!(enforcer.commit_is_due(), None);
    edit(&mut enforcer, "c");
    pass.send(()).unwrap();
    enforcer.commit_some().unwrap();
    assert!(!looks_up(&held(&mut enforcer), "a"));
    assert!(looks_up(&held(&mut enforcer), "b"), "who came in after the first edit may be at it");
    edit(&mut enforcer, "b");
    pass.send(()).unwrap();
    enforcer.commit_some().unwrap();
    let ruleset = held(&mut enforcer);
    assert!(looks_up(&ruleset, "b") && looks_up(&ruleset, "c"), "the one came back, the other has just gone");
    pass.send(()).unwrap();
    enforcer.commit_some().unwrap();
    assert_eq!(held(&mut enforcer), *enforcer.desired());
}

/// However it is divided, and although all that should not be there goes at once when that is looked for.
#[test]
fn what_was_found_to_be_too_much_goes_after_what_names_it() {
    for budget in 1..150 {
        let mut enforcer = enforcer_of(Fake::new(table()));
        change(&mut enforcer, [pod_of("shop", 1), policy("shop", "p", &["a", "b"]), policy("shop", "q", &["c"])]);
        enforcer.backlog.set_budget(budget);
        let pass = with_packets(&mut enforcer);
        enforcer.apply(policy("shop", "p", &["d"]));
        enforcer.apply(Change::PolicyGone(NamespacedName::new("shop", "q")));
        enforcer.distrust();
        enforcer.commit_some().unwrap();
        finish(&mut enforcer, &pass);
        assert_eq!(held(&mut enforcer), *enforcer.desired());
    }
}

proptest! {
    #[test]
    fn what_waits_to_go_may_come_back(
        changes in changes(60),
        packets in prop::collection::vec(any::<bool>(), 60),
        budget in 1..300_usize,
        slow in prop::collection::vec(prop::bool::weighted(0.3), 60),
        checks in prop::collection::vec(prop::bool::weighted(0.1), 60),
    ) {
        let mut enforcer = enforcer_of(Fake::new(table()));
        enforcer.backlog.set_budget(budget);
        let pass = with_packets(&mut enforcer);
        enforcer.commit_some().unwrap();
        for (((change, passes), is_slow), is_checked) in changes.into_iter().zip(packets).zip(slow).zip(checks) {
            if is_checked {
                enforcer.distrust();
            }
            // A part each time, or all of them.
            enforcer.piece = if is_slow { Duration::ZERO } else { Duration::MAX };
            enforcer.apply(change);
            enforcer.commit_some().unwrap();
            if passes && enforcer.passage.is_awaited() {
                pass.send(()).unwrap();
            }
        }
        enforcer.piece = Duration::MAX;
        finish(&mut enforcer, &pass);
        prop_assert_eq!(&held(&mut enforcer), enforcer.desired());
    }
}
