//! What the guard dropped, and who sent it: counted by the kernel, looked at now and then.

use std::collections::BTreeMap;

use palisade_nft::{BackendError, Kernel, Name};

use crate::render::{self, Forger};

/// Packets that the guard has dropped since its chains were made, by who sent them. Whoever sent none is not among them.
pub type Forged = BTreeMap<Forger, u64>;

/// Reads the counters of the tables that the `kernels` read.
///
/// # Errors
/// [`BackendError`] where they could not be listed.
pub fn read(kernels: &mut [Kernel]) -> Result<Forged, BackendError> {
    let mut forged = Forged::new();
    for kernel in kernels {
        let counters = kernel.counters()?;
        for (name, comment) in kernel.chains()? {
            let packets = counters.get(&name).map_or(0, |counter| counter.packets);
            if let Some(forger) = render::forger(&name, comment.as_ref()).filter(|_| packets > 0) {
                *forged.entry(forger).or_default() += packets;
            }
        }
    }
    Ok(forged)
}

/// What came since the last look, of whom it is more.
#[derive(Debug, Default)]
pub struct Watch {
    last: Forged,
}

impl Watch {
    /// Takes in what there is now; gives what came. A chain that was made anew begins at 0.
    pub fn news(&mut self, now: Forged) -> Forged {
        let since = |forger: &Forger, packets: u64| match self.last.get(forger) {
            Some(before) if *before <= packets => packets - before,
            _ => packets,
        };
        let came = now.iter().map(|(forger, packets)| (forger.clone(), since(forger, *packets)));
        let came = came.filter(|(_, packets)| *packets > 0).collect();
        self.last = now;
        came
    }
}

/// Opens both tables to be read.
///
/// # Errors
/// As [`Kernel::open`].
pub fn kernels(table: Name) -> Result<[Kernel; 2], palisade_nft::OpenError> {
    use palisade_nft::Ownership::Plain;
    Ok([Kernel::open(table, Plain)?, Kernel::open(render::table_of_frames(), Plain)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_came_since_is_news_and_chains_may_begin_anew() {
        let forged = |packets| Forged::from([(Forger::Elsewhere, packets)]);
        let mut watch = Watch::default();
        let news = [3, 3, 5, 1].map(|packets| watch.news(forged(packets)).get(&Forger::Elsewhere).copied());
        assert_eq!(news, [Some(3), None, Some(2), Some(1)]);
        assert_eq!(watch.news(Forged::new()), Forged::new());
    }
}
