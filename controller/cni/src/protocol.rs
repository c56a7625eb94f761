//! One line of JSON each way.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::{AttachmentId, CniError};

/// What the plugin asks of the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "command")]
pub enum Request {
    /// A pod's network is there: answer when it is enforced.
    Add(Box<Add>),
    /// It goes.
    Del {
        /// Which.
        id: AttachmentId,
    },
    /// Is it as it was?
    Check {
        /// Which.
        id: AttachmentId,
        /// The addresses that it has.
        addresses: BTreeSet<IpAddr>,
    },
    /// Can pods be added?
    Status,
    /// Of this network there are these, and no others.
    Gc {
        /// The network's name.
        network: String,
        /// All that there are.
        valid: BTreeSet<AttachmentId>,
    },
}

/// A pod's network, as the plugins before this one made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Add {
    /// What the runtime calls it.
    pub id: AttachmentId,
    /// The name of the network in the runtime's configuration.
    pub network: String,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// The pod's uid; runtimes of old do not say it.
    pub uid: Option<String>,
    /// Its network namespace: a path on the node.
    pub netns: String,
    /// Its addresses.
    pub addresses: BTreeSet<IpAddr>,
    /// The interfaces of the node that were made for it.
    pub links: Vec<String>,
    /// How long the agent may wait until it knows the pod, in milliseconds.
    pub wait: u64,
    /// When this was asked: the agent may be long in taking it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<SystemTime>,
}

/// What the agent says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// It is so.
    Done,
    /// It is not, and why.
    Failed(CniError),
}

impl Answer {
    /// As a result.
    ///
    /// # Errors
    /// What the agent said.
    pub fn into_result(self) -> Result<(), CniError> {
        match self {
            Self::Done => Ok(()),
            Self::Failed(error) => Err(error),
        }
    }
}
