//! The chart as helm renders it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::Command;

use palisade_integration::agent::binary;
use serde_json::{Value, json};

use super::{arguments, deploy, helm, objects, one_file, output, the};

pub(crate) const PROBES: [&str; 3] = ["startupProbe", "livenessProbe", "readinessProbe"];

/// The chart with these values.
pub(crate) fn render(values: &Value) -> Result<Vec<Value>, String> {
    render_with(values, &["--no-hooks"])
}

/// What helm makes with these values at other times than when it installs.
pub(crate) fn hooks(values: &Value) -> Vec<Value> {
    let all = render_with(values, &[]).unwrap();
    all.into_iter().filter(|object| object["metadata"]["annotations"]["helm.sh/hook"].is_string()).collect()
}

fn render_with(values: &Value, arguments: &[&str]) -> Result<Vec<Value>, String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(values.to_string().as_bytes()).unwrap();
    let mut command = Command::new(helm());
    command.args(["template", "palisade", "--namespace", "palisade-system", "--values"]).arg(file.path());
    output(command.args(arguments).arg(deploy("helm/palisade"))).map(|yaml| objects(&yaml))
}

/// Every value set to something else than its default.
pub(crate) fn every_value() -> Value {
    json!({
        "image": {"repository": "registry.example/p", "tag": "9", "digest": "", "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "pull"}],
        "nameOverride": "fence",
        "fullnameOverride": "full",
        "namespace": {"create": true},
        "serviceAccount": {"create": true, "name": "account", "annotations": {"a": "account"}},
        "rbac": {"create": true},
        "clusterNetworkPolicy": {"crd": "standard"},
        "apiServer": {"host": "192.0.2.1", "port": 8443},
        "log": {"level": "info,palisade=debug", "format": "text", "drops": true, "group": 7},
        "flows": {"enabled": true},
        "probes": {"address": "[::]", "port": 9998},
        "metrics": {
            "address": "0.0.0.0",
            "port": 9999,
            "maxPods": 77,
            "service": {"enabled": true, "annotations": {"a": "service"}},
            "serviceMonitor": {
                "enabled": true,
                "labels": {"release": "monitor"},
                "interval": "17s",
                "scrapeTimeout": "7s"
            }
        },
        "guard": {"enabled": false, "podRange": true},
        "shares": {"factor": 2.5},
        "sysctls": {"set": true},
        "cni": {
            "enabled": true,
            "removeOnUninstall": true,
            "confDir": "/var/net.d",
            "binDir": "/var/bin",
            "netnsDir": "/var/netns",
            "runDir": "/run/fence",
            "onFailure": "allow",
            "wait": 7
        },
        "extraArgs": ["--extra=1"],
        "extraEnv": [{"name": "EXTRA", "value": "2"}],
        "resources": {"requests": {"cpu": "3m", "memory": "65Mi"}, "limits": {"memory": "513Mi"}},
        "priorityClassName": "other",
        "nodeSelector": {"pool": "blue"},
        "tolerations": [{"key": "taint", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "20%"}},
        "terminationGracePeriodSeconds": 11,
        "podAnnotations": {"a": "pod"},
        "podLabels": {"l": "pod"}
    })
}

#[test]
fn one_file_is_what_the_chart_gives() {
    let printed = output(Command::new(deploy("one-file.sh")).env("HELM", helm())).unwrap();
    let kept = std::fs::read_to_string(deploy("palisade.yaml")).unwrap();
    assert!(printed == kept, "deploy/palisade.yaml is not the chart's: run deploy/one-file.sh > deploy/palisade.yaml");
}

#[test]
fn helm_has_nothing_against_it() {
    output(Command::new(helm()).args(["lint", "--strict"]).arg(deploy("helm/palisade"))).unwrap();
}

#[test]
fn every_value_has_its_effect() {
    let objects = render(&every_value()).unwrap();
    let daemonset = the(&objects, "DaemonSet");
    let pod = &daemonset["spec"]["template"];
    let (spec, container) = (&pod["spec"], &pod["spec"]["containers"][0]);
    assert_eq!(daemonset["metadata"]["name"], "full");
    assert_eq!(daemonset["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"], "20%");
    assert_eq!(daemonset["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"], "fence");
    assert_eq!((&pod["metadata"]["annotations"]["a"], &pod["metadata"]["labels"]["l"]), (&json!("pod"), &json!("pod")));
    assert_eq!(
        (&container["image"], &container["imagePullPolicy"]),
        (&json!("registry.example/p:9"), &json!("Always"))
    );
    assert_eq!(spec["imagePullSecrets"], json!([{"name": "pull"}]));
    assert_eq!(spec["serviceAccountName"], "account");
    assert_eq!(spec["priorityClassName"], "other");
    assert_eq!(spec["nodeSelector"], json!({"kubernetes.io/os": "linux", "pool": "blue"}));
    assert_eq!(spec["tolerations"], every_value()["tolerations"]);
    assert_eq!(spec["affinity"], every_value()["affinity"]);
    assert_eq!(spec["terminationGracePeriodSeconds"], 11);
    assert_eq!(container["resources"], every_value()["resources"]);
    for (name, value) in [("EXTRA", "2"), ("KUBERNETES_SERVICE_HOST", "192.0.2.1"), ("KUBERNETES_SERVICE_PORT", "8443")]
    {
        assert!(container["env"].as_array().unwrap().contains(&json!({"name": name, "value": value})), "{name}");
    }
    let expected = [
        "run",
        "--log-level=info,palisade=debug",
        "--log-format=text",
        "--probe-address=[::]:9998",
        "--metrics-address=0.0.0.0:9999",
        "--metrics-pods=77",
        "--log-drops",
        "--log-group=7",
        "--flows",
        "--shares=2.5",
        "--no-guard",
        "--guard-pod-range",
        "--set-sysctls",
        "--proc-sys=/host/proc/sys",
        "--cni-socket=/run/fence/cni.sock",
        "--cni-sandboxes=/run/fence/sandboxes",
        "--cni-conf-dir=/var/net.d",
        "--cni-bin-dir=/var/bin",
        "--cni-on-failure=allow",
        "--cni-wait=7",
        "--extra=1",
    ];
    assert_eq!(arguments(daemonset), expected);
    let mounted = mounts(spec);
    for directory in ["/run/fence", "/var/net.d", "/var/bin", "/var/netns"] {
        assert_eq!(mounted[directory], json!({"path": directory, "type": "DirectoryOrCreate"}));
    }
    assert_eq!(mounted["/host/proc/sys/net"], json!({"path": "/proc/sys/net", "type": "Directory"}));
    let told = json!({"name": "PALISADE_STATUS_SOCKET", "value": "/run/fence/status.sock"});
    assert!(container["env"].as_array().unwrap().contains(&told));
    for probe in PROBES {
        assert_eq!(container[probe]["httpGet"]["host"], Value::Null, "{probe}: the kubelet asks at the node's address");
    }
    assert_eq!(the(&objects, "ServiceAccount")["metadata"]["annotations"]["a"], "account");
    assert_eq!(the(&objects, "Namespace")["metadata"]["name"], "palisade-system");
    let service = the(&objects, "Service");
    assert_eq!(
        (&service["spec"]["ports"][0]["port"], &service["metadata"]["annotations"]["a"]),
        (&json!(9999), &json!("service"))
    );
    let monitor = the(&objects, "ServiceMonitor");
    assert_eq!(monitor["metadata"]["labels"]["release"], "monitor");
    let endpoint = &monitor["spec"]["endpoints"][0];
    assert_eq!((&endpoint["interval"], &endpoint["scrapeTimeout"]), (&json!("17s"), &json!("7s")));
    assert_eq!(endpoint["honorLabels"], true, "`namespace` and `pod` are labels of metrics, too");
    assert_eq!(monitor["spec"]["selector"]["matchLabels"], daemonset["spec"]["selector"]["matchLabels"]);
}

/// The directories of the node, by where the agent sees them.
fn mounts(spec: &Value) -> BTreeMap<String, Value> {
    mounts_of(spec, &spec["containers"][0])
}

fn mounts_of(spec: &Value, container: &Value) -> BTreeMap<String, Value> {
    let volumes = spec["volumes"].as_array().unwrap();
    let mounts = container["volumeMounts"].as_array().unwrap().iter();
    let volume = |mount: &Value| volumes.iter().find(|volume| volume["name"] == mount["name"]).unwrap();
    mounts.map(|mount| (mount["mountPath"].as_str().unwrap().to_owned(), volume(mount)["hostPath"].clone())).collect()
}

/// Where the plugin stayed and no agent is, no pod would start.
#[test]
fn uninstalling_takes_the_plugin_out_of_all_nodes() {
    for values in [json!({}), every_value()] {
        let (hooks, rendered) = (hooks(&values), render(&values).unwrap());
        let (hook, agent) = (the(&hooks, "DaemonSet"), the(&rendered, "DaemonSet"));
        assert_eq!((hooks.len(), &hook["metadata"]["annotations"]["helm.sh/hook"]), (1, &json!("post-delete")));
        let [spec, of_agent] = [hook, agent].map(|daemonset| &daemonset["spec"]["template"]["spec"]);
        assert_eq!(spec["hostNetwork"], true, "it starts although no agent is there");
        for field in ["nodeSelector", "tolerations", "affinity", "imagePullSecrets", "priorityClassName"] {
            assert_eq!(spec[field], of_agent[field], "it is where agents were: {field}");
        }
        let cleanup = &spec["initContainers"][0];
        assert_eq!(cleanup["image"], of_agent["containers"][0]["image"]);
        assert_eq!(cleanup["securityContext"]["capabilities"], json!({"drop": ["ALL"]}));
        let told: Vec<String> = serde_json::from_value(cleanup["args"].clone()).unwrap();
        let (same, other): (Vec<_>, Vec<_>) = told.into_iter().partition(|one| arguments(agent).contains(one));
        let run = if values == json!({}) { "/run/palisade" } else { "/run/fence" };
        assert_eq!(same.len(), 2, "the directories of the agent: {same:?}");
        assert_eq!(other, ["cleanup", "--cni-only", &format!("--after-agent={run}/status.sock")]);
        output(Command::new(binary().unwrap()).args(&other).args(&same).arg("--help")).unwrap();
        let directories = mounts_of(spec, cleanup);
        let agents = mounts(of_agent);
        assert_eq!(directories.len(), 3);
        assert!(directories.iter().all(|(path, volume)| agents[path] == *volume), "{directories:?}");
    }
    assert_eq!(hooks(&json!({"cni": {"removeOnUninstall": false}})), [] as [Value; 0]);
    assert_eq!(hooks(&json!({"cni": {"enabled": false}})), [] as [Value; 0]);
}

/// Pods always reach their own node, but not its loopback.
#[test]
fn by_default_no_pod_reaches_what_is_served() {
    let objects = one_file();
    let daemonset = the(&objects, "DaemonSet");
    let served: Vec<_> = arguments(daemonset).into_iter().filter(|argument| argument.contains("-address=")).collect();
    assert_eq!(served, ["--probe-address=127.0.0.1:9467", "--metrics-address=127.0.0.1:9468"]);
    let container = &daemonset["spec"]["template"]["spec"]["containers"][0];
    for probe in PROBES {
        let get = &container[probe]["httpGet"];
        assert_eq!((&get["host"], &get["port"]), (&json!("127.0.0.1"), &json!("probes")), "{probe}");
    }
}

#[test]
fn what_is_switched_off_is_not_there() {
    let kinds = |values: &Value| -> BTreeSet<String> {
        render(values).unwrap().iter().map(|object| object["kind"].as_str().unwrap().to_owned()).collect()
    };
    let of = |kinds: &[&str]| kinds.iter().map(|kind| (*kind).to_owned()).collect::<BTreeSet<_>>();
    let all = ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "DaemonSet"];
    assert_eq!(kinds(&json!({})), of(&all));
    let least = json!({"rbac": {"create": false}, "serviceAccount": {"create": false, "name": "mine"}});
    assert_eq!(kinds(&least), of(&["DaemonSet"]));
    assert_eq!(the(&render(&least).unwrap(), "DaemonSet")["spec"]["template"]["spec"]["serviceAccountName"], "mine");
    let service = json!({"metrics": {"address": "0.0.0.0", "service": {"enabled": true}}});
    assert!(kinds(&service).contains("Service") && !kinds(&service).contains("ServiceMonitor"));
}

