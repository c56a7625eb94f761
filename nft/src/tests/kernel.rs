//! Against nft and the kernel, in a network namespace of the test's own.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::LazyLock;

use libc::EEXIST;
use proptest::prelude::*;

use super::arbitrary::{operations, pairs, rulesets};
use super::build::one_pod;
use crate::{Backend, CommitError, Fake, Operation, Transaction, diff};

/// Runs `scripts` through `nft -f`, one after the other and each a transaction, in a new network namespace, and gives
/// what `nft -y list ruleset` says then, or what the first script that failed said.
fn nft(scripts: &[&str]) -> Result<String, String> {
    const RUN: &str = r#"for script; do printf '%s' "$script" | nft -f - || exit; done; nft -y list ruleset"#;
    let output = Command::new("unshare")
        .args(["-rn", "sh", "-ec", RUN, "sh"])
        .args(scripts)
        .output()
        .expect("this test needs unshare (util-linux), nft (nftables), and to be root or to have user namespaces");
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// The blocks of a listing, without regard to the order of blocks and elements, the wrapping, and counts.
fn canonical(listing: &str) -> BTreeSet<String> {
    let joined = listing.replace(",\n\t\t\t     ", ", ").replace("counter packets 0 bytes 0", "counter");
    let blocks = joined.split("\n\t}\n").map(|block| {
        let lines = block.trim().lines().map(|line| match line.trim().strip_prefix("elements = { ") {
            Some(elements) => sorted(elements.trim_end_matches(" }")),
            None => line.trim().to_owned(),
        });
        let is_said = |line: &String| !line.starts_with("table ") && line != "}" && line != "packets 0 bytes 0";
        lines.filter(is_said).collect::<Vec<_>>().join("\n")
    });
    blocks.filter(|block| !block.is_empty()).collect()
}

fn sorted(elements: &str) -> String {
    let mut elements: Vec<_> = elements.split(", ").collect();
    elements.sort_unstable();
    format!("elements = {}", elements.join(", "))
}

#[test]
fn a_ruleset_lists_as_it_was_written() {
    let text = one_pod().to_text();
    let listing = nft(&[&text]).unwrap();
    assert_eq!(listing.replace(" packets 0 bytes 0", ""), one_pod().to_string());
    assert_eq!(nft(&[&text, &text]).unwrap(), listing, "it replaces itself");
    assert_eq!(nft(&[&listing]).unwrap(), listing, "its listing loads again");
}

#[test]
fn what_does_not_load_is_told() {
    assert!(nft(&["table inet palisade { chain c { jump d } }"]).is_err());
}

/// Whether the kernel refuses a set that there is, of another type. Linux 5.10 takes it for that one.
static REFUSES_ANOTHER_TYPE: LazyLock<bool> = LazyLock::new(|| {
    let set = |kind| format!("add table inet palisade; add set inet palisade s {{ type {kind}; }};");
    let refuses = nft(&[&set("ipv4_addr"), &set("ipv6_addr")]).is_err();
    if !refuses {
        eprintln!("this kernel takes a set that there is for one of another type: this is not compared");
    }
    refuses
});

/// The operation that was refused, and with what.
fn refused_operation<'a>(error: &CommitError, transaction: &'a Transaction) -> Option<(&'a Operation, i32)> {
    match error {
        CommitError::Refused { index, errno, .. } => Some((&transaction.operations[*index], errno.0)),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_ruleset_lists_as_it_was_written(ruleset in rulesets()) {
        let listing = nft(&[&ruleset.to_text()]).unwrap();
        prop_assert_eq!(canonical(&listing), canonical(&ruleset.to_string()));
        prop_assert_eq!(canonical(&nft(&[&listing]).unwrap()), canonical(&listing));
    }

    #[test]
    fn the_kernel_takes_the_transaction((before, after) in pairs()) {
        let commands = Transaction::from(&diff(Some(&before), &after)).to_commands(&before.table);
        let listing = nft(&[&before.to_text(), &commands]);
        prop_assert_eq!(listing.map(|l| canonical(&l)), Ok(canonical(&after.to_string())), "{}", commands);
    }

    #[test]
    fn the_fake_refuses_what_the_kernel_refuses((before, operations) in operations()) {
        let mut fake = Fake::holding(before.clone());
        let transaction = Transaction { operations };
        let committed = fake.commit(&before.table, &transaction);
        let listing = nft(&[&before.to_text(), &transaction.to_commands(&before.table)]);
        let refused = committed.as_ref().err().and_then(|error| refused_operation(error, &transaction));
        if let Some((Operation::CreateSet { .. }, EEXIST)) = refused && !*REFUSES_ANOTHER_TYPE {
            return Ok(());
        }
        prop_assert_eq!(committed.is_ok(), listing.is_ok(), "{}\n{:?}\n{:?}", transaction, committed, listing);
        if let Ok(listing) = listing {
            prop_assert_eq!(canonical(&listing), canonical(&fake.ruleset().unwrap().to_string()));
        }
    }
}
