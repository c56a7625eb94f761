use std::fs;

use super::*;

/// A node on which everything is on, the guard too, whose pods are on `cni0` and routed to in both families.
fn node() -> Seen {
    Seen {
        sysctls: Sysctl::ALL.map(|sysctl| (sysctl, true)).into(),
        links: Links {
            bridges: [("cni0".to_owned(), Bridge::default())].into(),
            routed: [Family::Ipv4, Family::Ipv6].into(),
            routes_ipv4: ["cni0".to_owned()].into(),
        },
        guarded: true,
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
    assert_eq!(names(&off(node())), all[..4]);
    assert_eq!(names(&Seen { guarded: false, ..off(node()) }), all);
}

#[test]
fn nothing_is_needed_where_there_are_no_pods() {
    assert_eq!(names(&Seen { links: Links::default(), guarded: false, ..off(node()) }), [""; 0]);
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

/// Bridges that hand packets over on their own account hand over no tagged ones, and a node without br_netfilter is told
/// about that already.
#[test]
fn without_the_guard_tagged_frames_are_a_matter_of_bridges() {
    let unguarded = |on| {
        let mut seen = Seen { guarded: false, ..node() };
        seen.sysctls.insert(Sysctl::BridgeVlan, on);
        seen
    };
    assert_eq!(names(&unguarded(true)), [""; 0]);
    let mut seen = unguarded(false);
    seen.links.bridges.insert("br1".to_owned(), Bridge { calls_ipv4: true, calls_ipv6: true });
    let [one] = <[Unmet; 1]>::try_from(unmet(&seen)).unwrap();
    assert!(one.opens());
    assert_eq!(
        one.to_string(),
        "net.bridge.bridge-nf-filter-vlan-tagged is 0 and the guard is off: NetworkPolicy is NOT enforced on frames with a \
         VLAN tag between pods on one bridge (br1, cni0); set it to 1"
    );
    seen.links.bridges.clear();
    assert_eq!(names(&seen), [""; 0]);
    let mut seen = unguarded(false);
    seen.sysctls.retain(|sysctl, _| !matches!(sysctl, Sysctl::BridgeIpv4 | Sysctl::BridgeIpv6 | Sysctl::BridgeVlan));
    assert_eq!(names(&seen), ["net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables"]);
}

#[test]
fn without_the_guard_sources_are_a_matter_of_ipv4_routes() {
    let mut seen = Seen { guarded: false, ..node() };
    seen.sysctls.insert(Sysctl::SourceIpv4, false);
    let [one] = <[Unmet; 1]>::try_from(unmet(&seen)).unwrap();
    assert!(!one.opens(), "policies are enforced on what pods say");
    assert_eq!(
        one.to_string(),
        "net.ipv4.conf.*.rp_filter is not 1 on all links of pods and the guard is off: pods can send IPv4 packets with \
         others' addresses; set it to 1 there"
    );
    seen.links.routed.remove(&Family::Ipv4);
    assert_eq!(names(&seen), [""; 0]);
}

/// Of the value of a link and the one for all, the greater one counts; 2 asks for a way back over any link.
#[test]
fn a_node_is_strict_where_each_link_of_pods_is() {
    let proc_sys = tempfile::tempdir().unwrap();
    let write = |link: &str, value: &str| {
        let directory = proc_sys.path().join("net/ipv4/conf").join(link);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("rp_filter"), value).unwrap();
    };
    let links = Links { routes_ipv4: ["pod0", "pod.1", "gone"].map(str::to_owned).into(), ..Links::default() };
    let strict = || check::strict(proc_sys.path(), &links);
    assert_eq!(strict(), None, "a kernel without IPv4");
    write("uplink", "0\n");
    for (all, of_pods, expected) in [
        ("0", ["0", "0"], false),
        ("0", ["1", "0"], false),
        ("0", ["1", "1"], true),
        ("1", ["0", "0"], true),
        ("1", ["1", "2"], false),
        ("2", ["1", "1"], false),
    ] {
        write("all", &format!("{all}\n"));
        write("pod0", &format!("{}\n", of_pods[0]));
        write("pod.1", &format!("{}\n", of_pods[1]));
        assert_eq!(strict(), Some(expected), "{all} {of_pods:?}");
    }
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
