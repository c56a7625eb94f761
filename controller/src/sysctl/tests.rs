use std::fs;

use super::*;

/// A node on which everything is on, whose pods are on `cni0` and routed to in both families.
fn node() -> Seen {
    Seen {
        sysctls: Sysctl::ALL.map(|sysctl| (sysctl, true)).into(),
        links: Links {
            bridges: [("cni0".to_owned(), Bridge::default())].into(),
            routed: [Family::Ipv4, Family::Ipv6].into(),
        },
    }
}

/// The names of what is not as it should be.
fn names(seen: &Seen) -> Vec<&'static str> {
    unmet(seen).into_iter().map(|one| one.sysctl.name()).collect()
}

fn off(mut seen: Seen) -> Seen {
    seen.sysctls.values_mut().for_each(|on| *on = false);
    seen
}

#[test]
fn nothing_is_wrong_where_all_is_on() {
    assert_eq!(names(&node()), [""; 0]);
}

#[test]
fn what_is_off_and_needed_is_named() {
    let all = Sysctl::ALL.map(Sysctl::name);
    assert_eq!(names(&off(node())), all);
}

#[test]
fn nothing_is_needed_where_there_are_no_pods() {
    assert_eq!(names(&Seen { links: Links::default(), ..off(node()) }), [""; 0]);
    assert_eq!(names(&Seen::default()), [""; 0]);
}

#[test]
fn a_family_that_no_route_to_pods_has_needs_no_forwarding() {
    let mut seen = off(node());
    seen.links.routed.remove(&Family::Ipv6);
    seen.links.bridges.clear();
    assert_eq!(names(&seen), ["net.ipv4.ip_forward"]);
    seen.sysctls.remove(&Sysctl::ForwardIpv4);
    seen.links.routed = [Family::Ipv6].into();
    assert_eq!(names(&seen), ["net.ipv6.conf.all.forwarding"]);
    seen.sysctls.clear();
    assert_eq!(names(&seen), [""; 0], "a kernel without IPv6");
}

#[test]
fn bridges_that_call_netfilter_themselves_need_no_parameter() {
    let mut seen = node();
    seen.sysctls.insert(Sysctl::BridgeIpv4, false);
    seen.sysctls.insert(Sysctl::BridgeIpv6, false);
    seen.links.bridges.insert("br1".to_owned(), Bridge { calls_ipv4: true, calls_ipv6: false });
    let found = unmet(&seen);
    let bridges = |one: &Unmet| one.bridges.iter().cloned().collect::<Vec<_>>();
    assert_eq!(
        found.iter().map(bridges).collect::<Vec<_>>(),
        [vec!["cni0".to_owned()], vec!["br1".to_owned(), "cni0".to_owned()]]
    );
    seen.links.bridges.remove("cni0");
    assert_eq!(names(&seen), ["net.bridge.bridge-nf-call-ip6tables"]);
}

#[test]
fn it_says_what_follows_and_what_to_do() {
    let mut seen = node();
    seen.sysctls.insert(Sysctl::ForwardIpv4, false);
    seen.sysctls.insert(Sysctl::BridgeIpv4, false);
    seen.sysctls.remove(&Sysctl::BridgeIpv6);
    let said: Vec<_> = unmet(&seen).iter().map(ToString::to_string).collect();
    let not_enforced =
        |family| format!("NetworkPolicy is NOT enforced on {family} packets between pods on one bridge (cni0)");
    assert_eq!(
        said,
        [
            "net.ipv4.ip_forward is 0: this node forwards no IPv4 packets of pods; set it to 1".to_owned(),
            format!("net.bridge.bridge-nf-call-iptables is 0: {}; set it to 1", not_enforced("IPv4")),
            format!(
                "net.bridge.bridge-nf-call-ip6tables is not there: {}; load br_netfilter on the node (modprobe br_netfilter)",
                not_enforced("IPv6")
            ),
        ]
    );
    assert_eq!(unmet(&seen).iter().map(Unmet::opens).collect::<Vec<_>>(), [false, true, true]);
}

#[test]
fn setting_writes_1() {
    let proc_sys = tempfile::tempdir().unwrap();
    let file = proc_sys.path().join("net/ipv4/ip_forward");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "0\n").unwrap();
    set(Sysctl::ForwardIpv4, proc_sys.path()).unwrap();
    assert!(fs::read_to_string(&file).unwrap().starts_with('1'));
    let error = set(Sysctl::BridgeIpv4, proc_sys.path()).unwrap_err().to_string();
    assert!(error.contains("bridge-nf-call-iptables") && error.contains("modprobe br_netfilter"), "{error}");
}
