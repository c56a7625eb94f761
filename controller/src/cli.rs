//! The command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use clap_complete::engine::ArgValueCompleter;
use ipnet::IpNet;
use palisade_model::Shares;

use crate::render::Logs;
use crate::{completion, convert, serve, sysctl};

mod flows;
mod lint;
mod map;
mod monitor;
mod preview;
mod recommend;
mod verify;

pub use flows::{ConnectionsArgs, FlowsArgs, Whom};
pub use lint::{LintArgs, LintMode};
pub use map::{MapArgs, MapOutput};
pub use monitor::{AgentsArgs, ClusterArgs, FilterArgs, FlowDirection, LabelFilter, MonitorArgs, Named, PeerFilter};
pub use preview::{FailOn, PreviewArgs};
pub use recommend::{Isolated, RecommendArgs, RecommendOutput, WrittenEnd, WrittenPorts, WrittenWish};
pub use verify::{VerifyArgs, VerifyOutput};

/// Kubernetes NetworkPolicy, enforced on this node with nftables.
#[derive(Debug, Parser)]
#[command(name = "palisade", version, max_term_width = 100, propagate_version = true)]
#[command(after_help = "Exit codes: 0 done, 1 the work failed, 2 wrong usage.\n\n\
    Begin with a directory of plain manifests, no cluster needed:\n  \
    kubectl get ns,pods,netpol -A -o yaml > dir/cluster.yaml\n  \
    palisade render  --manifests dir --node-name NODE\n  \
    palisade explain --manifests dir --from shop/web --to shop/db --port 5432")]
