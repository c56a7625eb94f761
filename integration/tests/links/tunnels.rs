//! What a node decapsulates.

use palisade::links::Tunnels;

use crate::world::{World, names};

#[test]
fn devices_that_are_up() {
    let world = World::new();
    world.ip("link add flannel.1 type vxlan id 1 local 127.0.0.1 dstport 8472");
    world.becomes(|links| links.tunnels == Tunnels::default());
    world.ip("link set flannel.1 up\nlink add other type vxlan id 2 local 127.0.0.1 dstport 4789\nlink set other up");
    let links = world.becomes(|links| links.tunnels.links.len() == 2);
    assert_eq!(names(&links.tunnels.links), ["flannel.1", "other"]);
    assert_eq!(Vec::from_iter(links.tunnels.udp_ports), [4789, 8472]);
    world.ip("link del flannel.1\nlink set other down");
    world.becomes(|links| links.tunnels == Tunnels::default());
}
