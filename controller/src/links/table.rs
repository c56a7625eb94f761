//! What the kernel has, kept up to date by what it tells.

use std::net::IpAddr;

use netlink_packet_core::NLM_F_REPLACE;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::LinkMessage;
use netlink_packet_route::route::RouteMessage;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::channel::Channel;
use super::link::{Far, Kind, Link};
use super::route::{Lead, Route};
use super::routes::{Links, Routes};
use super::{LinksError, request};

/// The links and routes that matter.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) links: Links,
    pub(super) routes: Routes,
}

/// What a message changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing that matters.
    Nothing,
    /// What there is.
    Table,
    /// Perhaps something about this link, or about its other end.
    Link(u32),
    /// A link is gone: to another namespace, perhaps.
    Gone,
}

impl Table {
    /// Lists everything.
    pub(super) fn read(asking: &mut Channel) -> Result<Self, LinksError> {
        let take = |table: &mut Self, message| {
            table.apply(message, 0);
        };
        let mut table: Self = asking.list(&RouteNetlinkMessage::GetLink(request::link(0)), take)?;
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut request = RouteMessage::default();
            request.header.address_family = family;
            let links = &table.links;
            let take = |routes: &mut Vec<Route>, message| {
                if let RouteNetlinkMessage::NewRoute(route) = message {
                    let matters = |lead: &Lead| links.get(&lead.link).is_some_and(Link::may_be_of_pods);
                    routes.extend(Route::new(route).filter(|route| route.leads.iter().any(matters)));
                }
            };
            let routes: Vec<Route> = asking.list(&RouteNetlinkMessage::GetRoute(request), take)?;
            for route in &routes {
                table.routes.add(route, false, &table.links);
            }
        }
        table.routes.prune(&table.links);
        Ok(table)
    }

    /// Takes what the kernel tells.
    pub(super) fn apply(&mut self, message: RouteNetlinkMessage, flags: u16) -> Change {
        let table = |changed| if changed { Change::Table } else { Change::Nothing };
        match message {
            // A bridge tells of its ports with messages of its own.
            RouteNetlinkMessage::NewLink(link) if link.header.interface_family == AddressFamily::Unspec => {
                self.set_link(link)
            }
            RouteNetlinkMessage::DelLink(link) if link.header.interface_family == AddressFamily::Unspec => {
                self.routes.delete_link(link.header.index);
                self.links.remove(&link.header.index).map_or(Change::Nothing, |_| Change::Gone)
            }
            RouteNetlinkMessage::NewRoute(route) => table(
                Route::new(route).is_some_and(|route| self.routes.add(&route, flags & NLM_F_REPLACE != 0, &self.links)),
            ),
            RouteNetlinkMessage::DelRoute(route) => {
                table(Route::new(route).is_some_and(|route| self.routes.delete(&route, &self.links)))
            }
            RouteNetlinkMessage::DelAddress(message) => {
                address(&message).into_iter().for_each(|address| self.routes.delete_source(address));
                Change::Nothing
            }
            _ => Change::Nothing,
        }
    }

    fn set_link(&mut self, message: LinkMessage) -> Change {
        let index = message.header.index;
        let Some(link) = Link::new(message) else { return Change::Nothing };
        let known = self.links.get(&index);
        if known.is_none_or(|known| known.name != link.name) && !link.is_printable() {
            tracing::warn!(link = ?link.name, "left out: its name cannot stand in a ruleset");
        }
        let goes_down = !link.up && known.is_some_and(|known| known.up);
        self.links.insert(index, link);
        if goes_down {
            self.routes.link_down(index, &self.links);
        }
        Change::Link(index)
    }

    /// Looks at the veth pairs that have both ends here: where one went to another namespace, the other is not told of.
    pub(super) fn look_at_pairs(&mut self, asking: &mut Channel) {
        let is_whole = |link: &Link| link.kind == Kind::Veth(None);
        let pairs: Vec<u32> = self.links.iter().filter(|(_, link)| is_whole(link)).map(|(index, _)| *index).collect();
        for index in pairs {
            match asking.get(&RouteNetlinkMessage::GetLink(request::link(index))) {
                Ok(Some(link)) => {
                    self.apply(link, 0);
                }
                Ok(None) => {}
                // It is gone itself, and that is told.
                Err(error) => tracing::debug!(index, %error, "a link cannot be asked"),
            }
        }
    }

    /// The ports of bridges that pods are on, by index, and where their other ends are.
    pub(super) fn ports(&self) -> impl Iterator<Item = (u32, Far)> {
        let is_port = |link: &Link| link.master.is_some_and(|master| self.is_pod_bridge(master));
        self.links.iter().filter(move |(_, link)| is_port(link)).filter_map(|(index, link)| Some((*index, link.far()?)))
    }

    /// Whether pods may be on this link.
    pub(super) fn is_pod_bridge(&self, index: u32) -> bool {
        self.links.get(&index).is_some_and(|link| link.kind == Kind::Bridge) && !self.routes.is_uplink(index)
    }
}

/// The link's own address that a message tells of: where it has a peer, the other one is the peer's.
pub(super) fn address(message: &AddressMessage) -> Option<IpAddr> {
    let local = |attribute: &AddressAttribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    };
    let any = |attribute: &AddressAttribute| match attribute {
        AddressAttribute::Address(address) => Some(*address),
        _ => None,
    };
    message.attributes.iter().find_map(local).or_else(|| message.attributes.iter().find_map(any))
}
