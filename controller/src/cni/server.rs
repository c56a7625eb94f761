//! The socket that the plugin asks at.
//!
//! Invariants:
//! - Only who runs as the agent does is heard, and nobody else can connect.
//! - What a client can cost is bounded: [`MOST`] connections, each with [`LONGEST`] bytes of a question, which has
//!   [`PATIENCE`] to come.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use palisade_cni::{Answer, CniError, Code, Request};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use super::Call;
use crate::input::Input;
use crate::serve::bind_socket;

/// How many connections there may be: each pod that comes has one.
const MOST: usize = 1024;
/// How long a question may be, in bytes.
const LONGEST: u64 = 1 << 20;
/// How long it may take to come, or its answer to be taken.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries to serve the socket.
const PAUSE: Duration = Duration::from_secs(1);

/// Takes questions at the socket `path` and has `inputs` answer them, until the program ends. Where another agent still
/// serves the socket it is waited for.
pub async fn serve(path: &Path, inputs: UnboundedSender<Input>) {
    let listener = listen(path).await;
    let places = Arc::new(Semaphore::new(MOST));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, _)) if is_ours(&stream) => {
                let inputs = inputs.clone();
                tokio::spawn(async move {
                    if let Err(error) = answer(stream, &inputs).await {
                        tracing::debug!(%error, "a question of the network plugin was not answered");
                    }
                    drop(place);
                });
            }
            Ok(_) => {
                tracing::warn!("somebody else than the container runtime asked at the socket of the network plugin");
            }
            Err(error) => {
                tracing::error!(%error, "the network plugin is not heard");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn listen(path: &Path) -> UnixListener {
    let mut told = None;
    loop {
        match bind_socket(path).await {
            Ok(listener) => return listener,
            Err(error) => {
                let error = error.to_string();
                if told.as_ref() != Some(&error) {
                    tracing::error!(error, "the network plugin is not heard, will try again: no pod can start");
                }
                told = Some(error);
                sleep(PAUSE).await;
            }
        }
    }
}

fn is_ours(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == nix::unistd::geteuid().as_raw())
}

async fn answer(stream: UnixStream, inputs: &UnboundedSender<Input>) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut question = String::new();
    timeout(PATIENCE, BufReader::new(reader.take(LONGEST)).read_line(&mut question)).await??;
    let answer = match serde_json::from_str(&question) {
        Ok(request) => ask(request, inputs).await?,
        Err(error) => Answer::Failed(CniError::new(Code::DECODING, format!("the agent does not understand: {error}"))),
    };
    let line = format!("{}\n", serde_json::to_string(&answer)?);
    timeout(PATIENCE, writer.write_all(line.as_bytes())).await?
}

/// The agent knows how long it may take.
async fn ask(request: Request, inputs: &UnboundedSender<Input>) -> io::Result<Answer> {
    let (reply, answer) = oneshot::channel();
    let stopping = || io::Error::other("the agent is stopping");
    inputs.send(Input::Cni(Call { request, reply })).map_err(|_| stopping())?;
    answer.await.map_err(|_| stopping())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tempfile::TempDir;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
    use tokio::task::JoinHandle;
    use tokio::time::Instant;

    use super::*;

    const STATUS: &[u8] = b"{\"command\":\"status\"}\n";
    const DONE: &str = "\"done\"\n";

    /// Serves in the background; gives what comes in.
    fn serving(directory: &TempDir) -> (PathBuf, UnboundedReceiver<Input>, JoinHandle<()>) {
        let path = directory.path().join("cni.sock");
        let (inputs, received) = unbounded_channel();
        let socket = path.clone();
        let served = tokio::spawn(async move { serve(&socket, inputs).await });
        (path, received, served)
    }

    /// What is answered to this.
    async fn said(path: &Path, question: &[u8]) -> String {
        let mut stream = loop {
            match UnixStream::connect(path).await {
                Ok(stream) => break stream,
                Err(_) => sleep(Duration::from_millis(5)).await,
            }
        };
        // It may be refused before it has been sent.
        let _ = stream.write_all(question).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    /// Answers every question.
    async fn agree(mut received: UnboundedReceiver<Input>) {
        while let Some(Input::Cni(call)) = received.recv().await {
            let _ = call.reply.send(Answer::Done);
        }
    }

    #[tokio::test]
    async fn a_question_is_a_line_and_nonsense_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let (path, received, _served) = serving(&directory);
        tokio::spawn(agree(received));
        assert_eq!(said(&path, STATUS).await, DONE);
        for nonsense in [&b"dance\n"[..], b"{}\n", b"{\"command\":\"dance\"}\n"] {
            assert!(said(&path, nonsense).await.contains("does not understand"));
        }
        let long = vec![b'x'; usize::try_from(LONGEST).unwrap() + 10];
        let start = Instant::now();
        let answer = said(&path, &long).await;
        assert!(answer.is_empty() || answer.contains("does not understand"), "{answer}");
        assert!(start.elapsed() < PATIENCE, "it is not read on");
    }

    /// As when an update overlaps.
    #[tokio::test]
    async fn who_comes_second_waits_until_the_first_has_gone() {
        let directory = tempfile::tempdir().unwrap();
        let (path, received, first) = serving(&directory);
        tokio::spawn(agree(received));
        said(&path, STATUS).await;
        let (_, mut received, _second) = serving(&directory);
        sleep(Duration::from_millis(50)).await;
        assert!(received.try_recv().is_err());
        first.abort();
        let _ = first.await;
        tokio::spawn(agree(received));
        assert_eq!(said(&path, STATUS).await, DONE);
    }
}