pub struct Cli {
    /// How to log.
    #[command(flatten)]
    pub log: LogArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// How to log. Logs go to stderr, results to stdout.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// What to log: a level (error, warn, info, debug, trace) or a tracing filter such as `info,palisade=debug`.
    #[arg(long, global = true, env = "PALISADE_LOG", default_value = "info", value_name = "FILTER")]
    pub log_level: String,
    /// How to log it.
    #[arg(long, global = true, env = "PALISADE_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The form of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// For scripts.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Enforce: keep this node's nftables at what the policies say, until stopped.
    ///
    /// What was enforced stays in force when it stops, crashes or is upgraded: only `palisade cleanup` removes it. Needs
    /// CAP_NET_ADMIN.
    Run(Box<RunArgs>),
    /// Print the ruleset as text that `nft -f` accepts. Needs no privileges.
    ///
    /// The text replaces the table as a whole and gives the same `nft list ruleset` as `palisade run`.
    Render(RenderArgs),
    /// Show what `run` would change in this kernel now.
    Diff(DiffArgs),
    /// Say whether a connection is allowed, and which policies and rules decide. Needs no privileges.
    #[command(after_help = "Examples:\n  \
        palisade explain --manifests dir --from shop/web --to shop/db --port 5432\n  \
        palisade explain --manifests dir --from-namespace blog --from-labels app=api --to shop/db --port 5432\n  \
        palisade explain --manifests dir -n shop --from web --to svc/db\n  \
        palisade explain --manifests dir --from 192.0.2.7 --to shop/web --port http -o json | jq .allowed")]
    Explain(ExplainArgs),
    /// Hold expectations (who is to reach whom) against what policies say. Needs no privileges.
    ///
    /// Exit codes: 0 all is as expected, 1 something is not, 2 something could not be asked.
    #[command(after_help = "Examples:\n  \
        palisade verify expectations.yaml --manifests dir\n  \
        palisade verify expectations.yaml --manifests dir --lint=deny -o junit > report.xml")]
    Verify(VerifyArgs),
    /// Draw who reaches whom, by workloads: a page for the browser, or data. Needs no privileges.
    #[command(after_help = "Examples:\n  \
        palisade map --manifests dir --out map.html\n  \
        palisade map --manifests dir -o svg --out map.svg\n  \
        kubectl palisade map --live --out map.html\n  \
        palisade map -o json | jq '.workloads[] | select(.ingress.open) | .name'")]
    Map(Box<MapArgs>),
    /// Tell what applying a change would do, before it is applied: which ways open and which close, by workloads. Needs no
    /// privileges. With --live also which connections it would cut, which takes those of an agent or of who may ask agents.
    #[command(after_help = "Examples:\n  \
        palisade preview --manifests dir change.yaml\n  \
        palisade preview change.yaml --delete old.yaml --fail-on open\n  \
        kubectl palisade preview change.yaml --live --fail-on cut\n  \
        palisade preview --manifests dir --delete dir/shop/db.yaml -o json | jq '.closes[].to'")]
    Preview(Box<PreviewArgs>),
    /// Write the smallest set of NetworkPolicies that lets pass what was recorded, or what is wished, and nothing else. Needs no
    /// privileges.
    ///
    /// Each namespace gets one policy that isolates all of its pods, and one for each group of workloads that do the same.
    #[command(after_help = "Examples:\n  \
        palisade recommend --manifests dir --allow 'shop/web -> shop/db 5432' -n shop\n  \
        kubectl palisade monitor --allowed --since 24h -o json | kubectl palisade recommend -n shop --flows -\n  \
        palisade recommend -n shop --flows flows.json --expectations shop-expectations.yaml > shop.yaml\n  \
        palisade recommend -n shop --flows flows.json -o json | jq '.policies[]' | kubectl apply -f -")]
    Recommend(RecommendArgs),
    /// Show what the kernel holds of ours: pods, chains, sets, dropped packets; and how the agent is, if one runs.
    Status(StatusArgs),
    /// Tell what is dropped, and why: as it happens, or as it was.
    ///
    /// On a node it asks the agent that runs there. As kubectl's plugin, or with --all-nodes, it asks the agents of the cluster.
    #[command(after_help = "Examples:\n  \
        kubectl palisade monitor --workload shop/db\n  \
        kubectl palisade monitor --since 10m --peer 192.0.2.0/24\n  \
        palisade monitor --last 20 -f -o json | jq 'select(.kind == \"record\") | .text'")]
    Monitor(Box<MonitorArgs>),
    /// Tell what is connected through this node now, as conntrack knows it. Needs CAP_NET_ADMIN.
    ///
    /// Connections between two addresses at one port are one line, whatever the client's ports. What is over already is left
    /// out. How old they are the kernel keeps with net.netfilter.nf_conntrack_timestamp=1, what they carried with
    /// net.netfilter.nf_conntrack_acct=1, of connections that begin then. `palisade preview --live` asks for this.
    #[command(after_help = "Example: palisade connections -o json | jq 'select(.port == 5432)'")]
    Connections(ConnectionsArgs),
    /// Change what the running agent logs, until it is restarted.
    LogLevel(LogLevelArgs),
    /// Remove the table: from then on nothing is enforced. With --cni-conf-dir, also the CNI plugin.
    ///
    /// Stop the agent first: while it runs it owns the table, or would put it back.
    Cleanup(CleanupArgs),
    /// Wait until stopped, and do nothing: for a container that shows that the work of another one is done.
    #[command(hide = true)]
    Wait,
    /// Print the completion script for a shell. It asks this program, which knows the names in the manifests or the cluster.
    #[command(after_help = "Example: palisade completions bash > /etc/bash_completion.d/palisade\n\n\
        For kubectl palisade: ln -s kubectl-palisade kubectl_complete-palisade, beside it in the PATH")]
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// Where objects come from: a directory of manifests, or else the cluster's API.
#[derive(Debug, Args)]
pub struct SourceArgs {
    /// A directory of plain Kubernetes YAML or JSON: Namespaces, Pods with status.podIPs, NetworkPolicies, Nodes; also `kind:
    /// List`, many documents a file, nested directories. Other kinds are skipped. Without it the cluster's API is asked.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["kubeconfig", "context"])]
    pub manifests: Option<PathBuf>,
    /// How to reach the cluster. Otherwise the pod's own service account, or kubectl's configuration.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig.
    #[arg(long, value_name = "NAME", add = ArgValueCompleter::new(completion::contexts))]
    pub context: Option<String>,
}

/// Objects, and whose node this is.
#[derive(Debug, Args)]
pub struct NodeArgs {
    /// Where objects come from.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The node whose pods are judged here. In a directory of manifests, a pod without spec.nodeName is local too.
    #[arg(long, env = "NODE_NAME", value_name = "NODE")]
    pub node_name: String,
    /// What policies may cost there.
    #[command(flatten)]
    pub shares: ShareArgs,
    /// Let no address of this node's pod range send or receive that is no known pod's: a pod that comes without the CNI plugin
    /// waits until the API shows its address, instead of being open till then. The range is that of the Node
    /// (spec.podCIDRs), or what is given here.
    #[arg(long, value_name = "CIDR,...", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    #[arg(value_parser = parse_pod_range)]
    pub guard_pod_range: Option<PodRangeArg>,
    /// The NFLOG group by which chains tell the agent what they drop, 10 packets a second for each pod and direction, so that
    /// `palisade monitor` can say why; or `none`. No other program of this node may use the same one. Otherwise 9467.
    #[arg(long, env = "PALISADE_LOG_GROUP", value_name = "GROUP|none", value_parser = parse_log_group)]
    pub log_group: Option<Logs>,
}

fn parse_log_group(text: &str) -> Result<Logs, String> {
    match text.parse() {
        _ if text == "none" => Ok(Logs(None)),
        Ok(group) => Ok(Logs(Some(group))),
        Err(_) => Err("neither a number from 0 to 65535 nor `none`".to_owned()),
    }
}

/// Which pod range is guarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodRangeArg {
    /// The Node's.
    OfNode,
    /// This one.
    Given(Vec<IpNet>),
}

