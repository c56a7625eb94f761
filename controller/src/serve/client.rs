//! Asks a running agent over its status socket.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::UnixStream;

use super::Status;
use crate::flows::{Header, Message, Messages, Record};

/// How long an agent on the same machine may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long an agent that is followed may say nothing: it has something to say every ten seconds.
const SILENCE: Duration = Duration::from_secs(30);

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
    #[error("the agent at {path} did not answer within {} s", limit.as_secs())]
    Timeout {
        /// The socket.
        path: PathBuf,
        /// How long it had.
        limit: Duration,
    },
    /// It went away while it answered.
    #[error("the agent at {path} ended before it had told all")]
    Ended {
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

/// The latest records that the agent that serves the socket `path` remembers, and what it cannot know. Blocks.
///
/// # Errors
/// [`ClientError`].
pub fn latest(path: &Path) -> Result<(Header, Vec<Arc<Record>>), ClientError> {
    let answer = ask(path, Method::GET, "/flows", Bytes::new())?;
    let mut messages = Messages::default();
    messages.push(&answer);
    let (mut begin, mut records) = (None, Vec::new());
    for message in messages {
        match message.map_err(ClientError::Nonsense)? {
            Message::Begin(header) => begin = Some(header),
            Message::Record(record) => records.push(record),
            _ => {}
        }
    }
    let header = begin.ok_or_else(|| ClientError::Nonsense("it does not say who it is".to_owned()))?;
    Ok((header, records))
}

/// What an agent says as it happens.
#[derive(Debug)]
pub struct Stream {
    path: PathBuf,
    body: Incoming,
    messages: Messages,
}

/// Asks the agent that serves the socket `path` for a `target` that it answers in messages, as `/flows/follow`.
///
/// # Errors
/// [`ClientError`].
pub async fn stream(path: &Path, target: &str) -> Result<Stream, ClientError> {
    let answered = async {
        let response = request(path, Method::GET, target, Bytes::new()).await?;
        Ok(Stream { path: path.to_owned(), body: accepted(response).await?, messages: Messages::default() })
    };
    in_time(path, TIMEOUT, answered).await
}

impl Stream {
    /// What comes next; `None` where the agent has nothing more to say, as when it ends. May be cancelled.
    ///
    /// # Errors
    /// [`ClientError`], after which nothing comes.
    pub async fn next(&mut self) -> Result<Option<Message>, ClientError> {
        loop {
            if let Some(message) = self.messages.next() {
                return message.map(Some).map_err(ClientError::Nonsense);
            }
            match in_time(&self.path, SILENCE, async { Ok(self.body.frame().await) }).await? {
                Some(Ok(frame)) => frame.data_ref().iter().for_each(|data| self.messages.push(data)),
                // An agent that is killed has no time for an end.
                Some(Err(_)) | None => return Ok(None),
            }
        }
    }
}

fn ask(path: &Path, method: Method, target: &str, body: Bytes) -> Result<Bytes, ClientError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| ClientError::NoAgent { path: path.to_owned(), source })?;
    let answered = async {
        let response = request(path, method, target, body).await?;
        Ok(accepted(response).await?.collect().await?.to_bytes())
    };
    runtime.block_on(in_time(path, TIMEOUT, answered))
}

async fn in_time<T>(
    path: &Path,
    limit: Duration,
    answered: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    let in_time = tokio::time::timeout(limit, answered).await;
    in_time.unwrap_or_else(|_| Err(ClientError::Timeout { path: path.to_owned(), limit }))
}

async fn request(path: &Path, method: Method, target: &str, body: Bytes) -> Result<Response<Incoming>, ClientError> {
    let stream = UnixStream::connect(path).await;
    let stream = stream.map_err(|source| ClientError::NoAgent { path: path.to_owned(), source })?;
    Ok(exchange(stream, method, target, body).await?)
}

/// What it answers, where it does what was asked.
async fn accepted(response: Response<Incoming>) -> Result<Incoming, ClientError> {
    if response.status().is_success() {
        return Ok(response.into_body());
    }
    let message = response.into_body().collect().await?.to_bytes();
    Err(ClientError::Refused(String::from_utf8_lossy(&message).into()))
}

async fn exchange(stream: UnixStream, method: Method, target: &str, body: Bytes) -> hyper::Result<Response<Incoming>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::builder().method(method).uri(target).header("host", "localhost").body(Full::new(body));
    sender.send_request(request.expect("targets are paths that this program makes")).await
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
