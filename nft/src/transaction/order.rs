use super::{Operation, Transaction};
use crate::{Chain, ChainChange, CounterChange, Diff, Elements, Name, Rule, Set, SetChange, TableChange};

/// In an order that the kernel accepts: references are released before what they name is deleted, what is deleted goes
/// before its name comes again, and what is named comes before what names it.
impl From<&Diff> for Transaction {
    fn from(diff: &Diff) -> Self {
        let Diff { table, chains, sets, counters } = diff;
        let mut operations = table_operations(table);
        operations.extend(chains.iter().filter_map(|(name, change)| flush_chain(name, change)));
        operations.extend(sets.iter().filter_map(|(name, change)| delete_elements(name, change)));
        operations.extend(sets.iter().filter_map(|(name, change)| delete_set(name, change)));
        operations.extend(chains.iter().filter_map(|(name, change)| delete_chain(name, change)));
        operations.extend(counters.iter().filter_map(|(name, change)| delete_counter(name, change)));
        operations.extend(counters.iter().filter_map(|(name, change)| create_counter(name, change)));
        operations.extend(chains.iter().filter_map(|(name, change)| create_chain(name, change)));
        operations.extend(sets.iter().filter_map(|(name, change)| create_set(name, change)));
        operations.extend(sets.iter().filter_map(|(name, change)| add_elements(name, change)));
        operations.extend(chains.iter().flat_map(|(name, change)| add_rules(name, change)));
        Self { operations }
    }
}

fn table_operations(change: &TableChange) -> Vec<Operation> {
    match change {
        TableChange::Kept => vec![],
        TableChange::Created { comment } => vec![Operation::CreateTable { comment: comment.clone() }],
        TableChange::Recreated { comment } => {
            vec![Operation::DeleteTable, Operation::CreateTable { comment: comment.clone() }]
        }
    }
}

fn flush_chain(name: &Name, change: &ChainChange) -> Option<Operation> {
    let rules = match change {
        ChainChange::Created(_) => return None,
        ChainChange::Rewritten { before, .. } => before,
        ChainChange::Removed(before) | ChainChange::Recreated { before, .. } => &before.rules,
    };
    (!rules.is_empty()).then(|| Operation::FlushChain { chain: name.clone() })
}

/// Those of a map that goes, for good or to come again, are released ahead of it where they lead to chains: some kernels (builds
/// of 5.15 and 6.2) do not count them as gone when the map is deleted, and then refuse to delete the chains.
fn delete_elements(name: &Name, change: &SetChange) -> Option<Operation> {
    let elements = match change {
        SetChange::Elements { remove, .. } => remove.clone(),
        SetChange::Removed(before) | SetChange::Recreated { before, .. } => {
            before.elements.with_verdict(|verdict| verdict.target().is_some())
        }
        SetChange::Created(_) => return None,
    };
    (!elements.is_empty()).then(|| Operation::DeleteElements { set: name.clone(), elements })
}

fn delete_set(name: &Name, change: &SetChange) -> Option<Operation> {
    match change {
        SetChange::Removed(_) | SetChange::Recreated { .. } => Some(Operation::DeleteSet { name: name.clone() }),
        SetChange::Created(_) | SetChange::Elements { .. } => None,
    }
}

fn delete_chain(name: &Name, change: &ChainChange) -> Option<Operation> {
    match change {
        ChainChange::Removed(_) | ChainChange::Recreated { .. } => Some(Operation::DeleteChain { name: name.clone() }),
        ChainChange::Created(_) | ChainChange::Rewritten { .. } => None,
    }
}

fn delete_counter(name: &Name, change: &CounterChange) -> Option<Operation> {
    change.is_removal().then(|| Operation::DeleteCounter { name: name.clone() })
}

fn create_counter(name: &Name, change: &CounterChange) -> Option<Operation> {
    match change {
        CounterChange::Created(counter) => {
            Some(Operation::CreateCounter { name: name.clone(), comment: counter.comment.clone() })
        }
        CounterChange::Removed(_) => None,
    }
}

fn create_chain(name: &Name, change: &ChainChange) -> Option<Operation> {
    match change {
        ChainChange::Created(chain) | ChainChange::Recreated { chain, .. } => {
            let Chain { base, rules: _, comment } = chain;
            Some(Operation::CreateChain { name: name.clone(), base: *base, comment: comment.clone() })
        }
        ChainChange::Removed(_) | ChainChange::Rewritten { .. } => None,
    }
}

fn create_set(name: &Name, change: &SetChange) -> Option<Operation> {
    match change {
        SetChange::Created(set) | SetChange::Recreated { set, .. } => {
            let Set { elements, comment } = set;
            Some(Operation::CreateSet { name: name.clone(), kind: elements.kind(), comment: comment.clone() })
        }
        SetChange::Removed(_) | SetChange::Elements { .. } => None,
    }
}

fn add_elements(name: &Name, change: &SetChange) -> Option<Operation> {
    let elements: &Elements = match change {
        SetChange::Created(set) | SetChange::Recreated { set, .. } => &set.elements,
        SetChange::Elements { add, .. } => add,
        SetChange::Removed(_) => return None,
    };
    (!elements.is_empty()).then(|| Operation::AddElements { set: name.clone(), elements: elements.clone() })
}

fn add_rules(name: &Name, change: &ChainChange) -> impl Iterator<Item = Operation> {
    let rules: &[Rule] = match change {
        ChainChange::Created(chain) | ChainChange::Recreated { chain, .. } => &chain.rules,
        ChainChange::Rewritten { rules, .. } => rules,
        ChainChange::Removed(_) => &[],
    };
    rules.iter().filter_map(move |rule| match rule {
        Rule::Own(rule) => Some(Operation::AddRule { chain: name.clone(), rule: rule.clone() }),
        Rule::Foreign => None,
    })
}
