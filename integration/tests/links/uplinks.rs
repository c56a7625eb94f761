//! Links and bridges that lead to more than pods.

use crate::world::{World, ip, names};

#[test]
fn what_makes_a_link_an_uplink() {
    let world = World::new();
    let _other = world.pod("veth1", "");
    let is_pods = |wanted: bool| {
        world.becomes(move |links| links.pods.contains("veth1") == wanted);
    };
    is_pods(true);
    let both = |line: &str, undone: &str| {
        world.ip(line);
        is_pods(false);
        world.ip(undone);
        is_pods(true);
    };
    both("route add default dev veth1", "route del default");
    both("route add default dev veth1 table 7", "route del default table 7");
    both("route add ::/0 via fe80::1 dev veth1", "route del ::/0");
    both("addr add 192.0.2.5/24 dev veth1", "addr del 192.0.2.5/24 dev veth1");
    both("addr add 2001:db8::5/64 dev veth1 nodad", "addr del 2001:db8::5/64 dev veth1");
    both(
        "route add 192.0.2.1 dev veth1\nroute add default nexthop via 192.0.2.1 nexthop via 192.0.2.1 weight 2",
        "route del default\nroute del 192.0.2.1",
    );
}

#[test]
fn what_does_not() {
    let world = World::new();
    let _pod = world.pod("veth1", "");
    world.ip("addr add 169.254.0.1/16 dev veth1\naddr add 192.0.2.1/32 dev veth1\naddr add 192.0.2.2/31 dev veth1");
    world.ip("addr add 2001:db8::2/127 dev veth1 nodad\nroute add 10.8.0.0/16 dev veth1");
    // What a router advertises, whoever says it is one.
    world.ip("route add ::/0 via fe80::1 dev veth1 proto ra");
    world.ip("addr add 2001:db8:1::2/64 dev veth1 nodad valid_lft 600 preferred_lft 600");
    let links = world.becomes(|links| links.link_of(ip("2001:db8:1::1")).is_some());
    assert_eq!(names(&links.pods), ["veth1"]);
    assert_eq!(links.link_of(ip("10.8.0.1")), Some("veth1"));
}

#[test]
fn a_bridge_that_leads_out() {
    let world = World::new();
    world.ip("link add cni0 type bridge\naddr add 10.1.0.1/24 dev cni0\nlink set cni0 up");
    let _pod = world.pod("veth1", "master cni0");
    world.becomes(|links| links.bridges.contains_key("cni0"));
    world.ip("route add default via 10.1.0.254");
    let links = world.becomes(|links| links.bridges.is_empty());
    assert!(links.pods.is_empty() && links.routes.is_empty());
    world.ip("route del default");
    world.becomes(|links| links.bridges.contains_key("cni0") && links.link_of(ip("10.1.0.9")) == Some("cni0"));
}

#[test]
fn routes_over_what_was_an_uplink() {
    let world = World::new();
    let _other = world.pod("veth1", "");
    world.ip("route add 10.1.0.1 dev veth1\nroute add default dev veth1");
    world.becomes(|links| links.pods.is_empty());
    world.ip("route add 10.1.0.2 dev veth1\nroute del 10.1.0.1");
    world.becomes(|links| links.routes.is_empty());
    world.ip("route del default");
    world.becomes(|links| links.link_of(ip("10.1.0.2")) == Some("veth1") && links.routes.len() == 1);
}
