use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::clients::{Client, Progress};
use super::servers::{Answer, Server};
use super::{Flow, Kind, Patience, ProbeError};
use crate::netns::Host;

/// When unanswered flows are asked again, after the start. Flows that should not be answered are asked again once.
const RETRIES: [Duration; 7] = [
    Duration::from_millis(90),
    Duration::from_millis(300),
    Duration::from_millis(1_000),
    Duration::from_millis(2_000),
    Duration::from_millis(3_500),
    Duration::from_millis(7_000),
    Duration::from_millis(13_000),
];

/// Probes all the flows at once; gives for each whether it was answered. The hosts must be of one network.
///
/// It ends when every flow is answered, or when those that should be have been, or have been waited for long enough, and
/// the others have stayed silent for long enough after that.
pub fn probe(flows: &[Flow<'_>], patience: Patience) -> Result<Vec<bool>, ProbeError> {
    raise_file_limit();
    let mut engine = Engine::open(flows)?;
    engine.ask(|_| true)?;
    engine.watch(patience)?;
    Ok(engine.answered)
}

/// One address of a host: the flows that start from it, and what listens at it.
struct End<'a> {
    host: &'a Host,
    address: IpAddr,
    sends: Vec<usize>,
    serves: BTreeSet<Kind>,
    servers: Vec<Server>,
}

/// What epoll reports on, by its number.
enum Token {
    Server { end: usize, index: usize },
    Client { flow: usize, client: Client },
    Closed,
}

struct Engine<'a> {
    flows: &'a [Flow<'a>],
    ends: Vec<End<'a>>,
    /// Of each flow.
    destinations: Vec<IpAddr>,
    epoll: Epoll,
    tokens: Vec<Token>,
    /// The flow that an answer received at an end belongs to.
    awaited: HashMap<(usize, Answer), usize>,
    answered: Vec<bool>,
    /// When the last answer came, or something was sent that should not be answered.
    last_sign: Instant,
}

