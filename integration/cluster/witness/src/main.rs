//! What pods of the test cluster run, and the host outside it: connects, listens, and tells what came of it.
//!
//! - `witness pause` does nothing, for as long as it is let.
//! - `witness [--patience MILLISECONDS] [--for MILLISECONDS] [--listen PORT] [--connect ADDRESS:PORT] [--stream ADDRESS:PORT] [--knock PORT
//!   DIRECTORY...]` does these things from its first instruction on, for that long or for ever, and gives a connection up for a
//!   new one after its patience:
//!   - it accepts connections and sends back what comes;
//!   - it connects again and again, a few milliseconds apart;
//!   - it holds one connection, and has a byte come back through it every few milliseconds;
//!   - it connects, again and again, to each address that a file in one of the directories is called after. That is how
//!     the CNI plugin host-local keeps the addresses that it has given.
//!
//! Whenever something has changed, but at most ten times a second, it prints a line of `name=value`, which counts from the
//! start: see [`Tally::line`]. So the last line says it all, also of a process that was killed.
//!
//! It has no dependencies, and is linked statically: its image holds one file.

mod actions;
mod tally;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tally::Tally;

/// How long a connection may take to be made, unless told otherwise: packets here take microseconds.
const PATIENCE: Duration = Duration::from_millis(20);

/// Between two lines.
const PAUSE: Duration = Duration::from_millis(100);

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
enum Action {
    Listen(u16),
    Connect(SocketAddr),
    Stream(SocketAddr),
    Knock(u16, Vec<PathBuf>),
}

/// All that is to be done.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    actions: Vec<Action>,
    patience: Duration,
    /// For how long; `None`: for ever.
    lasts: Option<Duration>,
}

fn main() -> ExitCode {
    let tally = Arc::new(Tally::begin());
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == ["pause"] {
        loop {
            thread::park();
        }
    }
    match parse(&arguments) {
        Some(plan) => report(plan, &tally),
        None => {
            eprintln!("witness: cannot make sense of {arguments:?}");
            ExitCode::from(2)
        }
    }
}

fn parse(arguments: &[String]) -> Option<Plan> {
    let (mut actions, mut patience, mut lasts) = (Vec::new(), PATIENCE, None);
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        let value = rest.next()?;
        actions.push(match name.as_str() {
            "--patience" => {
                patience = Duration::from_millis(value.parse().ok()?);
                continue;
            }
            "--for" => {
                lasts = Some(Duration::from_millis(value.parse().ok()?));
                continue;
            }
            "--listen" => Action::Listen(value.parse().ok()?),
            "--connect" => Action::Connect(value.parse().ok()?),
            "--stream" => Action::Stream(value.parse().ok()?),
            "--knock" => Action::Knock(value.parse().ok()?, rest.by_ref().map(PathBuf::from).collect()),
            _ => return None,
        });
    }
    (!actions.is_empty()).then_some(Plan { actions, patience, lasts })
}

fn report(plan: Plan, tally: &Arc<Tally>) -> ExitCode {
    let Plan { actions, patience, lasts } = plan;
    let begun = Instant::now();
    for action in actions {
        let tally = Arc::clone(tally);
        thread::spawn(move || match action {
            Action::Listen(port) => actions::listen(port, &tally),
            Action::Connect(to) => actions::connect(to, patience, &tally),
            Action::Stream(to) => actions::stream(to, patience, &tally),
            Action::Knock(port, directories) => actions::knock(port, &directories, patience, &tally),
        });
    }
    let mut before = String::new();
    loop {
        let line = tally.line();
        if line != before {
            println!("{line}");
            before = line;
        }
        if lasts.is_some_and(|lasts| begun.elapsed() >= lasts) {
            return ExitCode::SUCCESS;
        }
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &str) -> Option<Plan> {
        parse(&arguments.split(' ').map(String::from).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_say_what_to_do() {
        let to = "192.0.2.1:80".parse().expect("an address");
        let both = vec![Action::Listen(80), Action::Connect(to)];
        let plan = Plan { actions: both, patience: PATIENCE, lasts: None };
        assert_eq!(parsed("--listen 80 --connect 192.0.2.1:80"), Some(plan));
        let knock = vec![Action::Knock(80, vec!["a".into(), "b".into()])];
        let [patience, lasts] = [70, 500].map(Duration::from_millis);
        let plan = Plan { actions: knock, patience, lasts: Some(lasts) };
        assert_eq!(parsed("--for 500 --patience 70 --knock 80 a b"), Some(plan));
        for wrong in ["--listen", "--patience 70", "--listen http", "--shout 80", "80"] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }
}
