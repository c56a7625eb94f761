use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::ApiError;
use super::connect::connect;
use crate::netns::Namespace;

/// What a [`Proxy`] does to its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: all passes at once.
    None,
    /// Connections are reset, those that there are and new ones.
    Refuse,
    /// Each connection is reset when this many bytes have come from the server, counted from now.
    CutAfter(usize),
    /// What comes from the server passes at this many bytes a second.
    Slow(usize),
    /// Nothing passes from the server, and nothing is closed.
    Hang,
}

/// A TCP proxy of this process, between a listener in one namespace and a server in another. It ends, with its
/// connections, when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    orders: watch::Sender<Orders>,
    listening: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug)]
struct Orders {
    fault: Fault,
    /// How often all connections were cut.
    cuts: usize,
}

/// How a connection ended.
enum End {
    /// One side closed it, or broke it.
    Closed,
    /// It shall look broken.
    Reset,
}

impl Proxy {
    /// Listens at `address` in `front`, and connects to `server` in `back`.
    pub(super) fn start(
        runtime: &Handle,
        (front, address): (&Namespace, SocketAddr),
        (back, server): (Arc<Namespace>, SocketAddr),
    ) -> Result<Self, ApiError> {
        let listen = || {
            let listener = std::net::TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let listener = front.enter(listen)?.map_err(ApiError::io(format!("listen at {address}")))?;
        let (orders, received) = watch::channel(Orders { fault: Fault::None, cuts: 0 });
        let listening = runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("the runtime drives I/O");
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, Arc::clone(&back), server, received.clone()));
            }
        });
        Ok(Self { orders, listening })
    }

    /// From now on, for all connections.
    pub fn set(&self, fault: Fault) {
        self.orders.send_modify(|orders| orders.fault = fault);
    }

    /// Resets the connections that there are. New ones follow what was [`set`](Self::set).
    pub fn cut(&self) {
        self.orders.send_modify(|orders| orders.cuts += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn relay(mut client: TcpStream, back: Arc<Namespace>, server: SocketAddr, orders: watch::Receiver<Orders>) {
    let _ = client.set_nodelay(true);
    let end = match connect(back, server).await {
        Ok(upstream) => relay_between(&mut client, upstream, orders).await,
        Err(_) => End::Reset,
    };
    if matches!(end, End::Reset) {
        let _ = client.set_zero_linger();
    }
}

async fn relay_between(client: &mut TcpStream, mut server: TcpStream, orders: watch::Receiver<Orders>) -> End {
    let (mut from_client, to_client) = client.split();
    let (from_server, mut to_server) = server.split();
    let answers = Pipe { from: from_server, to: to_client, buffer: vec![0; 64 * 1024], pending: 0..0 };
    tokio::select! {
        _ = copy(&mut from_client, &mut to_server) => End::Closed,
        end = answers.run(orders) => end,
    }
}

/// The way from the server to the client. What it has read and not yet written outlives a change of orders.
struct Pipe<'a> {
    from: ReadHalf<'a>,
    to: WriteHalf<'a>,
    buffer: Vec<u8>,
    pending: Range<usize>,
}

impl Pipe<'_> {
    async fn run(mut self, mut orders: watch::Receiver<Orders>) -> End {
        let cuts = orders.borrow_and_update().cuts;
        loop {
            let now = *orders.borrow_and_update();
            if now.cuts != cuts {
                return End::Reset;
            }
            tokio::select! {
                changed = orders.changed() => if changed.is_err() { return End::Closed },
                end = self.run_under(now.fault) => return end.unwrap_or(End::Closed),
            }
        }
    }

    async fn run_under(&mut self, fault: Fault) -> io::Result<End> {
        match fault {
            Fault::None => while self.pass(usize::MAX).await? > 0 {},
            Fault::Refuse => return Ok(End::Reset),
            Fault::CutAfter(mut left) => {
                while left > 0 {
                    let passed = self.pass(left).await?;
                    if passed == 0 {
                        return Ok(End::Closed);
                    }
                    left -= passed;
                }
                return Ok(End::Reset);
            }
            Fault::Slow(rate) => loop {
                let passed = self.pass(rate.div_ceil(100)).await?;
                if passed == 0 {
                    break;
                }
                sleep(Duration::from_secs_f64(passed as f64 / rate as f64)).await;
            },
            Fault::Hang => pending().await,
        }
        Ok(End::Closed)
    }

    /// Passes on at most `most` bytes; 0: the server has ended. Loses nothing when it is cancelled.
    async fn pass(&mut self, most: usize) -> io::Result<usize> {
        if self.pending.is_empty() {
            self.pending = 0..self.from.read(&mut self.buffer).await?;
        }
        let end = self.pending.end.min(self.pending.start.saturating_add(most));
        let passed = self.to.write(&self.buffer[self.pending.start..end]).await?;
        self.pending.start += passed;
        Ok(passed)
    }
}
