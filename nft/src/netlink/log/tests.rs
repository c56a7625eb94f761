//! Against the real kernel, and against garbage.

mod garbage;
mod kernel;
pub(in crate::netlink) mod packets;
