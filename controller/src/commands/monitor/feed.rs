//! What an agent says, made into what a view takes: its past first, as one list, then what comes.

use std::sync::Arc;

use tokio::sync::mpsc::Sender;

use crate::flows::Message;

/// Which of the agents that are heard.
pub(super) type FeedId = usize;

/// What a feed tells.
#[derive(Debug)]
pub(super) enum Event {
    /// A message. Between [`Message::Begin`] and [`Message::Now`] records are of what was.
    Message(Message),
    /// There is nothing more; an error is one that ends all.
    Ended(anyhow::Result<()>),
}

/// Where a feed tells: whoever listens may be gone, which is when it ends.
#[derive(Clone, Debug)]
pub(super) struct Teller {
    id: FeedId,
    events: Sender<(FeedId, Event)>,
}

/// Nobody listens any more.
#[derive(Debug)]
pub(super) struct NobodyListens;

impl Teller {
    pub(super) fn new(id: FeedId, events: Sender<(FeedId, Event)>) -> Self {
        Self { id, events }
    }

    /// Waits while whoever listens has much to do.
    pub(super) async fn tell(&self, event: Event) -> Result<(), NobodyListens> {
        self.events.send((self.id, event)).await.map_err(|_| NobodyListens)
    }

    /// The same for messages.
    pub(super) async fn say(&self, message: Message) -> Result<(), NobodyListens> {
        self.tell(Event::Message(message)).await
    }

    /// The same for many records.
    pub(super) async fn say_all(
        &self,
        records: impl IntoIterator<Item = Arc<crate::flows::Record>>,
    ) -> Result<(), NobodyListens> {
        for record in records {
            self.say(Message::Record(record)).await?;
        }
        Ok(())
    }
}
