//! Lines of JSON between an agent, `palisade monitor`, and whoever reads that.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::hub::Header;
use super::open::{Counting, OpenConnections};
use super::record::Record;
use super::shared;
use super::store::Entry;

/// How long a line may be, in bytes: records are much shorter.
const LONGEST_LINE: usize = 1 << 20;

/// One line: an object, whose `kind` says what it is. Kinds are added: who reads leaves out those that he does not know.
///
/// ```json
/// {"kind":"begin","node":"worker-1","begun":"2026-11-28T22:50:03Z","logged":412,"suppressed":0,"lost":0,"malformed":0,
///  "forgotten":{"entries":0,"packets":0}}
/// {"kind":"record","time":…}
/// {"kind":"now"}
/// {"kind":"missed","node":"worker-1","records":300}
/// {"kind":"silent","node":"worker-1","error":"no agent answers …"}
/// {"kind":"counting","bytes":true,"ages":false}
/// {"kind":"connections","source":"10.0.0.1",…}
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Message {
    /// The first of an agent's: who tells, and what it cannot know. It comes again where an agent that was silent is back.
    Begin(Header),
    /// What was remembered has been told: what comes after it has just happened.
    Now,
    /// Packets of one flow.
    Record(#[serde(with = "shared")] Arc<Record>),
    /// United flows.
    Entry(Entry),
    /// Records that were told faster than they were read.
    Missed {
        /// The node that told them.
        node: String,
        /// How many.
        records: u64,
    },
    /// A node is not heard, or no longer.
    Silent {
        /// The node.
        node: String,
        /// Why not.
        error: String,
    },
    /// Nothing has come for a while, and whoever tells is there.
    Alive,
    /// What the kernel keeps of connections: the first of `palisade connections`.
    Counting(Counting),
    /// Connections that are open now.
    Connections(OpenConnections),
    /// Something that this version does not know.
    #[serde(other)]
    Other,
}

impl Message {
    /// Its line, with its end.
    pub fn line(&self) -> String {
        let mut line = serde_json::to_string(self).expect("these have string keys and no values that JSON lacks");
        line.push('\n');
        line
    }
}

/// Messages from bytes as they come in, in pieces of any size.
#[derive(Debug, Default)]
pub struct Messages {
    bytes: Vec<u8>,
    /// Where in them the next line begins.
    read: usize,
    /// How far its end was looked for.
    looked: usize,
}

impl Messages {
    /// Takes in what came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.read);
        self.looked -= self.read;
        self.read = 0;
        self.bytes.extend_from_slice(bytes);
    }
}

/// Those that have come as a whole; more when more has come. An error is a line that makes no sense, or that is too long.
impl Iterator for Messages {
    type Item = Result<Message, String>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(length) = self.bytes[self.looked..].iter().position(|byte| *byte == b'\n') else {
                self.looked = self.bytes.len();
                let is_too_long = self.looked - self.read > LONGEST_LINE;
                return is_too_long.then(|| Err("a line without an end".to_owned()));
            };
            let line = &self.bytes[self.read..self.looked + length];
            self.looked += length + 1;
            self.read = self.looked;
            if !line.is_empty() {
                return Some(serde_json::from_slice(line).map_err(|error| error.to_string()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::hub::Hub;
    use super::super::record::tests::record;
    use super::*;

    fn all() -> Vec<Message> {
        let hub = Hub::new("worker-1");
        hub.publish(record());
        let (header, entries) = hub.summary(false);
        let entries = entries.into_iter().map(Message::Entry);
        let node = || "worker-1".to_owned();
        let rest = [
            Message::Record(Arc::new(record())),
            Message::Missed { node: node(), records: 3 },
            Message::Silent { node: node(), error: "no".to_owned() },
            Message::Now,
            Message::Alive,
            Message::Counting(Counting { bytes: true, ages: false }),
        ];
        [Message::Begin(header)].into_iter().chain(entries).chain(rest).collect()
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in_whatever_the_pieces(cuts in prop::collection::vec(1..900_usize, 1..30)) {
            let all = all();
            let text: String = all.iter().map(Message::line).collect();
            let (mut messages, mut read, mut rest) = (Messages::default(), Vec::new(), text.as_bytes());
            for cut in cuts.iter().cycle() {
                let (piece, others) = rest.split_at((*cut).min(rest.len()));
                messages.push(piece);
                read.extend(messages.by_ref().map(Result::unwrap));
                rest = others;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(read, all);
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_to_its_end(pieces in prop::collection::vec("[\\PC\n{}\":,a-z]{0,80}", 0..20)) {
            let mut messages = Messages::default();
            for piece in &pieces {
                messages.push(piece.as_bytes());
                messages.by_ref().for_each(drop);
            }
            messages.push(b"\n{\"kind\":\"now\"}\n");
            prop_assert_eq!(messages.last(), Some(Ok(Message::Now)));
        }
    }

    #[test]
    fn a_record_is_its_fields_and_a_kind() {
        let line = Message::Record(Arc::new(record())).line();
        assert!(line.starts_with(r#"{"kind":"record","time":"2026-11-28T22:56:12.25Z","node":"#), "{line}");
        assert!(Message::Alive.line() == "{\"kind\":\"alive\"}\n");
    }

    #[test]
    fn other_kinds_are_known_as_such_and_nonsense_is_an_error() {
        let mut messages = Messages::default();
        messages.push(b"{\"kind\":\"song\",\"of\":[1]}\n\n{\"kind\":\"record\"}\nno\n{\"kind\":");
        assert_eq!(messages.next(), Some(Ok(Message::Other)));
        assert!(messages.next().unwrap().unwrap_err().contains("missing field"));
        assert!(messages.next().unwrap().is_err());
        assert_eq!(messages.next(), None);
        messages.push(&vec![b' '; LONGEST_LINE]);
        assert_eq!(messages.next(), Some(Err("a line without an end".to_owned())));
    }
}
