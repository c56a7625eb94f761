//! Expectations as tests of policies: who is to reach whom, held against what policies say.
//!
//! A case names pods, existing or not, and addresses on both sides. Each pair of them has to be allowed, or denied, in
//! each family that both have, at each port. Pods that policies cannot tell apart are asked about once, so that the work
//! is in proportion to kinds of pods; so are addresses outside.
//!
//! Invariants:
//! - Pure: files are read by the command.
//! - It decides nothing: what is told is the reference verdict's answer; where there are many pairs they are counted by
//!   [`Reach`](palisade_model::reach::Reach), which is held against it.
//! - A case that is about nothing does not pass, unless it says that it may be.

mod blocks;
mod expectations;
mod flows;
mod form;
mod imagined;
mod judge;
mod junit;
mod many;
mod report;
mod select;
mod situation;

use std::collections::HashSet;
use std::net::IpAddr;

use palisade_model::reach::Counted;
use palisade_model::{Pod, Protocol, Service, ServicePort, Traffic};

pub use expectations::{Case, End, Port, Wanted};
pub use flows::FlowJudge;
pub use form::parse;
pub use imagined::imagined;
pub use junit::junit;
pub use report::{CaseReport, Failure, Outcome, Reason, Remark, Report};
pub use situation::Situation;

use judge::{Judge, Party};
use many::{Many, Sources};
use select::Group;

/// How many failures of a case are told; the rest are counted.
const FAILURES: usize = 5;

/// Asks all of them; `done` is called after each.
pub fn verify(situation: &Situation, cases: &[Case], done: impl Fn()) -> Vec<CaseReport> {
    let mut judge = Judge::new(situation);
    let mut report = |case| {
        let report = CaseReport::new(case, Asking::default().case(situation, &mut judge, case));
        done();
        report
    };
    cases.iter().map(&mut report).collect()
}

/// What became of a case so far.
#[derive(Debug, Default)]
struct Asking {
    asked: usize,
    failed: usize,
    failures: Vec<Failure>,
}

impl Asking {
    fn case(mut self, situation: &Situation, judge: &mut Judge<'_>, case: &Case) -> Outcome {
        match self.ask(situation, judge, case) {
            Err(Stop::Nobody(_)) if case.allow_empty => Outcome::Passed { asked: 0 },
            Err(Stop::Nobody(message) | Stop::Unclear(message)) => Outcome::Error { message },
            Ok(()) if self.asked == 0 && !case.allow_empty => Outcome::Error { message: NOTHING.to_owned() },
            Ok(()) if self.failed == 0 => Outcome::Passed { asked: self.asked },
            Ok(()) => Outcome::Failed { asked: self.asked, failed: self.failed, failures: self.failures },
        }
    }

    fn ask(&mut self, situation: &Situation, judge: &mut Judge<'_>, case: &Case) -> Result<(), Stop> {
        let mut from = situation.side(&case.from).map_err(|message| Stop::Nobody(format!("from: {message}")))?;
        let mut to = situation.side(&case.to).map_err(|message| Stop::Nobody(format!("to: {message}")))?;
        if case.from.contains(&End::Any) {
            from.addresses.extend(situation.outside(&to.groups(&[])));
        }
        if case.to.contains(&End::Any) {
            to.addresses.extend(situation.outside(&from.groups(&[])));
        }
        let (sources, destinations) = (from.groups(&to.addresses), to.groups(&from.addresses));
        self.all(judge, case, &sources, &destinations, to.service, case.allowed)?;
        if case.only {
            let others = situation.all_but(&from, &destinations);
            let destinations = to.groups(&others.addresses);
            self.all(judge, case, &others.groups(&to.addresses), &destinations, to.service, false)?;
        }
        Ok(())
    }

    /// Each of these pairs is to be allowed, or denied.
    fn all(
        &mut self,
        judge: &mut Judge<'_>,
        case: &Case,
        sources: &[Group<'_>],
        destinations: &[Group<'_>],
        service: Option<&Service>,
        expected: bool,
    ) -> Result<(), Stop> {
        let sources: Vec<(Vec<Party<'_>>, usize)> =
            sources.iter().map(|group| (group.parties(), group.count())).collect();
        let mut many = Many::new(judge.situation(), &sources, destinations);
        for group in destinations {
            let destinations = group.parties();
            let Some(any) = destinations.first() else { continue };
            let traffic = traffic(&case.traffic, service, any)?;
            let to = Destination { parties: &destinations, count: group.count(), traffic: &traffic, expected };
            let left = many.as_ref().and_then(|many| many.left(to.parties));
            match (&mut many, left) {
                (Some(many), Some(left)) => self.counted(judge, many, &sources, &left, to),
                _ => sources.iter().for_each(|source| self.each(judge, source, to)),
            }
        }
        Ok(())
    }

    /// Each source by itself.
    fn each(&mut self, judge: &mut Judge<'_>, (sources, count): &(Vec<Party<'_>>, usize), to: Destination<'_, '_>) {
        for (source, destination) in pairs(sources, to.parties) {
            let all: Vec<Traffic> = to.traffic.iter().map(|one| of_family(*one, destination.address)).collect();
            let allowed = judge.allows(source, destination, &all);
            self.asked += all.len();
            for (traffic, allowed) in all.into_iter().zip(allowed).filter(|(_, allowed)| *allowed != to.expected) {
                self.failed += 1;
                if self.failures.len() < FAILURES {
                    let counts = (*count, to.count);
                    self.failures.push(Failure::new(judge, source, destination, traffic, allowed, counts));
                }
            }
        }
    }

    /// Those of the sources that are `left` by themselves, all others at once. Of what fails the first are told, in their order.
    fn counted<'s>(
        &mut self,
        judge: &mut Judge<'_>,
        many: &mut Many<'s>,
        sources: &Sources<'s>,
        left: &[usize],
        to: Destination<'_, '_>,
    ) {
        let Counted { asked, allowed } = many.count(sources, to.parties, to.traffic);
        let failed = if to.expected { asked - allowed } else { allowed };
        if failed == 0 || self.failures.len() == FAILURES {
            left.iter().for_each(|at| self.each(judge, &sources[*at], to));
        } else {
            let left: HashSet<usize> = left.iter().copied().collect();
            for (at, source) in sources.iter().enumerate() {
                if left.contains(&at) {
                    self.each(judge, source, to);
                } else if self.failures.len() < FAILURES && many.differs(&source.0, to.parties, to.traffic, to.expected)
                {
                    let mut told = Self { failures: std::mem::take(&mut self.failures), ..Self::default() };
                    told.each(judge, source, to);
                    self.failures = told.failures;
                }
            }
        }
        self.asked += asked;
        self.failed += failed;
    }
}

/// Who is reached, and how.
#[derive(Clone, Copy)]
struct Destination<'d, 'p> {
    parties: &'d [Party<'p>],
    /// How many are like it.
    count: usize,
    traffic: &'d [Traffic],
    expected: bool,
}

