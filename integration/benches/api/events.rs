use std::thread::sleep;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Patch, PatchParams};
use palisade_integration::apiserver::{Cluster, Labels};
use palisade_integration::netns::Host;
use palisade_integration::probe::Family;
use palisade_integration::steady::{Datagram, Steady, Stream};
use serde_json::{Value, json};

use super::Outcome;
use super::fill::{BENCH, Bench, Hosts, host_address};
use super::floor::{Floor, after};

/// Each kind of event happens so often.
const ROUNDS: usize = 100;
/// From change to change.
const PERIOD: Duration = Duration::from_millis(100);
/// From datagram to datagram: how exactly a verdict's time is known.
const PROBE_PERIOD: Duration = Duration::from_micros(250);
/// So many of the last datagrams agree when a verdict has settled.
const AGREEING: usize = 20;
const LIMIT: Duration = Duration::from_secs(30);
const BURST: usize = 200;

/// The times of one kind of event.
pub(crate) struct Measured {
    pub(crate) event: &'static str,
    pub(crate) verdicts: Vec<Duration>,
    pub(crate) floor: Vec<Duration>,
    /// How much later than the floor the same change was obeyed.
    pub(crate) above: Vec<Duration>,
    pub(crate) cpu: Duration,
}

/// Two changes that undo each other.
pub(crate) struct Toggle {
    names: [&'static str; 2],
    /// The object that is written.
    object: &'static str,
    /// Whether packets pass after the one, after the other.
    passes: [bool; 2],
    from: fn(&Hosts) -> &Host,
    to: fn(&Hosts) -> &Host,
    /// What must be there before each is written; not measured.
    prepare: [fn(&Cluster<'_>) -> Outcome; 2],
    write: [fn(&Cluster<'_>) -> Outcome; 2],
}

const EDIT: Toggle = Toggle {
    names: ["policy edited to admit", "policy edited to deny"],
    object: "target",
    passes: [true, false],
    from: |hosts| &hosts.client,
    to: |hosts| &hosts.target,
    prepare: [nothing, nothing],
    write: [|cluster| edit_policy(cluster, &admit("steady")), |cluster| edit_policy(cluster, &admit("client"))],
};

/// Edits of policies alone.
pub(crate) const EDITS: [Toggle; 1] = [EDIT];

/// Every kind of event.
pub(crate) const TOGGLES: [Toggle; 5] = [
    Toggle {
        names: ["remote pod comes", "remote pod goes"],
        object: "remote",
        passes: [true, false],
        from: |hosts| &hosts.remote,
        to: |hosts| &hosts.target,
        prepare: [|cluster| create_pod(cluster, "remote", "client", 1), nothing],
        write: [|cluster| report(cluster, "remote", "Running", 4), |cluster| delete_pod(cluster, "remote")],
    },
    // One that is deleted is judged for as long as a link leads to it.
    Toggle {
        names: ["local pod comes", "local pod ends"],
        object: "neighbour",
        passes: [false, true],
        from: |hosts| &hosts.client,
        to: |hosts| &hosts.neighbour,
        prepare: [nothing, nothing],
        write: [
            |cluster| report(cluster, "neighbour", "Running", 3),
            |cluster| report(cluster, "neighbour", "Succeeded", 3),
        ],
    },
    Toggle {
        names: ["policy created", "policy deleted"],
        object: "created",
        passes: [true, false],
        from: |hosts| &hosts.client,
        to: |hosts| &hosts.target,
        prepare: [nothing, nothing],
        write: [
            |cluster| create_policy(cluster, "created", &admit("steady")),
            |cluster| delete_policy(cluster, "created"),
        ],
    },
    EDIT,
    Toggle {
        names: ["namespace relabelled to admit", "namespace relabelled to deny"],
        object: BENCH,
        passes: [true, false],
        from: |hosts| &hosts.client,
        to: |hosts| &hosts.target,
        prepare: [nothing, nothing],
        write: [|cluster| relabel(cluster, "yes"), |cluster| relabel(cluster, "no")],
    },
];

/// These kinds of events.
pub(crate) fn measure(bench: &Bench, toggles: &[Toggle]) -> Outcome<Vec<Measured>> {
    prepare(&bench.api.cluster())?;
    let floor = Floor::start(&bench.api)?;
    let mut measured = Vec::new();
    for toggle in toggles {
        measured.extend(measure_toggle(bench, &floor, toggle)?);
    }
    Ok(measured)
}

/// How long after its write the last of many pods is right, which are all written at once.
pub(crate) fn burst(bench: &Bench) -> Outcome<Duration> {
    let cluster = bench.api.cluster();
    let name = |number: usize| if number + 1 == BURST { "remote".to_owned() } else { format!("burst-{number}") };
    for number in 0..BURST {
        create_pod(&cluster, &name(number), "client", 1)?;
    }
    let stream = Stream { from: &bench.hosts.remote, to: &bench.hosts.target, family: Family::Ipv4, port: 7000 };
    let steady = Steady::start(&[stream], PROBE_PERIOD)?;
    sleep(PERIOD);
    let api = cluster.of::<Pod>(BENCH);
    let write = async |number: usize| {
        let number_byte = u8::try_from(number).unwrap_or(u8::MAX);
        let ip = if number + 1 == BURST { host_address(4) } else { [10, 9, 1, number_byte].into() };
        let status = json!({"status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]}});
        api.patch_status(&name(number), &PatchParams::default(), &Patch::Merge(&status)).await
    };
    let start = Instant::now();
    cluster.wait("write a burst", async {
        try_join_all((0..BURST - 1).map(&write)).await?;
        write(BURST - 1).await
    })?;
    let answer = Instant::now();
    let verdict = verdict(&steady, start, true)?;
    drop(steady.stop());
    (0..BURST).try_for_each(|number| delete_pod(&cluster, &name(number)))?;
    Ok(after(answer, verdict))
}

fn measure_toggle(bench: &Bench, floor: &Floor, toggle: &Toggle) -> Outcome<[Measured; 2]> {
    let cluster = bench.api.cluster();
    let (from, to) = ((toggle.from)(&bench.hosts), (toggle.to)(&bench.hosts));
    let steady = Steady::start(&[Stream { from, to, family: Family::Ipv4, port: 7000 }], PROBE_PERIOD)?;
    let mut results = toggle.names.map(|event| Measured {
        event,
        verdicts: vec![],
        floor: vec![],
        above: vec![],
        cpu: Duration::ZERO,
    });
    sleep(PERIOD);
    for _ in 0..ROUNDS {
        for (side, result) in results.iter_mut().enumerate() {
            let began = Instant::now();
            (toggle.prepare[side])(&cluster)?;
            sleep(PERIOD / 4);
            let used = bench.agent.usage()?.cpu;
            let start = Instant::now();
            (toggle.write[side])(&cluster)?;
            let answer = Instant::now();
            let obeyed = verdict(&steady, start, toggle.passes[side])?;
            result.verdicts.push(after(answer, obeyed));
            sleep((began + PERIOD).saturating_duration_since(Instant::now()));
            result.cpu += bench.agent.usage()?.cpu.saturating_sub(used) / u32::try_from(ROUNDS)?;
            if let Some(seen) = floor.first_since(toggle.object, start) {
                result.floor.push(after(answer, seen));
                result.above.push(after(answer.max(seen), obeyed));
            }
        }
    }
    drop(steady.stop());
    Ok(results)
}

/// When the first right verdict was, after the change that was begun at `start`: the sending of the first datagram that
/// passed, or of the first that did not after the last that did.
fn verdict(steady: &Steady, start: Instant, passes: bool) -> Outcome<Instant> {
    loop {
        let datagrams = steady.since(0, start);
        if let Some(verdict) = settled(&datagrams, passes) {
            return Ok(verdict);
        }
        if start.elapsed() > LIMIT {
            return Err(format!("no right verdict after {LIMIT:?}").into());
        }
        sleep(PROBE_PERIOD * 4);
    }
}

fn settled(datagrams: &[Datagram], passes: bool) -> Option<Instant> {
    let last_wrong = datagrams.iter().rposition(|datagram| datagram.arrived != passes);
    let right = last_wrong.map_or(datagrams, |at| &datagrams[at + 1..]);
    (right.len() >= AGREEING).then(|| right[0].sent)
}

fn prepare(cluster: &Cluster<'_>) -> Outcome {
    cluster.create_namespace(BENCH, &Labels::new())?;
    for (name, role, node, number) in [("target", "target", 0, 2), ("client", "steady", 1, 5)] {
        create_pod(cluster, name, role, node)?;
        report(cluster, name, "Running", number)?;
    }
    create_pod(cluster, "neighbour", "closed", 0)?;
    create_policy(cluster, "target", &admit("client"))?;
    let own = json!({"namespaceSelector": {"matchLabels": {"open": "yes"}}, "podSelector": {"matchLabels": {"role": "steady"}}});
    create_policy(cluster, "by-namespace", &own)?;
    cluster.create::<NetworkPolicy>(&json!({
        "metadata": {"namespace": BENCH, "name": "closed"},
        "spec": {"podSelector": {"matchLabels": {"role": "closed"}}},
    }))?;
    Ok(())
}

fn nothing(_: &Cluster<'_>) -> Outcome {
    Ok(())
}

fn create_pod(cluster: &Cluster<'_>, name: &str, role: &str, node: usize) -> Outcome {
    let pod = json!({
        "metadata": {"namespace": BENCH, "name": name, "labels": {"role": role}},
        "spec": {"nodeName": format!("node-{node}"), "containers": [{"name": "main", "image": "none"}]},
    });
    Ok(cluster.create::<Pod>(&pod).map(drop)?)
}

fn report(cluster: &Cluster<'_>, name: &str, phase: &str, number: u8) -> Outcome {
    Ok(cluster.set_pod_status(BENCH, name, phase, &[host_address(number)])?)
}

fn delete_pod(cluster: &Cluster<'_>, name: &str) -> Outcome {
    Ok(cluster.delete::<Pod>(BENCH, name)?)
}

fn create_policy(cluster: &Cluster<'_>, name: &str, peer: &Value) -> Outcome {
    Ok(cluster.create::<NetworkPolicy>(&policy(name, peer)).map(drop)?)
}

fn edit_policy(cluster: &Cluster<'_>, peer: &Value) -> Outcome {
    Ok(cluster.replace::<NetworkPolicy>(&policy("target", peer)).map(drop)?)
}

fn delete_policy(cluster: &Cluster<'_>, name: &str) -> Outcome {
    Ok(cluster.delete::<NetworkPolicy>(BENCH, name)?)
}

fn relabel(cluster: &Cluster<'_>, open: &str) -> Outcome {
    Ok(cluster.set_namespace_labels(BENCH, &Labels::from([("open".to_owned(), open.to_owned())]))?)
}

fn admit(role: &str) -> Value {
    json!({"podSelector": {"matchLabels": {"role": role}}})
}

fn policy(name: &str, peer: &Value) -> Value {
    json!({
        "metadata": {"namespace": BENCH, "name": name},
        "spec": {"podSelector": {"matchLabels": {"role": "target"}}, "ingress": [{"from": [peer]}]},
    })
}
