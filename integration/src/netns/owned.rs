use palisade_nft::{Backend, Kernel, Name, Operation, Ownership, Transaction};

use super::Namespace;

/// Whether the kernel makes tables that their owner alone can write, and that stay when it goes (6.9 and later do). The kernel
/// itself is asked. Where it does not, that is printed: what a test cannot test there.
///
/// # Panics
/// Where no table can be made at all.
pub fn owns_tables() -> bool {
    let table = Name::new("asked").expect("a word of letters");
    let is_owned = || {
        let mut kernel = Kernel::open(table.clone(), Ownership::Take).expect("nf_tables is there");
        let create = Transaction { operations: vec![Operation::CreateTable { comment: None }] };
        kernel.commit(&table.clone().into(), &create).expect("a table can be made");
        kernel.owner().expect("a table can be read").is_some()
    };
    let is_owned = Namespace::new().and_then(|namespace| namespace.enter(is_owned)).expect("a namespace can be made");
    if !is_owned {
        println!("not tested: this kernel has no owned tables that persist");
    }
    is_owned
}