/// What a case says whose ends never meet.
const NOTHING: &str = "`from` and `to` never meet: they are the same pod, or have no addresses of one family";

/// Why a case cannot be asked.
#[derive(Debug)]
enum Stop {
    /// It is about nobody.
    Nobody(String),
    /// It is not known what it means.
    Unclear(String),
}

/// All addresses at which two of these meet: not a pod and itself, and not two addresses that no policy is about.
fn pairs<'a>(sources: &[Party<'a>], destinations: &[Party<'a>]) -> impl Iterator<Item = (Party<'a>, Party<'a>)> {
    let all = || sources.iter().flat_map(|source| destinations.iter().map(move |destination| (*source, *destination)));
    let met = all().find(|(source, destination)| can_meet(source, destination));
    let is_it = move |(source, destination): &(Party<'_>, Party<'_>)| {
        let is_same = |one: &Party<'_>, other: &Party<'_>| one.pod.map(|pod| &pod.id) == other.pod.map(|pod| &pod.id);
        met.is_some_and(|met| is_same(source, &met.0) && is_same(destination, &met.1)) && can_meet(source, destination)
    };
    all().filter(is_it)
}

fn can_meet(source: &Party<'_>, destination: &Party<'_>) -> bool {
    let can = match (source.pod, destination.pod) {
        (None, None) => false,
        (Some(source), Some(destination)) => source.id != destination.id && !share(source, destination),
        _ => source.address != destination.address,
    };
    can && source.address.is_ipv4() == destination.address.is_ipv4()
}

fn share(one: &Pod, other: &Pod) -> bool {
    one.ips.iter().any(|address| other.ips.contains(address))
}

/// What connections to this destination carry: through a Service, what comes out of it.
fn traffic(wanted: &Wanted, service: Option<&Service>, destination: &Party<'_>) -> Result<Vec<Traffic>, Stop> {
    let Wanted::Ports(protocol, ports) = wanted else { return Ok(vec![Traffic::Other(ICMP)]) };
    let protocol = *protocol;
    let mut all = Vec::new();
    for port in ports {
        let numbers = match (service, port, destination.pod) {
            (Some(service), port, Some(pod)) => behind(service, protocol, port, pod, destination.title)?,
            (_, Port::Number(number), _) => vec![*number],
            (_, Port::Name(name), Some(pod)) => pod.numbers_of(name, protocol),
            (_, Port::Name(name), None) => {
                return Err(Stop::Unclear(format!(
                    "port {name}: {} is no pod, so only a number will do",
                    destination.address
                )));
            }
        };
        if numbers.is_empty() {
            return Err(Stop::Unclear(format!("pod {} declares no {protocol} port {port}", destination.title)));
        }
        all.extend(numbers.into_iter().map(|port| Traffic::Port { protocol, port }));
    }
    Ok(all)
}

/// The ports of a pod that a Service's port leads to.
fn behind(service: &Service, protocol: Protocol, port: &Port, pod: &Pod, title: &str) -> Result<Vec<u16>, Stop> {
    let is_it = |one: &&ServicePort| {
        one.protocol == protocol
            && match port {
                Port::Number(number) => one.port == *number,
                Port::Name(name) => one.name.as_deref() == Some(name),
            }
    };
    let Some(found) = service.ports.iter().find(is_it) else {
        let known: Vec<String> = service.ports.iter().map(|one| format!("{} {}", one.protocol, one.port)).collect();
        let message = format!("Service {} has no {protocol} port {port}: it has {}", service.id, known.join(", "));
        return Err(Stop::Unclear(message));
    };
    let targets = found.targets(pod);
    if targets.is_empty() {
        let message = format!("pod {title} declares no port of the name that Service {} leads to", service.id);
        return Err(Stop::Unclear(message));
    }
    Ok(targets)
}

const ICMP: u8 = 1;
const ICMP_V6: u8 = 58;

fn of_family(traffic: Traffic, destination: IpAddr) -> Traffic {
    match traffic {
        Traffic::Other(ICMP) if destination.is_ipv6() => Traffic::Other(ICMP_V6),
        traffic => traffic,
    }
}

#[cfg(test)]
mod tests;
