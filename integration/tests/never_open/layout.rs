//! The tables of other versions, older and newer, are replaced while packets flow.

use crate::scene::{Scene, rounds};

/// Enforces without sets or maps, so that it comes and goes without a packet that is judged by half of it.
const GUARD: &str = "table inet guard { chain forward { type filter hook forward priority -50; \
                     ip saddr 10.1.0.3 drop; ip6 saddr fd01::3 drop; }; }";

/// Puts the table of another version in force in place of what is there, without a packet that goes wrong.
fn put(scene: &Scene, table: &str) {
    scene.nft(GUARD);
    for line in scene.listing().lines().filter_map(|l| l.trim().strip_prefix("chain ")) {
        let name = line.trim_end_matches(" {");
        if name.starts_with("pod") || name.starts_with("pol") || name.starts_with("peer") || name.starts_with("p-") { continue; }
        scene.nft(&format!("flush chain inet palisade {name}"));
    }
    scene.nft("delete table inet palisade");
    scene.nft(table);
    scene.nft("delete table inet guard");
}

#[test]
fn experiment() {
    let scene = Scene::enforcing();
    let rendered = scene.prints(&mut scene.palisade("render"));
    let kind = std::env::var("KIND").unwrap();
    let other = match &*kind {
        "comment" => rendered.replace("layout 1", "layout 0"),
        "names" => rendered.replace("forward-", "hook-").replace("gress-pods-", "gress-dispatch-").replace("pod-", "p-").replace("peers-", "p-q-"),
        "prio" => rendered.replace("forward-", "hook-").replace("gress-pods-", "gress-dispatch-").replace("priority -20", "priority -5").replace("priority -10", "priority -2").replace("priority filter - 10", "priority -2").replace("priority filter - 20", "priority -5"),
        _ => panic!(),
    };
    println!("{other}");
    let (mut leaks, mut before) = (0, 0);
    let tally = scene.tally(|traffic| {
        for _ in 0..rounds(5) {
            put(&scene, &other);
            let l0 = traffic.leaked().unwrap();
            assert_eq!(l0, before, "the set-up leaks");
            scene.once();
            traffic.pass(2);
            let l1 = traffic.leaked().unwrap();
            before = l1;
            leaks += u32::from(l1 > l0);
        }
    });
    println!("{kind}: {leaks} rounds leaked; {tally}");
}
