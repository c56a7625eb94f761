use std::collections::BTreeMap;

use crate::{Name, Ruleset};

/// The kernel's `NFT_JUMP_STACK_SIZE` less one: how many chains deep, jumps and gotos alike, a base chain may lead.
pub(crate) const MAX: usize = 15;

/// Whether some base chain leads deeper than the kernel allows, as it does wherever chains go in circles. What no base
/// chain leads to does not matter.
pub(crate) fn is_exceeded(ruleset: &Ruleset) -> bool {
    let mut depths = Depths { ruleset, below: BTreeMap::new() };
    let base_chains = ruleset.chains.iter().filter(|(_, chain)| chain.base.is_some());
    base_chains.map(|(name, _)| name).any(|name| depths.below(name, 0).is_none())
}

struct Depths<'a> {
    ruleset: &'a Ruleset,
    below: BTreeMap<&'a Name, usize>,
}

impl<'a> Depths<'a> {
    /// How many chains deep `chain`, itself `level` deep, leads; `None` where that is too deep.
    fn below(&mut self, chain: &'a Name, level: usize) -> Option<usize> {
        if level > MAX {
            return None;
        }
        if let Some(&below) = self.below.get(chain) {
            return (level + below <= MAX).then_some(below);
        }
        let mut deepest = 0;
        for target in self.ruleset.targets(chain) {
            deepest = deepest.max(1 + self.below(target, level + 1)?);
        }
        self.below.insert(chain, deepest);
        Some(deepest)
    }
}
