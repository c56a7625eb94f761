//! What the agent's thread does of what the plugin asks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use palisade_cni::{Add, Answer, AttachmentId, CniError, Code, Request};
use palisade_model::{NamespacedName, Pod};
use palisade_nft::Backend;
use tokio::sync::oneshot;

use super::record::Record;
use super::{Call, Store, StoreError};
use crate::enforcer::Enforcer;
use crate::lines::Lines;

/// How long it is waited at most until an interface that was just made is known, and after what time it is looked for again.
const LOCATING: Duration = Duration::from_millis(500);
const LOOKING: Duration = Duration::from_millis(20);
/// How long anything may be asked to wait at most.
const LONGEST: Duration = Duration::from_secs(3600);

/// Why a pod was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Not everything has been listed yet.
    NotSynced,
    /// No such pod is known on this node.
    UnknownPod,
    /// It is not in force.
    NotCommitted,
    /// It cannot be remembered.
    NotStored,
}

/// The sandboxes that there are, and who waits for an answer.
#[derive(Debug, Default)]
pub struct Desk {
    store: Option<Store>,
    records: BTreeMap<AttachmentId, Record>,
    waiting: Vec<Waiting>,
    /// The addresses of which conntrack knows nothing of before.
    seen: BTreeSet<IpAddr>,
    sequence: u64,
    noted_enforced: bool,
    lines: Refused,
}

/// Lines of refused pods, of which a tenant can make many.
#[derive(Debug, Default)]
struct Refused(Option<Lines>);

impl Refused {
    fn may_log(&mut self) -> bool {
        let now = tokio::time::Instant::now();
        let lines = self.0.get_or_insert_with(|| Lines::new(now));
        if let Some(left_out) = lines.left_out(now) {
            tracing::warn!(left_out, "more pods did not start than is logged in a minute");
        }
        lines.may_log(now)
    }
}

/// An ADD that is not answered yet, or was refused and may yet come into force: pods may be let start all the same.
#[derive(Debug)]
struct Waiting {
    add: Add,
    since: Instant,
    until: Instant,
    reply: Option<oneshot::Sender<Answer>>,
    /// Since when the index knows it.
    entered: Option<Instant>,
    /// When its interface is looked for again.
    look: Option<Instant>,
}

/// What became of those that waited.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How long those waited that were answered.
    pub added: Vec<Duration>,
    /// Those that were refused.
    pub refused: Vec<Refusal>,
}

