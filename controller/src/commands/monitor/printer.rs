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
        let lines = Lines::coloured(TimeZone::system());
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
