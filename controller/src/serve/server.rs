//! Connections from whoever comes: few at a time, each for one short request.
//!
//! Invariants:
//! - What a client can cost is bounded, be it silent, slow or a flood: [`NEAR`] connections from the node itself and [`FAR`]
//!   from elsewhere, each with [`LONGEST_HEAD`] bytes of a request and a small buffer of the kernel's, for [`PATIENCE`].
//! - Those that stay longer, because their handler says so ([`Patience`]), take none of these places, and nobody pushes them
//!   out: the handler bounds how many there are.
//! - Where there are too many connections, the oldest goes, not the newest. A flood of silent ones pushes out itself.
//! - Nobody from elsewhere can push out who comes from the node itself, as its kubelet does. Who waits to be taken waits
//!   shortly: connections are taken many at a time, and those that have to go are not even looked at.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::serve::Listener;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, unix};
use tokio::task::JoinHandle;
use tower::ServiceExt;

use super::patience::Patience;

/// How many connections from the node itself there may be.
const NEAR: usize = 64;
/// How many from elsewhere.
const FAR: usize = 32;
/// How long a connection may last, from its begin to the last byte of the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the head of a request may take.
const HEAD_PATIENCE: Duration = Duration::from_secs(2);
/// How large it may be, in bytes.
const LONGEST_HEAD: usize = 8 << 10;
/// How many header fields it may have.
const MOST_FIELDS: usize = 32;
/// What the kernel may hold for a connection before it is read, in bytes. It doubles that.
const RECEIVE_BUFFER: u32 = 8 << 10;
/// How many connections may wait to be taken. With more, who comes last waits longer; with fewer, a flood leaves no place, and
/// who comes has to come again after a second.
const BACKLOG: u32 = 1024;

/// Listens at `address`.
///
/// # Errors
/// Where the system refuses.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // Connections inherit it.
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves for ever. Connections that have come are taken until the runtime has this task pause, which is after a hundred or
/// so; then they are answered. `refused` is told of each that had to go because there were too many, and whether it came from
/// the node itself.
pub(super) async fn serve<L: Origin>(mut listener: L, router: Router, refused: impl Fn(bool)) {
    let [mut near, mut far] = [NEAR, FAR].map(Crowd::new);
    loop {
        let (stream, peer) = listener.accept().await;
        let is_near = L::is_near(&stream, &peer);
        let crowd = if is_near { &mut near } else { &mut far };
        let patience = Patience::new(PATIENCE);
        let task = tokio::spawn(answer(stream, router.clone(), patience.clone()));
        if crowd.admit(Connection { task, patience }) {
            refused(is_near);
        }
    }
}

/// How a connection ends is its client's affair. Handlers find its [`Patience`] among the extensions of the request.
async fn answer<S>(stream: S, router: Router, patience: Patience)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let service = service_fn(|request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(patience.clone());
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(LONGEST_HEAD)
        .max_headers(MOST_FIELDS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = connection => {}
        () = patience.ends() => {}
    }
}

/// The connections of one origin, the oldest first.
struct Crowd {
    connections: VecDeque<Connection>,
    most: usize,
}

struct Connection {
    task: JoinHandle<()>,
    patience: Patience,
}

impl Crowd {
    fn new(most: usize) -> Self {
        Self { connections: VecDeque::new(), most }
    }

    /// Whether another one had to go.
    fn admit(&mut self, connection: Connection) -> bool {
        self.connections.retain(|connection| !connection.task.is_finished());
        let mut passing = self.connections.iter().enumerate().filter(|(_, connection)| !connection.patience.stays());
        let oldest = passing.next().map(|(at, _)| at);
        let is_full = oldest.map_or(0, |_| 1 + passing.count()) >= self.most;
        let oldest = oldest.filter(|_| is_full).and_then(|at| self.connections.remove(at));
        oldest.iter().for_each(|connection| connection.task.abort());
        self.connections.push_back(connection);
        oldest.is_some()
    }
}

/// A listener that knows where its connections come from.
pub(super) trait Origin: Listener {
    /// Whether a connection comes from the node itself.
    fn is_near(stream: &Self::Io, peer: &Self::Addr) -> bool;
}

impl Origin for TcpListener {
    /// Who connects to one of his own addresses has that address. For somebody else the handshake would fail: what is
    /// sent to the node's own address never leaves it.
    fn is_near(stream: &TcpStream, peer: &SocketAddr) -> bool {
        stream.local_addr().is_ok_and(|own| own.ip().to_canonical() == peer.ip().to_canonical())
    }
}

impl Origin for UnixListener {
    fn is_near(_: &Self::Io, _: &unix::SocketAddr) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use axum::Extension;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::mpsc::{self, UnboundedSender};

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: node\r\n\r\n";

    async fn serving(route: axum::routing::MethodRouter) -> SocketAddr {
        serving_and_telling(route, mpsc::unbounded_channel().0).await
    }

