//! From tables that pods share to chains of single pods: what a table denies, or allows where there are audited policies, finds
//! the chain of its pod by the end of the connection that is the pod.
//!
//! | chain | map | leads to |
//! |---|---|---|
//! | `denied-egress` | `denied-egress-4`, `-6` | what counts what cluster policies deny |
//! | `audit-egress` | `audit-egress-4`, `-6` | the tables that audited policies would make |
//! | `would-drop-egress` | `would-drop-egress-4`, `-6` | what counts what those would drop |
//!
//! Each is there only while a table may lead to it.

use std::collections::BTreeSet;

use palisade_model::{Direction, PodEnforcement};
use palisade_nft::{Action, Chain, Comment, Edit, Elements, Family, Key, Name, Set, SetEdit, Verdict};

use super::dispatch::Map;
use super::names;
use super::objects::{allowed, dispatch, statement, subject};
use super::origin::chain;
use super::users::Users;

/// The ways that there are.
#[derive(Debug, Default)]
pub(super) struct Ways {
    /// The directions in which pods are audited, with how many are.
    audited: Users<Direction>,
    there: BTreeSet<Map>,
}

impl Ways {
    /// A pod is audited in some directions now, and was in others.
    pub(super) fn count(&mut self, before: Option<&PodEnforcement>, after: Option<&PodEnforcement>) {
        for direction in after.into_iter().flat_map(|pod| pod.audit.keys()) {
            self.audited.hold(direction);
        }
        for direction in before.into_iter().flat_map(|pod| pod.audit.keys()) {
            self.audited.release(direction);
        }
    }

    /// Makes of the ways what they are to be; `under_tiers`: the directions in which there are tables of cluster policies.
    pub(super) fn edit(&mut self, under_tiers: &BTreeSet<Direction>, edit: &mut Edit) {
        for direction in Direction::ALL {
            for map in [Map::Denied(direction), Map::Audit(direction), Map::WouldDrop(direction)] {
                let is_needed = match map {
                    Map::Denied(_) => under_tiers.contains(&direction),
                    _ => self.audited.has(&direction),
                };
                match (self.there.contains(&map), is_needed) {
                    (false, true) => self.open(map, direction, edit),
                    (true, false) => self.close(map, direction, edit),
                    (true, true) | (false, false) => {}
                }
            }
        }
    }

    fn open(&mut self, map: Map, direction: Direction, edit: &mut Edit) {
        self.there.insert(map);
        let (name, text) = chain_of(map, direction);
        edit.chains.insert(name, Some(way(map, direction, text)));
        for family in Family::ALL {
            let name = map.name(family);
            let elements = match edit.sets.remove(&name) {
                Some(SetEdit::Elements { add, .. }) => add,
                Some(SetEdit::Put(_) | SetEdit::Remove) | None => dispatch(family, &[]),
            };
            edit.sets.insert(name, SetEdit::Put(set(elements, text)));
        }
    }

    fn close(&mut self, map: Map, direction: Direction, edit: &mut Edit) {
        self.there.remove(&map);
        edit.chains.insert(chain_of(map, direction).0, None);
        edit.sets.extend(Family::ALL.map(|family| (map.name(family), SetEdit::Remove)));
    }
}

fn set(elements: Elements, text: &str) -> Set {
    Set { elements, comment: Some(Comment::new(text)) }
}

/// Whoever has no chain is let go, or dropped, as his chain would.
fn way(map: Map, direction: Direction, text: &str) -> Chain {
    let otherwise = match map {
        Map::Denied(_) => Verdict::Drop,
        _ => allowed(direction),
    };
    let key = |family| Key::Address(family, subject(direction));
    let by_family = Family::ALL.map(|family| statement([], Action::Vmap(key(family), map.name(family))));
    chain(text, by_family.into_iter().chain([statement([], Action::Verdict(otherwise))]))
}

fn chain_of(map: Map, direction: Direction) -> (Name, &'static str) {
    match map {
        Map::Audit(_) => (names::audit_chain(direction), "what is allowed of audited pods"),
        Map::WouldDrop(_) => (names::would_drop_chain(direction), "what audited policies would drop, by pod"),
        _ => (names::denied_chain(direction), "what cluster policies deny, by pod"),
    }
}
