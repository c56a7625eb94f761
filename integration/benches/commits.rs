//! What commits cost: large policies as a whole, and small changes to large tables, beside `nft -f` doing the same in the
//! same run.
//!
//! ```text
//! cargo bench -p palisade-integration --bench commits               # all of it
//! cargo bench -p palisade-integration --bench commits -- cluster    # one of: tables, pods, cluster, edits, repair
//! ```

mod support;

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use palisade::enforcer::Enforcer;
use palisade_integration::netns::Namespace;
use palisade_model::Change;
use palisade_model::testing;
use palisade_model::testing::workload::{Shape, Size, Workload};
use palisade_nft::{
    Backend, BackendError, CommitError, Event, Kernel, Name, Operation, Ownership, Ruleset, Table, Transaction,
};
use support::{
    NODE, Order, address, many_cluster_policies, many_exceptions, many_peers, many_policies, many_ranges, pod,
    remote_pod,
};

const ROUNDS: usize = 9;
const SMALL_ROUNDS: u32 = 101;
const WHOLE_ROUNDS: usize = 5;

fn main() {
    let wanted: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let parts =
        [("tables", tables as fn()), ("pods", pods), ("cluster", cluster), ("edits", edits), ("repair", repair)];
    for (part, measure) in parts {
        if wanted.is_empty() || wanted.iter().any(|name| name == part) {
            measure();
        }
    }
}

fn tables() {
    println!("a whole table, from the objects to the kernel's acknowledgement; median of {ROUNDS} turns, in ms");
    println!("{:<52}{:>10}{:>10}{:>8}", "", "palisade", "nft -f", "ratio");
    for (what, changes) in [
        ("a policy with 1,000 except CIDRs", many_exceptions(1_000)),
        ("a policy with 1,000 port ranges", many_ranges(1_000)),
        ("a pod with 200 policies", many_policies(200)),
        ("a pod with 1,000 policies", many_policies(1_000)),
        ("a policy with 100,000 peers", many_peers(100_000)),
        ("1,000 cluster policies of 25 rules, 2 pods", many_cluster_policies(1_000, Order::Blocks)),
    ] {
        let rounds: Vec<_> = (0..ROUNDS).map(|_| (palisade_whole(&changes), nft_whole(&changes))).collect();
        print_row(what, &rounds);
    }
}

fn pods() {
    println!("\none change, median of {SMALL_ROUNDS} turns, in ms");
    println!("{:<52}{:>10}{:>10}{:>8}", "", "palisade", "nft -f", "ratio");
    print_row("a remote pod comes into a set of 1,000", &one_pod(1_000));
    print_row("a remote pod comes into a set of 100,000", &one_pod(100_000));
}

fn cluster() {
    println!(
        "\n150,000 pods, 110 of them here: the whole table, from the objects, in ms; median of {WHOLE_ROUNDS} turns"
    );
    println!("{:<52}{:>10}{:>10}{:>8}", "", "without", "with", "ratio");
    let policies = many_cluster_policies(10, Order::Blocks);
    for (what, more) in [
        ("10 cluster policies that all pods come under", &policies[..10]),
        ("and one that denies all pods", &policies[..]),
    ] {
        let rounds: Vec<Pair> = (0..WHOLE_ROUNDS).map(|_| (full_cluster(&[]), full_cluster(more))).collect();
        print_row(what, &rounds);
    }
}

