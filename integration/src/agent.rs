//! `palisade` in the namespace of a node.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::netns::{Daemon, NetnsError, Node};

/// Names the binary to use instead of the one that was built beside the tests.
pub const BINARY_VARIABLE: &str = "PALISADE_BIN";

/// Where an agent serves its metrics that is told to: in its node's namespace.
pub const METRICS: &str = "127.0.0.1:9468";

const LOG_LINES_SHOWN: usize = 15;
const POLL_INTERVAL: Duration = Duration::from_millis(30);

/// What an agent serves at [`METRICS`] in the namespace of the calling thread, with the head of the answer.
///
/// # Errors
/// Where nothing is served there.
pub fn metrics() -> io::Result<String> {
    let mut stream = TcpStream::connect(METRICS)?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Why an agent does not work.
#[derive(Debug, Error)]
pub enum AgentError {
    /// There is no binary to run.
    #[error("{} is not there: build it with `cargo build --workspace`, or name one in {BINARY_VARIABLE}", path.display())]
    NoBinary {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The agent ended, although it should run.
    #[error("the agent of {node} ended with {status}; it said last:\n{log}")]
    Ended {
        /// Its node.
        node: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// What it enforces is not what the manifests say.
    #[error(
        "the agent of {node} has not caught up after {waited:?}; `palisade diff` says:\n{difference}\nits log ends:\n{log}"
    )]
    Behind {
        /// Its node.
        node: String,
        /// For how long.
        waited: Duration,
        /// What it would still have to change.
        difference: String,
        /// The end of its log.
        log: String,
    },
    /// It cannot be started, or asked.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// Its log cannot be written, or its state not be read.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// A running `palisade run --manifests`. It is killed when dropped; what it enforced stays.
#[derive(Debug)]
pub struct Agent {
    daemon: Daemon,
    program: PathBuf,
    manifests: PathBuf,
    log: PathBuf,
    node: String,
}

/// The binary under test: `PALISADE_BIN`, or `palisade` in the folder of this test's build.
pub fn binary() -> Result<PathBuf, AgentError> {
    let path = match std::env::var_os(BINARY_VARIABLE) {
        Some(path) => path.into(),
        None => built_binary().map_err(|source| AgentError::File { path: "/proc/self/exe".into(), source })?,
    };
    if path.is_file() { Ok(path) } else { Err(AgentError::NoBinary { path }) }
}

impl Agent {
    /// Starts one for `node`, which watches the directory `manifests` and logs to the file `log`.
    pub fn start(program: &Path, node: &Node, manifests: &Path, log: &Path) -> Result<Self, AgentError> {
        Self::start_with(program, node, manifests, log, &[])
    }

    /// [`Agent::start`] with more `arguments`.
    pub fn start_with(
        program: &Path,
        node: &Node,
        manifests: &Path,
        log: &Path,
        arguments: &[&str],
    ) -> Result<Self, AgentError> {
        let failed = |source| AgentError::File { path: log.to_owned(), source };
        let output = File::create(log).map_err(failed)?;
        let errors = output.try_clone().map_err(failed)?;
        let daemon = Daemon::start(node.namespace(), program, |command| {
            command.args(["run", "--node-name", node.name(), "--manifests"]).arg(manifests).args(arguments);
            command.stdout(output).stderr(errors);
        })?;
        let [program, manifests, log] = [program, manifests, log].map(Path::to_owned);
        Ok(Self { daemon, program, manifests, log, node: node.name().to_owned() })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.daemon.id()
    }

    /// Whether it has ended.
    ///
    /// # Errors
    /// If the kernel does not say.
    pub fn has_ended(&mut self) -> Result<bool, AgentError> {
        let failed = |source| AgentError::File { path: self.program.clone(), source };
        Ok(self.daemon.ended().map_err(failed)?.is_some())
    }

    /// Waits until the node's kernel holds what the manifests say: until `palisade diff` has nothing to say.
    ///
    /// # Errors
    /// If the agent ends, or has not caught up within `limit`.
    pub fn catch_up(&mut self, node: &Node, limit: Duration) -> Result<(), AgentError> {
        let start = Instant::now();
        loop {
            self.check()?;
            let difference = self.difference(node);
            match difference {
                Ok(difference) if difference.is_empty() => return Ok(()),
                difference if start.elapsed() >= limit => {
                    let difference = difference.unwrap_or_else(|error| error.to_string());
                    let node = self.node.clone();
                    return Err(AgentError::Behind { node, waited: limit, difference, log: self.last_words() });
                }
                Ok(_) | Err(_) => sleep(POLL_INTERVAL),
            }
        }
    }

    /// The end of its log.
    pub fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }

    fn check(&mut self) -> Result<(), AgentError> {
        match self.daemon.ended() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(AgentError::Ended { node: self.node.clone(), status, log: self.last_words() }),
            Err(source) => Err(AgentError::File { path: self.program.clone(), source }),
        }
    }

    fn difference(&self, node: &Node) -> Result<String, NetnsError> {
        let mut command = Command::new(&self.program);
        command.args(["diff", "--node-name", &self.node, "--manifests"]).arg(&self.manifests);
        let output = node.namespace().run(&mut command, "")?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// `target/PROFILE/palisade` for a program at `target/PROFILE/NAME` or `target/PROFILE/deps/NAME`.
fn built_binary() -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.ancestors().skip(1).find(|folder| !folder.ends_with("deps")).unwrap_or(Path::new("/"));
    Ok(folder.join("palisade"))
}
