//! `palisade monitor`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCompleter;
use ipnet::IpNet;
use jiff::SignedDuration;

use super::{AgentArgs, Output, Whom};
use crate::flows::{IpProtocol, Reason};
use crate::{completion, convert};

/// `palisade monitor`.
#[derive(Clone, Debug, Args)]
pub struct MonitorArgs {
    /// Where the agent of this node answers.
    #[command(flatten)]
    pub agent: AgentArgs,
    /// The agents of other nodes.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Tell what was in this time, as `10m` or `1h 30m`, and stop.
    #[arg(long, value_name = "DURATION", value_parser = parse_since)]
    pub since: Option<SignedDuration>,
    /// Tell the last so many lines, and stop.
    #[arg(long, value_name = "N")]
    pub last: Option<usize>,
    /// Go on with what comes, after --since or --last. Without those that is what it does anyway.
    #[arg(short, long, conflicts_with = "top")]
    pub follow: bool,
    /// Sum up what is remembered, by workloads, the most packets first.
    #[arg(long, conflicts_with = "last")]
    pub top: bool,
    /// Which lines.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// Say every ten seconds that it is there.
    #[arg(long, hide = true)]
    pub alive: bool,
}

/// Which lines are told: those that all filters admit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct FilterArgs {
    /// Of pods of this namespace.
    #[arg(short, long, value_name = "NAME", add = ArgValueCompleter::new(completion::namespaces))]
    pub namespace: Option<String>,
    /// Of this pod.
    #[arg(long, value_name = "NS/POD|POD", add = ArgValueCompleter::new(completion::pods))]
    pub pod: Option<Named>,
    /// Of pods of this Deployment, StatefulSet, DaemonSet or Job.
    #[arg(long, value_name = "NS/NAME|NAME", add = ArgValueCompleter::new(completion::workloads))]
    pub workload: Option<Named>,
    /// Of pods with these labels.
    #[arg(short, long = "label", value_name = "KEY=VALUE|KEY,...", value_delimiter = ',')]
    pub labels: Vec<LabelFilter>,
    /// With this other end: a pod or a workload, any of a namespace, or an address of a range.
    #[arg(long, value_name = "NS/NAME|NS|CIDR|IP", add = ArgValueCompleter::new(completion::peers))]
    pub peer: Option<PeerFilter>,
    /// To this port.
    #[arg(long, value_name = "N")]
    pub port: Option<u16>,
    /// Of this protocol: TCP, UDP, SCTP, ICMP, ICMPv6, or a number.
    #[arg(long, value_name = "NAME|N")]
    pub protocol: Option<IpProtocol>,
    /// In this direction, seen from the pod.
    #[arg(long, value_enum)]
    pub direction: Option<FlowDirection>,
    /// Where this decided.
    #[arg(long, value_enum)]
    pub reason: Option<Reason>,
    /// What policies under audit would drop, and nothing else (unless --allowed). Otherwise that and what was dropped.
    #[arg(long)]
    pub would_drop: bool,
    /// What was allowed, and nothing else (unless --would-drop). The agents need --flows for that.
    #[arg(long)]
    pub allowed: bool,
}

/// How agents of other nodes are found. Each is asked by `exec` through the API server, with the caller's own rights: it takes
/// `pods` (get, list) and `pods/exec` (create) in the agents' namespace, and `pods` (list) where nodes are chosen by pods.
#[derive(Clone, Debug, Args)]
pub struct ClusterArgs {
    /// Which those are.
    #[command(flatten)]
    pub agents: AgentsArgs,
    /// Ask the agents of the cluster of this file.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Ask the agents of the cluster of this context.
    #[arg(long, value_name = "NAME", add = ArgValueCompleter::new(completion::contexts))]
    pub context: Option<String>,
}

/// The agents of a cluster.
#[derive(Clone, Debug, Args)]
pub struct AgentsArgs {
    /// Ask the agents of all nodes. Otherwise the one of this node; as kubectl's plugin those of the nodes that run what --pod,
    /// --workload or --namespace name, and all without these.
    #[arg(long)]
    pub all_nodes: bool,
    /// The agents' namespace.
    #[arg(long, value_name = "NAME", default_value = "palisade-system")]
    pub agent_namespace: String,
    /// What labels the agents' pods have.
    #[arg(long, value_name = "SELECTOR", default_value = "app.kubernetes.io/name=palisade")]
    pub agent_selector: String,
}

impl ClusterArgs {
    /// Which agents are asked, and as whom.
    pub fn whom(&self) -> Whom<'_> {
        Whom { agents: &self.agents, kubeconfig: self.kubeconfig.as_deref(), context: self.context.as_deref() }
    }
}

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "the names say it")]
pub enum FlowDirection {
    Egress,
    Ingress,
}

impl From<FlowDirection> for palisade_model::Direction {
    fn from(direction: FlowDirection) -> Self {
        match direction {
            FlowDirection::Egress => Self::Egress,
            FlowDirection::Ingress => Self::Ingress,
        }
    }
}

/// `NS/NAME`, or `NAME` of any namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The namespace.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            None if !text.is_empty() => Ok(Self { namespace: None, name: text.to_owned() }),
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
                Ok(Self { namespace: Some(namespace.to_owned()), name: name.to_owned() })
            }
            _ => Err(format!("`{text}` is neither NAMESPACE/NAME nor NAME")),
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.namespace.iter().try_for_each(|namespace| write!(f, "{namespace}/"))?;
        f.write_str(&self.name)
    }
}

