//! A node whose kernel is the in-memory fake, fed with manifests.

use std::path::{Path, PathBuf};

use palisade::enforcer::Enforcer;
use palisade::manifests::{self, Known, Manifests};
use palisade::render::{Logs, Origins, TABLE, skeleton};
use palisade_nft::{Backend, Diff, Fake, Name, Ruleset, Transaction};

/// The node `node-a`.
pub(crate) struct Node {
    known: Known,
    enforcer: Enforcer<Fake>,
}

impl Node {
    pub(crate) fn of(manifests: &str) -> Self {
        let mut enforcer = Enforcer::new("node-a", table(), Fake::new(table()));
        let mut known = Known::default();
        known.follow(parse(manifests)).into_iter().for_each(|change| enforcer.apply(change));
        enforcer.commit().unwrap();
        Self { known, enforcer }
    }

    /// All that the node enforces.
    pub(crate) fn ruleset(&mut self) -> String {
        self.enforced().to_string()
    }

    /// What the node enforces beside the frame that every node has.
    pub(crate) fn objects(&mut self) -> String {
        let mut ruleset = self.enforced();
        for name in skeleton(table(), Origins::Guarded, Logs::default()).chains.keys() {
            ruleset.chains.remove(name);
        }
        ruleset.sets.retain(|name, set| {
            !(skeleton(table(), Origins::Guarded, Logs::default()).sets.contains_key(name) && set.elements.is_empty())
        });
        ruleset.to_string()
    }

    /// Takes the manifests' new state over; gives what was committed.
    pub(crate) fn change(&mut self, manifests: &str) -> Transaction {
        let changes = self.known.follow(parse(manifests));
        changes.into_iter().for_each(|change| self.enforcer.apply(change));
        let diff = self.enforcer.commit().unwrap().map_or_else(Diff::default, |commit| commit.diff);
        assert_eq!(self.enforced(), *self.enforcer.desired());
        Transaction::from(&diff)
    }

    fn enforced(&mut self) -> Ruleset {
        self.enforcer.backend().read().unwrap().unwrap()
    }
}

fn table() -> Name {
    Name::new(TABLE).unwrap()
}

fn parse(manifests: &str) -> Manifests {
    let texts = [(PathBuf::from("shop.yaml"), manifests.to_owned())];
    manifests::parse(Path::new("."), &texts, "node-a").unwrap()
}
