//! What a container runtime does with a plugin.

use std::env;
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use palisade_integration::agent::binary;
use serde_json::{Value, json};

/// The program: that which `PALISADE_CNI` names, or the one beside the agent's.
pub(crate) fn plugin() -> PathBuf {
    env::var_os("PALISADE_CNI").map_or_else(|| binary().unwrap().with_file_name("palisade-cni"), PathBuf::from)
}

/// A call of the plugin.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) command: &'static str,
    pub(crate) container: String,
    pub(crate) netns: String,
    /// `K8S_POD_NAME`; all are in the namespace `shop`.
    pub(crate) pod: String,
    pub(crate) config: Value,
}

/// What it answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) succeeded: bool,
    pub(crate) text: String,
    pub(crate) took: Duration,
}

impl Call {
    /// The result of the plugins before it, of a pod at these addresses behind this link.
    pub(crate) fn with_result(mut self, addresses: &[IpAddr], link: &str) -> Self {
        let length = |address: &IpAddr| if address.is_ipv4() { 32 } else { 128 };
        let ip = |address: &IpAddr| json!({"address": format!("{address}/{}", length(address)), "interface": 1});
        self.config["prevResult"] = json!({
            "cniVersion": "1.0.0",
            "interfaces": [{"name": link}, {"name": "eth0", "sandbox": self.netns}],
            "ips": addresses.iter().map(ip).collect::<Vec<_>>(),
            "dns": {},
        });
        self
    }

    pub(crate) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.config[field] = value.into();
        self
    }

    /// Calls it.
    pub(crate) fn run(&self) -> Answer {
        self.run_on(&self.config.to_string())
    }

    /// Calls it with this on its standard input.
    pub(crate) fn run_on(&self, input: &str) -> Answer {
        let arguments = format!("IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME={};K8S_POD_UID=u", self.pod);
        let start = Instant::now();
        let mut child = Command::new(plugin())
            .env_clear()
            .envs([("CNI_COMMAND", self.command), ("CNI_CONTAINERID", &self.container), ("CNI_NETNS", &self.netns)])
            .envs([("CNI_IFNAME", "eth0"), ("CNI_PATH", "/opt/cni/bin"), ("CNI_ARGS", &arguments)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        Answer { succeeded: output.status.success(), text, took: start.elapsed() }
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn succeeds(self) -> Self {
        assert!(self.succeeded, "{self:?}");
        self
    }

    /// The error's code.
    #[track_caller]
    pub(crate) fn code(&self) -> u64 {
        assert!(!self.succeeded, "{self:?}");
        let error: Value = serde_json::from_str(&self.text).unwrap();
        assert!(error["cniVersion"].is_string() && error["msg"].is_string(), "{error}");
        error["code"].as_u64().unwrap()
    }
}

/// Calls with a configuration that leads to this socket and directory.
pub(crate) fn call(command: &'static str, container: &str, pod: &str, socket: &Path, sandboxes: &Path) -> Call {
    let config = json!({
        "cniVersion": "1.0.0", "name": "pods", "type": "palisade-cni",
        "socket": socket, "sandboxes": sandboxes, "wait": 10,
    });
    Call { command, container: container.to_owned(), netns: String::new(), pod: pod.to_owned(), config }
}