/// As upstream publishes it, but for helm's word to keep it.
#[test]
fn the_definition_of_cluster_policies_is_upstreams() {
    for channel in ["standard", "experimental"] {
        let file = format!("helm/palisade/files/clusternetworkpolicies-{channel}.yaml");
        let published = objects(&std::fs::read_to_string(deploy(&file)).unwrap());
        let objects = render(&json!({"clusterNetworkPolicy": {"crd": channel}})).unwrap();
        let mut rendered = the(&objects, "CustomResourceDefinition").clone();
        let annotations = rendered["metadata"]["annotations"].as_object_mut().unwrap();
        assert_eq!(annotations.remove("helm.sh/resource-policy"), Some(json!("keep")));
        assert_eq!(annotations["policy.networking.k8s.io/channel"], channel);
        assert_eq!([rendered], *published);
    }
}

#[test]
fn a_digest_goes_before_the_tag() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let objects = render(&json!({"image": {"tag": "9", "digest": digest}})).unwrap();
    let image = &the(&objects, "DaemonSet")["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(image, &json!(format!("localhost/palisade@{digest}")));
}

#[test]
fn mistakes_are_refused() {
    let mistakes = [
        json!({"tolerationss": []}),
        json!({"image": {"name": "palisade"}}),
        json!({"image": {"pullPolicy": "Sometimes"}}),
        json!({"image": {"digest": "latest"}}),
        json!({"apiServer": {"host": "https://192.0.2.1"}}),
        json!({"apiServer": {"port": "6443"}}),
        json!({"clusterNetworkPolicy": {"crd": true}}),
        json!({"log": {"format": "xml"}}),
        json!({"log": {"level": ""}}),
        json!({"metrics": {"port": 0}}),
        json!({"metrics": {"address": "::"}}),
        json!({"probes": {"address": "localhost"}}),
        json!({"probes": {"port": 9468}}),
        json!({"metrics": {"service": {"enabled": true}}}),
        json!({"metrics": {"serviceMonitor": {"enabled": true}}}),
        json!({"metrics": {"serviceMonitor": {"interval": "often"}}}),
        json!({"guard": {"enabled": "no"}}),
        json!({"guard": {"podRange": "10.0.0.0/8"}}),
        json!({"sysctls": {"set": "no"}}),
        json!({"shares": {"factor": 0}}),
        json!({"shares": {"factor": "much"}}),
        json!({"extraArgs": "--once"}),
        json!({"updateStrategy": {"type": "Recreate"}}),
    ];
    for mistake in mistakes {
        assert!(render(&mistake).is_err(), "{mistake}");
    }
}

