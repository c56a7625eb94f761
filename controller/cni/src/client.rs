//! Asking the agent.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use crate::{Answer, Request};

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);
/// How much longer than the agent may wait its answer may take.
const GRACE: Duration = Duration::from_secs(2);
/// How long an answer may be, in bytes.
const LONGEST_ANSWER: u64 = 64 << 10;

/// What the agent at `socket` says, within `patience`: where it is away, or goes away meanwhile, it is asked again.
///
/// # Errors
/// Why it did not answer, at last.
pub fn ask(socket: &Path, request: &Request, patience: Duration) -> io::Result<Answer> {
    let end = Instant::now() + patience;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match ask_once(socket, &asked_now(request, left), left + GRACE) {
            Err(_) if Instant::now() + PAUSE < end => sleep(PAUSE),
            result => return result,
        }
    }
}

/// The agent waits no longer than is left, and knows since when.
fn asked_now(request: &Request, left: Duration) -> Request {
    let mut request = request.clone();
    if let Request::Add(add) = &mut request {
        add.wait = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        add.asked = Some(SystemTime::now());
    }
    request
}

fn ask_once(socket: &Path, request: &Request, patience: Duration) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    stream.write_all(format!("{}\n", serde_json::to_string(request)?).as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream.take(LONGEST_ANSWER)).read_line(&mut answer)?;
    if answer.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_str(&answer)?)
}
