//! What rules ask of a peer, each question once, and for whom the answer is an unusual one.

use std::collections::HashMap;

use super::{PartyId, Population};
use crate::{ContainerPort, IpBlock, NamespaceScope, PodGroup, Selector};

/// The number of a [`Term`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct TermId(u32);

/// A question about a peer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Term {
    /// Whether it is one of these pods.
    Pods(PodGroup),
    /// Whether its address is one of these.
    Network(IpBlock),
    /// Whether its address is that of a node with these labels.
    Nodes(Selector),
    /// Whether it is a pod that declares this port.
    Port(ContainerPort),
}

impl Term {
    /// The answer for whom no rule names.
    fn usually(&self, of: Population) -> bool {
        match self {
            Self::Pods(group) => {
                let everywhere = NamespaceScope::Matching(Selector::default());
                !of.outside && group.namespaces == everywhere && group.pods == Selector::default()
            }
            Self::Network(block) => block.cidr().prefix_len() == 0 && of.holds(block.cidr().addr()),
            Self::Nodes(_) | Self::Port(_) => false,
        }
    }
}

/// All terms of a cluster's rules.
#[derive(Debug, Default)]
pub(super) struct Terms {
    ids: HashMap<Term, TermId>,
    unusual: Vec<Unusual>,
}

/// Invariant: `parties` are ascending, each once.
#[derive(Debug)]
struct Unusual {
    /// By the number of the population.
    usually: [bool; Population::ALL.len()],
    parties: Vec<PartyId>,
}

impl Terms {
    pub(super) fn intern(&mut self, term: Term) -> TermId {
        let next = TermId(u32::try_from(self.unusual.len()).expect("fewer terms than memory has room for"));
        *self.ids.entry(term).or_insert_with_key(|term| {
            let usually = Population::ALL.map(|population| term.usually(population));
            self.unusual.push(Unusual { usually, parties: Vec::new() });
            next
        })
    }

    /// In no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Term, TermId)> {
        self.ids.iter().map(|(term, id)| (term, *id))
    }

    pub(super) fn usually(&self, term: TermId, of: Population) -> bool {
        self.unusual[term.number()].usually[of.number()]
    }

    /// Whether the answer is yes for somebody whom no rule names.
    pub(super) fn is_ever_usual(&self, term: TermId) -> bool {
        self.unusual[term.number()].usually.contains(&true)
    }

    /// The parties for whom the answer is another than usual.
    pub(super) fn unusual(&self, term: TermId) -> &[PartyId] {
        &self.unusual[term.number()].parties
    }

    /// Takes over for whom the answer is yes: ascending, each once. `all` are all parties.
    pub(super) fn answer(&mut self, term: TermId, yes: &[PartyId], all: &[(PartyId, Population)]) {
        let Unusual { usually, parties } = &mut self.unusual[term.number()];
        *parties = if usually.contains(&true) {
            let says = |party| yes.binary_search(&party).is_ok();
            all.iter().filter(|(party, of)| says(*party) != usually[of.number()]).map(|(party, _)| *party).collect()
        } else {
            yes.to_vec()
        };
    }

    /// All of them, ascending.
    pub(super) fn numbers(&self) -> impl Iterator<Item = TermId> + use<> {
        (0..u32::try_from(self.len()).expect("as many as were numbered")).map(TermId)
    }

    pub(super) fn len(&self) -> usize {
        self.unusual.len()
    }
}

impl TermId {
    pub(super) fn number(self) -> usize {
        self.0 as usize
    }
}
