//! One agent, asked in its pod.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::AttachParams;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use super::agents::{Agent, Agents};
use crate::commands::monitor::feed::{Event, NobodyListens, Teller};
use crate::commands::monitor::plan::Plan;
use crate::flows::{Message, Messages};
use crate::source::Failure;
use crate::text::shorten;

/// The agents' container.
const CONTAINER: &str = "palisade";
/// How long the API server and the node may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long an agent that is followed may say nothing: it has something to say every ten seconds.
const SILENCE: Duration = Duration::from_secs(45);
/// How long what a process has written before it ended may be under way.
const AFTERWARDS: Duration = Duration::from_secs(1);
/// The longest time between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How much of an error is told, in bytes.
const LONGEST_ERROR: usize = 300;
/// How much is read at a time, and of what a process says on stderr at all.
const BUFFER: usize = 16 << 10;
const NONSENSE: &str = "what it says makes no sense: is it of another version?";

/// Tells what the `agent` says, until it has no more, or nobody listens. One that is followed and goes away is tried again.
pub(super) async fn tell(agents: Arc<Agents>, agent: Agent, plan: Plan, teller: Teller, places: Arc<Semaphore>) {
    let feed = Feed { agents, node: agent.node.clone(), plan, teller, places };
    // That nobody listens any more, nobody has to be told.
    let _ = feed.run(agent).await;
}

/// An agent that is asked, and not followed.
pub(super) struct Once {
    pub(super) agents: Arc<Agents>,
    pub(super) places: Arc<Semaphore>,
    pub(super) agent: Agent,
}

/// Tells what the `commands` say where the agent is. What cannot be run, or fails, is said.
pub(super) async fn ask(Once { agents, places, agent }: Once, commands: Vec<Vec<String>>, teller: Teller) {
    for command in commands {
        let asked = Asked { agents: &agents, places: &places, command, follows: false };
        let Ok(Attempt { error, .. }) = asked.of(&agent, &teller).await else { return };
        if let Some(error) = error {
            let error = shorten(error.trim(), LONGEST_ERROR).into_owned();
            // That nobody listens any more, nobody has to be told.
            let _ = teller.say(Message::Silent { node: agent.node.clone(), error }).await;
        }
    }
}

struct Feed {
    agents: Arc<Agents>,
    node: String,
    plan: Plan,
    teller: Teller,
    places: Arc<Semaphore>,
}

/// How one attempt ended.
#[derive(Debug, PartialEq, Eq)]
struct Attempt {
    /// Whether the agent was heard.
    heard: bool,
    /// Why it says nothing more; an agent that has no more to say ends without.
    error: Option<String>,
}

impl Feed {
    async fn run(mut self, first: Agent) -> Result<(), NobodyListens> {
        let pauses = ExponentialBuilder::new().with_min_delay(Duration::from_secs(1)).with_max_delay(LONGEST_PAUSE);
        let pauses = pauses.without_max_times().with_jitter();
        let mut agent: Result<Option<Agent>, Failure> = Ok(Some(first));
        let (mut pause, mut silent) = (pauses.build(), None);
        loop {
            let Attempt { heard, error } = match agent {
                Ok(Some(agent)) => self.attempt(&agent).await?,
                Ok(None) => Attempt { heard: false, error: Some("no agent runs there".to_owned()) },
                Err(error) => Attempt { heard: false, error: Some(error.to_string()) },
            };
            let ended = self.plan.follows.then(|| "its agent has ended".to_owned());
            if let Some(error) = error.or(ended) {
                let error = shorten(error.trim(), LONGEST_ERROR).into_owned();
                self.teller.say(Message::Silent { node: self.node.clone(), error }).await?;
            }
            if !self.plan.follows {
                return self.teller.tell(Event::Ended(Ok(()))).await;
            }
            if heard {
                pause = pauses.build();
                silent = Some(Instant::now());
            }
            sleep(pause.next().unwrap_or(LONGEST_PAUSE)).await;
            if let Some(silent) = silent {
                // Of what was before all is told.
                (self.plan.since, self.plan.last) = (SignedDuration::try_from(silent.elapsed()).ok(), None);
            }
            agent = self.agents.of_node(&self.node).await;
        }
    }

