//! The one owner of what this node enforces: changes go in, transactions come out.
//!
//! Invariants:
//! - The desired ruleset is a function of the changes applied so far.
//! - A transaction is computed from the desired ruleset alone only while the last commit was acknowledged; at start,
//!   after any error and at every check it is computed from what the backend really holds.
//! - Nothing is written before [`Enforcer::commit`], and nothing where there is no difference.
//! - A deleted pod of this node is judged while a link leads to its address, where links are known.
//! - A transaction that may forbid something ends the epoch ([`Epochs`]), and so does every repair.

mod backlog;
mod blame;
mod passage;
mod pieces;
mod sandboxes;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use palisade_model::{Change, Closed, Index, Pod, Shares};
use palisade_nft::{
    Backend, BackendError, CommitError, Conntrack, Diff, Edit, Errno, Name, NoConntrack, Ruleset, Transaction, diff,
};
use thiserror::Error;

use self::backlog::Backlog;
use self::passage::Passage;
use self::pieces::{Extent, PIECE};
use crate::epochs::{Epochs, Sweep};
use crate::frames::{FrameTable, FramesError};
use crate::links::NodeLinks;
use crate::owners::Owners;
use crate::render::{self, Epoch, Logs, Origins, PodRange, Renderer, skeleton};
use crate::turns::Turns;

/// Keeps a [`Backend`] at what the index says. Single-threaded: events are applied and committed in turn.
pub struct Enforcer<B> {
    index: Index,
    renderer: Renderer,
    desired: Ruleset,
    backend: B,
    in_step: bool,
    epochs: Epochs,
    owners: Owners,
    /// How pods hang on the node, where that is news.
    links: Option<NodeLinks>,
    /// The table of frames, once it is known whether pods are on bridges.
    frames: Option<FrameTable<B>>,
    links_known: bool,
    /// Has the links looked at again, where a pod is on a bridge and no port is known to be its.
    look_again: Box<LookAgain>,
    /// The pod range to be guarded, where that is news.
    pod_range: Option<PodRange>,
    /// Whether it is told while the node is enforced, and has not been told yet.
    follows_pod_range: bool,
    awaits_pod_range: bool,
    /// Whether the table that was there at start was looked at.
    met: bool,
    /// Whether nothing was decided yet about what there was at the start.
    begins: bool,
    backlog: Backlog,
    /// After so long others have their turn.
    piece: Duration,
    turns: Turns,
    /// The namespaces whose changes are being put in force.
    at_work: BTreeSet<Arc<str>>,
    /// Whether what is being put in force was computed from what the backend holds.
    compared: bool,
    /// Whether packets have passed that may be at what goes.
    passage: Passage,
    /// How often in a row such a thing was refused.
    refusals: u32,
}

/// Takes the names of links.
type LookAgain = dyn Fn(&[String]) + Send;

/// A transaction that was committed.
#[derive(Clone, Debug)]
pub struct Commit {
    /// What it changed.
    pub diff: Diff,
    /// Whether it was computed from what the backend held, rather than from the commit before.
    pub from_backend: bool,
    /// How long it took from the index to the acknowledgement.
    pub elapsed: Duration,
}

/// What would be committed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Of the table of packets.
    pub packets: Transaction,
    /// Of the [table of frames](render::table_of_frames).
    pub frames: Transaction,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty() && self.frames.is_empty()
    }
}

/// What is to be committed.
struct Difference {
    /// First, and at once: where a table that was there is gone, and it takes long to write it again, one that lets nothing
    /// pass that the right one may forbid.
    closing: Option<Diff>,
    diff: Diff,
    /// The namespaces that were looked at.
    compiled: BTreeSet<Arc<str>>,
}

/// What was done for established connections.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The transaction that began an epoch.
    pub commit: Option<Commit>,
    /// The marks that were cleared.
    pub swept: Option<Sweep>,
}

