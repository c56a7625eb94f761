//! Prints what is heard: lines for a person, with what else there is to say on stderr; or messages as they are.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::top;
use crate::cli::Output;
use crate::flows::{Entry, Lines, Message, Record, printable};

/// Where results and notices go.
pub(super) struct Printer {
    results: Box<dyn Write>,
    notices: Box<dyn Write>,
    output: Output,
    lines: Lines,
    /// Whether it is said that nothing has come.
    alive: bool,
}

impl Printer {
    /// To stdout and stderr. `with_node`: how wide the nodes' names are, where there may be several. `alive`: programs are
    /// told that nothing has come, too.
    pub(super) fn new(output: Output, with_node: Option<usize>, alive: bool) -> Self {
        let lines = Lines::coloured(TimeZone::system()).with_dates_but(Timestamp::now());
        let lines = match with_node {
            Some(width) => lines.with_node(width),
            None => lines,
        };
        let results: Box<dyn Write> = match output {
            // It takes the colours out where they are not wanted.
            Output::Text => Box::new(anstream::stdout()),
            Output::Json => Box::new(io::stdout()),
        };
        Self { results, notices: Box::new(io::stderr()), output, lines, alive }
    }

    #[cfg(test)]
    pub(super) fn into_memory(output: Output) -> (Self, tests::Memory, tests::Memory) {
        let (results, notices) = (tests::Memory::default(), tests::Memory::default());
        let lines = Lines::plain(TimeZone::UTC);
        let (out, says) = (Box::new(results.clone()), Box::new(notices.clone()));
        (Self { results: out, notices: says, output, lines, alive: false }, results, notices)
    }

    /// The time of day, as it is printed.
    pub(super) fn time(&self, time: Timestamp) -> String {
        self.lines.time(time)
    }

    /// A record.
    pub(super) fn record(&mut self, record: &Arc<Record>) -> io::Result<()> {
        match self.output {
            Output::Text => writeln!(self.results, "{}", self.lines.line(record)),
            Output::Json => self.message(&Message::Record(Arc::clone(record))),
        }
    }

    /// Sums.
    pub(super) fn entries(&mut self, entries: Vec<Entry>) -> io::Result<()> {
        match self.output {
            Output::Text => write!(self.results, "{}", top::table(&entries, &self.lines)),
            Output::Json => entries.into_iter().try_for_each(|entry| self.message(&Message::Entry(entry))),
        }
    }

    /// Something that programs are told as `message`, and a person as a sentence, if at all.
    pub(super) fn tell(&mut self, message: &Message, sentence: Option<&str>) -> io::Result<()> {
        match self.output {
            Output::Text => sentence.map_or(Ok(()), |sentence| self.note(sentence)),
            Output::Json => self.message(message),
        }
    }

    /// Nothing has come for a while.
    ///
    /// # Errors
    /// Where nobody reads any more, although nothing is written: a pipe tells only who asks.
    pub(super) fn alive(&mut self) -> io::Result<()> {
        expect_reader()?;
        if self.alive { self.tell(&Message::Alive, None) } else { Ok(()) }
    }

    /// What was printed is to be seen.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.results.flush()
    }

    fn note(&mut self, sentence: &str) -> io::Result<()> {
        self.results.flush()?;
        writeln!(self.notices, "note: {}", printable(sentence))
    }

    fn message(&mut self, message: &Message) -> io::Result<()> {
        self.results.write_all(message.line().as_bytes())
    }
}

fn expect_reader() -> io::Result<()> {
    let stdout = io::stdout();
    if stdout.is_terminal() {
        return Ok(());
    }
    let mut polled = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
    poll(&mut polled, PollTimeout::ZERO)?;
    let is_gone = polled[0].revents().is_some_and(|events| events.contains(PollFlags::POLLERR));
    if is_gone { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Mutex;

    use super::*;

    /// What was written; clones are the same.
    #[derive(Clone, Default)]
    pub(in crate::commands::monitor) struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Memory {
        pub(in crate::commands::monitor) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_sentence_cannot_obey_a_terminal() {
        let (mut printer, _, notices) = Printer::into_memory(Output::Text);
        printer.tell(&Message::Alive, Some("a \u{1b}[2J b")).unwrap();
        assert_eq!(notices.text(), "note: a \\u{1b}[2J b\n");
    }
}
