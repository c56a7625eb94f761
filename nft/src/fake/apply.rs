use std::cell::Cell;

use libc::{EBUSY, EEXIST, EINVAL, ENOENT, EOPNOTSUPP};

use crate::collection::Misfit;
use crate::{
    Action, BaseChain, Chain, Comment, Elements, ElementsKind, Name, NamedCounter, Operation, Rule, Ruleset, Set,
    Statement, Table, Verdict,
};

/// Applies one operation, or gives the error number that the kernel would.
pub(super) fn apply(held: &mut Option<Ruleset>, table: &Table, operation: &Operation) -> Result<(), i32> {
    match operation {
        Operation::CreateTable { comment } => {
            held.get_or_insert_with(|| Ruleset { comment: comment.clone(), ..Ruleset::empty(table.clone()) });
            Ok(())
        }
        Operation::DeleteTable => held.take().map(drop).ok_or(ENOENT),
        operation => held.as_mut().ok_or(ENOENT)?.operate(operation),
    }
}

impl Ruleset {
    fn operate(&mut self, operation: &Operation) -> Result<(), i32> {
        match operation {
            Operation::CreateTable { .. } | Operation::DeleteTable => Ok(()),
            Operation::CreateChain { name, base, comment } => self.create_chain(name, *base, comment.as_ref()),
            Operation::CreateSet { name, kind, comment } => self.create_set(name, *kind, comment.as_ref()),
            Operation::CreateCounter { name, comment } => {
                self.counters.entry(name.clone()).or_insert_with(|| NamedCounter { comment: comment.clone() });
                Ok(())
            }
            Operation::DeleteElements { elements, .. } | Operation::AddElements { elements, .. }
                if elements.is_empty() =>
            {
                Err(EINVAL)
            }
            Operation::DeleteElements { set, elements } => self.set(set)?.elements.remove_each(elements).map_err(errno),
            Operation::AddElements { set, elements } => self.add_elements(set, elements),
            Operation::FlushChain { chain } => {
                self.chain(chain)?.rules.clear();
                Ok(())
            }
            Operation::AddRule { chain, rule } => self.add_rule(chain, rule),
            Operation::DeleteSet { name } => self.delete_set(name),
            Operation::DeleteCounter { name } => self.delete_counter(name),
            Operation::DeleteChain { name } => self.delete_chain(name),
        }
    }

    fn create_chain(&mut self, name: &Name, base: Option<BaseChain>, comment: Option<&Comment>) -> Result<(), i32> {
        let Some(there) = self.chains.get(name) else {
            self.chains.insert(name.clone(), Chain { base, rules: vec![], comment: comment.cloned() });
            return Ok(());
        };
        match (there.base, base) {
            (None, Some(_)) => Err(EEXIST),
            (Some(there), Some(base)) if there != base => Err(EOPNOTSUPP),
            _ => Ok(()),
        }
    }

    fn create_set(&mut self, name: &Name, kind: ElementsKind, comment: Option<&Comment>) -> Result<(), i32> {
        match self.sets.get(name) {
            Some(there) if there.elements.kind() != kind => Err(EEXIST),
            Some(_) => Ok(()),
            None => {
                let set = Set { elements: Elements::empty(kind), comment: comment.cloned() };
                self.sets.insert(name.clone(), set);
                Ok(())
            }
        }
    }

    fn add_elements(&mut self, set: &Name, elements: &Elements) -> Result<(), i32> {
        let Err(refused) = elements.verdicts().try_for_each(|verdict| self.check_verdict(verdict)) else {
            return self.set(set)?.elements.insert_each(elements).map_err(errno);
        };
        // The kernel takes them one by one: one ahead that is there otherwise is what it refuses.
        let is_ahead = Cell::new(true);
        let ahead = elements.with_verdict(|verdict| {
            is_ahead.set(is_ahead.get() && self.check_verdict(verdict).is_ok());
            is_ahead.get()
        });
        self.set(set)?.elements.insert_each(&ahead).map_err(errno)?;
        Err(refused)
    }

    fn add_rule(&mut self, chain: &Name, rule: &Statement) -> Result<(), i32> {
        if let Action::Verdict(verdict) = &rule.action {
            self.check_verdict(verdict)?;
        }
        for (key, set) in rule.lookups() {
            let kind = self.sets.get(set).ok_or(ENOENT)?.elements.kind();
            let is_vmap = rule.vmap().is_some_and(|vmap| vmap == (key, set));
            if !key.fits(kind) || kind.is_map() != is_vmap {
                return Err(EINVAL);
            }
        }
        if rule.named_counter().is_some_and(|counter| !self.counters.contains_key(counter)) {
            return Err(ENOENT);
        }
        self.chain(chain)?.rules.push(Rule::Own(rule.clone()));
        Ok(())
    }

    fn delete_set(&mut self, name: &Name) -> Result<(), i32> {
        let names = |statement: &Statement| statement.lookups().any(|(_, set)| set == name);
        if self.sets.contains_key(name) && self.chains.values().any(|chain| chain.statements().any(names)) {
            return Err(EBUSY);
        }
        self.sets.remove(name).map(drop).ok_or(ENOENT)
    }

    fn delete_counter(&mut self, name: &Name) -> Result<(), i32> {
        let mut named = self.chains.values().flat_map(Chain::statements).filter_map(Statement::named_counter);
        if self.counters.contains_key(name) && named.any(|named| named == name) {
            return Err(EBUSY);
        }
        self.counters.remove(name).map(drop).ok_or(ENOENT)
    }

    fn delete_chain(&mut self, name: &Name) -> Result<(), i32> {
        let chain = self.chains.remove(name).ok_or(ENOENT)?;
        if self.named_chains().any(|named| named == name) {
            self.chains.insert(name.clone(), chain);
            return Err(EBUSY);
        }
        Ok(())
    }

    fn check_verdict(&self, verdict: &Verdict) -> Result<(), i32> {
        match verdict.target().map(|chain| self.chains.get(chain)) {
            None => Ok(()),
            Some(None) => Err(ENOENT),
            Some(Some(chain)) if chain.base.is_some() => Err(EOPNOTSUPP),
            Some(Some(_)) => Ok(()),
        }
    }

    fn chain(&mut self, name: &Name) -> Result<&mut Chain, i32> {
        self.chains.get_mut(name).ok_or(ENOENT)
    }

    fn set(&mut self, name: &Name) -> Result<&mut Set, i32> {
        self.sets.get_mut(name).ok_or(ENOENT)
    }
}

fn errno(misfit: Misfit) -> i32 {
    match misfit {
        Misfit::Kind => EINVAL,
        Misfit::Missing => ENOENT,
        Misfit::Conflict => EEXIST,
    }
}
