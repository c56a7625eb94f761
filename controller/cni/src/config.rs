//! What the plugin is configured with: its entry in the network's list, as the runtime hands it over.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{AttachmentId, CniError, Code};

/// The name of the program, by which configurations name it.
pub const PLUGIN: &str = "palisade-cni";
/// Where the agent answers unless said otherwise.
pub const SOCKET_PATH: &str = "/run/palisade/cni.sock";
/// Where the agent keeps what sandboxes there are unless said otherwise.
pub const STATE_PATH: &str = "/run/palisade/sandboxes";
/// How long ADD waits for the agent unless said otherwise.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(10);

/// What is said on the standard input.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// The version of the specification that is spoken.
    pub cni_version: String,
    /// The name of the network.
    #[serde(default)]
    pub name: String,
    /// The agent's socket.
    #[serde(default = "socket")]
    pub socket: PathBuf,
    /// The agent's directory of sandboxes.
    #[serde(default = "state")]
    pub sandboxes: PathBuf,
    /// How many seconds ADD may wait until the agent enforces the pod.
    #[serde(default = "wait")]
    pub wait: f64,
    /// What becomes of a pod where the agent cannot say that it is enforced.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// What the plugins before this one made.
    pub prev_result: Option<Box<RawValue>>,
    /// For GC: all that there are.
    #[serde(rename = "cni.dev/valid-attachments")]
    pub valid_attachments: Option<Vec<AttachmentId>>,
    /// The same, by an earlier name: runtimes say it twice.
    #[serde(rename = "cni.dev/attachments")]
    pub attachments: Option<Vec<AttachmentId>>,
}

/// What becomes of a pod where the agent cannot say that it is enforced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnFailure {
    /// It does not start; the runtime tries again.
    #[default]
    Refuse,
    /// It starts all the same, as pods do where the plugin is not.
    Allow,
}

impl Config {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, CniError> {
        let config: Self = serde_json::from_str(text)
            .map_err(|error| CniError::new(Code::DECODING, format!("the configuration is not understood: {error}")))?;
        if !(0.0..=3600.0).contains(&config.wait) {
            let wait = config.wait;
            return Err(CniError::new(Code::INVALID_CONFIG, format!("wait is {wait}, not a number of seconds")));
        }
        Ok(config)
    }

    /// How long ADD may wait.
    pub fn patience(&self) -> Duration {
        Duration::from_secs_f64(self.wait)
    }
}

fn socket() -> PathBuf {
    SOCKET_PATH.into()
}

fn state() -> PathBuf {
    STATE_PATH.into()
}

fn wait() -> f64 {
    DEFAULT_WAIT.as_secs_f64()
}