/// The values that the schema knows, the file has, and `every_value` sets, are the same.
#[test]
fn the_schema_knows_every_value_and_no_other() {
    let read = |file| std::fs::read_to_string(deploy(file)).unwrap();
    let schema: Value = serde_json::from_str(&read("helm/palisade/values.schema.json")).unwrap();
    let values: Value = serde_saphyr::from_str(&read("helm/palisade/values.yaml")).unwrap();
    let of_values = |values: &Value| paths(values, |value| value.as_object().cloned());
    let mut in_schema = paths(&schema, |schema| schema["properties"].as_object().cloned());
    in_schema.remove("global");
    let leaves = |paths: BTreeSet<String>| -> BTreeSet<String> {
        paths.into_iter().filter(|path| in_schema.contains(path)).collect()
    };
    assert_eq!(leaves(of_values(&values)), in_schema);
    assert_eq!(leaves(of_values(&every_value())), in_schema);
}

/// The dotted paths of all fields below `value`.
fn paths(value: &Value, fields: fn(&Value) -> Option<serde_json::Map<String, Value>>) -> BTreeSet<String> {
    let below = |(name, value): (String, Value)| {
        let inner = paths(&value, fields).into_iter().map(|path| format!("{name}.{path}")).collect::<Vec<_>>();
        std::iter::once(name).chain(inner)
    };
    fields(value).unwrap_or_default().into_iter().flat_map(below).collect()
}

