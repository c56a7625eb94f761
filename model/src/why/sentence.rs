//! Answers as sentences for people, of a bounded length whatever the names in them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::{AdmittedPorts, Allowed, Decision, Denied, Failing, Lack, Miss, Why};
use crate::{Direction, NamespacedName, Operator, PortMatch, PortRange, Requirement, Selector};

/// How long a sentence is at most, in bytes.
const SENTENCE: usize = 300;
/// How long what follows the semicolon is at most.
const REASONS: usize = 110;
/// How long a name is at most.
const NAME: usize = 48;
/// How many things of a kind are listed.
const FEW: usize = 3;

/// The nearest miss, or what decided.
impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = self.direction;
        match (&self.decision, &self.nearest) {
            (Decision::Denied(Denied::ClusterRule(rule)), _) => {
                let name = shorten(&rule.policy, NAME);
                let miss = self.nearest.as_ref().map(|miss| miss.sentence(SENTENCE - 100));
                let miss = miss.map_or_else(String::new, |miss| format!("; {miss}"));
                write!(f, "{name} {} denies it{miss}", field(direction, rule.index))
            }
            (Decision::Denied(_), Some(miss)) => write!(f, "{miss}"),
            (Decision::Denied(Denied::NoRule), None) => match &*self.isolating {
                [one] => write!(f, "{} isolates the pod and has no {direction} rule", name(one)),
                all => write!(f, "{} isolate the pod and have no {direction} rule", few(all.iter().map(name))),
            },
            (Decision::Denied(Denied::ClosedNamespace), None) => {
                f.write_str("the pod's namespace is closed, so that no rule of its policies is asked")
            }
            (Decision::Allowed(allowed), _) => match allowed {
                Allowed::NotIsolated => write!(f, "no policy isolates the pod for {direction}"),
                Allowed::Itself => f.write_str("a pod always reaches itself"),
                Allowed::OwnNode => f.write_str("a pod and its own node always reach each other"),
                Allowed::Rule(rule) => write!(f, "{} {} admits it", name(&rule.policy), field(direction, rule.index)),
                Allowed::ClusterRule(rule) => {
                    write!(f, "{} {} accepts it", shorten(&rule.policy, NAME), field(direction, rule.index))
                }
            },
        }
    }
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence(SENTENCE))
    }
}

impl Miss {
    /// Where the rule stands: `spec.ingress[0]`, or `spec.ingress[0].from[2]` where one of several peers came nearest.
    /// Of a cluster policy the peer is not told, since one entry may stand for several.
    pub fn field(&self) -> String {
        let rule = field(self.direction, self.rule);
        let peers = match self.direction {
            Direction::Egress => "to",
            Direction::Ingress => "from",
        };
        match self.peer.filter(|_| !self.policy.namespace.is_empty()) {
            Some(peer) => format!("{rule}.{peers}[{peer}]"),
            None => rule,
        }
    }

    /// Cut to so many bytes: first what the rule admits, since the rule can be looked up.
    fn sentence(&self, bytes: usize) -> String {
        let start = format!("{} {} admits ", name(&self.policy), self.field());
        let reasons: Vec<String> = self.lacks.iter().filter_map(|lack| self.reason(lack)).collect();
        let reasons = shorten(&reasons.join(", "), REASONS);
        let end = if reasons.is_empty() { reasons } else { format!("; {reasons}") };
        let admits = shorten(&self.admits(), bytes.saturating_sub(start.len() + end.len() + '…'.len_utf8()));
        format!("{start}{admits}{end}")
    }

    /// Whom, at which ports: `app=api in shop at TCP 5432`.
    fn admits(&self) -> String {
        let parts = |part: fn(&Lack) -> Option<String>| self.lacks.iter().filter_map(part).collect::<String>();
        let (whom, but) = (parts(whom), parts(but));
        let scope = parts(scope);
        let whom = if whom.is_empty() && !scope.is_empty() { "pods".to_owned() } else { whom };
        let peers = format!("{whom}{scope}");
        match &self.ports {
            None => format!("{peers}{but}"),
            Some(ports) if peers.is_empty() => ports.to_string(),
            Some(ports) => format!("{peers} at {ports}{but}"),
        }
    }

    /// What it was instead.
    fn reason(&self, lack: &Lack) -> Option<String> {
        let (pod, declaring) = match self.direction {
            Direction::Egress => ("that pod", "that pod"),
            Direction::Ingress => ("this pod", "the selected pod"),
        };
        Some(match lack {
            Lack::Port { wanted } => format!("this was {wanted}"),
            Lack::NamedPort { name, declared, wanted, .. } => {
                let name = shorten(name, NAME);
                match declared.as_deref() {
                    None => format!("no pod declares {name} there, this was {wanted}"),
                    Some([]) => format!("{declaring} declares no {name}, this was {wanted}"),
                    Some(numbers) => {
                        let numbers = few(numbers.iter().map(ToString::to_string));
                        format!("{name} is {numbers} there, this was {wanted}")
                    }
                }
            }
            Lack::PodLabels(failing) => {
                let is_named = self.lacks.iter().any(|lack| matches!(lack, Lack::Namespace { .. }));
                format!("{} has {}", if is_named { "it" } else { pod }, labels(failing))
            }
            Lack::NodeLabels(failing) => format!("the node has {}", labels(failing)),
            Lack::Namespace { has, .. } => format!("{pod} is in {}", shorten(has, NAME)),
            Lack::NamespaceLabels { namespace, failing } => {
                format!("namespace {} has {}", shorten(namespace, NAME), labels(failing))
            }
            Lack::UnknownNamespace { namespace, .. } => format!("namespace {} is not known", shorten(namespace, NAME)),
            Lack::NoPod { address, .. } => format!("{address} is no pod's"),
            Lack::NoNode { address, .. } => format!("{address} is no node's"),
            Lack::OutsideBlock { address, .. } => format!("{address} is outside"),
            Lack::Except { .. } | Lack::NoPeers => return None,
        })
    }
}

