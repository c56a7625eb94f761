use proptest::prelude::*;

use proptest::sample::subsequence;

use super::arbitrary::{SETS, edits, pairs, rulesets, steady_pairs, triples};
use super::build::name;
use crate::{Backend, Comment, Diff, Division, Fake, Operation, Ruleset, Transaction, diff};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn applying_gives_the_difference((before, after, edit) in edits()) {
        let mut edited = before.clone();
        let change = edited.apply(edit).unwrap();
        prop_assert_eq!(&edited, &after);
        prop_assert_eq!(change, diff(Some(&before), &after));
    }

    #[test]
    fn the_transaction_makes_the_difference((before, after) in pairs()) {
        let mut fake = Fake::holding(before.clone());
        let transaction = Transaction::from(&diff(Some(&before), &after));
        prop_assert!(fake.commit(&before.table, &transaction).is_ok(), "{:?}", fake.commit(&before.table, &transaction));
        prop_assert_eq!(fake.ruleset(), Some(&after));
    }

    #[test]
    fn the_steps_make_the_difference((before, after) in steady_pairs()) {
        let mut fake = Fake::holding(before.clone());
        for step in diff(Some(&before), &after).into_steps() {
            fake.commit(&before.table, &Transaction::from(&step)).unwrap();
        }
        prop_assert_eq!(fake.ruleset(), Some(&after));
    }

    #[test]
    fn one_difference_and_then_another_is_the_difference_of_both((first, second) in pairs(), third in rulesets()) {
        let [to_second, to_third] = [(&first, &second), (&second, &third)].map(|(from, to)| diff(Some(from), to));
        let both = to_second.then(to_third);
        let mut fake = Fake::holding(first.clone());
        prop_assert!(fake.commit(&first.table, &Transaction::from(&both)).is_ok(), "{:?}", both);
        prop_assert_eq!(fake.ruleset(), Some(&third));
    }

    /// Also where the second takes back what the first did, of which what stays is made anew.
    #[test]
    fn little_differences_are_one_as_well((first, second, third) in triples()) {
        let [to_second, to_third] = [(&first, &second), (&second, &third)].map(|(from, to)| diff(Some(from), to));
        let both = to_second.then(to_third);
        let mut fake = Fake::holding(first.clone());
        let committed = fake.commit(&first.table, &Transaction::from(&both));
        prop_assert!(committed.is_ok(), "{:?} of {:#?}", committed, both);
        prop_assert_eq!(fake.ruleset(), Some(&third));
    }

    #[test]
    fn the_parts_make_the_difference(
        (before, after) in pairs(),
        budget in 1..80_usize,
        entries in subsequence(SETS.to_vec(), 0..3),
        is_new in any::<bool>(),
    ) {
        let division = Division { budget, sets: 0, entries: entries.into_iter().map(name).collect() };
        let (mut fake, from) = match is_new {
            true => (Fake::new(before.table.clone()), None),
            false => (Fake::holding(before.clone()), Some(&before)),
        };
        let parts = diff(from, &after).parts(&division);
        for part in &parts {
            let committed = fake.commit(&before.table, &Transaction::from(part));
            prop_assert!(committed.is_ok(), "{:?} of {:#?}", committed, parts);
        }
        prop_assert_eq!(fake.ruleset(), Some(&after));
        let whole = parts.into_iter().fold(Diff::default(), Diff::then);
        prop_assert_eq!(whole.summary(), diff(from, &after).summary());
    }

    /// What has nothing to do with some of what is not made yet can be made ahead of it, with what it has to do with, removals
    /// aside: of what goes again nothing need be made before.
    #[test]
    fn what_is_apart_may_come_first(
        (first, second, third) in triples(),
        budget in 1..80_usize,
        entries in subsequence(SETS.to_vec(), 0..3),
    ) {
        let division = Division { budget, sets: 0, entries: entries.into_iter().map(name).collect() };
        let [pending, later] = [(&first, &second), (&second, &third)].map(|(from, to)| diff(Some(from), to));
        prop_assume!(!pending.is_indivisible() && !later.is_indivisible());
        let (mut rest, going): (Vec<_>, Vec<_>) = pending.parts(&division).into_iter().map(Diff::split_removals).unzip();
        let later = going.into_iter().fold(Diff::default(), Diff::then).then(later);
        prop_assume!(!later.is_indivisible());
        let (later, going) = later.split_removals();
        let taken_back = rest.iter_mut().map(|part| part.extract_names_of(&going));
        let going = taken_back.fold(Diff::default(), Diff::then).then(going);
        let (before, at) = later.extract_what_precedes(&mut rest);
        prop_assert!(at <= rest.len() && (!before.is_empty() || at == rest.len()));
        let all = before.into_iter().fold(Diff::default(), Diff::then).then(later);
        prop_assume!(!all.is_empty() && !rest.is_empty());
        let (ahead, gone) = all.split_removals();
        let removals = going.then(gone);
        for place in [0, at] {
            let mut fake = Fake::holding(first.clone());
            let (earlier, after) = rest.split_at(place);
            for diff in earlier.iter().chain([&ahead]).chain(after).chain([&removals]) {
                let committed = fake.commit(&first.table, &Transaction::from(diff));
                prop_assert!(committed.is_ok(), "{:?} of {:#?}", committed, diff);
            }
            prop_assert_eq!(fake.ruleset(), Some(&third));
        }
    }

    /// However it is committed, and whatever was decided and not committed in between.
    #[test]
    fn a_counter_that_stays_is_not_touched((first, second) in pairs(), third in rulesets(), budget in 1..80_usize) {
        let [to_second, to_third] = [(&first, &second), (&second, &third)].map(|(from, to)| diff(Some(from), to));
        let both = to_second.then(to_third);
        let division = Division { budget, sets: 0, entries: [].into() };
        let ways = [vec![both.clone()], both.clone().into_steps(), both.parts(&division)];
        for operation in ways.iter().flatten().flat_map(|diff| Transaction::from(diff).operations) {
            match operation {
                Operation::CreateCounter { name, .. } => prop_assert!(!first.counters.contains_key(&name)),
                Operation::DeleteCounter { name } => prop_assert!(!third.counters.contains_key(&name)),
                _ => {}
            }
        }
    }

    #[test]
    fn a_table_that_is_not_there_is_created(ruleset in rulesets()) {
        let mut fake = Fake::new(ruleset.table.clone());
        fake.commit(&ruleset.table, &Transaction::from(&diff(None, &ruleset))).unwrap();
        prop_assert_eq!(fake.ruleset(), Some(&ruleset));
    }

    #[test]
    fn nothing_differs_from_itself(ruleset in rulesets()) {
        let none = diff(Some(&ruleset), &ruleset);
        prop_assert!(none.is_empty() && Transaction::from(&none).is_empty(), "{:?}", none);
    }

    #[test]
    fn a_table_with_another_comment_is_replaced((before, mut after) in pairs()) {
        after.comment = Some(Comment::new("another layout"));
        let mut fake = Fake::holding(before.clone());
        fake.commit(&before.table, &Transaction::from(&diff(Some(&before), &after))).unwrap();
        prop_assert_eq!(fake.ruleset(), Some(&after));
    }
}

#[test]
fn an_empty_ruleset_is_only_a_table() {
    let empty = Ruleset::empty(name("palisade"));
    insta::assert_snapshot!(Transaction::from(&diff(None, &empty)), @"add table");
}
