//! What the specification asks of a plugin.

use palisade_integration::netns::Topology;
use serde_json::{Value, json};

use crate::runtime::Call;
use crate::scene::Scene;

fn nowhere(command: &'static str) -> Call {
    let call = crate::runtime::call(command, "c", "web", "/nowhere/cni.sock".as_ref(), "/nowhere".as_ref());
    call.with("wait", 0)
}

#[test]
fn it_says_which_versions_it_speaks() {
    for version in ["0.4.0", "1.0.0", "1.1.0"] {
        let answer = nowhere("VERSION").run_on(&json!({"cniVersion": version}).to_string()).succeeds();
        let said: Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(said["cniVersion"], version);
        assert!(said["supportedVersions"].as_array().unwrap().contains(&version.into()), "{said}");
    }
}

#[test]
fn what_makes_no_sense_is_an_error_of_the_specification() {
    let with_result = || nowhere("ADD").with_result(&[], "pod0");
    for (call, code) in [
        (nowhere("DANCE"), 4),
        (nowhere("ADD"), 7),
        (nowhere("ADD").with("cniVersion", "0.2.0"), 1),
        (Call { container: "../c".to_owned(), ..with_result() }, 4),
        (Call { container: String::new(), ..with_result() }, 4),
        (with_result().with("prevResult", json!({"ips": [{"address": "nowhere"}]})), 6),
        (with_result().with("prevResult", 5), 6),
        (with_result().with("wait", -1), 7),
        (with_result().with("onFailure", "dance"), 6),
        (with_result(), 11),
    ] {
        assert_eq!(call.run().code(), code, "{call:?}");
    }
    for input in ["", "{", "[]", "\u{0}", "{\"cniVersion\": 1}"] {
        assert_eq!(nowhere("ADD").run_on(input).code(), 6, "{input}");
    }
}

/// To the byte.
#[test]
fn what_was_made_before_is_printed_as_it_was() {
    let scene = Scene::enforcing(Topology::routed(1));
    let result =
        r#"{ "ips":[{"address" : "10.1.0.1/24","gateway":"10.1.0.254","x":1.50}] ,"interfaces": [], "z":null}"#;
    let config = scene.call("ADD").with("prevResult", "here").config.to_string().replace("\"here\"", result);
    assert_eq!(scene.call("ADD").run_on(&config).succeeds().text, result);
    scene.judges(&["shop/friend", "shop/web"]);
}

/// What is no pod of Kubernetes' is nobody's that policies know.
#[test]
fn a_container_of_somebody_elses_passes() {
    let call = nowhere("ADD").with_result(&["10.1.0.1".parse().unwrap()], "pod0");
    Call { pod: String::new(), ..call }.run().succeeds();
}
