//! What is to pass, as expectations that `palisade verify` reads.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use palisade_model::reach::PlaceName;
use palisade_model::recommend::{End, Scope, Surplus, Whom, Widened, Wish};
use palisade_model::{Direction, NamespacedName, Protocol};
use serde::Serialize;

use crate::manifests::Place;
use crate::verify::{self, Case, Port, Wanted};

/// An expectation: these may connect to that one at these ports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Expected {
    to: End,
    protocol: Protocol,
    from: BTreeSet<End>,
    ports: BTreeSet<u16>,
    /// Whether nobody else may.
    only: bool,
}

/// Those of the wishes: by to whom. `surplus` and `widened` say where others pass as well.
pub(super) fn expected<'a>(
    wishes: impl Iterator<Item = &'a Wish>,
    scope: &Scope,
    surplus: &[Surplus],
    widened: &[Widened],
) -> Vec<Expected> {
    let mut to = BTreeMap::<(&End, Protocol), Vec<&Wish>>::new();
    wishes.for_each(|wish| to.entry((&wish.to, wish.protocol)).or_default().push(wish));
    let mut all = BTreeMap::<(&End, Protocol, BTreeSet<End>), BTreeSet<u16>>::new();
    for ((end, protocol), wishes) in to {
        // Of a range its bounds.
        let ports: BTreeSet<u16> = wishes.iter().flat_map(|wish| [wish.ports.first(), wish.ports.last()]).collect();
        for port in ports.into_iter().filter(|port| *port > 0) {
            let having = wishes.iter().filter(|wish| wish.ports.contains(port));
            let from = having.map(|wish| wish.from.clone()).collect();
            all.entry((end, protocol, from)).or_default().insert(port);
        }
    }
    let is_only = |to: &End, from: &BTreeSet<End>| from.iter().all(is_one) && is_closed(to, scope, surplus, widened);
    let all = all.into_iter();
    all.map(|((to, protocol, from), ports)| Expected {
        only: is_only(to, &from),
        to: to.clone(),
        protocol,
        from,
        ports,
    })
    .collect()
}

fn is_one(end: &End) -> bool {
    match end {
        End::Workload(_) => true,
        End::Network(net) => net.prefix_len() == net.max_prefix_len(),
    }
}

/// Whether nobody gets in whom nobody wished to.
fn is_closed(to: &End, scope: &Scope, surplus: &[Surplus], widened: &[Widened]) -> bool {
    let End::Workload(id) = to else { return false };
    let is_it = |name: &NamespacedName| name == id;
    let gets_in = |one: &Surplus| matches!(&one.to, Whom::Place(PlaceName::Workload(name)) if is_it(name));
    let is_wider = |one: &Widened| one.direction == Direction::Ingress && one.workloads.iter().any(is_it);
    let is_judged = scope.namespaces.contains(&id.namespace) && scope.directions.contains(&Direction::Ingress);
    is_judged && !surplus.iter().any(gets_in) && !widened.iter().any(is_wider)
}

impl Expected {
    /// Whether these pass, as `verify` asks it. That nobody else does is not asked of all pods, one by one: who reaches whom
    /// has told it.
    pub(super) fn case(&self) -> Case {
        let end = |end: &End| match end {
            End::Workload(id) => verify::End::Workload(id.clone()),
            End::Network(net) => verify::End::Address(net.addr()),
        };
        let ports = self.ports.iter().map(|port| Port::Number(*port)).collect();
        let name = format!("{self}");
        Case {
            place: Place { file: Path::new("recommended").to_owned(), document: None, line: None },
            name,
            from: self.from.iter().map(end).collect(),
            to: vec![end(&self.to)],
            traffic: Wanted::Ports(self.protocol, ports),
            allowed: true,
            only: false,
            allow_empty: false,
        }
    }
}

/// `shop/api, shop/web -> shop/db TCP 5432`.
impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let from: Vec<String> = self.from.iter().map(ToString::to_string).collect();
        let ports: Vec<String> = self.ports.iter().map(ToString::to_string).collect();
        write!(f, "{} -> {} {} {}", from.join(", "), self.to, self.protocol, ports.join(", "))
    }
}

#[derive(Serialize)]
struct WrittenFile {
    cases: Vec<WrittenCase>,
}

#[derive(Serialize)]
struct WrittenCase {
    from: Vec<WrittenEnd>,
    to: WrittenEnd,
    protocol: String,
    ports: Vec<u16>,
    expect: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    only: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum WrittenEnd {
    Workload(String),
    Address(String),
}

/// The file.
///
/// # Errors
/// Where it cannot be written as YAML.
pub(super) fn file(all: &[Expected]) -> anyhow::Result<String> {
    let end = |end: &End| match end {
        End::Workload(id) => WrittenEnd::Workload(id.to_string()),
        End::Network(net) => WrittenEnd::Address(net.addr().to_string()),
    };
    let case = |one: &Expected| WrittenCase {
        from: one.from.iter().map(end).collect(),
        to: end(&one.to),
        protocol: one.protocol.to_string(),
        ports: one.ports.iter().copied().collect(),
        expect: "allowed",
        only: one.only,
    };
    Ok(serde_saphyr::to_string(&WrittenFile { cases: all.iter().map(case).collect() })?)
}
