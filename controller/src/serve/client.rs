//! Asks a running agent over its status socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::UnixStream;

use super::Status;

/// How long an agent on the same machine may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why an agent could not be asked.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nobody serves the socket.
    #[error("no agent answers at {path}: {source}; is it running on this node, with this socket?")]
    NoAgent {
        /// The socket.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It took too long.
    #[error("the agent at {path} did not answer within {} s", TIMEOUT.as_secs())]
    Timeout {
        /// The socket.
        path: PathBuf,
    },
    /// It does not do what was asked.
    #[error("the agent refused: {0}")]
    Refused(String),
    /// What it said makes no sense to this version.
    #[error("the agent's answer makes no sense: {0}; is it of another version?")]
    Nonsense(String),
}

/// The status of the agent that serves the socket `path`. Blocks.
///
/// # Errors
/// [`ClientError`].
pub fn status(path: &Path) -> Result<Status, ClientError> {
    let answer = ask(path, Method::GET, "/status", Bytes::new())?;
    serde_json::from_slice(&answer).map_err(|error| ClientError::Nonsense(error.to_string()))
}

/// Sets what the agent that serves the socket `path` logs, until it is restarted. Blocks.
///
/// # Errors
/// [`ClientError`]; [`ClientError::Refused`] where `filter` is neither a level nor a tracing filter.
pub fn set_log_filter(path: &Path, filter: &str) -> Result<(), ClientError> {
    ask(path, Method::PUT, "/log-filter", Bytes::copy_from_slice(filter.as_bytes())).map(drop)
}

fn ask(path: &Path, method: Method, target: &str, body: Bytes) -> Result<Bytes, ClientError> {
    let no_agent = |source| ClientError::NoAgent { path: path.to_owned(), source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(no_agent)?;
    runtime.block_on(async {
        let answered = async {
            let stream = UnixStream::connect(path).await.map_err(no_agent)?;
            let response = exchange(stream, method, target, body).await?;
            let succeeded = response.status().is_success();
            let answer = response.into_body().collect().await?.to_bytes();
            if succeeded { Ok(answer) } else { Err(ClientError::Refused(String::from_utf8_lossy(&answer).into())) }
        };
        tokio::time::timeout(TIMEOUT, answered)
            .await
            .unwrap_or_else(|_| Err(ClientError::Timeout { path: path.to_owned() }))
    })
}

async fn exchange(stream: UnixStream, method: Method, target: &str, body: Bytes) -> hyper::Result<Response<Incoming>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::builder().method(method).uri(target).header("host", "localhost").body(Full::new(body));
    sender.send_request(request.expect("the target is a constant path")).await
}

impl From<hyper::Error> for ClientError {
    fn from(error: hyper::Error) -> Self {
        Self::Nonsense(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    use super::*;

    /// What `status` makes of an agent that answers `answer`.
    fn answered(answer: &'static str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("status.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let agent = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let error = status(&path).unwrap_err();
        agent.join().unwrap();
        error.to_string()
    }

    #[test]
    fn says_where_no_agent_is() {
        let error = status(Path::new("/nowhere/status.sock")).unwrap_err();
        assert!(matches!(error, ClientError::NoAgent { .. }));
        assert!(error.to_string().contains("/nowhere/status.sock: No such file"), "{error}");
    }

    #[test]
    fn other_answers_are_errors() {
        let incomplete = answered("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
        assert!(incomplete.contains("missing field"), "{incomplete}");
        assert!(answered("garbage\r\n\r\n").starts_with("the agent's answer makes no sense"));
        assert!(answered("").starts_with("the agent's answer makes no sense"));
        assert_eq!(answered("HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno"), "the agent refused: no");
    }
}
