use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use super::batches::Batches;
use super::bridge::Bridge;
use super::{Namespace, NetnsError};

/// Source ports of probes start here.
const FIRST_SOURCE_PORT: u16 = 20_000;

/// Something with addresses that sends and receives: a pod or an external host.
#[derive(Debug)]
pub struct Host {
    namespace: Arc<Namespace>,
    addresses: Vec<IpAddr>,
    detach: Vec<(Arc<Namespace>, String)>,
    bridge: Option<Bridge>,
    source_port: AtomicU16,
}

impl Host {
    pub(super) fn new(namespace: Arc<Namespace>, addresses: &[IpAddr], detach: Vec<(Arc<Namespace>, String)>) -> Self {
        let source_port = FIRST_SOURCE_PORT.into();
        Self { namespace, addresses: addresses.to_vec(), detach, bridge: None, source_port }
    }

    /// The same, on a bridge if there is one.
    pub(super) fn on(self, bridge: Option<Bridge>) -> Self {
        Self { bridge, ..self }
    }

    /// Where its sockets are.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Its addresses.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// Takes it off the network; its addresses may be given to another host.
    pub fn detach(self) -> Result<(), NetnsError> {
        let mut batches = Batches::default();
        for (namespace, line) in &self.detach {
            batches.add(namespace, line);
        }
        if let Some(bridge) = &self.bridge {
            bridge.unplug(&self.namespace, &mut batches);
        }
        batches.run()
    }

    /// A source port that it has not used before, so that no probe is taken for a part of an earlier one.
    pub(crate) fn fresh_port(&self) -> u16 {
        let port = self.source_port.fetch_add(1, Ordering::Relaxed);
        if port == u16::MAX {
            self.source_port.store(FIRST_SOURCE_PORT, Ordering::Relaxed);
        }
        port
    }
}
