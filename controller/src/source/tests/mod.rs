mod besides;
mod closings;
mod cluster_policies;
mod conditions;
mod fake;
mod faults;
mod lists;

use std::io;
use std::iter::from_fn;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use palisade_model::Change;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::{Health, run};
use crate::input::Input;
use fake::Api;

/// The source at work, and what came out of it.
struct Source {
    inputs: UnboundedReceiver<Input>,
    health: Health,
    task: JoinHandle<()>,
}

impl Source {
    fn start(api: &Api) -> Self {
        let (sender, inputs) = unbounded_channel();
        let health = Health::default();
        let task = tokio::spawn(run(api.client(), "n1".to_owned(), sender, health.clone()));
        Self { inputs, health, task }
    }

    /// What comes out within `time`: one text for each input, like `+shop/a -shop/b`.
    async fn inputs(&mut self, time: Duration) -> Vec<String> {
        sleep(time).await;
        from_fn(|| self.inputs.try_recv().ok()).map(|input| text(&input)).collect()
    }

    /// All of them as one text, with `synced` last: where it comes depends on what the other watches do, and so it does of what
    /// comes before it of this node.
    async fn within(&mut self, time: Duration) -> String {
        let mut inputs = self.inputs(time).await;
        inputs.retain(|input| input != "known here");
        inputs.sort_by_key(|input| input == "synced");
        inputs.join(" ")
    }
}

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Logged {
    fn subscriber(&self) -> impl tracing::Subscriber + use<> {
        let logged = self.clone();
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || logged.clone()).finish()
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn text(input: &Input) -> String {
    match input {
        Input::Changes(changes) => changes.iter().map(change).collect::<Vec<_>>().join(" "),
        Input::PodRange(networks) => format!("range {networks:?}"),
        Input::Links(_) => "links".to_owned(),
        Input::Cni(_) => "cni".to_owned(),
        Input::Told(..) | Input::Connections(..) => "told".to_owned(),
        Input::KnownHere => "known here".to_owned(),
        Input::Synced => "synced".to_owned(),
        Input::Disturbed(by) => format!("disturbed by {by}"),
        Input::Stop => "stop".to_owned(),
    }
}

fn change(change: &Change) -> String {
    match change {
        Change::Pod(pod) => format!("+{}", pod.id),
        Change::PodGone(id) | Change::PolicyGone(id) => format!("-{id}"),
        Change::Namespace(namespace) => format!("+{}", namespace.name),
        Change::NamespaceGone(name) => format!("-{name}"),
        Change::Policy(policy) => format!("+{}", policy.id),
        Change::ClusterPolicy(policy) if policy.is_audited() => format!("+{} (audited)", policy.name),
        Change::ClusterPolicy(policy) => format!("+{}", policy.name),
        Change::Node(node) => format!("+{}", node.name),
        Change::ClusterPolicyGone(name) | Change::NodeGone(name) => format!("-{name}"),
    }
}

/// Time for what needs no waiting.
const SOON: Duration = Duration::from_millis(10);
/// Time for the first pauses between repetitions, and not for much more.
const RETRY: Duration = Duration::from_secs(5);

/// A pod of namespace `shop`.
fn pod(name: &str, version: u32) -> Value {
    json!({"metadata": {"namespace": "shop", "name": name, "resourceVersion": version.to_string()}})
}
