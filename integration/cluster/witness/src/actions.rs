use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::tally::Tally;

/// How long an answer may take before a held connection counts as broken: TCP repeats what is lost.
const ANSWER: Duration = Duration::from_secs(5);

/// Between two connections, or two bytes.
const PAUSE: Duration = Duration::from_millis(2);

pub(crate) fn listen(port: u16, tally: &Tally) {
    // Of both families, where there is IPv6.
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).or_else(|_| TcpListener::bind(("0.0.0.0", port)));
    match listener {
        Ok(listener) => {
            for connection in listener.incoming().flatten() {
                tally.note(|tally| &tally.accepted);
                thread::spawn(move || send_back(connection));
            }
        }
        Err(error) => eprintln!("witness: cannot listen at port {port}: {error}"),
    }
}

fn send_back(mut connection: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 64];
    loop {
        match connection.read(&mut buffer)? {
            0 => return Ok(()),
            length => connection.write_all(&buffer[..length])?,
        }
    }
}

/// Again and again, each time for as long as `patience` lasts.
pub(crate) fn connect(to: SocketAddr, patience: Duration, tally: &Tally) {
    loop {
        try_once(to, patience, tally);
        thread::sleep(PAUSE);
    }
}

fn try_once(to: SocketAddr, patience: Duration, tally: &Tally) {
    match TcpStream::connect_timeout(&to, patience) {
        Ok(_) => tally.note(|tally| &tally.out),
        Err(_) => tally.note(|tally| &tally.failed),
    }
}

pub(crate) fn stream(to: SocketAddr, patience: Duration, tally: &Tally) {
    loop {
        match TcpStream::connect_timeout(&to, patience) {
            Ok(connection) => {
                tally.note(|tally| &tally.out);
                if hold(connection, tally).is_err() {
                    tally.note(|tally| &tally.broken);
                }
            }
            Err(_) => tally.note(|tally| &tally.failed),
        }
        thread::sleep(PAUSE);
    }
}

fn hold(mut connection: TcpStream, tally: &Tally) -> io::Result<()> {
    connection.set_read_timeout(Some(ANSWER))?;
    connection.set_nodelay(true)?;
    loop {
        connection.write_all(b".")?;
        connection.read_exact(&mut [0])?;
        tally.note(|tally| &tally.echoes);
        thread::sleep(PAUSE);
    }
}

/// Each address is a thread's own, so that none waits for the silence of another.
pub(crate) fn knock(port: u16, directories: &[PathBuf], patience: Duration, tally: &Tally) {
    loop {
        thread::scope(|scope| {
            for address in addresses(directories) {
                scope.spawn(move || try_once(SocketAddr::new(address, port), patience, tally));
            }
        });
        thread::sleep(PAUSE);
    }
}

fn addresses(directories: &[PathBuf]) -> Vec<IpAddr> {
    let entries = directories.iter().filter_map(|directory| fs::read_dir(directory).ok()).flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}
