//! Tables of other versions of the agent, older and newer, are replaced while packets flow.

use std::process::Command;

use crate::scene::{GUARD, Scene, rounds};

/// Replaces the table as rendered, changed by `other`, over and over. Gives the number of transactions of the last time.
#[track_caller]
fn is_replaced(other: impl Fn(&str) -> String) -> u32 {
    let scene = Scene::enforcing();
    let held = scene.blocks();
    let rendered = scene.prints(&mut scene.palisade("render"));
    let other = other(&rendered);
    assert_ne!(other, rendered);
    let mut transactions = 0;
    scene.holds_while(|traffic| {
        for round in 0..rounds(6) {
            put(&scene, &other);
            assert_ne!(scene.blocks(), held);
            let before = scene.generation();
            traffic.pass(1);
            scene.once();
            transactions = scene.generation() - before;
            traffic.pass(1);
            assert_eq!(traffic.leaked().unwrap(), 0, "in round {round}");
            assert_eq!(scene.blocks(), held, "in round {round}");
        }
    });
    transactions
}

/// Puts another version's table in force in place of what is there, without a packet that goes wrong: first no rule of
/// the old table is left, then what they used goes.
fn put(scene: &Scene, table: &str) {
    scene.nft(GUARD);
    for chain in ["forward-egress", "forward-ingress"] {
        scene.nft(&format!("flush chain inet palisade {chain}"));
    }
    scene.nft("delete table inet palisade");
    scene.nft(table);
    scene.nft("delete table inet guard");
}

/// The name of the chain that says which layout a table has.
fn layout(table: &str) -> &str {
    table.split_whitespace().find(|word| word.starts_with("layout-")).expect("a table has a layout")
}

/// As versions may differ in the names of what packets meet.
fn renamed(table: &str) -> String {
    let names = [(layout(table), "layout-1"), ("gress-pods-", "gress-dispatch-"), ("pod-", "p-"), ("peers-", "from-")];
    names.into_iter().fold(table.to_owned(), |table, (from, to)| table.replace(from, to))
}

/// The numbers by which the kernel knows the base chains: what is made anew gets another one.
fn base_chains(scene: &Scene) -> Vec<String> {
    let listing =
        scene.prints(Command::new("nft").args(["--stateless", "--handle", "list", "table", "inet", "palisade"]));
    listing.lines().filter(|line| line.contains("chain forward-")).map(str::to_owned).collect()
}

#[test]
fn other_names_within_the_same_base_chains() {
    assert_eq!(is_replaced(renamed), 2);
}

/// Both old and new base chains judge for a moment: one before the other would let packets in flight slip between.
#[test]
fn other_base_chains() {
    assert_eq!(is_replaced(|table| renamed(table).replace("forward-", "hook-")), 3);
}

#[test]
fn other_base_chains_that_come_later() {
    let later = |table: &str| {
        let priorities = [("priority -20", "priority -5"), ("priority -10", "priority -2")];
        priorities.into_iter().fold(renamed(table).replace("forward-", "hook-"), |table, (from, to)| {
            assert!(table.contains(from), "{table}");
            table.replace(from, to)
        })
    };
    assert_eq!(is_replaced(later), 3);
}

/// Of a newer version, which writes what this one cannot read.
#[test]
fn rules_that_are_not_understood() {
    let newer = |table: &str| {
        let table = table.replace("jump known", "meta cpu != 65535 jump known");
        renamed(&table).replace("layout-1", "layout-9")
    };
    assert_eq!(is_replaced(newer), 2);
}

/// The same, of things that only go with the table.
#[test]
fn objects_that_are_not_understood() {
    let newer = |table: &str| {
        let objects = "add counter inet palisade seen\nadd set inet palisade cut { type ipv4_addr; timeout 1m; }\n\
                       add rule inet palisade layout-9 ip saddr @cut counter name seen drop\n";
        table.replace(layout(table), "layout-9") + objects
    };
    assert_eq!(is_replaced(newer), 1);
}

#[test]
fn base_chains_that_are_the_same_stay() {
    let scene = Scene::enforcing();
    let rendered = scene.prints(&mut scene.palisade("render"));
    put(&scene, &renamed(&rendered));
    let before = base_chains(&scene);
    assert_eq!(before.len(), 2, "{before:?}");
    scene.holds_while(|_| drop(scene.settled_agent()));
    assert_eq!(base_chains(&scene), before);
}
