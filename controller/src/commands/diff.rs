//! `palisade diff`.

use std::io::Write;

use palisade_nft::{Backend, Kernel, Ownership};

use super::{kernel, sources};
use crate::cli::DiffArgs;
use crate::enforcer::Enforcer;
use crate::render::{self, Logs, Origins, PodRange};
use crate::{cni, links, serve};

pub(super) fn diff(args: &DiffArgs) -> anyhow::Result<()> {
    let mut kernel = kernel::open(Ownership::Plain)?;
    let held = kernel.read()?;
    let origins = held.as_ref().map_or(Origins::Guarded, render::origins);
    let range = match &args.node.guard_pod_range {
        Some(_) => sources::pod_range(&args.node)?,
        None => held.as_ref().map(PodRange::guarded_by).unwrap_or_default(),
    };
    let logs = args.node.log_group.or(held.as_ref().and_then(Logs::of)).unwrap_or(Logs::STANDARD);
    let enforcer = Enforcer::new(&args.node.node_name, kernel::table(), kernel).with_logs(logs);
    let frames = Kernel::open(render::table_of_frames(), Ownership::Plain)?;
    let enforcer = enforcer.with_shares(args.node.shares.shares);
    let mut enforcer = enforcer.with_origins(origins).with_frames(frames);
    if origins == Origins::Guarded {
        enforcer.set_links(links::read()?);
    }
    sources::snapshot(&args.node.source, &args.node.node_name)?.into_iter().for_each(|change| enforcer.apply(change));
    cni::remembered(&args.cni_sandboxes)?.into_iter().for_each(|sandbox| enforcer.set_sandbox(sandbox));
    enforcer.set_pod_range(range);
    // Where no agent runs nobody knows of any.
    let lingering = serve::status(&args.agent.status_socket).map(|status| status.lingering).unwrap_or_default();
    lingering.iter().for_each(|pod| enforcer.set_lingering(&pod.pod()));
    let plan = enforcer.plan()?;
    let mut out = std::io::stdout().lock();
    write!(out, "{}", plan.packets)?;
    if !plan.frames.is_empty() {
        write!(out, "\n# table {}\n{}", render::table_of_frames(), plan.frames)?;
    }
    Ok(())
}
