//! `palisade run`: the agent. This thread follows the API, hears the network plugin, applies and commits what it is told;
//! whoever asks how it is, is answered on another.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use palisade_nft::{Kernel, KernelConntrack, Ownership};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{self, UnboundedSender};

use super::{kernel, plug, sources};
use crate::cli::{PodRangeArg, RunArgs};
use crate::enforcer::Enforcer;
use crate::flows::{Attribution, Locals};
use crate::input::Input;
use crate::logging::LogFilter;
use crate::manifests::Hints;
use crate::notices::{self, Notices};
use crate::render::{self, Forger, Logs, Origins, PodRange};
use crate::serve::{self, SourceProbe, SourceStatus, State};
use crate::source::{self, Health};
use crate::sysctl::Check;
use crate::{agent, cni, drift, dropped, flows, forged, links, manifests};

pub(super) fn run(args: &RunArgs, log_filter: LogFilter) -> anyhow::Result<()> {
    if args.once { once(args) } else { follow(args, log_filter) }
}

/// Who exits at once has nothing to guard, so the table stays plain, and begins no epoch, so that all is judged.
fn once(args: &RunArgs) -> anyhow::Result<()> {
    let changes = sources::snapshot(&args.node.source, &args.node.node_name)?;
    Check::new(&args.proc_sys, args.set_sysctls, !args.no_guard).run();
    let mut enforcer = enforcer(args, Ownership::Plain, logs(args))?;
    if !args.no_guard {
        enforcer.set_links(links::read()?);
    }
    changes.into_iter().for_each(|change| enforcer.apply(change));
    enforcer.set_pod_range(sources::pod_range(&args.node)?);
    cni::remembered(&args.cni.cni_sandboxes)?.into_iter().for_each(|sandbox| enforcer.set_sandbox(sandbox));
    enforcer.commit()?.iter().for_each(agent::log);
    Notices::default().closings(&mut enforcer);
    Ok(())
}

fn follow(args: &RunArgs, log_filter: LogFilter) -> anyhow::Result<()> {
    let node = &args.node.node_name;
    let runtime = sources::runtime()?;
    let servers = servers()?;
    let (inputs, mut receiver) = mpsc::unbounded_channel();
    let (health, hints) = (Health::default(), Hints::default());
    let (teller, closings) = notices::channel();
    let state = State::new(node, probe(args, &health, &hints)).with_teller(teller);
    let state = Arc::new(state.with_metrics_pods(args.metrics_pods));
    if args.log_drops {
        let (.., follower) = state.flows().follow(flows::Wanted::default());
        servers.spawn(flows::log_drops(follower));
    }
    let _watch = match &args.node.source.manifests {
        Some(directory) => Some(manifests::follow(directory, node.clone(), inputs.clone(), hints)?),
        None => {
            let client = runtime.block_on(sources::client(&args.node.source))?;
            runtime.spawn(source::tell_closings(client.clone(), node.clone(), closings));
            if args.node.guard_pod_range == Some(PodRangeArg::OfNode) {
                runtime.spawn(source::tell_pod_range(client.clone(), node.clone(), inputs.clone()));
            }
            runtime.spawn(source::run(client, node.clone(), inputs.clone(), health));
            None
        }
    };
    let logs = logs(args);
    let enforcer = enforcer(args, Ownership::Take, logs)?;
    let enforcer = enforcer.with_connections_in_background(connections()?, connections()?);
    let mut enforcer = enforcer.context("cannot start a thread")?;
    match &args.node.guard_pod_range {
        Some(PodRangeArg::OfNode) => enforcer = enforcer.with_pod_range(),
        Some(PodRangeArg::Given(networks)) => enforcer.set_pod_range(PodRange::of(networks)),
        None => {}
    }
    if !args.no_guard {
        enforcer = enforcer.with_lingering();
        let nudge = follow_links(&mut enforcer, &inputs)?;
        enforcer.look_again_with(move |links| nudge.look_again(links));
    }
    let monitor = enforcer.backend().monitor().context("cannot hear of changes to the table")?;
    drift::watch(monitor, inputs.clone())?;
    flows::listen(logs, inputs.clone(), state.flows().clone()).context("cannot start a thread")?;
    let attribution = attribution(args, &inputs, &state)?;
    stop_on_signal(&servers, &inputs)?;
    watch_sysctls(&servers, args, &state);
    watch_forgers(&servers, &state)?;
    watch_dropped(&servers, &state)?;
    serve_probes_and_metrics(&servers, args, &state);
    serve_status(&servers, status_socket(args), &state, log_filter);
    let desk = plug::serve(&runtime, &args.cni, &inputs, &state)?;
    drop(inputs);
    runtime.block_on(agent::run_with(&mut enforcer, desk, attribution, &mut receiver, &state));
    tracing::info!("stopped; what was enforced stays in force until `palisade cleanup`");
    // Somebody may be in the middle of a request: nobody waits for it.
    runtime.shutdown_background();
    servers.shutdown_background();
    Ok(())
}

