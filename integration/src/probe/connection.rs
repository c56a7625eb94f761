use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::servers::patiently;
use super::{Flow, Kind, Patience, ProbeError};
use crate::patience::LIMIT;

const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A TCP connection on which both ends have been heard.
#[derive(Debug)]
pub struct Connection {
    client: End,
    server: End,
}

#[derive(Debug)]
struct End {
    stream: TcpStream,
    heard: bool,
}

impl Connection {
    /// Connects as a flow says, which is one of TCP.
    ///
    /// # Errors
    /// Where it is not allowed now.
    ///
    /// # Panics
    /// If the flow is not one of TCP.
    pub fn open(flow: &Flow<'_>) -> Result<Self, ProbeError> {
        let Kind::Tcp(port) = flow.kind else { panic!("{} has no connections that live", flow.kind) };
        let [source, at] = [flow.from, flow.to].map(|host| host.probed(flow.family));
        let (source, at) = (source?, SocketAddr::new(at?, port));
        let called = SocketAddr::new(flow.called.unwrap_or(at.ip()), port);
        let failed = |action: String| ProbeError::socket(format!("{action} ({source} -> {called})"));
        let listener = flow
            .to
            .namespace()
            .enter(|| patiently(|| TcpListener::bind(at)))?
            .map_err(failed(format!("listen at {at}")))?;
        let connect = || -> io::Result<TcpStream> {
            let bound = SocketAddr::new(source, flow.from.fresh_port());
            let socket = Socket::new(Domain::for_address(bound), Type::STREAM, None)?;
            socket.bind(&bound.into())?;
            socket.connect_timeout(&called.into(), LIMIT)?;
            Ok(socket.into())
        };
        let client = flow.from.namespace().enter(connect)?.map_err(failed("connect".to_owned()))?;
        let (server, _) = listener.accept().map_err(failed("accept".to_owned()))?;
        let end = |stream| End::new(stream).map_err(failed("set up a connection".to_owned()));
        let mut connection = Self { client: end(client)?, server: end(server)? };
        match talk(&mut [(&mut connection, true)], Patience::FULL)?.as_slice() {
            [[true, true]] => Ok(connection),
            _ => Err(failed("talk".to_owned())(ErrorKind::TimedOut.into())),
        }
    }
}

/// Both ends of each connection say something; gives for each which of them are heard: the client, the server. Where they
/// are expected to be, they are waited for patiently.
///
/// # Errors
/// Where a socket cannot be used at all.
pub fn talk(connections: &mut [(&mut Connection, bool)], patience: Patience) -> Result<Vec<[bool; 2]>, ProbeError> {
    for (connection, _) in connections.iter_mut() {
        connection.client.say();
        connection.server.say();
    }
    let (start, mut last_sign) = (Instant::now(), Instant::now());
    loop {
        let (mut waits_for_more, mut waits_for_silence) = (false, false);
        for (connection, expected) in connections.iter_mut() {
            let before = connection.heard();
            connection.client.listen();
            connection.server.listen();
            if connection.heard() != before {
                last_sign = Instant::now();
            }
            let all = connection.heard() == [true; 2];
            waits_for_more |= *expected && !all;
            waits_for_silence |= !*expected && !all;
        }
        let is_over = (!waits_for_more || start.elapsed() >= patience.answers)
            && (!waits_for_silence || last_sign.elapsed() >= patience.silence);
        if is_over {
            return Ok(connections.iter().map(|(connection, _)| connection.heard()).collect());
        }
        sleep(POLL_INTERVAL);
    }
}

impl Connection {
    /// Who was heard: the client, by the server, and the server, by the client.
    fn heard(&self) -> [bool; 2] {
        [self.server.heard, self.client.heard]
    }
}

impl End {
    fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        Ok(Self { stream, heard: false })
    }

    /// What cannot be said is not heard either.
    fn say(&mut self) {
        self.heard = false;
        let _ = self.stream.write(b"x");
    }

    fn listen(&mut self) {
        let mut buffer = [0; 64];
        while let Ok(1..) = self.stream.read(&mut buffer) {
            self.heard = true;
        }
    }
}
