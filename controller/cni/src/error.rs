//! Errors as the CNI specification has them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is printed where something failed, with the version beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CniError {
    /// What kind of failure.
    pub code: Code,
    /// In one sentence.
    pub msg: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub details: String,
}

/// The specification's error codes; those from 100 on are the plugin's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Code(u32);

impl Code {
    /// The configuration has a version that is not known.
    pub const INCOMPATIBLE_VERSION: Self = Self(1);
    /// A variable of the environment is missing, or is not as it should be.
    pub const INVALID_ENVIRONMENT: Self = Self(4);
    /// Something could not be read.
    pub const IO: Self = Self(5);
    /// What came in is not JSON, or not a configuration.
    pub const DECODING: Self = Self(6);
    /// The configuration makes no sense.
    pub const INVALID_CONFIG: Self = Self(7);
    /// The runtime repeats the call after a while.
    pub const TRY_AGAIN_LATER: Self = Self(11);
    /// STATUS: no pod can be added.
    pub const NOT_AVAILABLE: Self = Self(50);
    /// CHECK: the pod is not enforced as it was.
    pub const NOT_ENFORCED: Self = Self(100);
}

impl CniError {
    /// An error that says so.
    pub fn new(code: Code, msg: impl Into<String>) -> Self {
        Self { code, msg: msg.into(), details: String::new() }
    }

    /// The runtime is to repeat the call.
    pub fn try_again(msg: impl Into<String>, details: impl Into<String>) -> Self {
        Self { details: details.into(), ..Self::new(Code::TRY_AGAIN_LATER, msg) }
    }
}

impl fmt::Display for CniError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.msg, self.code.0)?;
        if self.details.is_empty() { Ok(()) } else { write!(f, ": {}", self.details) }
    }
}

impl std::error::Error for CniError {}
