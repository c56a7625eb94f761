//! Established connections under policies that change: what is forbidden stops, whoever sends next, and nothing else does.

#![allow(clippy::unwrap_used, reason = "a failing set-up fails the test")]

mod conversation;
mod previewed;
mod program;
mod sctp;
mod streams;
mod world;

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use conversation::{Conversation, Kind, Side, at};
use palisade_integration::netns::{Host, Place};
use palisade_model::Protocol;
use world::{World, egress, everything, free, ingress, labelled_pod, pod, pod_gone, pods, pods_of_team, port, team};

/// What has not been heard for so long will not be.
const SILENCE: Duration = Duration::from_millis(300);

const KINDS: [Kind; 3] = [Kind::Tcp, Kind::Udp, Kind::Sctp];
const PORT: u16 = 7000;

/// Begins a conversation of each kind in each family, for each side that is to speak first once policy changed; from
/// client port `first` on.
fn all_kinds(client: &Host, server: &Host, first: u16) -> Vec<(Side, Conversation)> {
    let choices = KINDS.into_iter().flat_map(|kind| [(kind, false), (kind, true)]);
    let choices = choices.flat_map(|(kind, v6)| Side::BOTH.map(|side| (kind, v6, side)));
    let begin = |((kind, v6, side), number)| {
        let (from, to) = (at(client, v6, first + number), at(server, v6, PORT + first % 1000 + number));
        (side, Conversation::begin(kind, (client, from), (server, to), to))
    };
    choices.zip(0..).map(begin).collect()
}

/// Neither side is heard, whoever speaks first.
fn are_silent(conversations: &mut [(Side, Conversation)]) {
    let heard = |conversations: &mut [(Side, Conversation)]| -> Vec<[usize; 2]> {
        conversations.iter_mut().map(|(_, one)| Side::BOTH.map(|side| one.heard(side))).collect()
    };
    let before = heard(conversations);
    for turn in 0..3 {
        for (first, conversation) in conversations.iter_mut() {
            conversation.say(if turn % 2 == 0 { *first } else { first.other() });
        }
        sleep(SILENCE);
        let after = heard(conversations);
        for (((first, conversation), before), after) in conversations.iter().zip(&before).zip(after) {
            assert_eq!(*before, after, "{conversation}, the {first:?} first, turn {turn}");
        }
    }
}

fn go_on(conversations: &mut [(Side, Conversation)]) {
    conversations.iter_mut().for_each(|(_, conversation)| conversation.goes_on());
}

#[test]
fn what_is_forbidden_stops_whoever_speaks_next_and_lives_again_when_allowed() {
    for (loose, be_liberal) in [("0", "0"), ("0", "1"), ("1", "0"), ("1", "1")] {
        let mut world = World::open();
        let tcp = |name| format!("net.netfilter.nf_conntrack_tcp_{name}");
        world.sysctl(&[(&tcp("loose"), loose), (&tcp("be_liberal"), be_liberal)]);
        let mut near = all_kinds(&world.client, &world.server, 20_000);
        let mut far = all_kinds(&world.far, &world.server, 20_100);
        let mut away = all_kinds(&world.server, &world.far, 20_200);

        assert!(world.judged() >= near.len() + far.len() + away.len(), "they pass because they were judged");

        world.commit([ingress("server", vec![pods(&["far"])])]);
        assert_eq!(world.dropped(), 0);
        are_silent(&mut near);
        assert!(world.dropped() >= 3 * near.len() as u64, "dropped packets are counted");
        go_on(&mut far);
        go_on(&mut away);
        world.settle();
        are_silent(&mut near);
        go_on(&mut far);
        go_on(&mut away);
        assert_eq!(world.judged(), far.len() + away.len(), "each once more");

        world.commit([ingress("server", vec![])]);
        are_silent(&mut near);
        are_silent(&mut far);
        go_on(&mut away);

        world.commit([free("ingress", "server")]);
        go_on(&mut near);
        go_on(&mut far);
        go_on(&mut away);
    }
}

#[test]
fn what_a_pod_may_no_longer_open_stops_and_what_is_opened_to_it_goes_on() {
    let mut world = World::open();
    let mut opened = all_kinds(&world.client, &world.far, 20_000);
    let mut answered = all_kinds(&world.far, &world.client, 20_100);
    world.change([egress("client", vec![pods(&["server"])])]);
    are_silent(&mut opened);
    go_on(&mut answered);
    world.change([egress("client", vec![pods(&["server", "far"])])]);
    go_on(&mut opened);
}

