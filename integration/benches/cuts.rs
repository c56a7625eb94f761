//! What it costs to cut connections, where there are 250,000 of them.
//!
//! `cargo bench -p palisade-integration --bench cuts`

mod support;

use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use palisade::cuts::Cuts;
use palisade::enforcer::Enforcer;
use palisade_integration::netns::Namespace;
use palisade_model::Change;
use palisade_nft::{Conntrack, Kernel, KernelConntrack, Name, Ownership, Selection};
use support::{NODE, forbid_all, pod};

/// This many local pods, each with [`PEERS`] connections.
const PODS: u32 = 100;
const PEERS: u32 = 2_500;
const ROUNDS: usize = 5;

fn main() {
    let namespace = Namespace::new().expect("network namespaces can be made");
    namespace.enter(|| {
        let mut enforcer = enforcer();
        apply(&mut enforcer, all_pods());
        begin_connections();
        println!("{} connections; median of {ROUNDS} turns, in ms", count());
        println!("{:<52}{:>8}{:>8}{:>8}{:>9}{:>9}", "", "wall", "of that", "CPU", "judged", "changed");
        println!("{:<52}{:>8}{:>8}", "", "", "cutting");
        let forbid = || vec![forbid_all("all", None)];
        let allow = |name: &str| vec![palisade_model::Change::PolicyGone(palisade_model::NamespacedName::new("bench", name))];
        let one = || vec![forbid_all("one", Some("local-7"))];
        let cases: [(&str, Vec<Change>, Vec<Change>, bool); 3] = [
            ("a policy forbids all", forbid(), allow("all"), true),
            ("a policy forbids one pod's", one(), allow("one"), true),
            ("a remote pod comes that nothing selects", vec![remote(1)], vec![], false),
        ];
        for (what, change, back, symmetrical) in cases {
            let turns: Vec<_> = (0..ROUNDS).map(|_| (turn(&mut enforcer, &change), turn(&mut enforcer, &back))).collect();
            print_row(what, turns.iter().map(|(there, _)| there));
            if symmetrical {
                print_row("  and allows them again", turns.iter().map(|(_, back)| back));
            }
        }
        selective(&mut enforcer);
    })
    .expect("the namespace can be entered");
}
