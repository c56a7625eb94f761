use std::error::Error;
use std::process::Command;

use k8s_openapi::api::core::v1::Service;
use palisade_integration::apiserver::{AGENT_ACCOUNT, deployed_rules};
use serde_json::{Value, json};

use super::scene::{SHOP, Scene};
use super::{Context, Outcome};

type Test = fn(&Context) -> Outcome;

/// What is behind a Service, by name.
pub(crate) const TESTS: &[(&str, Test)] = &[("explain-tells-of-the-pods-behind", explain_tells)];

/// `explain` asks the API for Services where it may, and says so where it may not.
fn explain_tells(context: &Context) -> Outcome {
    let mut scene = Scene::new(context, 1)?;
    scene.run_pods(&["web", "friend", "stranger"])?;
    scene.expect(&[("friend", "web", true), ("stranger", "web", false)])?;
    let cluster = scene.site.api.cluster();
    let service = cluster.create::<Service>(&json!({
        "metadata": {"namespace": SHOP, "name": "front"},
        "spec": {"selector": {"role": "web"}, "ports": [{"port": 8080, "targetPort": 80}]},
    }))?;
    let address = service.spec.and_then(|spec| spec.cluster_ip).expect("the API gives it one");

    let refused = explain(context, &scene, "friend", "svc/shop/front").expect_err("it may not list them").to_string();
    assert_eq!(refused.matches("services is forbidden").count(), 1, "{refused}");
    assert!(refused.contains("error: cannot list Services: 403 Forbidden: services is forbidden"), "{refused}");
    let unknown = explain(context, &scene, "friend", &address)?;
    assert!(unknown["hints"].to_string().contains("it is not known whether it is a Service's"), "{unknown:#}");

    let may_list = json!({"apiGroups": [""], "resources": ["services"], "verbs": ["list"]});
    cluster.set_rules(AGENT_ACCOUNT, &[deployed_rules()?, vec![may_list]].concat())?;
    for to in ["svc/shop/front", &address] {
        for (from, allowed) in [("friend", true), ("stranger", false)] {
            let told = explain(context, &scene, from, to)?;
            assert_eq!(told["allowed"], allowed, "{from} to {to}: {told:#}");
            assert_eq!(told["behind"].as_array().map(Vec::len), Some(1), "{told:#}");
            assert_eq!(told["behind"][0]["port"], 80, "{told:#}");
        }
    }
    Ok(())
}

/// What it prints; the error says what it complains of.
fn explain(context: &Context, scene: &Scene<'_>, from: &str, to: &str) -> Result<Value, Box<dyn Error>> {
    let mut explain = Command::new(&context.program);
    explain.args(["explain", "-o", "json", "--from", &format!("{SHOP}/{from}"), "--to", to, "--port", "8080"]);
    explain.arg("--kubeconfig").arg(scene.site.kubeconfig.path());
    let output = scene.site.network.nodes()[0].namespace().run(&mut explain, "")?;
    Ok(serde_json::from_slice(&output.stdout)?)
}
