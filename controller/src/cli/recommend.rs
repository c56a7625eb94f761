//! `palisade recommend`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgGroup, Args, ValueEnum};
use ipnet::IpNet;
use palisade_model::recommend::MOST_BLOCKS;
use palisade_model::{Direction, PortRange, Protocol};

use super::{FlowsArgs, SourceArgs};
use crate::convert;

/// `palisade recommend`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("made of").args(["flows", "live", "allow", "namespace"]).required(true).multiple(true)))]
pub struct RecommendArgs {
    /// Where objects come from. In manifests, what a Deployment or another workload would make counts as a pod where none of
    /// its pods is there.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The namespaces that policies are wanted for. Otherwise all that a flow begins or ends in. May be given several
    /// times.
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Vec<String>,
    /// What was recorded, and what is connected now, is to pass.
    #[command(flatten)]
    pub flows: FlowsArgs,
    /// Let this pass: `FROM -> TO PORTS`, where an end is a workload (NAMESPACE/NAME, or NAME of the one namespace of -n), an
    /// address or a CIDR, and ports are numbers, ranges or names that the destination declares, each after its protocol if
    /// that is another than TCP or the one before: `shop/web -> shop/db 5432,9187 UDP 53`. May be given several times.
    #[arg(long, value_name = "WISH")]
    pub allow: Vec<WrittenWish>,
    /// In which directions pods are isolated.
    #[arg(long, value_enum, default_value_t = Isolated::Both)]
    pub direction: Isolated,
    /// Have networks stand for the addresses outside of one workload at one port where there are more than this.
    #[arg(long, value_name = "N", default_value_t = MOST_BLOCKS)]
    pub most_blocks: usize,
    /// Write the expectations to this file, which these policies meet: for `palisade verify`.
    #[arg(long, value_name = "FILE")]
    pub expectations: Option<PathBuf>,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t = RecommendOutput::Yaml)]
    pub output: RecommendOutput,
}

/// In which directions pods are isolated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Isolated {
    Ingress,
    Egress,
    Both,
}

impl Isolated {
    /// The same, one by one.
    pub fn directions(self) -> impl Iterator<Item = Direction> {
        let is = move |direction: &Direction| match self {
            Self::Both => true,
            Self::Ingress => *direction == Direction::Ingress,
            Self::Egress => *direction == Direction::Egress,
        };
        Direction::ALL.into_iter().filter(is)
    }
}

/// The form of a recommendation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RecommendOutput {
    /// Policies to apply, with comments that say why.
    Yaml,
    /// The policies, and all that the comments say, for scripts.
    Json,
}

/// What is to pass, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenWish {
    /// Who connects.
    pub from: WrittenEnd,
    /// To whom.
    pub to: WrittenEnd,
    /// To which ports: one at least.
    pub ports: Vec<(Protocol, WrittenPorts)>,
}

/// Who connects, or is connected to, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WrittenEnd {
    /// A workload; without a namespace where it is the one that policies are wanted for.
    Workload(Option<String>, String),
    /// An address, or many.
    Network(IpNet),
}

/// Ports, as they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WrittenPorts {
    /// By number.
    Numbers(PortRange),
    /// As the destination calls it.
    Named(String),
}

/// As it is written: `shop/web`, `192.0.2.0/24`.
impl fmt::Display for WrittenEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workload(Some(namespace), name) => write!(f, "{namespace}/{name}"),
            Self::Workload(None, name) => f.write_str(name),
            Self::Network(net) => net.fmt(f),
        }
    }
}

impl FromStr for WrittenEnd {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = convert::address(text) {
            return Ok(Self::Network(address.into()));
        }
        if let Ok(net) = convert::net(text) {
            return Ok(Self::Network(net.trunc()));
        }
        let is_name = |name: &str| !name.is_empty() && !name.contains(['/', ' ']);
        match text.split_once('/') {
            None if is_name(text) => Ok(Self::Workload(None, text.to_owned())),
            Some((namespace, name)) if is_name(namespace) && is_name(name) => {
                Ok(Self::Workload(Some(namespace.to_owned()), name.to_owned()))
            }
            _ => Err(format!("`{text}` is neither NAMESPACE/WORKLOAD nor WORKLOAD, nor an address, nor a CIDR")),
        }
    }
}

impl FromStr for WrittenWish {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("`{text}` is not of the form `FROM -> TO PORTS`, as `shop/web -> shop/db 5432`");
        let (from, rest) = text.split_once("->").ok_or_else(form)?;
        let (to, written) = rest.trim().split_once(' ').ok_or_else(form)?;
        let mut protocol = Protocol::Tcp;
        let mut ports = Vec::new();
        for word in written.split([' ', ',']).filter(|word| !word.is_empty()) {
            match Protocol::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(word)) {
                Some(known) => protocol = known,
                None => ports.push((protocol, parse_ports(word)?)),
            }
        }
        if ports.is_empty() {
            return Err(form());
        }
        Ok(Self { from: from.trim().parse()?, to: to.parse()?, ports })
    }
}

fn parse_ports(word: &str) -> Result<WrittenPorts, String> {
    if word.bytes().any(|byte| byte.is_ascii_alphabetic()) {
        return Ok(WrittenPorts::Named(word.to_owned()));
    }
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) if first > 0 => {
            PortRange::new(first, last).map(WrittenPorts::Numbers).map_err(|error| error.to_string())
        }
        _ => Err(format!(
            "`{word}` is neither a port from 1 to 65535, nor a range as 8000-9000, nor a name, nor a protocol"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(namespace: &str, name: &str) -> WrittenEnd {
        WrittenEnd::Workload(Some(namespace.to_owned()), name.to_owned())
    }

    #[test]
    fn wishes_are_written_as_lines_of_monitor_are() {
        let numbers = |first, last| WrittenPorts::Numbers(PortRange::new(first, last).unwrap());
        let wish: WrittenWish = "shop/web->shop/db 5432,9000-9010 udp 53 dns".parse().unwrap();
        assert_eq!((&wish.from, &wish.to), (&workload("shop", "web"), &workload("shop", "db")));
        assert_eq!(
            wish.ports,
            [
                (Protocol::Tcp, numbers(5432, 5432)),
                (Protocol::Tcp, numbers(9000, 9010)),
                (Protocol::Udp, numbers(53, 53)),
                (Protocol::Udp, WrittenPorts::Named("dns".to_owned()))
            ]
        );
        let wish: WrittenWish = "192.0.2.7/24 -> web TCP 80".parse().unwrap();
        let web = WrittenEnd::Workload(None, "web".to_owned());
        assert_eq!((wish.from, wish.to), (WrittenEnd::Network("192.0.2.0/24".parse().unwrap()), web));
    }

    #[test]
    fn what_is_no_wish_is_refused() {
        for wrong in [
            "shop/web shop/db 80",
            "a -> b",
            "a -> b TCP",
            "a -> b 0",
            "a -> b 90-80",
            "a -> b 70000",
            "a/b/c -> b 80",
            "-> b 80",
            "a -> 80",
        ] {
            assert!(wrong.parse::<WrittenWish>().is_err(), "{wrong}");
        }
    }
}