fn parse_pod_range(text: &str) -> Result<PodRangeArg, String> {
    if text.is_empty() {
        return Ok(PodRangeArg::OfNode);
    }
    let net = |text| match convert::net(text)? {
        net if net.prefix_len() == 0 => Err(format!("{text:?} is every address there is: write this node's pod range")),
        net => Ok(net),
    };
    text.split(',').map(net).collect::<Result<_, _>>().map(PodRangeArg::Given)
}

/// What policies may cost a node.
#[derive(Clone, Copy, Debug, Args)]
pub struct ShareArgs {
    /// What the policies of one namespace may cost a node, and those of all namespaces: this many times what an agent with
    /// 640 MiB can afford, or `unlimited`. A namespace over its share is closed: its isolated pods reach, and are reached
    /// by, themselves and their node alone.
    #[arg(long = "shares", env = "PALISADE_SHARES", value_name = "FACTOR|unlimited", default_value = "1")]
    #[arg(value_parser = parse_shares)]
    pub shares: Shares,
}

fn parse_shares(text: &str) -> Result<Shares, String> {
    match text.parse::<f64>() {
        _ if text == "unlimited" => Ok(Shares::UNLIMITED),
        Ok(factor) if factor.is_finite() && factor > 0.0 => Ok(Shares::STANDARD.scaled(factor)),
        Ok(_) | Err(_) => Err("neither a number above 0 nor `unlimited`".to_owned()),
    }
}

/// `palisade render`.
#[derive(Debug, Args)]
pub struct RenderArgs {
    /// The objects, and the node.
    #[command(flatten)]
    pub node: NodeArgs,
    /// Print no ruleset, but which namespaces would be closed because their policies cost more than their share, and exit with
    /// 1 if there are any; with --guard-pod-range, also which pods are not in the range.
    #[arg(long)]
    pub check: bool,
}

/// `palisade run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The objects, and the node.
    #[command(flatten)]
    pub node: NodeArgs,
    /// Commit once and exit, instead of watching.
    #[arg(long)]
    pub once: bool,
    /// Serve /healthz and /readyz here, such as 127.0.0.1:9467. Otherwise only where metrics are.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub probe_address: Option<SocketAddr>,
    /// Serve /metrics (Prometheus) here, such as 127.0.0.1:9468, and /healthz and /readyz too. Otherwise they are not
    /// served. Pods always reach their own node: at another address than 127.0.0.1 they can read them.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub metrics_address: Option<SocketAddr>,
    /// How many pods have metrics of their own for what was dropped; of the others there are sums.
    #[arg(long, value_name = "N", default_value_t = serve::METRICS_PODS)]
    pub metrics_pods: usize,
    /// Log what is dropped, united by workloads: 60 lines a minute at most.
    #[arg(long)]
    pub log_drops: bool,
    /// Tell what is allowed, too: connections as they begin and end, united by flows, with the rule that allowed them
    /// (`palisade monitor --allowed`). That makes each connection of this node cost a little more.
    #[arg(long)]
    pub flows: bool,
    /// Where `palisade status` finds this agent. Otherwise /run/palisade/status.sock, or with --manifests nowhere.
    #[arg(long, env = "PALISADE_STATUS_SOCKET", value_name = "PATH")]
    pub status_socket: Option<PathBuf>,
    /// Set the kernel parameters that this node needs for its pods and that are 0: net.ipv4.ip_forward,
    /// net.ipv6.conf.all.forwarding, net.bridge.bridge-nf-call-iptables, net.bridge.bridge-nf-call-ip6tables, and without the
    /// guard net.bridge.bridge-nf-filter-vlan-tagged. Otherwise they are only looked at.
    #[arg(long)]
    pub set_sysctls: bool,
    /// Believe who packets say that they are from: look neither at the links that they come from, nor at the frames between
    /// pods on one bridge. For nodes whose pods send from addresses that the node does not route to them.
    #[arg(long)]
    pub no_guard: bool,
    /// Where the node's /proc/sys is mounted to be written. A container's own is read-only.
    #[arg(long, value_name = "DIR", default_value = sysctl::PROC_SYS)]
    pub proc_sys: PathBuf,
    /// How the CNI plugin finds this agent, and is installed.
    #[command(flatten)]
    pub cni: CniArgs,
}