    async fn attempt(&self, agent: &Agent) -> Result<Attempt, NobodyListens> {
        let Self { agents, places, plan, teller, .. } = self;
        Asked { agents, places, command: plan.command(), follows: plan.follows }.of(agent, teller).await
    }
}

/// A command that is run where an agent is.
struct Asked<'a> {
    agents: &'a Agents,
    places: &'a Arc<Semaphore>,
    command: Vec<String>,
    follows: bool,
}

impl Asked<'_> {
    /// Runs it, and tells what it says.
    async fn of(self, agent: &Agent, teller: &Teller) -> Result<Attempt, NobodyListens> {
        let Self { agents, places, command, follows } = self;
        let not_heard = |error| Ok(Attempt { heard: false, error: Some(error) });
        let Ok(place) = Arc::clone(places).acquire_owned().await else { return Err(NobodyListens) };
        let wanted = AttachParams::default().container(CONTAINER).stdin(false).stdout(true).stderr(true);
        let wanted = wanted.max_stdout_buf_size(BUFFER).max_stderr_buf_size(BUFFER);
        let pods = agents.pods();
        let mut process = match timeout(PATIENCE, pods.exec(&agent.pod, command, &wanted)).await {
            Ok(Ok(process)) => process,
            Ok(Err(error)) => return not_heard(error.to_string()),
            Err(_) => return not_heard(format!("the API server did not answer within {} s", PATIENCE.as_secs())),
        };
        let streams = (process.stdout(), process.stderr(), process.take_status());
        let (Some(stdout), Some(stderr), Some(status)) = streams else {
            return not_heard("the API server gives no output of it".to_owned());
        };
        let silence = if follows { SILENCE } else { PATIENCE };
        let mut output = Output { stdout, stderr, follows, silence, says: Vec::new(), place: Some(place) };
        output.tell(status, teller).await
    }
}

/// What comes from a process.
struct Output<O, E> {
    stdout: O,
    stderr: E,
    /// Whether it is followed.
    follows: bool,
    /// How long it may say nothing.
    silence: Duration,
    /// What it said on stderr.
    says: Vec<u8>,
    /// What it takes until it is heard, where it is followed.
    place: Option<OwnedSemaphorePermit>,
}

impl<O: AsyncRead + Unpin, E: AsyncRead + Unpin> Output<O, E> {
    /// Tells what the process says, until it ends with a `status`, or without one as when the connection is lost: then its
    /// output may have no end.
    async fn tell(
        &mut self,
        status: impl Future<Output = Option<Status>>,
        teller: &Teller,
    ) -> Result<Attempt, NobodyListens> {
        let mut status = pin!(status);
        let (mut out, mut err) = (vec![0; BUFFER], vec![0; BUFFER]);
        let (mut stdout_open, mut stderr_open) = (true, true);
        let (mut messages, mut heard, mut ended, mut limit) = (Messages::default(), false, None, self.silence);
        while stdout_open || stderr_open || ended.is_none() {
            tokio::select! {
                read = self.stdout.read(&mut out), if stdout_open => {
                    let length = read.unwrap_or_default();
                    if length == 0 {
                        (stdout_open, limit) = (false, AFTERWARDS);
                    }
                    messages.push(&out[..length]);
                    for message in messages.by_ref() {
                        let Ok(message) = message else { return Ok(Attempt { heard, error: Some(NONSENSE.to_owned()) }) };
                        heard = true;
                        self.place = self.place.take().filter(|_| !self.follows);
                        teller.say(message).await?;
                    }
                }
                read = self.stderr.read(&mut err), if stderr_open => {
                    let length = read.unwrap_or_default();
                    stderr_open = length > 0;
                    self.says.extend_from_slice(&err[..length]);
                    self.says.truncate(BUFFER);
                }
                // What is under way is there soon.
                status = &mut status, if ended.is_none() => (ended, limit) = (Some(status), AFTERWARDS),
                () = sleep(limit) => break,
            }
        }
        Ok(Attempt { heard, error: self.error(ended, stdout_open) })
    }