    async fn serving_and_telling(route: axum::routing::MethodRouter, refused: UnboundedSender<bool>) -> SocketAddr {
        let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let tell = move |is_near| {
            // Not everybody listens.
            let _ = refused.send(is_near);
        };
        tokio::spawn(serve(listener, Router::new().route("/", route), tell));
        address
    }

    /// All that comes until the connection ends.
    async fn answer_to(mut stream: TcpStream, request: &[u8]) -> String {
        // It may be refused before it has been sent.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn the_oldest_goes_where_there_are_too_many() {
        let (tell, mut refused) = mpsc::unbounded_channel();
        let address = serving_and_telling(get(|| async { "here" }), tell).await;
        let mut silent = Vec::new();
        for _ in 0..=NEAR {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        assert_eq!(silent[0].read(&mut [0]).await.unwrap(), 0, "the first had to go");
        assert_eq!((refused.recv().await, refused.try_recv().ok()), (Some(true), None));
        let newest = silent.pop().unwrap();
        assert!(answer_to(newest, REQUEST).await.ends_with("here"));
    }

    /// As a flood from pods, and a kubelet that is slow.
    #[tokio::test]
    async fn nobody_from_elsewhere_pushes_out_who_is_near() {
        let (tell, mut refused) = mpsc::unbounded_channel();
        let address = serving_and_telling(get(|| async { "here" }), tell).await;
        let near = TcpStream::connect(address).await.unwrap();
        let mut far = Vec::new();
        for _ in 0..=FAR {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(([127, 0, 0, 2], 0).into()).unwrap();
            far.push(socket.connect(address).await.unwrap());
        }
        assert_eq!(far[0].read(&mut [0]).await.unwrap(), 0, "the first from elsewhere had to go");
        assert_eq!((refused.recv().await, refused.try_recv().ok()), (Some(false), None));
        assert!(answer_to(near, REQUEST).await.ends_with("here"));
    }

    #[tokio::test]
    async fn a_head_has_a_size_and_a_number_of_fields() {
        let address = serving(get(|| async { "here" })).await;
        let connect = || async { TcpStream::connect(address).await.unwrap() };
        let long = format!("GET / HTTP/1.1\r\nhost: node\r\nx: {}", "x".repeat(2 * LONGEST_HEAD));
        assert!(!answer_to(connect().await, long.as_bytes()).await.contains("200 OK"));
        let many = format!("GET / HTTP/1.1\r\nhost: node\r\n{}\r\n", "x: x\r\n".repeat(MOST_FIELDS));
        assert!(!answer_to(connect().await, many.as_bytes()).await.contains("200 OK"));
        assert!(answer_to(connect().await, REQUEST).await.contains("200 OK"));
    }

    #[tokio::test]
    async fn who_says_nothing_is_left_soon() {
        let address = serving(get(|| async { "here" })).await;
        for begin in ["", "GET / HTTP/1.1\r\nhost:"] {
            let stream = TcpStream::connect(address).await.unwrap();
            assert!(!answer_to(stream, begin.as_bytes()).await.contains("200 OK"), "{begin}");
        }
    }

    /// Paused time: a server that would wait for ever keeps its client for ten seconds.
    #[tokio::test(start_paused = true)]
    async fn every_connection_ends() {
        let (ours, theirs) = tokio::io::duplex(1024);
        let router = Router::new().route("/", get(pending::<()>));
        let served = tokio::spawn(answer(ours, router, Patience::new(PATIENCE)));
        let (mut reader, mut writer) = tokio::io::split(theirs);
        writer.write_all(REQUEST).await.unwrap();
        assert_eq!(reader.read(&mut [0]).await.unwrap(), 0);
        served.await.unwrap();
    }

    /// Whoever stays is not pushed out, and takes no place of others.
    #[tokio::test]
    async fn who_stays_neither_goes_nor_takes_a_place() {
        let (tell, mut refused) = mpsc::unbounded_channel();
        let (staying, mut stays) = mpsc::unbounded_channel();
        let stay = move |Extension(patience): Extension<Patience>| async move {
            patience.prolong(Duration::from_secs(3600));
            staying.send(()).unwrap();
            pending::<()>().await;
        };
        let address = serving_and_telling(get(stay), tell).await;
        let mut follower = TcpStream::connect(address).await.unwrap();
        follower.write_all(REQUEST).await.unwrap();
        stays.recv().await.unwrap();
        let mut silent = Vec::new();
        for _ in 0..NEAR {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        silent.push(TcpStream::connect(address).await.unwrap());
        assert_eq!((refused.recv().await, refused.try_recv().ok()), (Some(true), None));
        assert_eq!(silent[0].read(&mut [0]).await.unwrap(), 0, "the first that is passing had to go");
        assert!(follower.try_read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock));
    }
}
