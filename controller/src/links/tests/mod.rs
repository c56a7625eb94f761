mod kernel;

use super::*;

fn port(addresses: &[&str]) -> Port {
    Port { addresses: Some(addresses.iter().map(|address| address.parse().unwrap()).collect()), ..Port::default() }
}

fn routes(routes: &[(&str, &str)]) -> NodeLinks {
    let routes = routes.iter().map(|(to, link)| (to.parse().unwrap(), (*link).to_owned())).collect();
    NodeLinks { routes, ..NodeLinks::default() }
}

#[test]
fn an_address_is_reached_over_the_longest_prefix() {
    let links = routes(&[("10.0.0.0/16", "cni0"), ("10.0.0.5/32", "veth5"), ("fd00::5/128", "veth5")]);
    let of = |address: &str| links.link_of(address.parse().unwrap());
    assert_eq!(of("10.0.0.5"), Some("veth5"));
    assert_eq!(of("10.0.0.6"), Some("cni0"));
    assert_eq!(of("fd00::5"), Some("veth5"));
    assert_eq!((of("10.1.0.5"), of("fd00::6")), (None, None));
}

#[test]
fn an_address_that_two_links_share_is_on_none() {
    let links = routes(&[("10.0.0.5/32", "veth5"), ("10.0.0.5/32", "veth6"), ("10.0.0.0/16", "cni0")]);
    assert_eq!(links.link_of("10.0.0.5".parse().unwrap()), None);
}

#[test]
fn an_address_that_two_ports_claim_is_on_none() {
    let ports = [("veth1", port(&["10.0.0.1", "10.0.0.9"])), ("veth2", port(&["10.0.0.2", "10.0.0.9"]))];
    let mut ports: BTreeMap<_, _> = ports.map(|(name, port)| (name.to_owned(), port)).into();
    ports.insert("veth3".to_owned(), Port::default());
    let links = NodeLinks { bridges: [("cni0".to_owned(), PodBridge { ports })].into(), ..NodeLinks::default() };
    let of = |address: &str| links.port_of(address.parse().unwrap());
    assert_eq!(of("10.0.0.2"), Some(("cni0", "veth2")));
    assert_eq!((of("10.0.0.9"), of("10.0.0.3")), (None, None));
}

#[test]
fn an_address_may_be_somebodys_where_a_port_has_it_or_a_link_leads_to_it() {
    let ports = [("veth1", port(&["10.0.0.1", "10.0.0.9"])), ("veth2", port(&["10.0.0.9"]))];
    let ports = ports.map(|(name, port)| (name.to_owned(), port)).into();
    let bridges = [("cni0".to_owned(), PodBridge { ports })].into();
    let ways = [("10.0.0.0/24", "cni0"), ("10.1.0.5/32", "veth5"), ("10.1.0.6/32", "veth6"), ("10.1.0.6/32", "veth7")];
    let links = NodeLinks { bridges, ..routes(&ways) };
    let may_be = |address: &str| links.may_have(address.parse().unwrap());
    assert!(["10.0.0.1", "10.0.0.9", "10.1.0.5", "10.1.0.6"].into_iter().all(may_be));
    assert!(!["10.0.0.2", "10.1.0.7", "fd00::1"].into_iter().any(may_be));
}