    /// Why it says nothing more. What it says itself is better than what is said of it.
    fn error(&self, ended: Option<Option<Status>>, is_silent: bool) -> Option<String> {
        let error = match ended {
            Some(Some(status)) if status.status.as_deref() == Some("Success") => return None,
            Some(Some(status)) => status.message.unwrap_or_else(|| "it failed".to_owned()),
            Some(None) => "the connection to it was lost".to_owned(),
            None if is_silent => format!("it said nothing for {} s", self.silence.as_secs()),
            None => "it ended, and did not say how".to_owned(),
        };
        let says = String::from_utf8_lossy(&self.says);
        let says = says.trim().trim_start_matches("error: ");
        Some(if says.is_empty() { error } else { says.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::io::AsyncWriteExt;
    use tokio::sync::mpsc;

    use super::*;
    use crate::flows::tests::record;
    use crate::flows::{Hub, Record};

    fn status(success: bool) -> Option<Status> {
        let (status, message) = if success { ("Success", None) } else { ("Failure", Some("exit code 1".to_owned())) };
        Some(Status { status: Some(status.to_owned()), message, ..Status::default() })
    }

    /// What is told of a process that writes this, and ends so.
    async fn told(
        stdout: &str,
        stderr: &str,
        status: impl Future<Output = Option<Status>>,
        closes: bool,
    ) -> (Vec<Message>, Attempt) {
        let ((mut out, theirs_out), (mut err, theirs_err)) = (tokio::io::duplex(1 << 20), tokio::io::duplex(1 << 20));
        out.write_all(stdout.as_bytes()).await.unwrap();
        err.write_all(stderr.as_bytes()).await.unwrap();
        let _open = if closes { None } else { Some((out, err)) };
        let (events, mut receiver) = mpsc::channel(100);
        let mut output = Output {
            stdout: theirs_out,
            stderr: theirs_err,
            follows: true,
            silence: SILENCE,
            says: Vec::new(),
            place: None,
        };
        let attempt = output.tell(status, &Teller::new(0, events)).await.unwrap();
        let mut messages = Vec::new();
        while let Ok((0, Event::Message(message))) = receiver.try_recv() {
            messages.push(message);
        }
        (messages, attempt)
    }

    fn all() -> (String, Vec<Message>) {
        let begin = Message::Begin(Hub::new("worker-1").summary(false).0);
        let messages = vec![begin, Message::Record(Arc::new(Record { packets: 7, ..record() })), Message::Alive];
        (messages.iter().map(Message::line).collect(), messages)
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_process_writes_is_told() {
        let (text, expected) = all();
        let (messages, attempt) = told(&text, "", ready(status(true)), true).await;
        assert_eq!((messages, attempt), (expected, Attempt { heard: true, error: None }));
    }

    /// Whatever ends first, and although kube leaves the streams of a lost connection open.
    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_lost_ends_it() {
        let ((text, expected), start) = (all(), tokio::time::Instant::now());
        let (messages, attempt) = told(&text, "", ready(None), false).await;
        assert!(start.elapsed() <= AFTERWARDS);
        let error = "the connection to it was lost".to_owned();
        assert_eq!((messages, attempt), (expected, Attempt { heard: true, error: Some(error) }));
    }

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_says_nothing_is_left() {
        let (_, attempt) = told("", "", pending(), false).await;
        assert_eq!(attempt, Attempt { heard: false, error: Some("it said nothing for 45 s".to_owned()) });
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_process_says_of_its_failure_is_told() {
        let (_, attempt) = told("", "error: no agent answers\n", ready(status(false)), true).await;
        assert_eq!(attempt.error.as_deref(), Some("no agent answers"));
        let (_, attempt) = told("", "", ready(status(false)), true).await;
        assert_eq!(attempt.error.as_deref(), Some("exit code 1"));
        let (_, attempt) = told("no json\n", "", pending(), false).await;
        assert!(attempt.error.unwrap().contains("is it of another version?"));
    }
}
