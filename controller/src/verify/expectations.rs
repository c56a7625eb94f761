//! Expectations: who is to reach whom.

use std::fmt;
use std::net::IpAddr;

use palisade_model::{ContainerPort, Labels, NamespacedName, Protocol};

use crate::manifests::Place;

/// One expectation.
#[derive(Clone, Debug)]
pub struct Case {
    /// Where it is.
    pub place: Place,
    /// What it is called, by its author or by what it says.
    pub name: String,
    /// Who connects: each of these.
    pub from: Vec<End>,
    /// To whom: each of these.
    pub to: Vec<End>,
    /// With what.
    pub traffic: Wanted,
    /// Whether the connections are to be allowed.
    pub allowed: bool,
    /// Whether all other pods, and addresses outside, are to be denied.
    pub only: bool,
    /// Whether it holds where it is about no pod.
    pub allow_empty: bool,
}

/// What connections carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A protocol with ports, to each of these.
    Ports(Protocol, Vec<Port>),
    /// Pings.
    Icmp,
}

/// A destination port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Port {
    /// By number.
    Number(u16),
    /// As the destination, or the Service, calls it.
    Name(String),
}

/// `5432` or `http`.
impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Who connects, or is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// One pod.
    Pod(NamespacedName),
    /// All pods of a workload.
    Workload(NamespacedName),
    /// All pods with these labels, of one namespace or of any.
    Labelled {
        /// The namespace.
        namespace: Option<String>,
        /// All of these.
        labels: Labels,
    },
    /// Whatever pod there may be with these labels.
    Hypothetical {
        /// Its namespace.
        namespace: String,
        /// All its labels.
        labels: Labels,
        /// What it declares.
        ports: Vec<ContainerPort>,
    },
    /// An address, a pod's or not.
    Address(IpAddr),
    /// All pods, and all addresses that are no pod's and no node's.
    Any,
    /// The pods behind a Service.
    Service(NamespacedName),
}

/// `shop/web`, `pods app=web in shop`, `any`.
impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod(id) => write!(f, "{id}"),
            Self::Workload(id) => write!(f, "workload {id}"),
            Self::Labelled { namespace: Some(namespace), labels } if labels.iter().next().is_none() => {
                write!(f, "pods in {namespace}")
            }
            Self::Labelled { namespace: Some(namespace), labels } => {
                write!(f, "pods {} in {namespace}", labels_text(labels))
            }
            Self::Labelled { namespace: None, labels } => write!(f, "pods {}", labels_text(labels)),
            Self::Hypothetical { namespace, labels, .. } => write!(f, "{}", hypothetical_title(namespace, labels)),
            Self::Address(address) => write!(f, "{address}"),
            Self::Any => f.write_str("any"),
            Self::Service(id) => write!(f, "service {id}"),
        }
    }
}

/// How a pod is called that need not exist.
pub(super) fn hypothetical_title(namespace: &str, labels: &Labels) -> String {
    match labels_text(labels) {
        text if text.is_empty() => format!("a pod without labels in {namespace}"),
        text => format!("a pod {text} in {namespace}"),
    }
}

fn labels_text(labels: &Labels) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// What a case says, in one line.
pub(super) fn name(from: &[End], to: &[End], traffic: &Wanted, allowed: bool, only: bool) -> String {
    let list = |ends: &[End]| ends.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let traffic = match traffic {
        Wanted::Icmp => "ICMP".to_owned(),
        Wanted::Ports(protocol, ports) => {
            format!("{protocol} {}", ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        }
    };
    let expect = match (allowed, only) {
        (true, true) => "only these",
        (true, false) => "allowed",
        (false, _) => "denied",
    };
    format!("{} -> {} {traffic}: {expect}", list(from), list(to))
}
