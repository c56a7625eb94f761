//! `palisade recommend`: the smallest set of policies that lets pass what was recorded or wished.
//!
//! Invariant: what is printed was judged: by `verify`, that all of it passes, and by who reaches whom, that nothing else does.

mod expectations;
mod known;
mod made;
mod report;
mod yaml;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::sync::Arc;

use anyhow::{Context, bail};
use jiff::Timestamp;
use palisade_model::recommend::{End, Recommendation, Scope, Surplus, Wish, recommend as of, surplus};
use palisade_model::reference::Cluster;
use palisade_model::{Change, Direction, Policy, Protocol};

use self::expectations::{Expected, expected};
use self::known::Known;
use self::made::Made;
use self::report::Report;
use super::recorded::{self, Gaps, Known as Flows};
use super::sources;
use crate::cli::{RecommendArgs, RecommendOutput};
use crate::manifests::Besides;
use crate::meant::meant;
use crate::verify::{CaseReport, Situation, verify};

/// How many expectations that are not met an error names.
const NAMED: usize = 5;
/// The port of DNS.
const DNS: u16 = 53;

pub(super) fn recommend(args: &RecommendArgs) -> anyhow::Result<()> {
    let (changes, besides) = sources::snapshot_with_besides(&args.source, true)?;
    let mut cluster = Cluster::default();
    changes.into_iter().for_each(|change| cluster.apply(change));
    let flows = recorded::known(&args.flows, &args.source)?.unwrap_or_default();
    let known = Known::new(&cluster, &besides, &flows);
    let made = made(args, &flows, &known)?;
    let wishes: Vec<Wish> = made.wishes.keys().cloned().collect();
    let scope = scope(args, &cluster, &wishes)?;
    let recommended = of(&with_templates(&cluster, &known), &wishes, &scope);
    let replaces = replaced(&cluster, &scope);
    let after = applied(cluster, &recommended, &scope);
    let judged = Judged::new(after, besides, &wishes, &recommended, &scope);
    let mut report = Report::new(&recommended, &wishes, &made, &judged.surplus, &judged.cases);
    report.replaces = replaces;
    report.notes = not_known(flows.gaps).into_iter().chain(notes(&wishes, &known, &scope)).collect();
    if let Some(file) = &args.expectations {
        let text = expectations::file(&judged.expected)?;
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    print(&report, args.output)?;
    let unmet = &report.proof.unmet;
    if !unmet.is_empty() {
        bail!("{} of what is wished does not pass: {}", unmet.len(), crate::text::some_of(unmet, NAMED, 400, "; "));
    }
    Ok(())
}

/// What is to pass, from all that says so.
fn made(args: &RecommendArgs, flows: &Flows, known: &Known) -> anyhow::Result<Made> {
    let mut made = Made::default();
    flows.recorded.iter().for_each(|flow| made.add_flow(flow, known));
    let now = Timestamp::now();
    flows.open.iter().flatten().for_each(|open| made.add_open(open, known, now));
    let namespace = match &args.namespace[..] {
        [one] => Some(one.as_str()),
        _ => None,
    };
    args.allow.iter().try_for_each(|written| made.add_written(written, namespace, known))?;
    Ok(made)
}

/// The namespaces that are given, or those of all ends.
fn scope(args: &RecommendArgs, cluster: &Cluster, wishes: &[Wish]) -> anyhow::Result<Scope> {
    let of_end = |end: &End| match end {
        End::Workload(id) => Some(id.namespace.clone()),
        End::Network(_) => None,
    };
    let given: BTreeSet<Arc<str>> = args.namespace.iter().map(|name| name.as_str().into()).collect();
    if let Some(missing) = given.iter().find(|name| !cluster.namespaces.contains_key(*name)) {
        let meant = meant(missing, cluster.namespaces.keys().map(ToString::to_string));
        bail!("there is no namespace {missing}{meant}");
    }
    let of_ends = || wishes.iter().flat_map(|wish| [&wish.from, &wish.to]).filter_map(of_end).collect();
    let namespaces: BTreeSet<Arc<str>> = if given.is_empty() { of_ends() } else { given };
    if namespaces.is_empty() {
        bail!("no flow begins or ends in a pod: give flows that do, or name a namespace with -n");
    }
    Ok(Scope { namespaces, directions: args.direction.directions().collect(), most_blocks: args.most_blocks })
}

/// With the pods that workloads without any would make.
fn with_templates(cluster: &Cluster, known: &Known) -> Cluster {
    let mut cluster = cluster.clone();
    known.to_come().for_each(|pod| drop(cluster.pods.insert(pod.id.clone(), pod.clone())));
    cluster
}

fn is_replaced(policy: &Policy, scope: &Scope) -> bool {
    let isolates = scope.directions.iter().any(|direction| policy.rules(*direction).is_some());
    scope.namespaces.contains(&policy.id.namespace) && !policy.is_audited() && isolates
}

fn replaced(cluster: &Cluster, scope: &Scope) -> Vec<String> {
    let replaced = cluster.policies.values().filter(|policy| is_replaced(policy, scope));
    replaced.map(|policy| policy.id.to_string()).collect()
}

/// With the policies that are recommended, in place of what others of the namespaces say about the same directions.
fn applied(mut cluster: Cluster, recommended: &Recommendation, scope: &Scope) -> Cluster {
    for policy in cluster.policies.values_mut().filter(|policy| is_replaced(policy, scope)) {
        for direction in &scope.directions {
            match direction {
                Direction::Egress => policy.egress = None,
                Direction::Ingress => policy.ingress = None,
            }
        }
    }
    cluster.policies.retain(|_, policy| policy.egress.is_some() || policy.ingress.is_some());
    for one in &recommended.policies {
        cluster.apply(Change::Policy(one.policy.clone()));
    }
    cluster
}

/// What became of the recommendation where it was asked.
struct Judged {
    surplus: Vec<Surplus>,
    expected: Vec<Expected>,
    cases: Vec<CaseReport>,
}

impl Judged {
    fn new(after: Cluster, besides: Besides, wishes: &[Wish], recommended: &Recommendation, scope: &Scope) -> Self {
        let left_out: BTreeSet<usize> = recommended.left_out.iter().map(|(number, _)| *number).collect();
        let surplus = surplus(&after, wishes, scope);
        let said = wishes.iter().enumerate().filter(|(number, _)| !left_out.contains(number)).map(|(_, wish)| wish);
        let expected = expected(said, scope, &surplus, &recommended.widened);
        let cases: Vec<_> = expected.iter().map(Expected::case).collect();
        let cases = verify(&Situation::new(after, besides, false), &cases, || {});
        Self { surplus, expected, cases }
    }
}

/// What may have passed and is not in what was heard. What connections carried does not matter here, nor since when.
fn not_known(gaps: Gaps) -> Vec<String> {
    Gaps { without_bytes: BTreeSet::new(), without_ages: BTreeSet::new(), ..gaps }.told(0)
}

/// Workloads that will know no names.
fn notes(wishes: &[Wish], known: &Known, scope: &Scope) -> Vec<String> {
    if !scope.directions.contains(&Direction::Egress) {
        return Vec::new();
    }
    let of = |wish: &Wish| match &wish.from {
        End::Workload(id) if scope.namespaces.contains(&id.namespace) => Some(id.clone()),
        _ => None,
    };
    let is_dns = |wish: &&Wish| wish.protocol == Protocol::Udp && wish.ports.contains(DNS);
    let asking: BTreeSet<_> = wishes.iter().filter(is_dns).filter_map(of).collect();
    let all: BTreeSet<_> = wishes.iter().filter_map(of).collect();
    let silent: Vec<String> = all.difference(&asking).map(ToString::to_string).collect();
    if silent.is_empty() {
        return Vec::new();
    }
    let dns = known.dns().map_or_else(|| "kube-system/kube-dns".to_owned(), ToString::to_string);
    let names = crate::text::some_of(&silent, NAMED, 130, ", ");
    let first = &silent[0];
    let allow = format!("--allow '{first} -> {dns} UDP {DNS} TCP {DNS}'");
    vec![format!("no DNS of {names} was seen: they will resolve no names. If they have to: {allow}")]
}

fn print(report: &Report, output: RecommendOutput) -> anyhow::Result<()> {
    match output {
        RecommendOutput::Yaml => write!(io::stdout(), "{}", yaml::yaml(report)?)?,
        RecommendOutput::Json => writeln!(io::stdout(), "{}", serde_json::to_string_pretty(report)?)?,
    }
    Ok(())
}
