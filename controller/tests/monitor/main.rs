//! `palisade monitor` as a program: with an agent that is only its socket, and with an API server that is only what is asked of it.
#![allow(clippy::unwrap_used, reason = "all of this is tests")]

mod cluster;
mod local;

use std::io::{BufRead, BufReader, Lines, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::Arc;

use jiff::Timestamp;
use palisade::flows::{Hub, Record};
use palisade::serve::{self, SourceStatus, State};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// An agent as far as it is asked what was dropped.
struct Agent {
    runtime: Runtime,
    hub: Arc<Hub>,
}

impl Agent {
    fn at(socket: &Path) -> Self {
        Self::named("worker-1", socket)
    }

    fn named(node: &str, socket: &Path) -> Self {
        let runtime = Runtime::new().unwrap();
        let state = Arc::new(State::new(node, Box::new(SourceStatus::default)));
        let hub = Arc::clone(state.flows());
        let path = socket.to_owned();
        runtime.spawn(async move { serve::serve_socket(&path, state, Box::new(|_| Ok(()))).await.unwrap() });
        while std::os::unix::net::UnixStream::connect(socket).is_err() {
            std::thread::yield_now();
        }
        Self { runtime, hub }
    }

    fn drop_packets(&self, records: impl IntoIterator<Item = Record>) {
        records.into_iter().for_each(|record| self.hub.publish(record));
    }

    /// As if it were killed: all its connections end.
    fn end(self) {
        self.runtime.shutdown_background();
    }
}

/// `shop/web-1` is dropped at this port of `shop/db-0`, now.
fn record(port: u16) -> Record {
    record_with(port, &json!({}))
}

/// The same with some fields otherwise.
fn record_with(port: u16, fields: &Value) -> Record {
    let mut value = json!({
        "time": Timestamp::now(), "node": "worker-1", "verdict": "dropped", "reason": "policy", "direction": "ingress",
        "pod": {"namespace": "shop", "name": "db-0", "workload": "db", "address": "10.0.1.1"},
        "peer": {"address": "10.0.0.1", "pod": {"namespace": "shop", "name": "web-1", "workload": "web"}},
        "protocol": "TCP", "port": port, "packets": 1, "policies": ["shop/db"], "text": "no rule of shop/db admits it",
    });
    value.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    serde_json::from_value(value).unwrap()
}

fn palisade(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.arg("monitor").env_remove("PALISADE_LOG").env("TZ", "UTC");
    command
}

/// A monitor that runs.
struct Running {
    child: Child,
    stdout: Option<Lines<BufReader<ChildStdout>>>,
    stderr: Lines<BufReader<ChildStderr>>,
}

impl Running {
    fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = Some(BufReader::new(child.stdout.take().unwrap()).lines());
        let stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, stdout, stderr }
    }

    fn line(&mut self) -> String {
        self.stdout.as_mut().unwrap().next().unwrap_or_else(|| panic!("it ended: {:?}", self.child.wait())).unwrap()
    }

    fn json(&mut self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }

    fn note(&mut self) -> String {
        self.stderr.next().unwrap_or_else(|| panic!("it ended: {:?}", self.child.wait())).unwrap()
    }

    /// Whoever reads stdout leaves. What it says then, and its exit code.
    fn leave(&mut self) -> (String, Option<i32>) {
        drop(self.stdout.take());
        let code = self.child.wait().unwrap().code();
        (self.stderr.by_ref().map(Result::unwrap).collect(), code)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What it printed, and said, and its exit code.
fn ended(mut command: Command) -> (String, String, Option<i32>) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut stdout, mut stderr) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    (stdout, stderr, child.wait().unwrap().code())
}