#[test]
fn what_began_before_the_agent_is_judged() {
    let mut world = World::new();
    // Something on the node makes the kernel keep track of connections.
    world.nft("table inet others {\nchain c {\ntype filter hook forward priority 10\nct state new accept\n}\n}\n");
    let mut near = all_kinds(&world.client, &world.server, 20_000);
    let mut far = all_kinds(&world.far, &world.server, 20_100);
    world.start_with([ingress("server", vec![pods(&["far"])])]);
    are_silent(&mut near);
    go_on(&mut far);
    // A new agent finds what has changed since.
    world.start_with([ingress("server", vec![pods(&["client"])])]);
    are_silent(&mut far);
    go_on(&mut near);
}

#[test]
fn a_peer_that_goes_is_cut_off_and_comes_back() {
    let mut world = World::open();
    world.change([ingress("server", vec![pods(&["client", "far"])])]);
    let mut near = all_kinds(&world.client, &world.server, 20_000);
    let mut far = all_kinds(&world.far, &world.server, 20_100);
    world.change([pod_gone("far")]);
    are_silent(&mut far);
    go_on(&mut near);
    world.change([pod("far", "node-1", 3)]);
    go_on(&mut far);
    world.change([labelled_pod("far", "stranger", "node-1", 3)]);
    are_silent(&mut far);
    go_on(&mut near);
    world.change([pod("far", "node-1", 3)]);
    go_on(&mut far);
}

#[test]
fn a_namespace_that_is_relabelled_is_cut_off() {
    let mut world = World::open();
    world.change([team("sales"), ingress("server", vec![pods_of_team("far", "sales"), pods(&["client"])])]);
    let mut near = all_kinds(&world.client, &world.server, 20_000);
    let mut far = all_kinds(&world.far, &world.server, 20_100);
    world.change([team("support")]);
    are_silent(&mut far);
    go_on(&mut near);
    world.change([team("sales")]);
    go_on(&mut far);
}

/// What a node says to its own pods is not forwarded, so that no rule meets it.
#[test]
fn the_nodes_own_connections_are_left_alone() {
    let mut world = World::open();
    let node = Place::OnNode(0);
    let host = world.attach(node);
    let mut own = all_kinds(&host, &world.server, 20_000);
    let mut near = all_kinds(&world.client, &world.server, 20_100);
    world.change([ingress("server", vec![])]);
    are_silent(&mut near);
    go_on(&mut own);
    assert_eq!(world.judged(), 0);
}

#[test]
fn others_bits_of_marks_are_left_alone() {
    const OTHERS: u32 = 0x0040_0001;
    let mut world = World::open();
    world.nft("table inet others {\nchain c {\ntype filter hook prerouting priority -150\nct state new ct mark set 0x400001\n}\n}\n");
    let mut conversations = all_kinds(&world.client, &world.server, 20_000);
    let marks = |world: &World| -> Vec<u32> { world.connections().iter().map(|connection| connection.mark).collect() };
    let count = marks(&world).len();
    assert_eq!(marks(&world), vec![OTHERS | world.epoch().unwrap().mark().value; count]);
    world.change([ingress("server", vec![pods(&["client"])])]);
    go_on(&mut conversations);
    assert_eq!(marks(&world), vec![OTHERS | world.epoch().unwrap().mark().value; count]);
}

/// Whoever writes marks as a whole has connections judged again.
#[test]
fn who_overwrites_marks_opens_nothing() {
    let mut world = World::open();
    world.nft("table inet others {\nchain c {\ntype filter hook prerouting priority -150\nct mark set 0\n}\n}\n");
    let mut near = all_kinds(&world.client, &world.server, 20_000);
    let mut far = all_kinds(&world.far, &world.server, 20_100);
    world.change([ingress("server", vec![pods(&["far"])])]);
    are_silent(&mut near);
    go_on(&mut far);
}

/// It is not known who began what, so nothing passes in a direction in which a pod is isolated, not even what is allowed,
/// unless everything is.
#[test]
fn what_belongs_to_no_connection_does_not_pass_an_isolated_pod() {
    let mut world = World::open();
    let exempt = "udp dport 7000 notrack; udp sport 7000 notrack";
    world.nft(&format!("table inet others {{ chain c {{ type filter hook prerouting priority raw; {exempt}; }}; }}"));
    let begin = |v6| {
        let (client, server) = (&world.client, &world.server);
        let (from, to) = (at(client, v6, 20_000), at(server, v6, PORT));
        Conversation::begin(Kind::Udp, (client, from), (server, to), to)
    };
    let mut conversations = [begin(false), begin(true)];
    world.change([ingress("server", vec![pods(&["client"])])]);
    let before = conversations.each_mut().map(|one| Side::BOTH.map(|side| one.heard(side)));
    for one in &mut conversations {
        Side::BOTH.into_iter().for_each(|side| one.say(side));
    }
    sleep(SILENCE);
    let heard = |one: &mut Conversation, side, before: usize| one.heard(side) - before;
    for (one, [by_client, by_server]) in conversations.iter_mut().zip(before) {
        assert!(heard(one, Side::Client, by_client) > 0, "{one}: the client is not isolated");
        assert_eq!(heard(one, Side::Server, by_server), 0, "{one}");
    }
    assert!(world.dropped() > 0);
    for opening in [ingress("server", vec![everything()]), free("ingress", "server")] {
        world.change([opening]);
        conversations.iter_mut().for_each(Conversation::goes_on);
    }
}