#[test]
fn versions_agree() {
    let version = env!("CARGO_PKG_VERSION");
    let chart = std::fs::read_to_string(deploy("helm/palisade/Chart.yaml")).unwrap();
    let chart: Value = serde_saphyr::from_str(&chart).unwrap();
    assert_eq!((&chart["version"], &chart["appVersion"]), (&json!(version), &json!(version)));
    let image = json!(format!("localhost/palisade:{version}"));
    assert_eq!(the(&one_file(), "DaemonSet")["spec"]["template"]["spec"]["containers"][0]["image"], image);
    let cleanup = objects(&std::fs::read_to_string(deploy("cleanup.yaml")).unwrap());
    let cleanup = &cleanup[0]["spec"]["template"]["spec"];
    for containers in ["initContainers", "containers"] {
        assert_eq!(cleanup[containers][0]["image"], image, "no node needs another image");
    }
}

#[test]
fn it_may_do_what_it_needs_and_no_more() {
    let objects = one_file();
    let spec = &the(&objects, "DaemonSet")["spec"]["template"]["spec"];
    let security = &spec["containers"][0]["securityContext"];
    assert_eq!(security["capabilities"], json!({"drop": ["ALL"], "add": ["NET_ADMIN"]}));
    assert_eq!(security["readOnlyRootFilesystem"], true);
    assert_eq!(security["allowPrivilegeEscalation"], false);
    assert_eq!(spec["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!((&spec["hostNetwork"], &spec["hostPID"]), (&json!(true), &Value::Null));
    let directories: Vec<String> = mounts(spec).into_keys().collect();
    assert_eq!(directories, ["/etc/cni/net.d", "/opt/cni/bin", "/run/netns", "/run/palisade"]);
    let without = render(&json!({"cni": {"enabled": false}})).unwrap();
    let volumes = &the(&without, "DaemonSet")["spec"]["template"]["spec"]["volumes"];
    assert_eq!(*volumes, json!([{"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}]));
    assert!(arguments(the(&without, "DaemonSet")).iter().all(|argument| !argument.contains("cni")));
    assert_eq!(spec["tolerations"], json!([{"operator": "Exists"}]));
    assert_eq!(spec["priorityClassName"], "system-node-critical");
    let rules = json!([
        {"apiGroups": [""], "resources": ["pods", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["list", "watch"]},
        {
            "apiGroups": ["policy.networking.k8s.io"],
            "resources": ["clusternetworkpolicies"],
            "verbs": ["list", "watch"]
        },
        {
            "apiGroups": ["policy.networking.k8s.io"],
            "resources": ["clusternetworkpolicies/status"],
            "verbs": ["patch"]
        },
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]}
    ]);
    assert_eq!(the(&objects, "ClusterRole")["rules"], rules);
    let in_its_namespace = json!([
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
        {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "resourceNames": ["palisade"],
            "verbs": ["get", "update"]
        }
    ]);
    let role = the(&objects, "Role");
    assert_eq!((&role["rules"], &role["metadata"]["namespace"]), (&in_its_namespace, &json!("palisade-system")));
    for binding in ["ClusterRoleBinding", "RoleBinding"] {
        let subject = &the(&objects, binding)["subjects"][0];
        assert_eq!((&subject["name"], &subject["namespace"]), (&spec["serviceAccountName"], &json!("palisade-system")));
    }
}
