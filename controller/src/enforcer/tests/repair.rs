//! A table that others deleted.

use palisade_nft::{Outcome, Packet, PacketState, Table, Transport};

use super::*;

/// A backend that remembers what it held after each transaction.
struct Watched {
    fake: Fake,
    held: Vec<Ruleset>,
}

impl Backend for Watched {
    fn read(&mut self) -> Result<Option<Ruleset>, BackendError> {
        self.fake.read()
    }

    fn commit(&mut self, table: &Table, transaction: &Transaction) -> Result<(), CommitError> {
        self.fake.commit(table, transaction)?;
        self.held.extend(self.fake.ruleset().cloned());
        Ok(())
    }

    fn generation(&mut self) -> Result<u32, BackendError> {
        self.fake.generation()
    }
}

/// Whether it lets a TCP connection begin to a pod of the node.
fn lets(ruleset: &Ruleset, from: [u8; 4], to: u8) -> bool {
    let packet =
        Packet::new(from.into(), address(to), Transport::Ports { protocol: 6, destination: 80 }, PacketState::New);
    palisade_nft::walk(ruleset, &packet).unwrap().verdict == Outcome::Accept
}

/// What a change leads to after the table was deleted.
fn deleted(enforcer: &mut Enforcer<Watched>) -> Vec<Ruleset> {
    enforcer.backend().fake.tamper(|held| *held = None);
    enforcer.backend().held.clear();
    enforcer.distrust();
    enforcer.commit().unwrap();
    std::mem::take(&mut enforcer.backend().held)
}

/// Kernels before 6.9 let anybody delete it.
#[test]
fn a_large_table_that_is_gone_is_closed_before_it_is_written_again() {
    let mut enforcer = enforcer_of(Watched { fake: Fake::new(table()), held: vec![] });
    let clients = (0..5_000_u32).map(|number| {
        let Change::Pod(client) = pod(&format!("client-{number}"), 1, 1) else { unreachable!("it makes pods") };
        let labels = Labels::from_iter([("app", "web")]);
        let address = IpAddr::from((0x0a09_0000 + number).to_be_bytes());
        Change::Pod(Pod { labels, node: Some("elsewhere".into()), ips: vec![address], ..client })
    });
    let all = clients.chain([pod_of("shop", 1), pod_of("open", 9), policy("shop", "p", &["web"])]);
    change(&mut enforcer, all);
    let (allowed, forbidden) = ([10, 9, 0, 7], [10, 8, 0, 7]);
    assert!(lets(enforcer.desired(), allowed, 1) && !lets(enforcer.desired(), forbidden, 1));
    let held = deleted(&mut enforcer);
    assert!(held.iter().all(|ruleset| !lets(ruleset, forbidden, 1)), "it is closed before it is complete");
    assert!(held.iter().all(|ruleset| lets(ruleset, forbidden, 9)), "nobody else is");
    assert!(!lets(&held[0], allowed, 1) && held[0].sets.len() < enforcer.desired().sets.len(), "that takes long");
    assert_eq!(held.last().unwrap(), enforcer.desired());

    let mut small = enforcer_of(Watched { fake: Fake::new(table()), held: vec![] });
    change(&mut small, [pod_of("shop", 1), policy("shop", "p", &["web"])]);
    let written = small.desired().clone();
    assert_eq!(deleted(&mut small), [written], "what is small is written at once");
}
