//! ClusterNetworkPolicies, which an API server knows once their CustomResourceDefinition is there.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use kube::Api;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams,
};
use serde_json::Value;

use super::{ApiError, Cluster};
use crate::patience::LIMIT;

const NAME: &str = "clusternetworkpolicies.policy.networking.k8s.io";
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Which of upstream's two definitions an API server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Without what is still being tried.
    Standard,
    /// With the egress peers `nodes` and `domainNames`.
    Experimental,
}

impl Cluster<'_> {
    /// Makes the API server know ClusterNetworkPolicies as `deploy/` defines them, and waits until it serves them.
    ///
    /// # Errors
    /// If the definition cannot be read or written, or is not served.
    pub fn define_cluster_policies(&self, channel: Channel) -> Result<(), ApiError> {
        let definition = definition(channel)?;
        let parameters = PatchParams::apply("palisade-tests").force();
        let apply = async { self.definitions().patch(NAME, &parameters, &Patch::Apply(&definition)).await };
        self.wait(format!("define {NAME}"), apply)?;
        self.wait_until(|| self.cluster_policies_are_served())
    }

    /// Makes it forget them, and deletes all that there are.
    ///
    /// # Errors
    /// If the API server does not let them go.
    pub fn undefine_cluster_policies(&self) -> Result<(), ApiError> {
        let delete = async { self.definitions().delete(NAME, &DeleteParams::default()).await };
        self.wait(format!("delete {NAME}"), delete)?;
        self.wait_until(|| Ok(!self.cluster_policies_are_served()?))
    }

    /// The API of ClusterNetworkPolicies.
    pub fn cluster_policies(&self) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("policy.networking.k8s.io", "v1alpha2", "ClusterNetworkPolicy");
        Api::all_with(self.client(), &ApiResource::from_gvk_with_plural(&kind, "clusternetworkpolicies"))
    }

    /// Creates one from its JSON.
    ///
    /// # Panics
    /// If the JSON is no object of the API.
    pub fn create_cluster_policy(&self, policy: &Value) -> Result<(), ApiError> {
        let (name, object) = object(policy);
        let api = self.cluster_policies();
        let create = async { api.create(&PostParams::default(), &object).await };
        self.wait(format!("create cluster policy {name}"), create).map(drop)
    }

    /// Replaces one by its new JSON, whoever writes its status meanwhile.
    ///
    /// # Panics
    /// If the JSON is no object of the API.
    pub fn replace_cluster_policy(&self, policy: &Value) -> Result<(), ApiError> {
        let (name, mut object) = object(policy);
        let api = self.cluster_policies();
        loop {
            // No custom resource is replaced without its version, which is another after each write of an agent's.
            let old = self.wait(format!("get cluster policy {name}"), api.get(&name))?;
            object.metadata.resource_version = old.metadata.resource_version;
            match self.try_wait(async { api.replace(&name, &PostParams::default(), &object).await }) {
                Err(kube::Error::Api(status)) if status.is_conflict() => {}
                replaced => {
                    return replaced.map(drop).map_err(ApiError::request(format!("replace cluster policy {name}")));
                }
            }
        }
    }

    /// Deletes one.
    pub fn delete_cluster_policy(&self, name: &str) -> Result<(), ApiError> {
        let api = self.cluster_policies();
        let delete = async { api.delete(name, &DeleteParams::default()).await };
        self.wait(format!("delete cluster policy {name}"), delete).map(drop)
    }

    /// Deletes all that there are, if the API server knows of any.
    pub(super) fn clear_cluster_policies(&self) -> Result<(), ApiError> {
        if !self.cluster_policies_are_served()? {
            return Ok(());
        }
        let (api, now, all) = (self.cluster_policies(), DeleteParams::default(), ListParams::default());
        self.wait("remove cluster policies", async { api.delete_collection(&now, &all).await }).map(drop)
    }

    fn cluster_policies_are_served(&self) -> Result<bool, ApiError> {
        let api = self.cluster_policies();
        let one = ListParams::default().limit(1);
        match self.try_wait(async { api.list(&one).await }) {
            Ok(_) => Ok(true),
            // Also in plain text, where nothing of the group has been served yet.
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
            Err(error) => Err(ApiError::request("list cluster policies")(error)),
        }
    }

    fn wait_until(&self, is_so: impl Fn() -> Result<bool, ApiError>) -> Result<(), ApiError> {
        let started = Instant::now();
        while !is_so()? {
            if started.elapsed() > LIMIT {
                let reason = format!("{NAME} is not as it was written after {LIMIT:?}");
                return Err(ApiError::NotReady { program: "kube-apiserver", reason, log: String::new() });
            }
            sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    fn definitions(&self) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
        Api::all_with(self.client(), &ApiResource::from_gvk(&kind))
    }
}

/// What `deploy/` ships for a channel.
fn definition(channel: Channel) -> Result<Value, ApiError> {
    let file = match channel {
        Channel::Standard => "clusternetworkpolicies-standard.yaml",
        Channel::Experimental => "clusternetworkpolicies-experimental.yaml",
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/helm/palisade/files").join(file);
    let read = || serde_saphyr::from_str(&fs::read_to_string(&path)?).map_err(std::io::Error::other);
    read().map_err(ApiError::io(format!("read {}", path.display())))
}

fn object(policy: &Value) -> (String, DynamicObject) {
    let object: DynamicObject = serde_json::from_value(policy.clone()).expect("a test writes objects of the API");
    (object.metadata.name.clone().unwrap_or_default(), object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_says_which_it_is() {
        for (channel, name) in [(Channel::Standard, "standard"), (Channel::Experimental, "experimental")] {
            let definition = definition(channel).unwrap();
            assert_eq!(definition["metadata"]["name"], NAME);
            assert_eq!(definition["metadata"]["annotations"]["policy.networking.k8s.io/channel"], name);
        }
    }
}
