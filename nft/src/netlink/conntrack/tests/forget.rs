//! Forgetting the connections of addresses.

use super::*;

const TCP: Proto = Proto::Ports(6, 1000, 80);
const UDP: Proto = Proto::Ports(17, 1000, 80);
const SCTP: Proto = Proto::Ports(132, 1000, 80);

/// The connection, of which replies go from `source` to `destination`.
fn translated(made: Made, source: &str, destination: &str) -> Made {
    let Tuple(.., proto) = made.reply;
    Made { reply: Tuple(address(source), address(destination), proto), ..made }
}

fn forget(addresses: &[&str]) -> usize {
    let addresses = addresses.iter().map(|text| address(text)).collect();
    KernelConntrack::open().unwrap().forget(&addresses).unwrap()
}

/// Numbers the connections by their marks, and begins them.
fn begin_numbered(connections: &[Made]) {
    let numbered: Vec<Made> = connections.iter().zip(1..).map(|(one, mark)| Made { mark, ..*one }).collect();
    begin(&numbered);
}

/// Those of 10.1.0.6 or fd01::6, and then what only looks alike.
fn of_the_address_and_others() -> (Vec<Made>, Vec<Made>) {
    let mut of_it = Vec::new();
    for proto in [TCP, UDP, SCTP, Proto::Icmp(8), Proto::Other(50)] {
        of_it.push(made("10.1.0.6", "10.0.0.2", proto));
        of_it.push(made("10.0.0.8", "10.1.0.6", proto));
        of_it.push(translated(made("10.0.0.3", "10.96.0.1", proto), "10.1.0.6", "10.0.0.3"));
        of_it.push(translated(made("10.0.0.4", "10.0.0.5", proto), "10.0.0.5", "10.1.0.6"));
    }
    for proto in [TCP, UDP, SCTP, Proto::Icmpv6(128)] {
        of_it.push(made("fd01::6", "fd00::2", proto));
        of_it.push(made("fd00::8", "fd01::6", proto));
        of_it.push(translated(made("fd00::3", "fd96::1", proto), "fd01::6", "fd00::3"));
        of_it.push(translated(made("fd00::4", "fd00::5", proto), "fd00::5", "fd01::6"));
    }
    of_it.push(translated(made("10.1.0.6", "10.96.0.2", UDP), "10.0.0.7", "192.0.2.1"));
    of_it.push(Made { zone: 7, ..made("10.1.0.6", "10.0.0.2", UDP) });
    let others = vec![
        made("10.1.0.60", "10.0.0.2", UDP),
        made("10.1.0.7", "6.0.1.10", UDP),
        made("10.0.0.9", "10.96.0.1", Proto::Ports(17, 1006, 80)),
        made("fd01::60", "fd00::2", UDP),
        made("fd01::a01:6", "::ffff:10.1.0.6", UDP),
        Made { zone: 7, ..made("10.1.0.7", "10.0.0.2", UDP) },
    ];
    (of_it, others)
}

#[test]
fn of_an_address_all_is_forgotten_wherever_it_stands_and_nothing_else() {
    in_namespace(|| {
        let (of_it, others) = of_the_address_and_others();
        begin_numbered(&others);
        begin(&of_it);
        assert_eq!(list(ALL).len(), of_it.len() + others.len());
        assert_eq!(forget(&["10.1.0.6", "fd01::6"]), of_it.len());
        assert_eq!(marks(), (1..=6).collect::<Vec<_>>());
        assert_eq!(forget(&["10.1.0.6", "fd01::6"]), 0);
        assert_eq!(marks().len(), others.len());
    });
}

#[test]
fn one_family_is_left_alone_when_the_other_is_forgotten() {
    for (named, left) in [("10.1.0.6", "fd01::6"), ("fd01::6", "10.1.0.6")] {
        in_namespace(|| {
            let (of_it, others) = of_the_address_and_others();
            begin(&[of_it.clone(), others.clone()].concat());
            let both = of_it.len();
            let forgotten = forget(&[named]);
            assert_eq!(list(ALL).len(), both + others.len() - forgotten);
            assert_eq!(forget(&[left]), both - forgotten);
        });
    }
}

#[test]
fn who_names_nobody_forgets_nothing() {
    in_namespace(|| {
        begin(&[udp(1)]);
        assert_eq!((forget(&[]), forget(&["10.0.0.3", "fd00::1"]), list(ALL).len()), (0, 0, 1));
    });
}