/// A Service: its address is translated to the server's, and the client's to the node's.
const SERVICE: &str = "
table inet others {
    chain services {
        type nat hook prerouting priority dstnat;
        meta l4proto { tcp, udp } ip daddr 10.96.0.1 th dport 80 dnat ip to 10.1.0.2:8080
        meta l4proto { tcp, udp } ip6 daddr fd96::1 th dport 80 dnat ip6 to [fd01::2]:8080
    }
    chain clients {
        type nat hook postrouting priority srcnat;
        ct status dnat masquerade
    }
}";

fn through_the_service(client: &Host, server: &Host, kind: Kind, v6: bool, number: u16) -> Conversation {
    let service: SocketAddr = if v6 { "[fd96::1]:80" } else { "10.96.0.1:80" }.parse().unwrap();
    Conversation::begin(kind, (client, at(client, v6, 20_000 + number)), (server, at(server, v6, 8080)), service)
}

#[test]
fn connections_through_a_service_are_judged_by_what_policy_sees() {
    let mut world = World::open();
    world.nft(SERVICE);
    let mut conversations = Vec::new();
    for (kind, v6, side) in [(Kind::Tcp, false, Side::Server), (Kind::Udp, true, Side::Server)] {
        conversations.push((side, through_the_service(&world.client, &world.server, kind, v6, 0)));
    }
    for (kind, v6, side) in [(Kind::Tcp, true, Side::Client), (Kind::Udp, false, Side::Client)] {
        conversations.push((side, through_the_service(&world.client, &world.server, kind, v6, 1)));
    }
    let ports = |number| vec![port(Protocol::Tcp, number), port(Protocol::Udp, number)];
    world.change([ingress("server", ports(8080))]);
    go_on(&mut conversations);
    world.change([ingress("server", ports(80))]);
    are_silent(&mut conversations);
    world.change([ingress("server", vec![pods(&["client"])])]);
    go_on(&mut conversations);
    world.change([ingress("server", vec![pods(&["far"])])]);
    are_silent(&mut conversations);
}

#[test]
fn a_pod_reaches_itself_through_a_service() {
    let mut world = World::open();
    world.nft(SERVICE);
    let choices = [(Kind::Tcp, false, Side::Server), (Kind::Udp, true, Side::Client)];
    let to_itself = |(kind, v6, side)| (side, through_the_service(&world.server, &world.server, kind, v6, 0));
    let mut conversations: Vec<_> = choices.into_iter().map(to_itself).collect();
    world.change([ingress("server", vec![]), egress("server", vec![])]);
    go_on(&mut conversations);
}

#[test]
fn nothing_slips_through_between_two_epochs() {
    let mut world = World::open();
    let beginning = streams::Beginning::start(&world.client, &world.server);
    for _ in 0..15 {
        beginning.wait_for(1_000);
        world.commit([ingress("server", vec![])]);
        world.wait_for_packets();
        let strays = world.strays();
        assert!(strays > 0);
        sleep(Duration::from_millis(20));
        world.settle();
        sleep(Duration::from_millis(20));
        assert_eq!(world.strays(), strays);
        assert_eq!(world.judged(), 0, "of {}", world.connections().len());
        world.commit([free("ingress", "server")]);
    }
}

#[test]
fn a_long_stream_stops_amid_and_those_that_are_allowed_lose_nothing() {
    let mut world = World::open();
    let doomed = streams::Bulk::start(&world.client, &world.server, 5001);
    let spared = streams::Bulk::start(&world.client, &world.server, 5002);
    let exchange = streams::Exchange::start(&world.far, &world.server, 5003);
    for _ in 0..5 {
        doomed.wait_for_more();
        spared.wait_for_more();
        exchange.wait_for_more();
        world.commit([ingress("server", vec![port(Protocol::Tcp, 5002), port(Protocol::Udp, 5003)])]);
        sleep(SILENCE);
        let received = doomed.received();
        spared.wait_for_more();
        exchange.wait_for_more();
        world.settle();
        sleep(SILENCE);
        assert_eq!(doomed.received(), received);
        world.change([free("ingress", "server")]);
    }
    doomed.wait_for_more();
    assert_eq!(exchange.stop(), Vec::<u64>::new(), "lost or out of order");
}
