//! `palisade wait`: nothing, until stopped.

use anyhow::Context;
use tokio::select;
use tokio::signal::unix::{SignalKind, signal};

use super::sources;

/// Ends in order. As a container's first process, one that does not listen for signals would not even hear them.
pub(super) fn wait() -> anyhow::Result<()> {
    sources::runtime()?.block_on(async {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    })
}
