//! What policy does not depend on, and helps to check it, listed once.

use std::collections::BTreeMap;

use kube::Client;
use kube::api::ListParams;
use kube::core::Request;
use palisade_model::lint::Remarks;
use palisade_model::{NamespacedName, Service};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::failure::Failure;
use crate::convert;
use crate::manifests::Besides;
use crate::objects::{self, ClusterNetworkPolicy, NetworkPolicy, ServiceCidr};

#[derive(Deserialize)]
struct List<T> {
    items: Vec<T>,
}

/// The cluster's Services. What is not understood of one is left out.
///
/// # Errors
/// Where the API does not list them.
pub async fn services(client: &Client) -> Result<BTreeMap<NamespacedName, Service>, Failure> {
    let services: List<objects::Service> = list(client, "/api/v1/services").await?;
    let services = services.items.iter().map(|service| convert::service(service).0);
    Ok(services.map(|service| (service.id.clone(), service)).collect())
}

/// The cluster's Services, the ranges of their addresses, and the remarks in its policies.
///
/// # Errors
/// Where the API does not list them. Ranges and cluster policies it need not know, nor the caller be allowed to list.
pub async fn besides(client: Client) -> Result<Besides, Failure> {
    let services = services(&client).await?;
    let policies: List<NetworkPolicy> = list(&client, "/apis/networking.k8s.io/v1/networkpolicies").await?;
    let of_cluster = "/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies";
    let of_cluster: List<ClusterNetworkPolicy> = optional(list(&client, of_cluster).await)?;
    let ranges: List<ServiceCidr> = optional(list(&client, "/apis/networking.k8s.io/v1/servicecidrs").await)?;
    let remarks = policies.items.iter().map(|policy| (convert::policy(policy).0.id, convert::remarks(policy)));
    let remarks = remarks.chain(of_cluster.items.iter().map(|policy| {
        let name = policy.metadata.name.as_deref().unwrap_or_default();
        (NamespacedName::new("", name), convert::cluster_remarks(policy))
    }));
    Ok(Besides {
        services,
        service_ranges: ranges.items.iter().flat_map(|range| convert::service_ranges(range).0).collect(),
        remarks: remarks.filter(|(_, remarks)| *remarks != Remarks::default()).collect(),
        templates: BTreeMap::new(),
        errors: Vec::new(),
    })
}

/// Nothing, where there is no such resource, or the caller may not see it.
fn optional<T>(listed: Result<List<T>, Failure>) -> Result<List<T>, Failure> {
    match listed {
        Err(failure) if failure.is_forbidden() || failure.is_not_found() => Ok(List { items: Vec::new() }),
        listed => listed,
    }
}

/// What `path` lists, as far as its metadata says: the first few hundred.
///
/// # Errors
/// Where the API does not list them.
pub async fn names(client: &Client, path: &str) -> Result<Vec<objects::Metadata>, Failure> {
    let request = Request::new(path).list_metadata(&ListParams::default().limit(NAMES));
    let listed: List<Named> = client.request(request.map_err(kube::Error::BuildRequest)?).await?;
    Ok(listed.items.into_iter().map(|one| one.metadata).collect())
}

/// How many names are listed.
const NAMES: u32 = 500;

#[derive(Deserialize)]
struct Named {
    metadata: objects::Metadata,
}

async fn list<T: DeserializeOwned + 'static>(client: &Client, path: &str) -> Result<List<T>, Failure> {
    let request = Request::new(path).list(&ListParams::default());
    Ok(client.request(request.map_err(kube::Error::BuildRequest)?).await?)
}
