//! The agent of this node, over its socket.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::feed::{Event, NobodyListens, Teller};
use super::plan::Plan;
use crate::flows::{Message, Throttle};
use crate::serve::{self, ClientError, Stream};

/// How long an agent is waited for, the longest time.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Tells what the agent at `socket` says, until it has no more, or nobody listens. One that is followed and goes away is waited
/// for; one that has never been there is an error.
pub(super) async fn tell(socket: PathBuf, plan: Plan, teller: Teller) {
    let feed = Feed { socket, plan, teller, node: String::new() };
    // That nobody listens any more, nobody has to be told.
    let _ = feed.run().await;
}

struct Feed {
    socket: PathBuf,
    plan: Plan,
    teller: Teller,
    /// Its name, once it has been heard.
    node: String,
}

/// Why an agent says nothing more.
enum Stopped {
    Ended,
    Failed(ClientError),
    NobodyListens(NobodyListens),
}

impl From<NobodyListens> for Stopped {
    fn from(nobody: NobodyListens) -> Self {
        Self::NobodyListens(nobody)
    }
}

impl From<ClientError> for Stopped {
    fn from(error: ClientError) -> Self {
        Self::Failed(error)
    }
}

impl Feed {
    async fn run(mut self) -> Result<(), NobodyListens> {
        let mut stream = match serve::stream(&self.socket, &self.plan.target()).await {
            Ok(stream) => stream,
            Err(error) => return self.teller.tell(Event::Ended(Err(error.into()))).await,
        };
        loop {
            let Err(stopped) = self.listen(&mut stream).await;
            let ended = match stopped {
                Stopped::NobodyListens(nobody) => return Err(nobody),
                Stopped::Ended => Ok(()),
                Stopped::Failed(error) => Err(error),
            };
            if !self.plan.follows {
                return self.teller.tell(Event::Ended(ended.map_err(Into::into))).await;
            }
            let silent = Timestamp::now();
            let error = ended.err().map_or_else(|| "the agent has ended".to_owned(), |error| error.to_string());
            self.teller.say(Message::Silent { node: self.node.clone(), error }).await?;
            stream = self.wait(silent).await;
        }
    }

    /// The agent, when it is back: it tells what has been since it was `silent`, as far as it knows.
    async fn wait(&self, silent: Timestamp) -> Stream {
        let mut pauses = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(LONGEST_PAUSE)
            .without_max_times()
            .with_jitter()
            .build();
        loop {
            tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
            let missed = Timestamp::now().duration_since(silent);
            let plan = Plan { since: Some(missed), ..self.plan.clone() };
            if let Ok(stream) = serve::stream(&self.socket, &plan.target()).await {
                return stream;
            }
        }
    }

    /// Tells what the agent says.
    async fn listen(&mut self, stream: &mut Stream) -> Result<Infallible, Stopped> {
        match stream.next().await? {
            Some(Message::Begin(header)) => {
                self.node.clone_from(&header.node);
                self.teller.say(Message::Begin(header)).await?;
            }
            Some(_) => return Err(ClientError::Nonsense("it does not say who it is".to_owned()).into()),
            None => return Err(Stopped::Ended),
        }
        self.tell_past(stream).await?;
        // Of what is missed from now on all is wanted.
        self.plan.last = None;
        let mut throttle = Throttle::default();
        let stopped = self.tell_coming(stream, &mut throttle).await;
        // What was gathered has been, whatever comes.
        self.teller.say_all(throttle.rest()).await?;
        stopped
    }

    /// What was, of which no more is kept than is wanted.
    async fn tell_past(&self, stream: &mut Stream) -> Result<(), Stopped> {
        let mut last = VecDeque::new();
        loop {
            match stream.next().await?.ok_or_else(|| ClientError::Ended { path: self.socket.clone() })? {
                Message::Record(record) if !self.plan.filter.admits(&record) => {}
                Message::Record(record) => match self.plan.last {
                    None => self.teller.say(Message::Record(record)).await?,
                    Some(most) => {
                        last.push_back(record);
                        last.drain(..last.len().saturating_sub(most));
                    }
                },
                Message::Entry(entry) => {
                    let is_late = self.plan.from().is_some_and(|since| entry.last < since);
                    if !is_late && self.plan.filter.admits(&entry.sample) {
                        self.teller.say(Message::Entry(entry)).await?;
                    }
                }
                Message::Now => break,
                _ => {}
            }
        }
        self.teller.say_all(last).await?;
        Ok(self.teller.say(Message::Now).await?)
    }

    async fn tell_coming(&self, stream: &mut Stream, throttle: &mut Throttle) -> Result<Infallible, Stopped> {
        loop {
            let due = throttle.next();
            let gathered = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            let message = tokio::select! {
                message = stream.next() => message?,
                () = gathered => {
                    self.teller.say_all(throttle.due(Instant::now())).await?;
                    continue;
                }
            };
            match message {
                Some(Message::Record(record)) => {
                    let record = Some(record).filter(|record| self.plan.filter.admits(record));
                    self.teller.say_all(record.and_then(|record| throttle.add(Instant::now(), record))).await?;
                }
                Some(message) => self.teller.say(message).await?,
                None => return Err(Stopped::Ended),
            }
        }
    }
}
