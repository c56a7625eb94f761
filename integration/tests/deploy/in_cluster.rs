//! The agent as a pod: the image, run as the DaemonSet says, with what a kubelet gives it, against a real API server.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::symlink;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::TokenReview;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Api, PostParams};
use palisade_integration::apiserver::{AGENT_ACCOUNT, AGENT_NAMESPACE, Labels, Pool, Site, deployed_rules};
use palisade_integration::netns::{Host, Namespace, Place};
use palisade_integration::patience::eventually;
use palisade_integration::probe::{Family, Flow, Kind, Patience, probe};
use serde_json::json;
use tempfile::TempDir;

use super::container::{Container, Running, command};
use super::seccomp::Profile;
use super::{arguments, one_file, the};

const MOUNTED_AT: &str = "var/run/secrets/kubernetes.io/serviceaccount";
/// How long the first token holds: long enough for the agent to start.
const SOON_OVER: Duration = Duration::from_secs(20);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The volume with a ServiceAccount's token, as a kubelet projects it: links to a directory that is replaced as a whole.
struct Account {
    directory: TempDir,
    authority: String,
    rotations: u32,
}

impl Account {
    fn new(authority: &str, token: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["ca.crt", "namespace", "token"] {
            symlink(format!("..data/{name}"), directory.path().join(name)).unwrap();
        }
        let mut account = Self { directory, authority: authority.to_owned(), rotations: 0 };
        account.rotate(token);
        account
    }

    fn rotate(&mut self, token: &str) {
        self.rotations += 1;
        let data = format!("..data-{}", self.rotations);
        let path = |name: &str| self.directory.path().join(&data).join(name);
        fs::create_dir(self.directory.path().join(&data)).unwrap();
        for (name, content) in [("ca.crt", self.authority.as_str()), ("namespace", AGENT_NAMESPACE), ("token", token)] {
            fs::write(path(name), content).unwrap();
        }
        let new = self.directory.path().join("..data-new");
        symlink(&data, &new).unwrap();
        fs::rename(new, self.directory.path().join("..data")).unwrap();
    }
}

/// A node with one pod that only its friends reach.
struct Shop<'p> {
    site: Site<'p>,
    web: Host,
    friend: Host,
    guest: Host,
}

impl<'p> Shop<'p> {
    fn new(pool: &'p Pool) -> Self {
        let mut site = Site::new(pool, 1, &deployed_rules().unwrap()).unwrap();
        let cluster = site.api.cluster();
        cluster.create_namespace("shop", &Labels::new()).unwrap();
        let rule = json!({"from": [{"podSelector": {"matchLabels": {"role": "friend"}}}]});
        let spec = json!({"podSelector": {"matchLabels": {"role": "web"}}, "ingress": [rule]});
        let policy = json!({"metadata": {"namespace": "shop", "name": "web"}, "spec": spec});
        cluster.create::<NetworkPolicy>(&policy).unwrap();
        let [web, friend, guest] = [("web", 2), ("friend", 3), ("guest", 4)].map(|(name, number)| {
            let address = [IpAddr::from([10, 2, 0, number])];
            let host = site.network.attach_one(Place::Behind(0), &address).unwrap();
            let spec = json!({"nodeName": "node-0", "containers": [{"name": "main", "image": "none"}]});
            let metadata = json!({"namespace": "shop", "name": name, "labels": {"role": name}});
            let cluster = site.api.cluster();
            cluster.create::<Pod>(&json!({"metadata": metadata, "spec": spec})).unwrap();
            cluster.set_pod_status("shop", name, "Running", &address).unwrap();
            host
        });
        Self { site, web, friend, guest }
    }

    fn node(&self) -> &Namespace {
        self.site.network.nodes()[0].namespace()
    }

    fn token(&self, lifetime: Duration) -> String {
        self.site.api.token(AGENT_NAMESPACE, AGENT_ACCOUNT, lifetime).unwrap()
    }

    /// Whether the API server no longer takes a token.
    fn refuses(&self, token: &str) -> bool {
        let review: TokenReview = serde_json::from_value(json!({"spec": {"token": token}})).unwrap();
        let api = Api::<TokenReview>::all(self.site.api.client());
        let ask = async { api.create(&PostParams::default(), &review).await };
        let status = self.site.api.block_on(ask).unwrap().status.unwrap();
        status.authenticated != Some(true)
    }

    /// Waits until the friend reaches the web pod, and the guest does or does not.
    fn expect(&self, guest_is_allowed: bool) {
        let flow = |from, expected| Flow {
            from,
            to: &self.web,
            called: None,
            family: Family::Ipv4,
            kind: Kind::Tcp(80),
            expected,
        };
        let flows = [flow(&self.friend, true), flow(&self.guest, guest_is_allowed)];
        let right = || (probe(&flows, Patience::FULL).unwrap() == [true, guest_is_allowed]).then_some(());
        eventually(POLL_INTERVAL, right, || format!("{guest_is_allowed} is not what the guest finds"));
    }
}

/// The agent's container, with the environment that a kubelet makes for it.
fn agent(api: SocketAddr) -> std::process::Command {
    let objects = one_file();
    let arguments = arguments(the(&objects, "DaemonSet"));
    let mut agent = command("/palisade", &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    agent.env("NODE_NAME", "node-0");
    agent.env("KUBERNETES_SERVICE_HOST", api.ip().to_string()).env("KUBERNETES_SERVICE_PORT", api.port().to_string());
    agent
}

#[test]
fn it_uses_its_service_account_whose_token_is_rotated() {
    let pool = Pool::default();
    let shop = Shop::new(&pool);
    let container = Container::new();
    let first = shop.token(SOON_OVER);
    let mut account = Account::new(shop.site.api.authority(), &first);
    let container = container.with_volume(account.directory.path(), MOUNTED_AT);
    let mut agent = agent(shop.site.api.address());
    let _agent = container.enter(shop.node(), || Running::start(&mut agent, &Profile::runtime_default()));
    shop.expect(false);

    account.rotate(&shop.token(Duration::from_secs(3600)));
    eventually(POLL_INTERVAL, || shop.refuses(&first).then_some(()), || "the first token does not expire".to_owned());
    shop.site.proxy.cut();
    shop.expect(false);
    let patch = json!({"metadata": {"labels": {"role": "friend"}}});
    shop.site.api.cluster().patch::<Pod>("shop", "guest", &patch).unwrap();
    shop.expect(true);
    let account = format!("system:serviceaccount:{AGENT_NAMESPACE}:{AGENT_ACCOUNT}");
    assert!(shop.site.requests().unwrap().iter().all(|request| request.user == account));
}

#[test]
fn without_a_service_account_it_says_so() {
    let namespace = Namespace::new().unwrap();
    let mut agent = agent(SocketAddr::from(([127, 0, 0, 1], 6443)));
    let output = Container::new().enter(&namespace, || Profile::runtime_default().confine(|| agent.output().unwrap()));
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("automountServiceAccountToken"), "{said}");
}
