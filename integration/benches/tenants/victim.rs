//! A victim whose policy is edited again and again, and when each edit is in force.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use palisade::agent;
use palisade::enforcer::Enforcer;
use palisade::input::Input;
use palisade::render::TABLE;
use palisade::serve::{SourceStatus, State};
use palisade::source::Health;
use palisade_integration::apiserver::Usage;
use palisade_model::testing::NODE;
use palisade_model::{Change, Selector, Shares};
use palisade_nft::{
    Backend, BackendError, CommitError, Kernel, KernelConntrack, Name, Operation, Ownership, Ruleset, Table,
    Transaction,
};
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::Outcome;
use super::cluster::{SHOP, cluster, of_app, policy, rule, tcp, within};
use super::hostile::{Case, Tenants};
use super::report::Measured;

/// How long the victim's edits are measured, and how often there is one.
const DURATION: Duration = Duration::from_secs(20);
const PERIOD: Duration = Duration::from_millis(50);
/// Until then it is decided what is in force of all others.
const FIRST: Duration = Duration::from_secs(2);
/// How often each tenant writes at most, and all of them together.
const REWRITE: Duration = Duration::from_millis(100);
/// When an edit counts as never in force.
const LIMIT: Duration = Duration::from_secs(30);

/// Knows when what leads to the victim's peers was acknowledged.
struct Watched {
    kernel: Kernel,
    /// When transactions that write it were in force.
    acknowledged: Arc<Mutex<Vec<Instant>>>,
}

impl Backend for Watched {
    fn read(&mut self) -> Result<Option<Ruleset>, BackendError> {
        self.kernel.read()
    }

    fn commit(&mut self, table: &Table, transaction: &Transaction) -> Result<(), CommitError> {
        let is_victims = |operation: &Operation| match operation {
            Operation::AddElements { set, .. } => set.as_str().starts_with("ports-ingress-tcp-shop"),
            _ => false,
        };
        self.kernel.commit(table, transaction)?;
        if transaction.operations.iter().any(is_victims) {
            self.acknowledged.lock().expect("nobody panics").push(Instant::now());
        }
        Ok(())
    }

    fn generation(&mut self) -> Result<u32, BackendError> {
        self.kernel.generation()
    }

    fn passage(&self) -> fn() {
        self.kernel.passage()
    }

    fn guard(&mut self) -> Result<bool, CommitError> {
        self.kernel.guard()
    }
}

pub(crate) fn measure(case: Case, pods: u32) -> Outcome<Measured> {
    let mut tenants = Tenants::new(case, pods);
    let table = Name::new(TABLE)?;
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let backend = Watched { kernel: Kernel::open(table.clone(), Ownership::Take)?, acknowledged: acknowledged.clone() };
    let enforcer = Enforcer::new(NODE, table, backend).with_shares(Shares::STANDARD);
    let mut enforcer = enforcer.with_connections_in_background(KernelConntrack::open()?, KernelConntrack::open()?)?;
    let start = Instant::now();
    let objects = cluster(pods, &case.namespaces()).into_iter().chain(tenants.first()).chain([edit(0)]);
    objects.for_each(|change| enforcer.apply(change));
    let listed = start.elapsed();

    let state = State::new(NODE, Box::new(|| SourceStatus::from(&Health::default())));
    let (inputs, mut receiver) = unbounded_channel();
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let begun = Instant::now();
    inputs.send(Input::Synced)?;
    let (cold, sent) = thread::scope(|scope| {
        let victim = scope.spawn(|| edits(&mut tenants, &inputs, &acknowledged));
        runtime.block_on(agent::run(&mut enforcer, &mut receiver, &state));
        victim.join().expect("the victim does not panic")
    })?;
    let acknowledged = acknowledged.lock().expect("nobody panics");
    let latency = |sent: &Instant| {
        let first = acknowledged.iter().find(|at| *at > sent);
        first.map_or(LIMIT, |at| *at - *sent)
    };
    let (first, later) = sent.split_at(sent.partition_point(|at| *at < cold + FIRST));
    Ok(Measured {
        case: case.name().to_owned(),
        pods,
        tenants: tenants.count(),
        closed: enforcer.index().closed().count(),
        listed,
        cold: cold - begun,
        first_latencies: first.iter().map(latency).collect(),
        latencies: later.iter().map(latency).collect(),
        peak: Usage::of(std::process::id())?.peak as f64 / 1024.0,
    })
}

/// Returns when the victim was first enforced, and when each later edit was sent.
fn edits(
    tenants: &mut Tenants,
    inputs: &UnboundedSender<Input>,
    acknowledged: &Mutex<Vec<Instant>>,
) -> Outcome<(Instant, Vec<Instant>)> {
    let first = || acknowledged.lock().expect("nobody panics").first().copied();
    let cold = loop {
        if let Some(at) = first() {
            break at;
        }
        thread::sleep(Duration::from_millis(1));
    };
    let (start, mut sent, mut rewritten) = (Instant::now(), Vec::new(), Instant::now());
    while start.elapsed() < DURATION {
        let due = start + PERIOD * u32::try_from(sent.len())?;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if rewritten.elapsed() >= REWRITE / u32::try_from(tenants.count())? {
            rewritten = Instant::now();
            inputs.send(Input::Changes(tenants.next()))?;
        }
        sent.push(Instant::now());
        inputs.send(Input::Changes(vec![edit(sent.len())]))?;
    }
    thread::sleep(LIMIT / 10);
    inputs.send(Input::Stop)?;
    Ok((cold, sent))
}

fn edit(number: usize) -> Change {
    let peer = within(SHOP, of_app(["web", "api"][number % 2]));
    policy(SHOP, "victim", Selector::default(), vec![rule(peer, vec![tcp(80, 80)])])
}
