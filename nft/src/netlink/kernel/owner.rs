//! Whose a netlink port is. A port is no process' id to whoever is in another process namespace, and to nobody for certain.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::{Owner, Process};

/// The owner with this port in this network namespace, and the process that holds the socket, where that can be seen.
pub(super) fn owner(port: u32) -> Owner {
    Owner { port, process: inode(port).and_then(|inode| holder(port, inode)) }
}

/// How often it is looked for a socket that is not listed. The kernel walks its table of sockets anew for each piece that is
/// read, and passes over as many as it has listed before: where the table was rearranged meanwhile it passes over others.
const LOOKS: usize = 10;

/// The number that descriptors tell the netfilter socket with this port by.
fn inode(port: u32) -> Option<u64> {
    let of_port = |sockets: String| {
        sockets.lines().find_map(|line| read(line).filter(|socket| socket.0 == port)).map(|(_, inode)| inode)
    };
    let list = || fs::read_to_string("/proc/thread-self/net/netlink").ok();
    (0..LOOKS).find_map(|_| list().and_then(of_port))
}

/// Port and number of a netfilter socket: `sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode`.
fn read(line: &str) -> Option<(u32, u64)> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let [_, protocol, port, .., inode] = fields[..] else { return None };
    let is_netfilter = protocol.parse() == Ok(libc::NETLINK_NETFILTER);
    is_netfilter.then_some((port.parse().ok()?, inode.parse().ok()?))
}

/// The process that has the socket open, which is mostly the one with the id `likely`.
fn holder(likely: u32, inode: u64) -> Option<Process> {
    let socket = PathBuf::from(format!("socket:[{inode}]"));
    let holds = |id: &u32| descriptors(*id).is_ok_and(|mut open| open.any(|one| one == socket));
    let id = Some(likely).filter(holds).or_else(|| processes().find(holds))?;
    let name = fs::read_to_string(Path::new("/proc").join(id.to_string()).join("comm")).ok()?;
    Some(Process { id, name: name.trim_end().to_owned() })
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn descriptors(process: u32) -> io::Result<impl Iterator<Item = PathBuf>> {
    let entries = fs::read_dir(Path::new("/proc").join(process.to_string()).join("fd"))?;
    Ok(entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::netlink::socket::Channel;
    use crate::netlink::tests::namespace::in_namespace;

    const HEADER: &str = "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode";

    #[test]
    fn sockets_are_read_as_the_kernel_lists_them() {
        let line = |protocol: u32| format!("0000000095b4276a {protocol:<3} 4711       00000000 0 0 0 2 0 90210");
        assert_eq!(read(&line(12)), Some((4711, 90210)));
        assert_eq!(read(&line(0)), None, "rtnetlink has ports of its own");
        for other in [HEADER, "", "12 12", "0 12 x 0 1", "0 12 1 0 x"] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn of_two_sockets_of_one_process_both_are_its_whatever_their_ports_are() {
        in_namespace(|| {
            let sockets = [Channel::open(0).unwrap(), Channel::open(0).unwrap()];
            assert_ne!(sockets[0].port(), sockets[1].port());
            for socket in &sockets {
                let owner = owner(socket.port());
                assert_eq!((owner.port, owner.process.unwrap().id), (socket.port(), std::process::id()));
            }
        });
    }

    #[test]
    fn a_socket_is_found_while_others_come_and_go() {
        in_namespace(|| {
            let socket = Channel::open(0).unwrap();
            let done = AtomicBool::new(false);
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        while !done.load(Ordering::Relaxed) {
                            let others: Vec<_> = (0..20).map(|_| Channel::open(0).unwrap()).collect();
                            drop(others);
                        }
                    });
                }
                let missed = (0..2_000).filter(|_| inode(socket.port()).is_none()).count();
                done.store(true, Ordering::Relaxed);
                assert_eq!(missed, 0);
            });
        });
    }

    #[test]
    fn a_port_is_no_proof_of_a_process() {
        in_namespace(|| {
            for port in [1, std::process::id(), u32::MAX] {
                assert_eq!(owner(port), Owner { port, process: None });
            }
        });
    }
}
