//! How many times what has a name is used.

use std::collections::BTreeMap;

use palisade_nft::Name;

/// Names that are in use.
#[derive(Debug)]
pub(super) struct Users<N = Name>(BTreeMap<N, usize>);

impl<N> Default for Users<N> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<N: Ord + Clone> Users<N> {
    /// One more use. Whether it is the first.
    pub(super) fn hold(&mut self, name: &N) -> bool {
        if let Some(users) = self.0.get_mut(name) {
            *users += 1;
            return false;
        }
        self.0.insert(name.clone(), 1);
        true
    }

    /// One use less of a name that was held. Whether it was the last.
    pub(super) fn release(&mut self, name: &N) -> bool {
        let users = self.0.get_mut(name).expect("what is released was held when its table was rendered");
        *users -= 1;
        let was_last = *users == 0;
        if was_last {
            self.0.remove(name);
        }
        was_last
    }

    /// Whether there is any.
    pub(super) fn has(&self, name: &N) -> bool {
        self.0.contains_key(name)
    }
}