impl<'a> Engine<'a> {
    /// Opens everything that listens.
    fn open(flows: &'a [Flow<'a>]) -> Result<Self, ProbeError> {
        let mut ends = Vec::new();
        let mut destinations = Vec::new();
        for (index, flow) in flows.iter().enumerate() {
            end_of(&mut ends, flow.from, flow)?.sends.push(index);
            let to = end_of(&mut ends, flow.to, flow)?;
            to.serves.insert(flow.kind);
            destinations.push(flow.called.unwrap_or(to.address));
        }
        let mut engine = Self {
            flows,
            ends,
            destinations,
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(epoll_failed)?,
            tokens: Vec::new(),
            awaited: HashMap::new(),
            answered: vec![false; flows.len()],
            last_sign: Instant::now(),
        };
        for end in 0..engine.ends.len() {
            engine.open_servers(end)?;
        }
        Ok(engine)
    }

    fn open_servers(&mut self, number: usize) -> Result<(), ProbeError> {
        let end = &mut self.ends[number];
        let sent = end.sends.iter().map(|flow| self.flows[*flow].kind).collect();
        let failed = ProbeError::socket(format!("listen on {} for {:?}", end.address, end.serves));
        let open = || Server::open(end.address, &end.serves, &sent);
        end.servers = end.host.namespace().enter(open)?.map_err(failed)?;
        for (index, server) in end.servers.iter().enumerate() {
            let event = EpollEvent::new(EpollFlags::EPOLLIN, self.tokens.len() as u64);
            self.epoll.add(server.as_fd(), event).map_err(epoll_failed)?;
            self.tokens.push(Token::Server { end: number, index });
        }
        Ok(())
    }

    /// Asks, as a new connection, every unanswered flow that is `wanted`.
    fn ask(&mut self, wanted: impl Fn(&Flow<'_>) -> bool) -> Result<(), ProbeError> {
        for number in 0..self.ends.len() {
            let is_wanted = |flow: &usize| !self.answered[*flow] && wanted(&self.flows[*flow]);
            let flows: Vec<_> = self.ends[number].sends.iter().copied().filter(is_wanted).collect();
            if flows.iter().any(|flow| !self.flows[*flow].expected) {
                self.last_sign = Instant::now();
            }
            self.ask_through_servers(number, &flows);
            self.ask_through_clients(number, &flows)?;
        }
        Ok(())
    }

    fn ask_through_servers(&mut self, number: usize, flows: &[usize]) {
        let end = &self.ends[number];
        for flow in flows {
            let port = end.host.fresh_port();
            let ask = |server: &Server| server.ask(self.flows[*flow].kind, self.destinations[*flow], port);
            if let Some(answer) = end.servers.iter().find_map(ask) {
                self.awaited.insert((number, answer), *flow);
            }
        }
    }

    fn ask_through_clients(&mut self, number: usize, flows: &[usize]) -> Result<(), ProbeError> {
        let end = &self.ends[number];
        let ask = |flow: &usize| {
            let client = Client::ask(end.host, end.address, self.flows[*flow].kind, self.destinations[*flow])?;
            Ok(client.map(|client| (*flow, client)))
        };
        let ask_all = || flows.iter().map(ask).collect::<io::Result<Vec<_>>>();
        let failed = ProbeError::socket(format!("open sockets at {}", end.address));
        let clients = end.host.namespace().enter(ask_all)?.map_err(failed)?;
        for (flow, client) in clients.into_iter().flatten() {
            let event = EpollEvent::new(client.events(), self.tokens.len() as u64);
            self.epoll.add(client.as_fd(), event).map_err(epoll_failed)?;
            self.tokens.push(Token::Client { flow, client });
        }
        Ok(())
    }

    /// Handles what arrives, and asks again, until there is nothing left to wait for.
    fn watch(&mut self, patience: Patience) -> Result<(), ProbeError> {
        let start = Instant::now();
        let mut retries = RETRIES.iter().map(|after| start + *after).peekable();
        let mut is_first_retry = true;
        while let Some(end) = self.end(start, patience) {
            let now = Instant::now();
            if retries.next_if(|at| *at <= now).is_some() {
                self.ask(|flow| flow.expected || is_first_retry)?;
                is_first_retry = false;
            }
            let next = retries.peek().map_or(end, |retry| end.min(*retry));
            self.wait(next.saturating_duration_since(now))?;
        }
        Ok(())
    }

    /// Until when to wait if nothing more happens; nothing when that is over.
    fn end(&self, start: Instant, patience: Patience) -> Option<Instant> {
        let waits_for = |expected| self.flows.iter().zip(&self.answered).any(|(f, a)| f.expected == expected && !a);
        let surprised = self.flows.iter().zip(&self.answered).any(|(flow, answered)| *answered && !flow.expected);
        let mut end = start;
        if waits_for(true) {
            end = end.max(start + patience.answers);
        }
        if waits_for(false) {
            end = end.max(self.last_sign + patience.silence);
        }
        let is_over = end <= Instant::now() || (surprised && patience.stops_at_surprise);
        if is_over { None } else { Some(end) }
    }

    fn wait(&mut self, timeout: Duration) -> Result<(), ProbeError> {
        let mut events = [EpollEvent::empty(); 256];
        let milliseconds = u16::try_from(timeout.as_millis()).unwrap_or(u16::MAX).saturating_add(1);
        let count = match self.epoll.wait(&mut events, EpollTimeout::from(milliseconds)) {
            Err(Errno::EINTR) => 0,
            result => result.map_err(epoll_failed)?,
        };
        for event in &events[..count] {
            let number = usize::try_from(event.data()).expect("it was an index");
            match &self.tokens[number] {
                Token::Server { end, index } => self.serve(*end, *index),
                Token::Client { flow, client } => match client.progress() {
                    Progress::Answered => {
                        self.mark_answered(*flow);
                        self.tokens[number] = Token::Closed;
                    }
                    Progress::Failed => self.tokens[number] = Token::Closed,
                    Progress::Waiting => {}
                },
                Token::Closed => {}
            }
        }
        Ok(())
    }

    fn serve(&mut self, end: usize, index: usize) {
        let mut answers = Vec::new();
        self.ends[end].servers[index].serve(|answer| answers.push(answer));
        for answer in answers {
            if let Some(flow) = self.awaited.remove(&(end, answer)) {
                self.mark_answered(flow);
            }
        }
    }

    fn mark_answered(&mut self, flow: usize) {
        self.answered[flow] = true;
        self.last_sign = Instant::now();
    }
}

/// The end for a flow's family at `host`, added if it is new.
fn end_of<'e, 'a>(ends: &'e mut Vec<End<'a>>, host: &'a Host, flow: &Flow<'_>) -> Result<&'e mut End<'a>, ProbeError> {
    let address = host.probed(flow.family)?;
    let known = ends.iter().position(|end| std::ptr::eq(end.host, host) && end.address == address);
    let index = known.unwrap_or_else(|| {
        ends.push(End { host, address, sends: Vec::new(), serves: BTreeSet::new(), servers: Vec::new() });
        ends.len() - 1
    });
    Ok(&mut ends[index])
}

/// A few hundred flows need more sockets than many shells allow by default.
fn raise_file_limit() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

fn epoll_failed(error: Errno) -> ProbeError {
    ProbeError::socket("poll the sockets")(error.into())
}