impl Desk {
    /// What is in the store; sandboxes whose network namespace is gone are forgotten.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn open(store: Store) -> Result<Self, StoreError> {
        let (gone, records): (Vec<_>, Vec<_>) = store.read()?.into_iter().partition(Record::is_gone);
        gone.iter().for_each(|record| store.remove(&record.id));
        tracing::info!(sandboxes = records.len(), gone = gone.len(), "knows the sandboxes of before");
        let sequence = records.last().map_or(0, |last| last.sequence);
        let seen = records.iter().flat_map(|record| record.addresses.iter().copied()).collect();
        let records = records.into_iter().map(|record| (record.id.clone(), record)).collect();
        Ok(Self { store: Some(store), records, seen, sequence, ..Self::default() })
    }

    /// Tells of those of before. To be called before anything is committed.
    pub fn restore<B: Backend>(&self, enforcer: &mut Enforcer<B>) {
        let mut records: Vec<&Record> = self.records.values().collect();
        records.sort_by_key(|record| record.sequence);
        records.into_iter().for_each(|record| enforcer.set_sandbox(record.sandbox()));
        if self.store.is_some() {
            enforcer.look_back();
        }
    }

    /// Takes in a question; answers what needs no commit.
    pub fn take<B: Backend>(&mut self, call: Call, enforcer: &mut Enforcer<B>) {
        let Call { request, reply } = call;
        let answer = match request {
            Request::Add(add) => return self.wait(*add, reply),
            Request::Del { id } => {
                self.forget(&id, enforcer);
                Ok(())
            }
            Request::Check { id, addresses } => self.check(&id, &addresses),
            Request::Status => self.status(),
            Request::Gc { network, valid } => {
                let of_network = self.records.values().filter(|record| record.network == network);
                let gone: Vec<_> =
                    of_network.map(|record| record.id.clone()).filter(|id| !valid.contains(id)).collect();
                gone.iter().for_each(|id| self.forget(id, enforcer));
                Ok(())
            }
        };
        // Who asked may have gone.
        let _ = reply.send(answer.map_or_else(Answer::Failed, |()| Answer::Done));
    }

    fn wait(&mut self, add: Add, reply: oneshot::Sender<Answer>) {
        if add.id.check().is_err() {
            let error = CniError::new(Code::INVALID_ENVIRONMENT, format!("`{}` is no attachment", add.id));
            let _ = reply.send(Answer::Failed(error));
            return;
        }
        self.stop_waiting(&add.id, "it was asked for again");
        let (now, wait) = (Instant::now(), Duration::from_millis(add.wait).min(LONGEST));
        // Clocks are set: nobody has asked for longer than he waits.
        let age = add.asked.and_then(|asked| asked.elapsed().ok()).unwrap_or_default().min(wait);
        let (since, until) = (now.checked_sub(age).unwrap_or(now), now + wait);
        self.waiting.push(Waiting { add, since, until, reply: Some(reply), entered: None, look: None });
    }

    fn forget<B: Backend>(&mut self, id: &AttachmentId, enforcer: &mut Enforcer<B>) {
        self.stop_waiting(id, "its network goes");
        if let Some(record) = self.records.remove(id) {
            enforcer.drop_sandbox(&record.id.to_string());
        }
        if id.check().is_ok() {
            self.store.iter().for_each(|store| store.remove(id));
        }
    }

    fn stop_waiting(&mut self, id: &AttachmentId, why: &str) {
        for waiting in self.waiting.extract_if(.., |waiting| waiting.add.id == *id) {
            let reply = waiting.reply.into_iter();
            reply.for_each(|reply| drop(reply.send(Answer::Failed(CniError::try_again(why, "")))));
        }
    }

    fn check(&self, id: &AttachmentId, addresses: &BTreeSet<IpAddr>) -> Result<(), CniError> {
        let wrong = |msg: String| Err(CniError::new(Code::NOT_ENFORCED, msg));
        match self.records.get(id) {
            Some(record) if record.addresses == *addresses => Ok(()),
            Some(record) => wrong(format!("the agent knows other addresses of it: {:?}", record.addresses)),
            None => wrong("the agent does not know it".to_owned()),
        }
    }

    fn status(&self) -> Result<(), CniError> {
        let later = || CniError::try_again("palisade enforces nothing yet", "its agent is starting");
        self.noted_enforced.then_some(()).ok_or_else(later)
    }

    /// Enters those whose pods are known by now. To be called when everything has been listed, before a commit.
    pub fn enter<B: Backend>(&mut self, enforcer: &mut Enforcer<B>) -> Outcome {
        let mut outcome = Outcome::default();
        for mut waiting in std::mem::take(&mut self.waiting) {
            if waiting.entered.is_none()
                && let Some(pod) = pod_of(&waiting.add, enforcer)
            {
                match self.remember(&waiting.add, pod) {
                    Ok(record) => {
                        enforcer.set_sandbox(record.sandbox());
                        let unseen = record.addresses.iter().copied().filter(|address| self.seen.insert(*address));
                        enforcer.forget_connections(unseen.collect::<Vec<_>>());
                        waiting.entered = Some(Instant::now());
                    }
                    Err(error) => {
                        if self.lines.may_log() {
                            tracing::error!(pod = %name(&waiting.add), %error, "a sandbox cannot be remembered: refused");
                        }
                        outcome.refused.extend(waiting.refuse(Refusal::NotStored, &error.to_string()));
                        continue;
                    }
                }
            }
            self.waiting.push(waiting);
        }
        outcome
    }

    /// Remembers what policy has come to see of pods that are here. To be called when changes have come in.
    pub fn keep_up<B: Backend>(&mut self, enforcer: &mut Enforcer<B>) {
        let changed = enforcer.take_changed_sandboxes();
        if changed.is_empty() {
            return;
        }
        let sandboxes = enforcer.index().sandboxes();
        for record in self.records.values_mut() {
            let id = record.id.to_string();
            let Some(sandbox) = sandboxes.get(&*id).filter(|_| changed.contains(&*id)) else { continue };
            let mut now = record.clone();
            now.see(&sandbox.pod);
            // What the plugin has removed stays removed.
            let mut store = self.store.iter().filter(|store| store.holds(&now.id));
            match store.try_for_each(|store| store.write(&now)) {
                Ok(()) => *record = now,
                Err(error) => {
                    tracing::warn!(pod = %sandbox.pod.id, %error, "new labels of a pod are not remembered: after a restart it has those of before, until the API shows it");
                }
            }
        }
    }

    fn remember(&mut self, add: &Add, pod: &Pod) -> Result<Record, StoreError> {
        self.sequence += 1;
        let record = Record::new(add, pod, self.sequence);
        self.store.iter().try_for_each(|store| store.write(&record))?;
        self.records.insert(record.id.clone(), record.clone());
        Ok(record)
    }

    /// Answers those that are in force. To be called after a commit that succeeded.
    pub fn answer<B: Backend>(&mut self, enforcer: &Enforcer<B>) -> Outcome {
        if !self.noted_enforced {
            self.store.iter().for_each(Store::note_enforced);
            self.noted_enforced = true;
        }
        let now = Instant::now();
        let mut outcome = Outcome::default();
        self.waiting.retain_mut(|waiting| {
            let Some(entered) = waiting.entered else { return true };
            let addresses = || waiting.add.addresses.iter().copied();
            if !enforcer.is_in_force(&waiting.add.namespace) || enforcer.is_held(addresses()) {
                return true;
            }
            let is_located = enforcer.is_located(addresses());
            if !is_located && now < entered + LOCATING {
                waiting.look_again(enforcer, now);
                return true;
            }
            if !is_located {
                tracing::debug!(pod = %name(&waiting.add), "no interface of a pod is known that leads to its addresses");
            }
            if let Some(reply) = waiting.reply.take() {
                let _ = reply.send(Answer::Done);
                let (waited, until_known) = (waiting.since.elapsed(), entered - waiting.since);
                tracing::debug!(pod = %name(&waiting.add), ?waited, ?until_known, "a pod may start");
                outcome.added.push(waited);
            }
            false
        });
        outcome
    }

    /// Refuses those that have waited for too long. They are entered all the same when they can be.
    pub fn expire<B: Backend>(&mut self, enforcer: &Enforcer<B>, synced: bool) -> Outcome {
        let now = Instant::now();
        let mut refused = Vec::new();
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.reply.is_some() && waiting.until <= now) {
            let (refusal, why) = waiting.refusal(enforcer, synced);
            refused.extend(waiting.refuse(refusal, &why));
            if self.lines.may_log() {
                tracing::warn!(pod = %name(&waiting.add), why, "a pod does not start yet, or starts without being judged");
            }
        }
        Outcome { added: Vec::new(), refused }
    }

    /// When there is something to do for those that wait.
    pub fn due(&self) -> Option<Instant> {
        let due =
            |waiting: &Waiting| waiting.look.into_iter().chain(waiting.reply.as_ref().map(|_| waiting.until)).min();
        self.waiting.iter().filter_map(due).min()
    }

    /// Forgets sandboxes that are gone, of which it was not told.
    pub fn look_after<B: Backend>(&mut self, enforcer: &mut Enforcer<B>) {
        let Some(store) = &self.store else { return };
        let is_over = |record: &&Record| record.is_gone() || !record.is_there() && !store.holds(&record.id);
        let over: Vec<AttachmentId> = self.records.values().filter(is_over).map(|record| record.id.clone()).collect();
        for id in over {
            tracing::info!(sandbox = %id, "a sandbox is gone, of which nobody told");
            self.forget(&id, enforcer);
        }
    }
}