/// Why no epoch could begin. All packets are judged until one can.
#[derive(Debug, Error)]
pub enum SettleError {
    /// Marks could not be cleared.
    #[error(transparent)]
    Sweep(#[from] BackendError),
    /// The rules for the epoch were not committed.
    #[error("cannot commit: {0}")]
    Commit(#[from] CommitError),
}

/// Why the desired ruleset could not be put in force. What was in force before still is, unless
/// [`CommitError::state_unknown`].
#[derive(Debug, Error)]
pub enum EnforceError {
    /// The table could not be read.
    #[error("cannot read the table: {0}")]
    Read(#[from] BackendError),
    /// The transaction was not committed.
    #[error("cannot commit: {0}")]
    Commit(#[from] CommitError),
    /// Packets are judged as they should be; frames between pods on one bridge are not.
    #[error("the table of frames: {0}")]
    Frames(#[from] FramesError),
}

impl<B: Backend> Enforcer<B> {
    /// Enforces the policies of `node`'s pods in `table`, whatever they cost.
    pub fn new(node: &str, table: Name, backend: B) -> Self {
        Self {
            index: Index::new(node),
            renderer: Renderer::new(Origins::Guarded),
            desired: skeleton(table, Origins::Guarded, Logs::default()),
            passage: Passage::here(backend.passage()),
            backend,
            in_step: false,
            epochs: Epochs::new(NoConntrack),
            owners: Owners::new(NoConntrack),
            links: None,
            frames: None,
            links_known: false,
            look_again: Box::new(|_| {}),
            pod_range: None,
            follows_pod_range: false,
            awaits_pod_range: false,
            met: false,
            begins: true,
            backlog: Backlog::new(),
            piece: PIECE,
            turns: Turns::default(),
            at_work: BTreeSet::new(),
            compared: false,
            refusals: 0,
        }
    }

    /// Closes the namespaces whose policies cost more than that. To be said before anything is applied.
    #[must_use]
    pub fn with_shares(self, shares: Shares) -> Self {
        Self { index: Index::with_shares(self.index.node().clone(), shares), ..self }
    }

    /// Where packets come from is looked at, or is not. To be said before anything else.
    #[must_use]
    pub fn with_origins(self, origins: Origins) -> Self {
        let desired = skeleton(self.desired.table.name, origins, self.renderer.logs());
        let renderer = Renderer::new(origins).with_logs(self.renderer.logs());
        Self { renderer, desired, ..self }
    }

    /// Tells whom of what is dropped. To be said before anything is applied.
    #[must_use]
    pub fn with_logs(self, logs: Logs) -> Self {
        let origins = self.renderer.origins();
        let desired = skeleton(self.desired.table.name, origins, logs);
        Self { renderer: self.renderer.with_logs(logs), desired, ..self }
    }

    /// Goes on to judge pods of this node that are deleted, until their addresses are other pods', or [links] that are told
    /// of lead there no more. To be said before anything is applied.
    ///
    /// [links]: Enforcer::set_links
    #[must_use]
    pub fn with_lingering(self) -> Self {
        Self { index: self.index.keep_lingering(), ..self }
    }

    /// A deleted pod of this node is judged at those of its addresses that no pod has, from the next commit on.
    pub fn set_lingering(&mut self, pod: &Pod) {
        self.index.set_lingering(pod);
    }

    /// Keeps the [table of frames](render::table_of_frames) in `backend`, too.
    #[must_use]
    pub fn with_frames(self, backend: B) -> Self {
        Self { frames: Some(FrameTable::new(render::table_of_frames(), backend)), ..self }
    }

    /// Guards the pod range of this node, which is [told](Enforcer::set_pod_range) before the first commit.
    #[must_use]
    pub fn with_pod_range(self) -> Self {
        Self { follows_pod_range: true, awaits_pod_range: true, ..self }
    }

    /// Forgets what `conntrack` knows of earlier owners of addresses.
    #[must_use]
    pub fn with_owners_of(self, conntrack: impl Conntrack + Send + 'static) -> Self {
        Self { owners: Owners::new(conntrack), ..self }
    }

    /// Clears the marks of the connections of `conntrack`.
    #[must_use]
    pub fn with_connections_of(self, conntrack: impl Conntrack + Send + 'static) -> Self {
        Self { epochs: Epochs::new(conntrack), ..self }
    }

    /// Both on threads of their own, and on another packets are waited for that may be at what goes: nobody waits for them.
    ///
    /// # Errors
    /// Where there can be no further thread.
    pub fn with_connections_in_background(
        self,
        marks: impl Conntrack + Send + 'static,
        entries: impl Conntrack + Send + 'static,
    ) -> io::Result<Self> {
        let (epochs, owners) = (Epochs::in_background(marks)?, Owners::in_background(entries)?);
        Ok(Self { epochs, owners, passage: self.passage.in_background()?, ..self })
    }

    /// Takes note of how pods hang on the node. It takes effect with the next commit.
    pub fn set_links(&mut self, links: NodeLinks) {
        self.links = Some(links);
    }

    /// An address of this range that is no known pod's neither sends nor receives, from the next commit on.
    pub fn set_pod_range(&mut self, range: PodRange) {
        self.awaits_pod_range = false;
        self.pod_range = Some(range);
    }

    /// Whether the pod range is guarded that is told of.
    pub fn follows_pod_range(&self) -> bool {
        self.follows_pod_range
    }

    /// Whether a pod range is to be guarded that has not been told yet.
    pub fn awaits_pod_range(&self) -> bool {
        self.awaits_pod_range
    }

    /// How many addresses of known pods are not in the pod range; `None` where no range is guarded.
    pub fn outside_pod_range(&self) -> Option<usize> {
        let guards = self.follows_pod_range || !self.renderer.pod_range().is_empty();
        guards.then(|| self.renderer.outside_pod_range().count())
    }

    /// Has `look_again` called where [links](Enforcer::set_links) lack what they should have: with the names of those that are
    /// known to.
    pub fn look_again_with(&mut self, look_again: impl Fn(&[String]) + Send + 'static) {
        self.look_again = Box::new(look_again);
    }

    /// Tries again what the backend has refused.
    pub fn readmit(&mut self) {
        self.index.readmit();
    }

    /// Takes note of a change. It takes effect with the next commit.
    pub fn apply(&mut self, change: Change) {
        self.index.apply(change);
    }

    /// Whether the backend holds nothing, as after a start of the node.
    ///
    /// # Errors
    /// [`BackendError`] where that could not be asked.
    pub fn is_bare(&mut self) -> Result<bool, BackendError> {
        Ok(!self.backend.exists()?)
    }

    /// From now on policies allow what they allow at most whichever pods other nodes have ([`Index::be_lenient`]), until these
    /// [are known](Enforcer::knows_all).
    pub fn knows_here(&mut self) {
        self.index.be_lenient();
    }

    /// Policies say what they say ([`Index::be_exact`]): what there was at the start is known, and nobody rests for it.
    pub fn knows_all(&mut self) {
        self.index.be_exact();
        self.turns = Turns::default();
        self.begins = true;
    }

    /// Makes the next commit read the table first, and repair what differs.
    pub fn distrust(&mut self) {
        self.in_step = false;
        self.frames.iter_mut().for_each(FrameTable::distrust);
    }

    /// Whether the backend is taken to hold what was committed last. Otherwise the next commit compares first.
    pub fn is_in_step(&self) -> bool {
        self.in_step
    }

    /// Shuts others out of the table, where the backend can and does not yet. A failure is logged, and `false`: the table is
    /// enforced all the same.
    pub fn guard(&mut self) -> bool {
        match self.backend.guard() {
            Ok(false) => true,
            Ok(true) => {
                tracing::info!("the table is ours alone from now on");
                true
            }
            Err(error) => {
                tracing::warn!(%error, "the table cannot be owned, will try again");
                false
            }
        }
    }

    /// Puts all changes since the last commit in force, in one transaction if that is not large ([`Diff::parts`]); what then
    /// nothing uses any more may go in another ([`Diff::into_steps`]). `None`: there was nothing to change. The table of frames
    /// follows in one of its own.
    ///
    /// # Errors
    /// [`EnforceError`]; the next commit then starts from what the backend holds.
    pub fn commit(&mut self) -> Result<Option<Commit>, EnforceError> {
        self.advance(Extent::All)
    }

    /// The same, of so much as is done soon: small changes first, what takes long in pieces, and of namespaces whose changes
    /// take long only so many as leaves time for others. What is left is [due](Enforcer::commit_is_due) later.
    ///
    /// # Errors
    /// As [`Enforcer::commit`].
    pub fn commit_some(&mut self) -> Result<Option<Commit>, EnforceError> {
        self.advance(Extent::Piece)
    }

    /// Does without the guard from now on.
    fn believe(&mut self) {
        self.render_anew(Origins::Believed, self.renderer.logs());
        self.frames = None;
    }

    /// Tells nobody from now on.
    fn tell_nobody(&mut self) {
        self.render_anew(self.renderer.origins(), Logs(None));
        self.frames.iter_mut().for_each(FrameTable::distrust);
    }

    fn render_anew(&mut self, origins: Origins, logs: Logs) {
        let (range, links) = (self.renderer.pod_range().clone(), self.renderer.links().clone());
        self.renderer = Renderer::new(origins).with_logs(logs);
        self.desired = skeleton(self.desired.table.name.clone(), origins, logs);
        let mut edit = self.renderer.edit(&self.index.take_full(), self.owners.held());
        self.renderer.set_pod_range(range, &mut edit);
        self.renderer.set_links(links, &mut edit);
        self.edit(edit);
        self.epochs.end();
        self.backlog.clear();
        self.in_step = false;
    }

    /// The links that pods are behind come into force on their own, before pods that are behind them.
    fn follow_links(&mut self) -> Result<(), EnforceError> {
        let Some(links) = self.links.take() else { return Ok(()) };
        self.links_known = true;
        let mut edit = Edit::default();
        self.renderer.set_links(links, &mut edit);
        if self.renderer.may_forbid(&edit) {
            self.end_epoch(&mut edit);
        }
        let diff = self.edit(edit);
        if self.in_step && !diff.is_empty() {
            self.backlog.add(diff, self.desired.sets.len());
            self.work_off(Extent::Piece, Instant::now(), &mut Diff::default())?;
        }
        Ok(())
    }

    fn commit_frames(&mut self) -> Result<(), EnforceError> {
        let Some(frames) = self.frames.as_mut().filter(|_| self.links_known) else { return Ok(()) };
        let change = self.renderer.edit_frames();
        if self.renderer.lost_a_port() {
            (self.look_again)(&[]);
        }
        Ok(frames.commit(self.renderer.frames(), &change)?)
    }

    /// Whoever lingers where no link leads is gone.
    fn release(&mut self) {
        let links = self.renderer.links();
        let addresses = self.index.lingering().keys();
        let gone: Vec<IpAddr> = addresses.filter(|address| !links.may_have(**address)).copied().collect();
        gone.into_iter().for_each(|address| self.index.release(address));
    }

    /// Lets established connections pass again without being judged, when nothing has been forbidden for a moment.
    /// `None`: there was nothing to do, or it is not due or not done yet.
    ///
    /// # Errors
    /// [`SettleError`]: it is tried again later. What is in force is right without it.
    pub fn settle(&mut self) -> Result<Option<Settled>, SettleError> {
        if !self.is_all_in_force() {
            return Ok(None);
        }
        let start = Instant::now();
        let Some(settled) = self.epochs.settle()? else { return Ok(None) };
        let Some(epoch) = settled.begins else { return Ok(Some(Settled { commit: None, swept: settled.swept })) };
        let diff = self.edit(epoch.begin());
        self.commit_step(&diff).inspect_err(|_| {
            self.epochs.end();
            self.edit(Epoch::end());
        })?;
        let commit = Commit { diff, from_backend: false, elapsed: start.elapsed() };
        Ok(Some(Settled { commit: Some(commit), swept: settled.swept }))
    }

    /// When [`Enforcer::settle`] has something to do; `None` where it has not before the next commit, or it is
    /// [under way](Enforcer::settling).
    pub fn settle_is_due(&self) -> Option<Instant> {
        self.epochs.due().filter(|_| self.is_all_in_force())
    }

    /// Whether nothing is left of what was decided.
    pub fn is_all_in_force(&self) -> bool {
        self.in_step && self.backlog.is_empty()
    }

    /// Returns when what [`Enforcer::settle`] began elsewhere is done, and it is to be called again. Never where nothing
    /// is under way, or before the next commit. Can be dropped and called again.
    pub async fn settling(&mut self) {
        if !self.in_step {
            pending::<()>().await;
        }
        tokio::select! {
            () = self.epochs.settling() => {}
            () = self.owners.done() => {}
            () = self.passage.done() => {}
        }
    }

    /// Whether established connections pass without being judged again.
    pub fn is_settled(&self) -> bool {
        self.epochs.current().is_some()
    }

    /// What [`Enforcer::commit`] would do now, without doing it.
    ///
    /// # Errors
    /// [`EnforceError::Read`] and [`EnforceError::Frames`].
    pub fn plan(&mut self) -> Result<Plan, EnforceError> {
        self.distrust();
        self.follow_links()?;
        let Difference { closing, diff, .. } = self.difference(|_| true)?;
        let packets = Transaction::from(&closing.unwrap_or_default().then(diff));
        self.distrust();
        let change = self.renderer.edit_frames();
        let frames = self.frames.as_mut().filter(|_| self.links_known);
        let frames = frames.map(|frames| frames.transaction(self.renderer.frames(), &change)).transpose()?;
        Ok(Plan { packets, frames: frames.unwrap_or_default() })
    }

    /// The ruleset that shall be in force.
    pub fn desired(&self) -> &Ruleset {
        &self.desired
    }

    /// The index.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The namespaces that were closed since this was last asked, or for another reason; `None`: opened again.
    pub fn take_closings(&mut self) -> BTreeMap<Arc<str>, Option<Closed>> {
        self.index.take_closings()
    }

    /// The backend.
    pub fn backend(&mut self) -> &mut B {
        &mut self.backend
    }

    #[cfg(test)]
    pub(crate) fn epochs(&mut self) -> &mut Epochs {
        &mut self.epochs
    }

    #[cfg(test)]
    pub(crate) fn renderer(&self) -> &Renderer {
        &self.renderer
    }

    fn commit_step(&mut self, step: &Diff) -> Result<(), CommitError> {
        self.in_step = false;
        self.backend.commit(&self.desired.table, &Transaction::from(step))?;
        self.in_step = true;
        Ok(())
    }

    /// What has to be committed for those namespaces whose turn it is, which is that of all where the backend is asked what
    /// it holds, and holds anything or did before.
    fn difference(&mut self, is_turn: impl Fn(&str) -> bool) -> Result<Difference, EnforceError> {
        self.release();
        let asked = (!self.in_step).then(|| self.backend.read()).transpose()?;
        let of_all = asked.as_ref().is_some_and(|held| self.met || held.is_some());
        let delta = self.index.take_delta_of(|namespace| of_all || is_turn(namespace));
        self.owners.owned(&delta.owned);
        // Of what came together at first it is not known who had an address before.
        let begins = std::mem::replace(&mut self.begins, false);
        let disowned = delta.disowned.iter().filter(|_| !begins);
        self.owners.forget(disowned.copied(), |address| self.index.has_owner(address));
        let mut edit = self.renderer.edit(&delta, self.owners.held());
        let compiled = delta.compiled;
        if let Some(range) = self.pod_range.take() {
            self.renderer.set_pod_range(range, &mut edit);
        }
        if self.renderer.may_forbid(&edit) {
            self.end_epoch(&mut edit);
        }
        let diff_to_last = self.edit(edit);
        let Some(held) = asked else {
            self.compared &= !self.backlog.is_empty();
            return Ok(Difference { closing: None, diff: diff_to_last, compiled });
        };
        let was_met = self.met;
        let difference = self.difference_to(held.as_ref());
        self.backlog.clear();
        (self.in_step, self.compared) = (true, true);
        if held.is_some() || !was_met || !self.backlog.takes_long(&difference) {
            return Ok(Difference { closing: None, diff: difference, compiled });
        }
        let closed = render::closed(&self.desired);
        let closing = Some(diff(None, &closed));
        Ok(Difference { closing, diff: diff(Some(&closed), &self.desired), compiled })
    }

    fn difference_to(&mut self, held: Option<&Ruleset>) -> Diff {
        let is_new = !std::mem::replace(&mut self.met, true);
        if is_new {
            let were_here = held.into_iter().flat_map(render::local_pods);
            self.owners.forget(were_here.filter(|address| !self.index.has_owner(*address)), |_| false);
        }
        if is_new && let Some(epoch) = held.and_then(Epoch::given) {
            self.epochs.adopt(epoch);
            self.edit(epoch.begin());
        }
        let difference = diff(held, &self.desired);
        if difference.is_empty() || !self.is_settled() {
            return difference;
        }
        let mut edit = Edit::default();
        self.end_epoch(&mut edit);
        self.edit(edit);
        diff(held, &self.desired)
    }

    /// It ends where `edit` is in force.
    fn end_epoch(&mut self, edit: &mut Edit) {
        if self.is_settled() {
            edit.chains.extend(Epoch::end().chains);
        }
        self.epochs.end();
    }

    fn edit(&mut self, edit: Edit) -> Diff {
        self.desired.apply(edit).expect("a rendered edit fits the ruleset rendered before")
    }
}

/// Whether the kernel refused the one rule that asks for routes.
fn lacks_fib(error: &CommitError) -> bool {
    lacks(error, " fib ")
}

/// Whether the kernel has no NFT_LOG or NFT_LIMIT.
fn lacks_log(error: &CommitError) -> bool {
    lacks(error, " log prefix ")
}

fn lacks(error: &CommitError, words: &str) -> bool {
    let is_unknown = |errno: Errno| matches!(errno.0, nix::libc::ENOENT | nix::libc::EOPNOTSUPP | nix::libc::EINVAL);
    matches!(error, CommitError::Refused { operation, errno, .. } if operation.contains(words) && is_unknown(*errno))
}