/// `TCP 5432, UDP 8000-9000, TCP http and 2 more`.
impl fmt::Display for AdmittedPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.some.is_empty() {
            return f.write_str("no port that was understood");
        }
        let ports: Vec<String> = self.some.iter().map(port).collect();
        f.write_str(&ports.join(", "))?;
        if self.more > 0 { write!(f, " and {} more", self.more) } else { Ok(()) }
    }
}

fn port(entry: &PortMatch) -> String {
    match entry {
        PortMatch::Numbers { protocol, ports } if *ports == PortRange::ALL => format!("every {protocol} port"),
        PortMatch::Numbers { protocol, ports } => format!("{protocol} {ports}"),
        PortMatch::Named { protocol, name } => format!("{protocol} {}", shorten(name, NAME)),
    }
}

/// The peers that a lack is about.
fn whom(lack: &Lack) -> Option<String> {
    Some(match lack {
        Lack::PodLabels(failing) => requirements(failing.iter().map(|failing| &failing.requirement)),
        Lack::NoPod { asked, .. } => pods(&asked.pods),
        Lack::OutsideBlock { block, .. } | Lack::Except { block, .. } => block.to_string(),
        Lack::NoNode { asked, .. } => format!("nodes with {}", selector(asked)),
        Lack::NodeLabels(failing) => {
            format!("nodes with {}", requirements(failing.iter().map(|failing| &failing.requirement)))
        }
        Lack::NoPeers => "no peer that was understood".to_owned(),
        Lack::Port { .. } | Lack::NamedPort { .. } => return None,
        Lack::Namespace { .. } | Lack::NamespaceLabels { .. } | Lack::UnknownNamespace { .. } => return None,
    })
}

/// The namespaces that a lack is about.
fn scope(lack: &Lack) -> Option<String> {
    Some(match lack {
        Lack::Namespace { asked, .. } => format!(" in {}", shorten(asked, NAME)),
        Lack::NamespaceLabels { failing, .. } => {
            format!(" in namespaces with {}", requirements(failing.iter().map(|failing| &failing.requirement)))
        }
        Lack::UnknownNamespace { asked, .. } => format!(" in namespaces with {}", selector(asked)),
        _ => return None,
    })
}

fn but(lack: &Lack) -> Option<String> {
    let Lack::Except { except, address, .. } = lack else { return None };
    let holds = if except.len() > 1 { "hold" } else { "holds" };
    Some(format!(" except {}, which {holds} {address}", few(except.iter().map(ToString::to_string))))
}

fn pods(asked: &Selector) -> String {
    if asked.requirements().is_empty() { "pods".to_owned() } else { format!("pods with {}", selector(asked)) }
}

fn selector(selector: &Selector) -> String {
    if selector.requirements().is_empty() { "any labels".to_owned() } else { requirements(selector.requirements()) }
}

fn requirements<'a>(all: impl IntoIterator<Item = &'a Requirement>) -> String {
    few(all.into_iter().map(requirement))
}

/// As a [`Requirement`] prints, with a few of its values.
fn requirement(requirement: &Requirement) -> String {
    let key = shorten(requirement.key(), NAME);
    let list = |values: &[Arc<str>]| few(values.iter().map(|value| shorten(value, NAME)));
    match requirement.operator() {
        Operator::In(values) if values.len() == 1 => format!("{key}={}", list(values)),
        Operator::In(values) => format!("{key} in ({})", list(values)),
        Operator::NotIn(values) if values.len() == 1 => format!("{key}!={}", list(values)),
        Operator::NotIn(values) => format!("{key} notin ({})", list(values)),
        Operator::Exists => key,
        Operator::DoesNotExist => format!("!{key}"),
    }
}

/// The labels that are there instead: `app=web, no tier`.
fn labels(failing: &[Failing]) -> String {
    let by_key: BTreeMap<_, _> =
        failing.iter().map(|failing| (failing.requirement.key(), failing.has.as_deref())).collect();
    few(by_key.into_iter().map(|(key, has)| match has {
        Some(value) => format!("{}={}", shorten(key, NAME), shorten(value, NAME)),
        None => format!("no {}", shorten(key, NAME)),
    }))
}

fn field(direction: Direction, index: usize) -> String {
    format!("spec.{direction}[{index}]")
}

fn name(name: &NamespacedName) -> String {
    let (namespace, name) = (shorten(&name.namespace, NAME), shorten(&name.name, NAME));
    if namespace.is_empty() { name } else { format!("{namespace}/{name}") }
}

/// The first few, and how many more there are: `a, b, c and 412 more`.
fn few(mut all: impl Iterator<Item = String>) -> String {
    let some: Vec<String> = all.by_ref().take(FEW).collect();
    let more = all.count();
    if more > 0 { format!("{} and {more} more", some.join(", ")) } else { some.join(", ") }
}

/// At most that many bytes, whole characters, and `…` where something is missing.
fn shorten(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let end = (0..=bytes).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    format!("{}…", &text[..end])
}