/// The CNI plugin: with it no pod starts before its policies are in force.
#[derive(Clone, Debug, Args)]
pub struct CniArgs {
    /// Answer the CNI plugin here, such as /run/palisade/cni.sock: the same path on the node. Otherwise it is not answered.
    #[arg(long, value_name = "PATH")]
    pub cni_socket: Option<PathBuf>,
    /// Remember here what the plugin told: a directory that a restart of the node empties, at the same path on the node.
    #[arg(long, value_name = "DIR", default_value = palisade_cni::STATE_PATH)]
    pub cni_sandboxes: PathBuf,
    /// Enter the plugin into the first network configuration of this directory, and keep it there.
    #[arg(long, value_name = "DIR", requires_all = ["cni_socket", "cni_bin_dir"])]
    pub cni_conf_dir: Option<PathBuf>,
    /// Put the plugin's program into this directory.
    #[arg(long, value_name = "DIR", requires = "cni_conf_dir")]
    pub cni_bin_dir: Option<PathBuf>,
    /// The plugin's program. Otherwise palisade-cni, beside this one.
    #[arg(long, value_name = "FILE")]
    pub cni_program: Option<PathBuf>,
    /// What becomes of a new pod that the agent does not answer for in time: it does not start, and is tried again, or it
    /// starts all the same.
    #[arg(long, value_enum, default_value_t = CniOnFailure::Refuse)]
    pub cni_on_failure: CniOnFailure,
    /// How many seconds the plugin waits for the agent.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = clap::value_parser!(u16).range(0..=3600))]
    pub cni_wait: u16,
}

/// What becomes of a new pod that the agent does not answer for in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CniOnFailure {
    /// It does not start, and is tried again.
    Refuse,
    /// It starts all the same.
    Allow,
}

/// `palisade cleanup`.
#[derive(Clone, Debug, Args)]
pub struct CleanupArgs {
    /// Take the CNI plugin out of the network configurations of this directory.
    #[arg(long, value_name = "DIR", requires = "cni_bin_dir")]
    pub cni_conf_dir: Option<PathBuf>,
    /// Remove the plugin's program from this directory.
    #[arg(long, value_name = "DIR", requires = "cni_conf_dir")]
    pub cni_bin_dir: Option<PathBuf>,
    /// Forget what the plugin told, which is remembered here.
    #[arg(long, value_name = "DIR", default_value = palisade_cni::STATE_PATH)]
    pub cni_sandboxes: PathBuf,
    /// Remove the plugin alone: what is enforced stays.
    #[arg(long, requires = "cni_conf_dir")]
    pub cni_only: bool,
    /// First wait until no agent answers here, such as /run/palisade/status.sock: it would put everything back.
    #[arg(long, value_name = "PATH")]
    pub after_agent: Option<PathBuf>,
}

/// `palisade diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The agent, if one runs here: it knows deleted pods that it judges as before. Another one would not.
    #[command(flatten)]
    pub agent: AgentArgs,
    /// The objects, and the node.
    #[command(flatten)]
    pub node: NodeArgs,
    /// Where the agent remembers what the CNI plugin told.
    #[arg(long, value_name = "DIR", default_value = palisade_cni::STATE_PATH)]
    pub cni_sandboxes: PathBuf,
}

