//! Port space into segments, and the sets that each one looks up.
//!
//! Every leaf (a segment that has peers, but not everyone) looks up the union of the bundles that apply there. A bundle
//! that would be copied into many different unions is lifted: the leaves are the leaves of a binary tree, a run of
//! leaves in which the bundle applies is covered by as few nodes as possible, and a leaf looks up the unions of the
//! nodes above it as well. So n nested ranges give `O(n log n)` copies instead of `O(n^2)`.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{Hash, Hasher};
use std::iter::successors;
use std::ops::Range;
use std::sync::Arc;

use super::{accept, union};
use crate::spans::{Span, Spans};
use crate::{Clause, Peer, PeerMatch, Segment};

/// A bundle in more different unions than this is lifted.
const MAX_COPIES: usize = 4;

/// Peers that are allowed at the same ports.
pub(super) struct Bundle<'a> {
    pub(super) spans: Spans,
    pub(super) peers: Vec<&'a Peer>,
}

/// A run of leaves.
type Run = Range<usize>;

/// The segments of one protocol: everyone is allowed in `open`, the bundles at their spans, which lie outside `open`.
pub(super) fn segments(open: &Spans, bundles: &[Bundle<'_>]) -> Vec<Segment> {
    let leaves = leaves(bundles);
    let runs: Vec<Vec<Run>> = bundles.iter().map(|bundle| runs(&bundle.spans, &leaves)).collect();
    let lifted = lifted(&runs, leaves.len());
    let lookups = Lookups::new(&runs, &lifted, leaves.len());

    let everyone: Arc<[Clause]> = [accept(PeerMatch::All)].into();
    let open = open.iter().map(|span| Segment { ports: (*span).into(), clauses: everyone.clone() });
    let closed = leaves.iter().zip(lookups.clauses(bundles));
    let closed = closed.map(|(span, clauses)| Segment { ports: (*span).into(), clauses });
    let mut segments: Vec<Segment> = open.chain(closed).collect();
    segments.sort_unstable_by_key(|segment| segment.ports);
    segments
}

/// The spans between all boundaries where some bundle applies. Neighbours differ: at a boundary a bundle begins or ends.
fn leaves(bundles: &[Bundle<'_>]) -> Spans {
    let mut changes = BTreeMap::<u32, (usize, usize)>::new();
    for span in bundles.iter().flat_map(|bundle| &bundle.spans) {
        changes.entry(span.first).or_default().0 += 1;
        changes.entry(span.end).or_default().1 += 1;
    }
    let mut applying = 0;
    let mut leaves = Spans::new();
    for ((first, (begin, stop)), end) in changes.iter().zip(changes.keys().skip(1)) {
        applying = applying + begin - stop;
        if applying > 0 {
            leaves.push(Span { first: *first, end: *end });
        }
    }
    leaves
}

/// The maximal runs of leaves in which `spans` apply. Gaps between leaves do not count.
fn runs(spans: &Spans, leaves: &Spans) -> Vec<Run> {
    let mut runs = Vec::<Run>::new();
    for span in spans {
        let start = leaves.partition_point(|leaf| leaf.first < span.first);
        let end = leaves.partition_point(|leaf| leaf.first < span.end);
        match runs.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => runs.push(start..end),
        }
    }
    runs
}

/// Which bundles would be copied into too many different unions.
///
/// A union is told by the sum of its bundles' hashes. Should two unions clash, a bundle is lifted or not against the
/// rule: that costs a lookup or a copy, never a verdict.
fn lifted(runs: &[Vec<Run>], leaves: usize) -> Vec<bool> {
    let mut unions = vec![0_u64; leaves + 1];
    for (bundle, run) in runs.iter().enumerate().flat_map(|(bundle, runs)| runs.iter().map(move |run| (bundle, run))) {
        let hash = hash_of(bundle);
        unions[run.start] = unions[run.start].wrapping_add(hash);
        unions[run.end] = unions[run.end].wrapping_sub(hash);
    }
    for at in 1..unions.len() {
        unions[at] = unions[at].wrapping_add(unions[at - 1]);
    }
    let copied_often = |runs: &Vec<Run>| {
        let mut copies = BTreeSet::new();
        runs.iter().flat_map(|run| &unions[run.clone()]).any(|union| copies.insert(*union) && copies.len() > MAX_COPIES)
    };
    runs.iter().map(copied_often).collect()
}

fn hash_of(bundle: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    bundle.hash(&mut hasher);
    hasher.finish()
}

/// Which bundles are looked up where.
struct Lookups {
    /// Per leaf the bundles of its own.
    own: Vec<Vec<usize>>,
    /// Per node of the tree the bundles that are lifted to it: node 1 is the root, those of node n are 2n and 2n+1.
    nodes: Vec<Vec<usize>>,
    /// The node of leaf 0.
    first_leaf: usize,
}

impl Lookups {
    fn new(runs: &[Vec<Run>], lifted: &[bool], leaves: usize) -> Self {
        let first_leaf = leaves.next_power_of_two();
        let mut lookups = Self { own: vec![Vec::new(); leaves], nodes: vec![Vec::new(); 2 * first_leaf], first_leaf };
        for (bundle, (runs, lifted)) in runs.iter().zip(lifted).enumerate() {
            for run in runs {
                if *lifted {
                    lookups.lift(bundle, run);
                } else {
                    lookups.own[run.clone()].iter_mut().for_each(|own| own.push(bundle));
                }
            }
        }
        lookups
    }

    /// Covers a run by as few nodes as possible.
    fn lift(&mut self, bundle: usize, run: &Run) {
        let beyond_last = if run.end == self.own.len() { self.first_leaf } else { run.end };
        let (mut start, mut end) = (run.start + self.first_leaf, beyond_last + self.first_leaf);
        while start < end {
            if start % 2 == 1 {
                self.nodes[start].push(bundle);
                start += 1;
            }
            if end % 2 == 1 {
                end -= 1;
                self.nodes[end].push(bundle);
            }
            start /= 2;
            end /= 2;
        }
    }

    /// The clauses of each leaf. Equal ones are shared.
    fn clauses<'a>(&'a self, bundles: &'a [Bundle<'_>]) -> Vec<Arc<[Clause]>> {
        let mut unions = Unions { bundles, numbers: HashMap::new(), clauses: Vec::new() };
        let nodes: Vec<Option<usize>> = self.nodes.iter().map(|of| unions.number(of)).collect();
        let is_lifted = nodes.iter().any(Option::is_some);
        let mut shared = HashMap::<Vec<usize>, Arc<[Clause]>>::new();
        let mut path = Vec::new();
        let mut clauses = Vec::new();
        for (leaf, own) in self.own.iter().enumerate() {
            let up = successors(Some(leaf + self.first_leaf), |node| (*node > 1).then_some(node / 2));
            path.clear();
            path.extend(unions.number(own));
            path.extend(up.take_while(|_| is_lifted).filter_map(|node| nodes[node]));
            if !shared.contains_key(&path) {
                let all = path.iter().flat_map(|of| unions.clauses[*of].iter().cloned()).collect();
                shared.insert(path.clone(), all);
            }
            clauses.push(shared[&path].clone());
        }
        clauses
    }
}

/// The distinct unions of bundles, each with its clauses, by numbers that are quicker to compare.
struct Unions<'a> {
    bundles: &'a [Bundle<'a>],
    numbers: HashMap<&'a [usize], usize>,
    clauses: Vec<Vec<Clause>>,
}

impl<'a> Unions<'a> {
    /// The number of a union; `None` where it is empty.
    fn number(&mut self, of: &'a [usize]) -> Option<usize> {
        if of.is_empty() {
            return None;
        }
        let number = *self.numbers.entry(of).or_insert(self.clauses.len());
        if number == self.clauses.len() {
            self.clauses.push(union(of.iter().flat_map(|bundle| self.bundles[*bundle].peers.iter().copied())));
        }
        Some(number)
    }
}
