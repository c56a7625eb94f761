//! Pods on links of their own.

use std::process::Command;

use palisade_integration::netns::{Namespace, Network, Place, Topology};

use crate::world::{World, ip, names};

#[test]
fn pods_on_links_of_their_own() {
    let mut network = Network::new(Topology::routed(1)).unwrap();
    let hosts = network
        .attach(&[
            (Place::Behind(0), vec![ip("10.1.0.5"), ip("fd00:1::5")]),
            (Place::Behind(0), vec![ip("10.1.0.6")]),
            (Place::External, vec![ip("10.9.0.1")]),
        ])
        .unwrap();
    let world = World::of(network.nodes()[0].namespace().try_clone().unwrap());
    let links = world.becomes(|links| links.pods.len() == 2);
    assert_eq!(names(&links.pods), ["pod0", "pod1"]);
    let routes = [("10.1.0.5/32", "pod0"), ("10.1.0.6/32", "pod1"), ("fd00:1::5/128", "pod0")];
    let routes = routes.map(|(to, link)| (to.parse().unwrap(), link.to_owned()));
    assert_eq!(links.routes, routes);
    assert_eq!(links.link_of(ip("fd00:1::5")), Some("pod0"));
    assert_eq!(links.link_of(ip("10.9.0.1")), None);
    // The namespaces of the others are to stay.
    let mut hosts = hosts.into_iter();
    hosts.next().unwrap().detach().unwrap();
    let links = world.becomes(|links| links.pods.len() == 1);
    assert_eq!(links.routes, routes[1..2]);
    drop(hosts);
}

#[test]
fn a_link_is_told_before_its_pod_is_known() {
    let world = World::new();
    let pod = world.pod("veth1", "");
    world.becomes(|links| names(&links.pods) == ["veth1"] && links.routes.is_empty());
    world.ip("route add 10.1.0.5 dev veth1");
    if world.node().ip("link set veth1 name veth2\n").is_err() {
        // Older kernels rename no link that is up.
        world.ip("link set veth1 down\nlink set veth1 name veth2\nlink set veth2 up\nroute add 10.1.0.5 dev veth2");
    }
    world.becomes(|links| names(&links.pods) == ["veth2"] && links.link_of(ip("10.1.0.5")) == Some("veth2"));
    drop(pod.namespace);
    world.becomes(|links| links.pods.is_empty() && links.routes.is_empty());
}

#[test]
fn a_pair_of_which_one_end_goes_to_a_pod_later() {
    let world = World::new();
    world.ip("link add veth1 type veth peer name eth0\nlink set veth1 up\nlink add veth2 type veth peer name veth3");
    world.becomes(|links| links.pods.is_empty());
    let pod = Namespace::new().unwrap();
    world.ip(&format!("link set eth0 netns {}", pod.path().display()));
    world.becomes(|links| names(&links.pods) == ["veth1"]);
}

#[test]
fn routes_that_change() {
    let world = World::new();
    let _pods = [world.pod("veth1", ""), world.pod("veth2", "")];
    let over = |link: &'static str| {
        world.becomes(move |links| links.link_of(ip("10.1.0.5")) == Some(link) && links.routes.len() == 1);
    };
    world.ip("route add 10.1.0.5 dev veth1");
    over("veth1");
    world.ip("route replace 10.1.0.5 dev veth2");
    over("veth2");
    // The better one counts.
    world.ip("route add 10.1.0.5 dev veth1 metric 5");
    over("veth2");
    world.ip("route del 10.1.0.5 dev veth2");
    over("veth1");
    // What goes without a word.
    world.ip("link set veth1 down\nroute add 10.1.0.5 dev veth2");
    over("veth2");
    world.ip("addr add 192.0.2.1/32 dev lo\nroute replace 10.1.0.5 dev veth2 src 192.0.2.1");
    over("veth2");
    world.ip("addr del 192.0.2.1/32 dev lo");
    world.becomes(|links| links.routes.is_empty());
    world.ip("route add blackhole 10.1.0.5\nroute add 10.1.0.6 dev veth2");
    world.becomes(|links| links.link_of(ip("10.1.0.5")).is_none() && links.routes.len() == 1);
}

#[test]
fn routes_with_several_ways() {
    let world = World::new();
    let _pods = [world.pod("veth1", ""), world.pod("veth2", "")];
    world.ip("route add 10.1.0.0/24 nexthop dev veth1 nexthop dev veth2");
    world.becomes(|links| links.routes.len() == 2);
    world.ip("link set veth1 down");
    world.becomes(|links| links.routes.len() == 1);
    world.ip("link set veth1 up");
    world.becomes(|links| links.routes.len() == 2);
    world.ip("link del veth1");
    world.becomes(|links| links.pods.len() == 1 && links.routes.is_empty());
}

#[test]
fn names_that_cannot_stand_in_a_ruleset() {
    let world = World::new();
    let _pod = world.pod("veth1", "");
    world.becomes(|links| names(&links.pods) == ["veth1"]);
    let rename = |from: &str, to: &str| {
        for change in [&["down"][..], &["name", to]] {
            world.node().run(Command::new("ip").args(["link", "set", "dev", from]).args(change), "").unwrap();
        }
    };
    for name in ["a*", "a\\", "a\"", "a\u{1}"] {
        rename("veth1", name);
        world.becomes(|links| links.pods.is_empty());
        rename(name, "veth1");
        world.becomes(|links| names(&links.pods) == ["veth1"]);
    }
}
