//! Time and memory of who reaches whom. `cargo run --release -p palisade-model --example reach`

use std::time::Instant;

use palisade_model::Change;
use palisade_model::reach::Reach;
use palisade_model::reference::Cluster;
use palisade_model::testing::workload::{Shape, Size, Workload};

/// Where edges are told to be more than that, they are not counted.
const MOST: usize = 20_000_000;

fn main() {
    let middle = Size { pods: 5_000, namespaces: 100, policies: 1_000, local_pods: 110 };
    for size in [middle, Size::FULL] {
        for shape in Shape::ALL {
            measure(shape, size);
        }
    }
}

/// A pod with a name as those of Deployments have, of five replicas.
fn named(change: Change) -> Change {
    let Change::Pod(mut pod) = change else { return change };
    let label = |key| pod.labels.get(key).unwrap_or_default();
    let (app, _) = label("app.kubernetes.io/instance").split_once("-of-").unwrap_or_default();
    let name = format!("{app}-{}-{:05x}", label("pod-template-hash"), pod.age.created);
    pod.id.name = name.into();
    Change::Pod(pod)
}

fn measure(shape: Shape, size: Size) {
    let mut cluster = Cluster::default();
    Workload::new(shape, size, 1).cluster().map(named).for_each(|change| cluster.apply(change));
    let start = Instant::now();
    let reach = Reach::new(&cluster);
    let built = start.elapsed();
    let edges = reach.edges().take(MOST).count();
    let (places, total) = (reach.places().count(), start.elapsed());
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let memory = |what| status.lines().find_map(|line| line.strip_prefix(what)).unwrap_or("?").trim();
    let (now, peak) = (memory("VmRSS:"), memory("VmHWM:"));
    let Size { pods, policies, .. } = size;
    println!(
        "{shape}, {pods} pods, {policies} policies: {places} places in {built:.2?}, {edges} edges in {total:.2?}; \
         resident {now}, at most {peak} so far"
    );
}
