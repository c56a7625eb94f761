//! Why a list or a watch came to an end.

use std::error::Error;
use std::time::Duration;

use kube::core::Status;
use thiserror::Error;

use super::Closed;

/// Why a request failed, or a watch ended before its time. All but [`Failure::Closed`] are tried again.
#[derive(Debug, Error)]
pub enum Failure {
    /// The API server said so.
    #[error("{} {}: {}", .0.code, .0.reason, .0.message)]
    Status(Box<Status>),
    /// It did not get there, or the answer did not get back.
    #[error("{}", chain(.0))]
    Request(kube::Error),
    /// In the middle of a watch.
    #[error("the connection broke: {}", chain(.0))]
    Connection(std::io::Error),
    /// Not what a watch says.
    #[error("the server sent what is no watch event: {0}")]
    Garbled(serde_json::Error),
    /// For too long.
    #[error("no answer within {0:?}")]
    NoAnswer(Duration),
    /// A watch without events and bookmarks.
    #[error("nothing received for {0:?}")]
    Silent(Duration),
    /// By whoever counts how many there are.
    #[error("the watch was cut")]
    Cut,
    /// So that there is nothing to watch from.
    #[error("the list has no metadata.resourceVersion")]
    NoVersion,
    /// Perhaps for a moment.
    #[error("the resource is gone: waiting whether it stays so")]
    Vanished,
    /// Of a resource that is served, but not as it is watched.
    #[error("served only in other versions ({0}), which this agent does not know")]
    OtherVersions(String),
    /// Nobody listens any more.
    #[error("the agent is stopping")]
    Closed,
}

impl Failure {
    /// Whether the version to continue from is too old, so that everything must be listed again.
    pub(super) fn expired(&self) -> bool {
        self.code() == Some(410)
    }

    /// Whether the server knows no such resource.
    pub(super) fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// Whether the server grants no such right.
    pub(super) fn is_forbidden(&self) -> bool {
        self.code() == Some(403)
    }

    /// Whether the server will not, or cannot, stream lists. A server without `sendInitialEvents` refuses it as invalid,
    /// or ignores it and never says that the list is complete; one whose etcd is too old for it answers 500
    /// (`RequestWatchProgress is disabled`).
    pub(super) fn refuses_streaming(&self) -> bool {
        matches!(self.code(), Some(400 | 422 | 500)) || matches!(self, Self::Silent(_))
    }

    /// How long the server asks to wait.
    pub(super) fn retry_after(&self) -> Duration {
        match self {
            Self::Status(status) => {
                let seconds = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
                Duration::from_secs(seconds.min(LONGEST_RETRY_AFTER).into())
            }
            _ => Duration::ZERO,
        }
    }

    fn code(&self) -> Option<u16> {
        match self {
            Self::Status(status) => Some(status.code),
            _ => None,
        }
    }
}

const LONGEST_RETRY_AFTER: u32 = 60;

impl From<Closed> for Failure {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Status(status),
            error => Self::Request(error),
        }
    }
}

/// The error and what is behind it, without saying anything twice.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text += &format!(": {cause}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, retry_after_seconds: u32) -> Failure {
        let details = serde_json::json!({"retryAfterSeconds": retry_after_seconds});
        let status = serde_json::json!({"code": code, "reason": "R", "message": "m", "details": details});
        Failure::from(kube::Error::Api(serde_json::from_value(status).unwrap()))
    }

    #[test]
    fn codes_decide() {
        assert!(status(410, 0).expired() && !status(410, 0).refuses_streaming());
        assert!([400, 422, 500].iter().all(|code| status(*code, 0).refuses_streaming()));
        assert!(!status(403, 0).expired() && !status(403, 0).refuses_streaming());
        assert_eq!(status(500, 0).to_string(), "500 R: m");
    }

    #[test]
    fn the_server_may_ask_for_patience_but_not_for_ever() {
        assert_eq!(status(429, 7).retry_after(), Duration::from_secs(7));
        assert_eq!(status(429, u32::MAX).retry_after(), Duration::from_secs(60));
        assert_eq!(Failure::Cut.retry_after(), Duration::ZERO);
    }

    #[test]
    fn causes_are_told_once() {
        let io = std::io::Error::other("connection refused");
        let error = kube::Error::ReadEvents(io);
        assert_eq!(chain(&error), "Error reading events stream: connection refused");
    }
}
