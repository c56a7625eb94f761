//! What receives and answers, in the namespace of the server.

use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{ECHO_PORT, Going, SINK_PORT};
use crate::patience::hold_datagrams;

const READ_LIMIT: Duration = Duration::from_millis(50);
const POLL_INTERVAL: Duration = Duration::from_millis(1);
const LARGEST: usize = 64;

/// Starts all servers at `address`.
pub(super) fn start(address: IpAddr, going: &Going) -> io::Result<Vec<JoinHandle<()>>> {
    let sink = UdpSocket::bind((address, SINK_PORT))?;
    let echo = UdpSocket::bind((address, ECHO_PORT))?;
    let listener = TcpListener::bind((address, ECHO_PORT))?;
    sink.set_read_timeout(Some(READ_LIMIT))?;
    echo.set_read_timeout(Some(READ_LIMIT))?;
    listener.set_nonblocking(true)?;
    hold_datagrams(&sink)?;
    hold_datagrams(&echo)?;
    let start = |work: Box<dyn FnOnce(&Going) + Send>| {
        let going = going.clone();
        thread::spawn(move || work(&going))
    };
    Ok(vec![
        start(Box::new(move |going| receive(&sink, going))),
        start(Box::new(move |going| answer_datagrams(&echo, going))),
        start(Box::new(move |going| accept(&listener, going))),
    ])
}

fn receive(socket: &UdpSocket, going: &Going) {
    while going.receiving() {
        let _ = socket.recv(&mut [0; LARGEST]);
    }
}

fn answer_datagrams(socket: &UdpSocket, going: &Going) {
    let mut buffer = [0; LARGEST];
    while going.receiving() {
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..length], from);
        }
    }
}

fn accept(listener: &TcpListener, going: &Going) {
    while going.receiving() {
        match listener.accept() {
            // It ends when the other side closes.
            Ok((stream, _)) => drop(thread::spawn(move || answer_stream(stream))),
            Err(_) => thread::sleep(POLL_INTERVAL),
        }
    }
}

fn answer_stream(mut stream: TcpStream) {
    let mut buffer = [0; LARGEST];
    let configured = stream.set_nonblocking(false).and_then(|()| stream.set_nodelay(true));
    while let (Ok(()), Ok(length @ 1..)) = (&configured, stream.read(&mut buffer)) {
        if stream.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}
