//! `palisade explain`: the reference verdict, and what is behind it.

use std::io::Write;

use anyhow::Context;
use palisade_model::reference::{Cluster, Flow};
use palisade_model::{Change, Direction};
use serde::Serialize;

use self::closing::Closings;
use self::ends::Services;
use self::explanation::{End, Explanation};
use self::service::ThroughService;
use super::sources;
use crate::cli::{ExplainArgs, Output};

mod change;
mod closing;
mod ends;
mod explanation;
mod hints;
mod imagined;
mod judgement;
mod remembered;
mod service;

pub(super) fn explain(args: &ExplainArgs) -> anyhow::Result<()> {
    let given = ends::ends(args)?;
    // Every pod is judged, wherever it runs: the node's name does not matter.
    let (objects, read) = sources::snapshot_and_besides(&args.source)?;
    let mut cluster = Cluster::default();
    objects.iter().for_each(|change| cluster.apply(change.clone()));
    let is_named = matches!(given[1], Some(ends::End::Service(_)));
    let (services, unknown) = match read {
        Some(besides) => (besides.sound(is_named)?.services, None),
        None => services_of_cluster(args, &cluster, given[1].as_ref())?,
    };
    let mut answer = answer(cluster, &objects, (&given, &services), args)?;
    answer.hint(unknown);
    let mut out = std::io::stdout().lock();
    match args.output {
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&answer)?)?,
        Output::Text => write!(out, "{}", answer.text(args.all))?,
    }
    Ok(())
}

/// Asked for only where one is connected to, or may be. Where the caller may not see them that is an error, or a hint.
fn services_of_cluster(
    args: &ExplainArgs,
    cluster: &Cluster,
    to: Option<&ends::End>,
) -> anyhow::Result<(Services, Option<String>)> {
    match to {
        Some(ends::End::Service(_)) => Ok((sources::services(&args.source)?, None)),
        Some(ends::End::Address(address)) if cluster.owner(*address).is_none() => {
            match sources::services(&args.source) {
                Ok(services) => Ok((services, None)),
                Err(error) => {
                    Ok((Services::new(), Some(format!("it is not known whether it is a Service's: {error:#}"))))
                }
            }
        }
        _ => Ok((Services::new(), None)),
    }
}

/// What is printed.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Answer {
    One(Box<Explanation>),
    Service(ThroughService),
}

type Given<'a> = (&'a [Option<ends::End>; 2], &'a Services);

fn answer(
    mut cluster: Cluster,
    objects: &[Change],
    (given, services): Given<'_>,
    args: &ExplainArgs,
) -> anyhow::Result<Answer> {
    let [from, to] = given;
    let imagined = imagined::add(&mut cluster, given, args)?;
    let source = imagined.end(&cluster, from.as_ref(), Direction::Egress).context("--from")?;
    let mut closings = Closings::new(objects, args.shares.shares);
    if let Some(service) = ends::service(to.as_ref(), services).context("--to")? {
        let ends = (service, &*source);
        let through = ThroughService::new(&mut cluster, &mut closings, ends, args, imagined.hints())?;
        return Ok(Answer::Service(through));
    }
    let destination = imagined.end(&cluster, to.as_ref(), Direction::Ingress).context("--to")?;
    let (source, destination) = ends::pair(&source, &destination, args.family)?;
    let traffic = ends::traffic(&cluster, args, destination)?;
    let flow = Flow { source, destination, traffic };
    let mut explanation = Explanation::new(&mut cluster, &mut closings, flow, imagined.hints());
    explanation.look_for_change(&cluster, args);
    explanation.remember(args);
    Ok(Answer::One(Box::new(explanation)))
}

impl Answer {
    fn hint(&mut self, hint: Option<String>) {
        if let Self::One(one) = self {
            one.hints.extend(hint);
        }
    }

    fn text(&self, all: bool) -> String {
        match self {
            Self::One(one) => one.text(all, true),
            Self::Service(through) => through.text(all),
        }
    }
}
