use std::net::{IpAddr, Ipv4Addr};
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use super::{ApiError, ApiServer, Channel};
use crate::netns::{Host, Namespace, NetnsError, Network, Place};

/// Where agents find the API server: an address outside the cluster.
pub const CONTROL_PLANE: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 30, 254, 1));

/// API servers for tests that run side by side: starting one takes seconds, emptying one takes none. Each test has one
/// to itself, which knows ClusterNetworkPolicies in upstream's experimental form.
#[derive(Default)]
pub struct Pool {
    idle: Mutex<Vec<ApiServer>>,
    arguments: &'static [&'static str],
}

/// An empty API server, for as long as this is held.
pub struct Lease<'a> {
    pool: &'a Pool,
    api: Option<ApiServer>,
}

impl Pool {
    /// One whose kube-apiservers get more arguments than others.
    pub fn with_arguments(arguments: &'static [&'static str]) -> Self {
        Self { arguments, ..Self::default() }
    }

    /// An idle API server, or a new one in a namespace of its own. Agents reach it through an
    /// [`entrance`] and a [proxy](ApiServer::proxy).
    pub fn lease(&self) -> Result<Lease<'_>, ApiError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let api = match idle {
            Some(api) => api,
            None => ApiServer::start_with(&Namespace::new()?, CONTROL_PLANE, self.arguments)?,
        };
        api.cluster().define_cluster_policies(Channel::Experimental)?;
        Ok(Lease { pool: self, api: Some(api) })
    }
}

/// A host of `network` with the address where agents look for the API server, for a proxy to listen in.
pub fn entrance(network: &mut Network) -> Result<Host, NetnsError> {
    network.attach_one(Place::External, &[CONTROL_PLANE])
}

impl Deref for Lease<'_> {
    type Target = ApiServer;

    fn deref(&self) -> &ApiServer {
        self.api.as_ref().expect("it is given back only on drop")
    }
}

impl DerefMut for Lease<'_> {
    fn deref_mut(&mut self) -> &mut ApiServer {
        self.api.as_mut().expect("it is given back only on drop")
    }
}

/// Gives the API server back, emptied. One that cannot be emptied, or whose test has panicked, ends here.
impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let Some(api) = self.api.take() else { return };
        if !std::thread::panicking() && api.cluster().clear().is_ok() {
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(api);
        }
    }
}