impl Waiting {
    fn refusal<B: Backend>(&self, enforcer: &Enforcer<B>, synced: bool) -> (Refusal, String) {
        let pod = name(&self.add);
        if !synced {
            (Refusal::NotSynced, "its agent has not heard of all pods, namespaces and policies yet".to_owned())
        } else if pod_of(&self.add, enforcer).is_none() {
            (Refusal::UnknownPod, format!("its agent does not know pod {pod} on this node yet"))
        } else if enforcer.is_held(self.add.addresses.iter().copied()) {
            let what = "connections of the pod that had the address before are not forgotten yet";
            (Refusal::NotCommitted, what.to_owned())
        } else {
            (Refusal::NotCommitted, format!("the policies of pod {pod} are not in force yet"))
        }
    }

    fn refuse(&mut self, refusal: Refusal, why: &str) -> Option<Refusal> {
        let error =
            CniError::try_again(format!("palisade does not let the pod start: {why}"), "`palisade status` says more");
        let _ = self.reply.take()?.send(Answer::Failed(error));
        Some(refusal)
    }

    fn look_again<B: Backend>(&mut self, enforcer: &Enforcer<B>, now: Instant) {
        if self.look.is_none_or(|look| look <= now) {
            enforcer.look_again(&self.add.links);
            self.look = Some(now + LOOKING);
        }
    }
}

fn name(add: &Add) -> NamespacedName {
    NamespacedName::new(add.namespace.as_str(), add.name.as_str())
}

/// The pod that it is for, if that is known: another one of its name does not do.
fn pod_of<'a, B: Backend>(add: &Add, enforcer: &'a Enforcer<B>) -> Option<&'a Pod> {
    let pod = enforcer.index().bound_pod(&name(add))?;
    let is_it = add.uid.as_deref().zip(pod.uid.as_deref()).is_none_or(|(asked, known)| asked == known);
    (is_it && !pod.host_network).then_some(pod)
}

#[cfg(test)]
pub(super) mod tests;