/// They are deleted while they are listed.
#[test]
fn among_many_those_of_one_address_go_and_of_one_address_many() {
    in_namespace(|| {
        let others: Vec<Made> = (0..20_000).map(udp).collect();
        let (of_it, _) = of_the_address_and_others();
        let (first, last) = others.split_at(9_000);
        begin(&[first, &of_it, last].concat());
        let mut before = list(ALL);
        assert_eq!(before.len(), others.len() + of_it.len());
        assert_eq!(forget(&["10.1.0.6", "fd01::6"]), of_it.len());
        let left: std::collections::HashSet<Box<[u8]>> = list(ALL).into_iter().map(|one| one.key).collect();
        before.retain(|one| !left.contains(&one.key));
        assert_eq!((left.len(), before.len()), (others.len(), of_it.len()));
        assert_eq!(forget(&["10.0.0.1"]), others.len());
        assert_eq!(marks(), [0; 0]);
    });
}

/// What `forget` would send if all were to go.
fn deletions() -> Vec<Message> {
    let mut deletions = Vec::new();
    let mut channel = Channel::open(0).unwrap();
    tell(&mut channel, &listing(ALL), |entry| {
        deletions.push(entry.deletion()?);
        Ok(())
    })
    .unwrap();
    deletions
}

#[test]
fn what_has_ended_meanwhile_is_passed_over_and_what_began_instead_stays() {
    in_namespace(|| {
        begin(&(0..3).map(udp).collect::<Vec<_>>());
        let old = deletions();
        (0..2).for_each(|port| end(&udp(port)));
        let again = Made { mark: 1, ..udp(0) };
        begin(&[again]);
        // The kernel makes an id of where an entry is in memory, and by chance this one is where the old one was.
        for port in 1_000..2_000 {
            if !deletions().iter().any(|new| old[..2].contains(new)) {
                break;
            }
            end(&again);
            begin(&[udp(port), again]);
        }
        let others = list(ALL).len() - 2;
        assert_eq!(write(&mut Channel::open(0).unwrap(), &old).unwrap(), 1);
        assert_eq!((list(Mark { mask: 1, value: 1 }).len(), list(ALL).len()), (1, 1 + others));
    });
}

/// What follows from a connection, as a helper of a protocol expects it, goes with it: the kernel sees to that.
#[test]
fn a_deletion_names_tuple_zone_and_id() {
    in_namespace(|| {
        begin(&[Made { zone: 7, ..udp(1) }]);
        let [deletion] = <[Message; 1]>::try_from(deletions()).unwrap();
        let kinds: Vec<u16> = deletion.attributes().map(|one| one.unwrap().kind).collect();
        assert_eq!(kinds, [CTA_TUPLE_ORIG, CTA_ZONE, CTA_ID]);
    });
}

#[test]
fn what_makes_no_sense_is_neither_deleted_nor_passed_over() {
    let without = |left_out: u16| {
        let whole = message(&udp(1), IPCTNL_MSG_CT_NEW);
        let mut attributes = Writer::default();
        for attribute in whole.attributes().map(|one| one.unwrap()).filter(|one| one.kind != left_out) {
            attributes.bytes(attribute.kind, attribute.value);
        }
        attributes.be32(CTA_ID, 1);
        Message::conntrack(IPCTNL_MSG_CT_NEW, 0, NFPROTO_IPV4, attributes).unwrap().to_bytes(1)
    };
    let nobody = BTreeSet::new();
    for (left_out, is_known) in [(0, true), (CTA_TUPLE_ORIG, false), (CTA_TUPLE_REPLY, false)] {
        let bytes = without(left_out);
        let entry = Messages(&bytes).next().unwrap().and_then(Entry::read);
        let concerns = entry.and_then(|entry| entry.unwrap().concerns(&nobody));
        assert_eq!(concerns.is_ok(), is_known, "without attribute {left_out}");
    }
    let whole = message(&udp(1), IPCTNL_MSG_CT_NEW).to_bytes(1);
    let without_id = Messages(&whole).next().unwrap().and_then(Entry::read).unwrap().unwrap();
    assert!(without_id.deletion().is_err());
}

#[test]
fn the_ends_of_connections_are_told_unless_they_are_many() {
    in_namespace(|| {
        let ends = |most| KernelConntrack::open().unwrap().ends(most).unwrap();
        assert_eq!(ends(0), Some(BTreeSet::new()));
        begin(&[
            made("10.1.0.6", "10.0.0.2", UDP),
            translated(made("10.0.0.3", "10.96.0.1", TCP), "10.1.0.7", "10.0.0.3"),
            made("fd01::6", "fd00::2", Proto::Icmpv6(128)),
        ]);
        let all = ["10.1.0.6", "10.0.0.2", "10.0.0.3", "10.96.0.1", "10.1.0.7", "fd01::6", "fd00::2"].map(address);
        assert_eq!(ends(7), Some(BTreeSet::from(all)));
        assert_eq!(ends(6), None);
    });
}