/// Who makes sense of what is dropped, and of what is allowed where that is to be told.
fn attribution(args: &RunArgs, inputs: &UnboundedSender<Input>, state: &State) -> anyhow::Result<Attribution> {
    let attribution = Attribution::new(state.flows().clone());
    if !args.flows {
        return Ok(attribution);
    }
    let locals = Locals::default();
    let watched = flows::watch_connections(locals.clone(), inputs.clone(), state.flows().clone());
    watched.context("cannot start a thread")?;
    Ok(attribution.with_locals(locals))
}

/// How the source of the objects is: the watches, or the directory.
fn probe(args: &RunArgs, health: &Health, hints: &Hints) -> SourceProbe {
    let (health, hints) = (health.clone(), hints.clone());
    if args.node.source.manifests.is_some() {
        Box::new(move || SourceStatus { hints: hints.get(), ..SourceStatus::default() })
    } else {
        Box::new(move || SourceStatus::from(&health))
    }
}

/// Where it is answered how the agent is, also while it has much to commit.
fn servers() -> anyhow::Result<Runtime> {
    let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("servers").enable_all().build();
    runtime.context("cannot start the runtime of the servers")
}

fn logs(args: &RunArgs) -> Logs {
    flows::supported(args.node.log_group.unwrap_or(Logs::STANDARD))
}

fn enforcer(args: &RunArgs, ownership: Ownership, logs: Logs) -> anyhow::Result<Enforcer<Kernel>> {
    let origins = if args.no_guard { Origins::Believed } else { Origins::Guarded };
    // The first socket of a process has its id for a port, which is what others see of the owner.
    let packets = kernel::open(ownership)?;
    let frames = Kernel::open(render::table_of_frames(), ownership)?;
    let enforcer = Enforcer::new(&args.node.node_name, kernel::table(), packets);
    let enforcer = enforcer.with_shares(args.node.shares.shares);
    Ok(enforcer.with_origins(origins).with_logs(logs).with_frames(frames))
}

/// The first commit knows the links that there are.
fn follow_links(enforcer: &mut Enforcer<Kernel>, inputs: &UnboundedSender<Input>) -> anyhow::Result<links::Nudge> {
    enforcer.set_links(links::read()?);
    let inputs = inputs.clone();
    let watch = links::watch(move |links| inputs.send(Input::Links(links)).is_ok());
    watch.context("cannot hear of this node's links")
}

fn connections() -> anyhow::Result<KernelConntrack> {
    KernelConntrack::open().context("cannot open a netlink socket for connections")
}

fn stop_on_signal(servers: &Runtime, inputs: &UnboundedSender<Input>) -> anyhow::Result<()> {
    let _entered = servers.enter();
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind).context("cannot listen for signals")?;
        let inputs = inputs.clone();
        servers.spawn(async move {
            signals.recv().await;
            // An agent that no longer listens has stopped already.
            let _ = inputs.send(Input::Stop);
        });
    }
    Ok(())
}

