//! The addresses of this node's pods, known on two threads.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use palisade_model::Index;

/// The addresses of this node's pods, as the agent knows them.
#[derive(Clone, Debug, Default)]
pub struct Locals(Arc<Mutex<Arc<HashSet<IpAddr>>>>);

impl Locals {
    /// Those that are known now.
    pub(super) fn get(&self) -> Arc<HashSet<IpAddr>> {
        self.held().clone()
    }

    /// Those that `index` knows. Where nothing is new it costs a look at each.
    pub(in super::super) fn keep_up(&self, index: &Index) {
        let known = self.get();
        let mut count = 0;
        let are_known = index.local_addresses().inspect(|_| count += 1).all(|address| known.contains(&address));
        if !are_known || count != known.len() {
            *self.held() = Arc::new(index.local_addresses().collect());
        }
    }

    fn held(&self) -> MutexGuard<'_, Arc<HashSet<IpAddr>>> {
        self.0.lock().expect("nobody panics while holding it")
    }
}

#[cfg(test)]
mod tests {
    use palisade_model::testing::{NODE, bare_pod};
    use palisade_model::{Change, NamespacedName, Pod};

    use super::*;

    #[test]
    fn pods_that_come_and_go_are_known_and_others_are_not() {
        let (mut index, locals) = (Index::new(NODE), Locals::default());
        let id = |name| NamespacedName::new("shop", name);
        let known = |index: &mut Index| {
            index.take_delta();
            locals.keep_up(index);
            let mut known: Vec<String> = locals.get().iter().map(ToString::to_string).collect();
            known.sort();
            known
        };
        for (name, node, address) in [("a", NODE, "10.0.0.1"), ("b", NODE, "fd00::2"), ("c", "elsewhere", "10.0.1.1")] {
            let pod = bare_pod(id(name), [address.parse().unwrap()]);
            index.apply(Change::Pod(Pod { node: Some(node.into()), ..pod }));
        }
        assert_eq!(known(&mut index), ["10.0.0.1", "fd00::2"]);
        index.apply(Change::PodGone(id("a")));
        let moved = bare_pod(id("b"), ["10.0.0.9".parse().unwrap()]);
        index.apply(Change::Pod(Pod { node: Some(NODE.into()), ..moved }));
        assert_eq!(known(&mut index), ["10.0.0.9"]);
    }
}
