//! The clusters whose maps are looked at.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use palisade_integration::agent::binary;
use serde_json::{Value, json};

/// What a map is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scene {
    /// [`SMALL`].
    Small,
    /// Two thousand workloads: in each namespace the first may call all others, and is called by the first of the namespace before.
    Many,
    /// [`SMALL`], and what was recorded of it ([`used`]).
    Used,
}

/// A map that was made.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    /// The file of the page.
    pub(crate) page: PathBuf,
    /// What `-o json` says of the same objects.
    pub(crate) map: Arc<Value>,
}

impl Scene {
    /// Has `palisade map` make it, below `folder`.
    pub(crate) fn make(self, folder: &Path) -> Made {
        let objects = folder.join(format!("{self:?}"));
        fs::create_dir(&objects).unwrap();
        let text = match self {
            Self::Small | Self::Used => SMALL.to_owned(),
            Self::Many => many(),
        };
        fs::write(objects.join("all.yaml"), text).unwrap();
        let flows = folder.join("flows.jsonl");
        let map = |form: &str| {
            let mut command = Command::new(binary().unwrap());
            command.args(["map", "-o", form, "--manifests"]).arg(&objects);
            if self == Self::Used {
                fs::write(&flows, used()).unwrap();
                command.arg("--flows").arg(&flows);
            }
            let output = command.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            output.stdout
        };
        let page = folder.join(format!("{self:?}.html"));
        fs::write(&page, map("html")).unwrap();
        Made { page, map: Arc::new(serde_json::from_slice(&map("json")).unwrap()) }
    }
}

/// A shop whose policies say all, a laboratory where one pod is open and one may ask it for names alone, and a safe that an
/// administrator keeps the laboratory from.
const SMALL: &str = r"
{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {kubernetes.io/metadata.name: shop}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: lab, labels: {kubernetes.io/metadata.name: lab}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: vault, labels: {kubernetes.io/metadata.name: vault}}}
---
{apiVersion: v1, kind: Pod, metadata: {namespace: shop, name: web, labels: {app: web}}, status: {podIPs: [{ip: 10.0.0.1}]}}
---
{apiVersion: v1, kind: Pod, metadata: {namespace: shop, name: api, labels: {app: api}}, status: {podIPs: [{ip: 10.0.0.2}]}}
---
{apiVersion: v1, kind: Pod, metadata: {namespace: shop, name: db, labels: {app: db}}, status: {podIPs: [{ip: 10.0.0.3}]}}
---
{apiVersion: v1, kind: Pod, metadata: {namespace: lab, name: tool, labels: {app: tool}}, status: {podIPs: [{ip: 10.0.0.4}]}}
---
{apiVersion: v1, kind: Pod, metadata: {namespace: lab, name: half, labels: {app: half}}, status: {podIPs: [{ip: 10.0.0.5}]}}
---
{apiVersion: v1, kind: Pod, metadata: {namespace: vault, name: safe, labels: {app: safe}}, status: {podIPs: [{ip: 10.0.0.6}]}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: shop, name: deny-all}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: shop, name: web-serves}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: 443}]}]
  egress: [{to: [{podSelector: {matchLabels: {app: api}}}], ports: [{port: 8080}]}]
  policyTypes: [Ingress, Egress]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: shop, name: api-answers}
spec:
  podSelector: {matchLabels: {app: api}}
  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 8080}]}]
  egress: [{to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 5432}]}]
  policyTypes: [Ingress, Egress]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: shop, name: db-keeps}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress: [{from: [{podSelector: {matchLabels: {app: api}}}], ports: [{port: 5432}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: lab, name: half-asks}
spec:
  podSelector: {matchLabels: {app: half}}
  egress: [{to: [{podSelector: {matchLabels: {app: tool}}}], ports: [{port: 53, protocol: UDP}]}]
  policyTypes: [Egress]
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: keep-the-lab-out}
spec:
  tier: Admin
  priority: 10
  subject: {namespaces: {matchLabels: {kubernetes.io/metadata.name: vault}}}
  ingress:
  - {name: lab, action: Deny, from: [{namespaces: {matchLabels: {kubernetes.io/metadata.name: lab}}}]}
";

/// Records of connections between workloads of [`SMALL`]: on a way, on none since anybody may, and one that policies do not allow now.
fn used() -> String {
    let flows = [
        (("shop", "web", "10.0.0.1"), ("shop", "api", "10.0.0.2"), 8080, 3),
        (("vault", "safe", "10.0.0.6"), ("lab", "tool", "10.0.0.4"), 22, 2),
        (("lab", "half", "10.0.0.5"), ("shop", "db", "10.0.0.3"), 5432, 7),
    ];
    let record = |((namespace, name, from), (other, server, to), port, connections)| {
        let record = json!({
            "kind": "record", "time": "2026-11-28T22:56:12Z", "node": "node-1", "verdict": "allowed", "reason": "open",
            "direction": "egress", "pod": {"namespace": namespace, "name": name, "workload": name, "address": from},
            "peer": {"address": to, "pod": {"namespace": other, "name": server, "workload": server}},
            "protocol": "TCP", "port": port, "packets": 0, "connections": connections,
        });
        format!("{record}\n")
    };
    flows.map(record).concat()
}

/// How many namespaces [`Scene::Many`] has.
pub(crate) const NAMESPACES: usize = 50;
/// How many workloads each of them has.
pub(crate) const EACH: usize = 40;

fn many() -> String {
    let mut text = String::new();
    for number in 0..NAMESPACES {
        let _ = write!(
            text,
            "---\n{{apiVersion: v1, kind: Namespace, metadata: {{name: team-{number}, labels: {{kubernetes.io/metadata.name: team-{number}}}}}}}\n"
        );
        (0..EACH).for_each(|app| text += &pod(number, app));
        let before = (number + NAMESPACES - 1) % NAMESPACES;
        let _ = write!(
            text,
            "---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{namespace: team-{number}, name: from-the-first}}
spec:
  podSelector: {{}}
  ingress:
  - {{from: [{{podSelector: {{matchLabels: {{app: app-0}}}}}}], ports: [{{port: 8080}}]}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{namespace: team-{number}, name: the-first-is-called}}
spec:
  podSelector: {{matchLabels: {{app: app-0}}}}
  ingress:
  - from:
    - namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: team-{before}}}}}
      podSelector: {{matchLabels: {{app: app-0}}}}
    ports: [{{port: 443}}]
"
        );
    }
    text
}

fn pod(number: usize, app: usize) -> String {
    format!(
        "---\n{{apiVersion: v1, kind: Pod, metadata: {{namespace: team-{number}, name: app-{app}, labels: {{app: app-{app}}}}}, \
         status: {{podIPs: [{{ip: 10.1.{number}.{}}}]}}}}\n",
        app + 1
    )
}
