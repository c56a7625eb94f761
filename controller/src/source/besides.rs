//! What policy does not depend on, and helps to check it, listed once.

use std::collections::BTreeMap;

use kube::Client;
use kube::api::ListParams;
use kube::core::Request;
use palisade_model::lint::Remarks;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::convert;
use crate::manifests::Besides;
use crate::objects::{NetworkPolicy, Service};

#[derive(Deserialize)]
struct List<T> {
    items: Vec<T>,
}

/// The cluster's Services, and the remarks in its policies. What is not understood of a Service is left out.
///
/// # Errors
/// Where the API does not list them.
pub async fn besides(client: Client) -> kube::Result<Besides> {
    let services: List<Service> = list(&client, "/api/v1/services").await?;
    let policies: List<NetworkPolicy> = list(&client, "/apis/networking.k8s.io/v1/networkpolicies").await?;
    let services = services.items.iter().map(|service| convert::service(service).0);
    let remarks = policies.items.iter().map(|policy| (convert::policy(policy).0.id, convert::remarks(policy)));
    Ok(Besides {
        services: services.map(|service| (service.id.clone(), service)).collect(),
        remarks: remarks.filter(|(_, remarks)| *remarks != Remarks::default()).collect(),
        templates: BTreeMap::new(),
        errors: Vec::new(),
    })
}

async fn list<T: DeserializeOwned + 'static>(client: &Client, path: &str) -> kube::Result<List<T>> {
    let request = Request::new(path).list(&ListParams::default());
    client.request(request.map_err(kube::Error::BuildRequest)?).await
}