/// Says who sent what the guard drops: a line each, as often as the table is checked.
fn watch_forgers(servers: &Runtime, state: &Arc<State>) -> anyhow::Result<()> {
    let mut kernels = forged::kernels(kernel::table())?;
    let mut watch = forged::Watch::default();
    let state = state.clone();
    servers.spawn(async move {
        loop {
            match forged::read(&mut kernels) {
                Ok(now) => tell_forgers(&watch.news(now), &state),
                Err(error) => tracing::warn!(%error, "not known what the guard dropped"),
            }
            tokio::time::sleep(agent::CHECK_INTERVAL).await;
        }
    });
    Ok(())
}

/// Counts what policies drop.
fn watch_dropped(servers: &Runtime, state: &Arc<State>) -> anyhow::Result<()> {
    let mut kernel = kernel::open(Ownership::Plain)?;
    let mut watch = dropped::Watch::default();
    let state = state.clone();
    servers.spawn(async move {
        loop {
            match kernel.named_counters() {
                Ok(now) => {
                    state.dropped(watch.count(&now, &state.counted()));
                    state.flows().set_to_be_told(watch.to_be_told());
                }
                Err(error) => tracing::warn!(%error, "not known how much was dropped"),
            }
            tokio::time::sleep(dropped::INTERVAL).await;
        }
    });
    Ok(())
}

fn tell_forgers(forged: &forged::Forged, state: &State) {
    state.forged(forged);
    for (forger, packets) in forged {
        if *forger == Forger::UnknownPod {
            tracing::info!(packets, "dropped packets of addresses of the pod range that are no known pod's");
            continue;
        }
        tracing::warn!(from = %forger, packets, "dropped packets that cannot be from there");
    }
}

/// Looks at once, and then as often as the table is checked.
fn watch_sysctls(servers: &Runtime, args: &RunArgs, state: &Arc<State>) {
    let mut check = Check::new(&args.proc_sys, args.set_sysctls, !args.no_guard);
    state.sysctls(check.run());
    let state = state.clone();
    servers.spawn(async move {
        loop {
            tokio::time::sleep(agent::CHECK_INTERVAL).await;
            state.sysctls(check.run());
        }
    });
}

/// Whatever hinders it is logged: enforcing matters more.
fn serve_probes_and_metrics(servers: &Runtime, args: &RunArgs, state: &Arc<State>) {
    if let Some(address) = args.probe_address {
        let state = state.clone();
        servers.spawn(async move {
            if let Err(error) = serve::serve_probes(address, state).await {
                tracing::error!(%address, %error, "probes are not served");
            }
        });
    }
    if let Some(address) = args.metrics_address {
        let state = state.clone();
        servers.spawn(async move {
            if let Err(error) = serve::serve_metrics(address, state).await {
                tracing::error!(%address, %error, "metrics are not served");
            }
        });
    }
}

fn status_socket(args: &RunArgs) -> Option<PathBuf> {
    let default = args.node.source.manifests.is_none().then(|| PathBuf::from(serve::SOCKET_PATH));
    args.status_socket.clone().or(default)
}

fn serve_status(servers: &Runtime, socket: Option<PathBuf>, state: &Arc<State>, log_filter: LogFilter) {
    let Some(socket) = socket else { return };
    let state = state.clone();
    servers.spawn(async move {
        // The last agent may still be ending.
        while let Err(error) = serve::serve_socket(&socket, state.clone(), setter(&log_filter)).await {
            tracing::error!(%error, "status is not served, will try again");
            tokio::time::sleep(agent::CHECK_INTERVAL).await;
        }
    });
}

fn setter(log_filter: &LogFilter) -> serve::SetLogFilter {
    let log_filter = log_filter.clone();
    Box::new(move |filter: &str| log_filter.set(filter))
}