fn edits() {
    println!("\na cluster policy of 25 rules that every pod of a node comes under, in ms: p50, p99, greatest");
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in a list"
    )]
    for (what, others) in [("alone", 0), ("among 100", 100), ("among 1,000", 1_000)] {
        let mut rounds = edits_of_a_cluster_policy(others);
        rounds.sort();
        let at = |share: f64| rounds[((rounds.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        println!("{what:<52}{:>10.3}{:>10.3}{:>8.3}", at(0.5), at(0.99), at(1.0));
    }
}

fn repair() {
    println!(
        "\nanother process has deleted a plain table: until nobody is open, and until it is there again; median of {ROUNDS} turns, in ms"
    );
    println!("{:<52}{:>10}{:>10}{:>8}", "", "closed", "complete", "ratio");
    let cluster = |size| Workload::new(Shape::ManyNamespaces, size, 1).cluster().collect::<Vec<_>>();
    let middle = Size { pods: 5_000, namespaces: 100, policies: 1_000, local_pods: 110 };
    for (what, node, changes) in [
        ("a pod with 200 policies", NODE, many_policies(200)),
        ("5,000 pods, 110 of them here, 1,000 policies", testing::NODE, cluster(middle)),
        ("150,000 pods, 110 of them here, 10,000 policies", testing::NODE, cluster(Size::FULL)),
        ("a policy with 100,000 peers", NODE, many_peers(100_000)),
    ] {
        let rounds = namespace().enter(|| repairs(node, &changes)).expect("the namespace can be entered");
        print_row(what, &rounds);
    }
}

/// Each as long as it took from the acknowledgement of who deletes the table to that of the first transaction, and of the last.
fn repairs(node: &str, changes: &[Change]) -> Vec<Pair> {
    let table = Name::new("palisade").expect("a name");
    let kernel = || Kernel::open(table.clone(), Ownership::Plain).expect("nftables can be used");
    let mut another = kernel();
    let first = Arc::default();
    let mut ours = kernel();
    let mut monitor = ours.monitor().expect("changes by others are told");
    let mut enforcer = Enforcer::new(node, table.clone(), Timed { kernel: ours, first: Arc::clone(&first) });
    changes.iter().cloned().for_each(|change| enforcer.apply(change));
    enforcer.commit().expect("the ruleset is committed");
    let delete = Transaction { operations: vec![Operation::DeleteTable] };
    let mut round = || {
        while monitor.try_next().expect("changes are told").is_some() {}
        another.commit(&enforcer.desired().table, &delete).expect("it is plain");
        let start = Instant::now();
        *first.lock().expect("nobody panics") = None;
        while !matches!(monitor.try_next(), Ok(Some(Event::NewGeneration { touched: true, .. } | Event::Lost))) {}
        enforcer.distrust();
        enforcer.commit().expect("the ruleset is committed");
        let whole = start.elapsed();
        let closed = first.lock().expect("nobody panics").expect("something was committed");
        (closed.duration_since(start), whole)
    };
    (0..ROUNDS).map(|_| round()).collect()
}

/// A kernel, and when it acknowledged the first transaction of late.
struct Timed {
    kernel: Kernel,
    first: Arc<Mutex<Option<Instant>>>,
}

impl Backend for Timed {
    fn read(&mut self) -> Result<Option<Ruleset>, BackendError> {
        self.kernel.read()
    }

    fn commit(&mut self, table: &Table, transaction: &Transaction) -> Result<(), CommitError> {
        self.kernel.commit(table, transaction)?;
        self.first.lock().expect("nobody panics").get_or_insert_with(Instant::now);
        Ok(())
    }

    fn generation(&mut self) -> Result<u32, BackendError> {
        self.kernel.generation()
    }
}

/// The largest cluster, and more.
fn full_cluster(more: &[Change]) -> Duration {
    let changes: Vec<Change> =
        Workload::new(Shape::ManyNamespaces, Size::FULL, 1).cluster().chain(more.iter().cloned()).collect();
    let commit = || {
        let table = Name::new("palisade").expect("a name");
        let kernel = Kernel::open(table.clone(), Ownership::Plain).expect("nftables can be used");
        commit(&mut Enforcer::new(testing::NODE, table, kernel), &changes)
    };
    namespace().enter(commit).expect("the namespace can be entered")
}

/// A policy that 110 pods come under is edited again and again, among so many others.
fn edits_of_a_cluster_policy(others: u16) -> Vec<Duration> {
    let pods = (0..110).map(|i| pod(&format!("local-{i}"), Ipv4Addr::from_bits(0x0c00_0001 + i).into()));
    let changes: Vec<Change> = pods.chain(many_cluster_policies(others + 1, Order::Blocks)).collect();
    let edit = |i: u32| {
        let edited = many_cluster_policies(1, if i.is_multiple_of(2) { Order::Alternating } else { Order::Blocks });
        edited.into_iter().take(1).collect::<Vec<_>>()
    };
    let rounds = namespace().enter(|| {
        let mut enforcer = enforcer();
        commit(&mut enforcer, &changes);
        (0..SMALL_ROUNDS).map(|i| commit(&mut enforcer, &edit(i))).collect()
    });
    rounds.expect("the namespace can be entered")
}

type Pair = (Duration, Duration);

fn print_row(what: &str, rounds: &[Pair]) {
    let milliseconds = |of: fn(&Pair) -> Duration| median(rounds.iter().map(|pair| of(pair).as_secs_f64() * 1e3));
    let ratio = median(rounds.iter().map(|(palisade, nft)| nft.as_secs_f64() / palisade.as_secs_f64()));
    println!("{what:<52}{:>10.3}{:>10.3}{ratio:>8.2}", milliseconds(|pair| pair.0), milliseconds(|pair| pair.1));
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn namespace() -> Namespace {
    Namespace::new().expect("network namespaces can be made")
}

fn enforcer() -> Enforcer<Kernel> {
    let table = Name::new("palisade").expect("a name");
    let kernel = Kernel::open(table.clone(), Ownership::Plain).expect("nftables can be used");
    Enforcer::new(NODE, table, kernel)
}

fn palisade_whole(changes: &[Change]) -> Duration {
    namespace().enter(|| commit(&mut enforcer(), changes)).expect("the namespace can be entered")
}

fn commit(enforcer: &mut Enforcer<Kernel>, changes: &[Change]) -> Duration {
    let changes = changes.to_vec();
    let start = Instant::now();
    changes.into_iter().for_each(|change| enforcer.apply(change));
    enforcer.commit().expect("the ruleset is committed").expect("there was something to commit");
    start.elapsed()
}

fn nft_whole(changes: &[Change]) -> Duration {
    let namespace = namespace();
    let text = namespace.enter(|| {
        let mut enforcer = enforcer();
        changes.iter().cloned().for_each(|change| enforcer.apply(change));
        enforcer.plan().expect("the table can be read");
        enforcer.desired().to_string()
    });
    load(&namespace, &text.expect("the namespace can be entered"))
}

fn load(namespace: &Namespace, text: &str) -> Duration {
    let start = Instant::now();
    namespace.nft(text).expect("the text loads");
    start.elapsed()
}

/// A pod that comes, in each turn another one: by Palisade in one namespace, by `nft -f` in another with the same table.
fn one_pod(peers: u32) -> Vec<Pair> {
    let (ours, others) = (namespace(), namespace());
    let changes = many_peers(peers);
    let text = ours.enter(|| {
        let mut enforcer = enforcer();
        commit(&mut enforcer, &changes);
        let text = enforcer.desired().to_string();
        let rounds: Vec<Duration> = (0..SMALL_ROUNDS).map(|i| commit(&mut enforcer, &[new_pod(peers + i)])).collect();
        (text, rounds)
    });
    let (text, rounds) = text.expect("the namespace can be entered");
    others.nft(&text).expect("the text loads");
    let set = text.split_whitespace().skip_while(|word| *word != "set").nth(1).expect("the peers are a set").to_owned();
    let nft = (0..SMALL_ROUNDS)
        .map(|i| load(&others, &format!("add element inet palisade {set} {{ {} }}\n", address(peers + i))));
    rounds.into_iter().zip(nft).collect()
}

fn new_pod(i: u32) -> Change {
    remote_pod(&format!("new-{i}"), address(i))
}
