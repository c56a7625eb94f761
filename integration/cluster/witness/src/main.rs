//! What pods of the test cluster run, and the host outside it: connects, listens, and tells what came of it.
//!
//! - `witness pause` does nothing, for as long as it is let.
//! - `witness [--patience MILLISECONDS] [--listen PORT] [--connect ADDRESS:PORT] [--stream ADDRESS:PORT] [--knock PORT
//!   DIRECTORY...]` does these things from its first instruction on, and gives a connection up for a new one after that long:
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
use std::time::Duration;

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

fn main() -> ExitCode {
    let tally = Arc::new(Tally::begin());
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == ["pause"] {
        loop {
            thread::park();
        }
    }
    match parse(&arguments) {
        Some((actions, patience)) => report(actions, patience, &tally),
        None => {
            eprintln!("witness: cannot make sense of {arguments:?}");
            ExitCode::from(2)
        }
    }
}

fn parse(arguments: &[String]) -> Option<(Vec<Action>, Duration)> {
    let mut actions = Vec::new();
    let mut patience = PATIENCE;
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        let value = rest.next()?;
        actions.push(match name.as_str() {
            "--patience" => {
                patience = Duration::from_millis(value.parse().ok()?);
                continue;
            }
            "--listen" => Action::Listen(value.parse().ok()?),
            "--connect" => Action::Connect(value.parse().ok()?),
            "--stream" => Action::Stream(value.parse().ok()?),
            "--knock" => Action::Knock(value.parse().ok()?, rest.by_ref().map(PathBuf::from).collect()),
            _ => return None,
        });
    }
    (!actions.is_empty()).then_some((actions, patience))
}

fn report(actions: Vec<Action>, patience: Duration, tally: &Arc<Tally>) -> ! {
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
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &str) -> Option<(Vec<Action>, Duration)> {
        parse(&arguments.split(' ').map(String::from).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_say_what_to_do() {
        let to = "192.0.2.1:80".parse().expect("an address");
        let both = vec![Action::Listen(80), Action::Connect(to)];
        assert_eq!(parsed("--listen 80 --connect 192.0.2.1:80"), Some((both, PATIENCE)));
        let knock = vec![Action::Knock(80, vec!["a".into(), "b".into()])];
        assert_eq!(parsed("--patience 70 --knock 80 a b"), Some((knock, Duration::from_millis(70))));
        for wrong in ["--listen", "--patience 70", "--listen http", "--shout 80", "80"] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }
}
