//! Many at once.

use std::net::IpAddr;
use std::time::Duration;

use palisade_integration::netns::Topology;

use crate::runtime::Call;
use crate::scene::Scene;

const MANY: u8 = 200;

fn addresses(number: u8) -> [IpAddr; 2] {
    [format!("10.9.0.{number}"), format!("fd09::{number:x}")].map(|address| address.parse().unwrap())
}

/// No interface leads to these: who waits for one waits for half a second.
#[test]
fn two_hundred_pods_that_come_together_share_commits() {
    let scene = Scene::enforcing(Topology::routed(1));
    let names: Vec<String> = (0..MANY).map(|number| format!("web-{number}")).collect();
    scene.tell(&names.iter().map(|name| (name.as_str(), &[][..])).collect::<Vec<_>>());
    let add = scene.call("ADD").with("wait", 60);
    let answers: Vec<_> = names
        .iter()
        .zip(0..)
        .map(|(name, number)| {
            let call = Call { container: format!("c{number}"), pod: name.clone(), ..add.clone() };
            let call = call.with_result(&addresses(number), "pod0");
            std::thread::spawn(move || call.run())
        })
        .collect();
    for answer in answers {
        answer.join().unwrap().succeeds();
    }
    // The friend of before is told of no more, but its interface is there.
    let friend = ["10.1.0.2", "fd01::2"].map(|address| format!("shop/friend (deleted, {address})"));
    let mut expected: Vec<String> = names.iter().map(|name| format!("shop/{name}")).chain(friend).collect();
    expected.sort();
    scene.judges(&expected.iter().map(String::as_str).collect::<Vec<_>>());
    scene.sandboxes_say("known", MANY);
}

/// Prints what a pod waits on an idle node.
#[test]
fn one_pod_comes_and_goes_after_the_other() {
    for topology in crate::TOPOLOGIES {
        let scene = Scene::enforcing(topology);
        let mut took: Vec<Duration> = (0..40)
            .map(|number| {
                let container = format!("c{number}");
                let call = |command| Call { container: container.clone(), ..scene.call(command) };
                let took = call("ADD").run().succeeds().took;
                call("DEL").run().succeeds();
                took
            })
            .collect();
        took.sort();
        println!("{topology:?}: median {:?}, longest {:?}", took[20], took[39]);
    }
}