/// A label that pods have, with this value if one is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelFilter {
    /// The key.
    pub key: String,
    /// The value; `None` for any.
    pub value: Option<String>,
}

impl FromStr for LabelFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value.trim_start_matches('=').to_owned())),
            None => (text, None),
        };
        match key.is_empty() || key.contains(['!', '(', ' ']) {
            true => Err(format!("`{text}` is neither KEY=VALUE nor KEY")),
            false => Ok(Self { key: key.to_owned(), value }),
        }
    }
}

impl fmt::Display for LabelFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        self.value.iter().try_for_each(|value| write!(f, "={value}"))
    }
}

/// Another end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerFilter {
    /// A pod or a workload.
    Named {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// Any pod of a namespace.
    Namespace(String),
    /// An address, a pod's or not.
    Addresses(IpNet),
}

impl FromStr for PeerFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = convert::address(text) {
            return Ok(Self::Addresses(address.into()));
        }
        if let Ok(net) = convert::net(text) {
            return Ok(Self::Addresses(net.trunc()));
        }
        let named = text.parse::<Named>().map_err(|_| {
            format!("`{text}` is neither an address, nor a range as 192.0.2.0/24, nor NAMESPACE/NAME, nor NAMESPACE")
        })?;
        Ok(match named {
            Named { namespace: Some(namespace), name } => Self::Named { namespace, name },
            Named { namespace: None, name } => Self::Namespace(name),
        })
    }
}

impl fmt::Display for PeerFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named { namespace, name } => write!(f, "{namespace}/{name}"),
            Self::Namespace(namespace) => f.write_str(namespace),
            Self::Addresses(net) => net.fmt(f),
        }
    }
}

impl FilterArgs {
    /// The same as arguments.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let Self { namespace, pod, workload, labels, peer, port, protocol, direction, reason, would_drop, allowed } =
            self;
        let name = |value: clap::builder::PossibleValue| value.get_name().to_owned();
        let given = [
            ("namespace", namespace.clone()),
            ("pod", pod.as_ref().map(Named::to_string)),
            ("workload", workload.as_ref().map(Named::to_string)),
            ("peer", peer.as_ref().map(PeerFilter::to_string)),
            ("port", port.map(|port| port.to_string())),
            ("protocol", protocol.map(|protocol| protocol.to_string())),
            ("direction", direction.and_then(|direction| direction.to_possible_value()).map(name)),
            ("reason", reason.and_then(|reason| reason.to_possible_value()).map(name)),
        ];
        let flags = [("would-drop", *would_drop), ("allowed", *allowed)].into_iter().filter(|(_, is_given)| *is_given);
        let given = given.into_iter().filter_map(|(name, value)| Some(format!("--{name}={}", value?)));
        let given = given.chain(labels.iter().map(|label| format!("--label={label}")));
        given.chain(flags.map(|(name, _)| format!("--{name}"))).collect()
    }
}

pub(super) fn parse_since(text: &str) -> Result<SignedDuration, String> {
    match text.parse::<SignedDuration>() {
        Ok(duration) if !duration.is_negative() => Ok(duration),
        Ok(_) => Err("a time to look back is not negative".to_owned()),
        Err(error) => Err(format!("{error}; write it as 10m or 1h 30m")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parsed(arguments: &[String]) -> Result<MonitorArgs, String> {
        let command = ["palisade", "monitor"].map(str::to_owned);
        let cli = Cli::try_parse_from(command.iter().chain(arguments)).map_err(|error| error.to_string())?;
        match cli.command {
            Command::Monitor(args) => Ok(*args),
            other => panic!("{other:?}"),
        }
    }

    fn of(text: &str) -> Result<MonitorArgs, String> {
        parsed(&text.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn filters_can_be_passed_on() {
        for text in [
            "-n shop",
            "--label app=db,tier",
            "--pod db-0 --port 80 --protocol udp",
            "--pod shop/db-0 --direction ingress --reason noConnection",
            "--workload shop/db --peer shop --would-drop",
            "--peer shop/web --allowed --reason podRange",
            "--peer 192.0.2.0/24 --protocol 47",
            "--peer fd00::1 --direction egress",
        ] {
            let filter = of(text).unwrap().filter;
            assert_ne!(filter, FilterArgs::default());
            assert_eq!(parsed(&filter.arguments()).unwrap().filter, filter, "{text}");
        }
    }

    #[test]
    fn peers_are_told_apart() {
        let addresses = |net: &str| PeerFilter::Addresses(net.parse().unwrap());
        let named = |namespace: &str, name: &str| PeerFilter::Named { namespace: namespace.into(), name: name.into() };
        for (text, expected) in [
            ("192.0.2.7", addresses("192.0.2.7/32")),
            ("192.0.2.7/24", addresses("192.0.2.0/24")),
            ("fd00::/8", addresses("fd00::/8")),
            ("shop", PeerFilter::Namespace("shop".to_owned())),
            ("shop/web", named("shop", "web")),
            ("cafe/db", named("cafe", "db")),
            ("fade/8", named("fade", "8")),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for wrong in ["", "a/b/c", "/web", "shop/"] {
            assert!(wrong.parse::<PeerFilter>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_written_as_people_do() {
        assert_eq!(of("--since 10m").unwrap().since, Some(SignedDuration::from_mins(10)));
        assert_eq!(of("--since 1h30m").unwrap().since, Some(SignedDuration::from_mins(90)));
        for wrong in ["--since 10", "--since=-10m", "--since soon"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