/// `palisade explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Where objects come from.
    #[command(flatten)]
    pub source: SourceArgs,
    /// What policies may cost the nodes.
    #[command(flatten)]
    pub shares: ShareArgs,
    /// The namespace of pods and Services that are named without one.
    #[arg(short, long, value_name = "NAME", add = ArgValueCompleter::new(completion::namespaces))]
    pub namespace: Option<String>,
    /// Who connects.
    #[arg(long, value_name = "NS/POD|IP", required_unless_present = "from_namespace")]
    #[arg(add = ArgValueCompleter::new(completion::pods))]
    pub from: Option<Endpoint>,
    /// The namespace of a pod that connects and need not exist.
    #[arg(long, value_name = "NS", conflicts_with = "from", add = ArgValueCompleter::new(completion::namespaces))]
    pub from_namespace: Option<String>,
    /// Its labels.
    #[arg(long, value_name = "KEY=VALUE,...", requires = "from_namespace", value_delimiter = ',', value_parser = parse_label)]
    pub from_labels: Vec<(String, String)>,
    /// To whom: a pod, a Service (svc/NS/NAME, or its address), of which the pods behind it are explained, or an address.
    #[arg(long, value_name = "NS/POD|svc/NS/NAME|IP", required_unless_present = "to_namespace")]
    #[arg(add = ArgValueCompleter::new(completion::destinations))]
    pub to: Option<Endpoint>,
    /// The namespace of a pod that is connected to and need not exist.
    #[arg(long, value_name = "NS", conflicts_with = "to", add = ArgValueCompleter::new(completion::namespaces))]
    pub to_namespace: Option<String>,
    /// Its labels.
    #[arg(long, value_name = "KEY=VALUE,...", requires = "to_namespace", value_delimiter = ',', value_parser = parse_label)]
    pub to_labels: Vec<(String, String)>,
    /// The destination port: a number, or a name that the destination pod declares; of a Service its own, or where it has
    /// one alone none. Not for ICMP.
    #[arg(long, value_name = "N|NAME")]
    pub port: Option<String>,
    /// The protocol.
    #[arg(long, value_enum, default_value_t = ExplainProtocol::Tcp, ignore_case = true)]
    pub protocol: ExplainProtocol,
    /// The socket of an agent that runs here, which remembers when such a connection was dropped last. Otherwise the usual one,
    /// if there is one and objects come from the cluster.
    #[arg(long, env = "PALISADE_STATUS_SOCKET", value_name = "PATH")]
    pub status_socket: Option<PathBuf>,
    /// Say as well how to forbid what is allowed. How to allow what is denied is said anyway.
    #[arg(long)]
    pub patch: bool,
    /// Tell of all pods behind a Service and of all policies, not only of the first ones.
    #[arg(long)]
    pub all: bool,
    /// The address family, where both ends have both; otherwise the one that both have, IPv4 first.
    #[arg(long, value_enum)]
    pub family: Option<Family>,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not of the form KEY=VALUE")),
    }
}

/// One end of a connection to explain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `NS/POD`, or `POD` of the namespace that is given by itself.
    Pod(Named),
    /// `svc/NS/NAME`, or `svc/NAME`.
    Service(Named),
    /// An address, a pod's or not.
    Address(IpAddr),
}

impl std::str::FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = convert::address(text) {
            return Ok(Self::Address(address));
        }
        let named = |text: &str| text.parse::<Named>();
        let end = match text.split_once('/') {
            Some(("svc" | "service" | "services", rest)) => named(rest).map(Self::Service),
            Some(("pod" | "pods" | "po", rest)) => named(rest).map(Self::Pod),
            _ => named(text).map(Self::Pod),
        };
        end.map_err(|_| format!("`{text}` is neither an IP address nor NAMESPACE/POD nor svc/NAMESPACE/NAME"))
    }
}

/// A protocol to explain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
#[allow(missing_docs, reason = "the names say it")]
pub enum ExplainProtocol {
    Tcp,
    Udp,
    Sctp,
    Icmp,
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Family {
    Ipv4,
    Ipv6,
}

/// `palisade status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Where the agent answers.
    #[command(flatten)]
    pub agent: AgentArgs,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// `palisade log-level`.
#[derive(Debug, Args)]
pub struct LogLevelArgs {
    /// A level (error, warn, info, debug, trace) or a tracing filter such as `info,palisade=debug`.
    pub filter: String,
    /// Where the agent answers.
    #[command(flatten)]
    pub agent: AgentArgs,
}

/// How to find the running agent.
#[derive(Clone, Debug, Args)]
pub struct AgentArgs {
    /// The agent's status socket.
    #[arg(long, env = "PALISADE_STATUS_SOCKET", value_name = "PATH", default_value = serve::SOCKET_PATH)]
    pub status_socket: PathBuf,
}
