use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::thread;

use nix::sched::{CloneFlags, unshare};

use crate::tests::build::name;
use crate::{Backend, CommitError, Kernel, Operation, Ownership, Ruleset, Transaction, diff};

/// The name of the only table there is.
pub(in crate::netlink) const TABLE: &str = "palisade";

/// Runs `test` in a thread that is in a new network namespace, as are the commands that it runs.
pub(in crate::netlink) fn in_namespace<T: Send>(test: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)
                .expect("these tests make network namespaces: run them as root, or with `unshare -r`");
            test()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Runs `test` [likewise](in_namespace) where the kernel knows tables that are owned, and says so where it does not.
pub(in crate::netlink) fn where_tables_are_owned(test: impl FnOnce() + Send) {
    match owns_tables() {
        true => in_namespace(test),
        false => println!("not tested: this kernel has no owned tables that persist"),
    }
}

/// Whether a table that is made to be owned is, by this kernel.
pub(in crate::netlink) fn owns_tables() -> bool {
    in_namespace(|| {
        let mut kernel = open(Ownership::Take);
        commit(&mut kernel, &[Operation::CreateTable { comment: None }]).unwrap();
        kernel.owner().unwrap().is_some()
    })
}

/// Whether rules may ask the routes where packets are forwarded, which 5.10 only allows where they come in; so it is, too, where no
/// kernel can be asked.
pub(crate) fn takes_fib_everywhere() -> bool {
    static TAKES: LazyLock<bool> = LazyLock::new(|| {
        let rule =
            "table inet t { chain c { type filter hook forward priority 0; fib saddr . iif oif missing drop; }; }";
        let asks = || unshare(CloneFlags::CLONE_NEWNET).is_err() || nft(&["-f", "-"], rule).status.success();
        thread::scope(|scope| scope.spawn(asks).join().unwrap_or(true))
    });
    *TAKES
}

pub(in crate::netlink) fn open(ownership: Ownership) -> Kernel {
    Kernel::open(name(TABLE), ownership).unwrap()
}

/// Makes of what the kernel holds, `from`, what it shall hold. The generation after.
pub(in crate::netlink) fn change(
    kernel: &mut Kernel,
    from: Option<&Ruleset>,
    to: &Ruleset,
) -> Result<u32, CommitError> {
    commit(kernel, &Transaction::from(&diff(from, to)).operations)
}

pub(in crate::netlink) fn commit(kernel: &mut Kernel, operations: &[Operation]) -> Result<u32, CommitError> {
    kernel.commit(&kernel.table.clone(), &Transaction { operations: operations.to_vec() })?;
    Ok(kernel.generation().unwrap())
}

/// Loads `script` with `nft -f`.
pub(in crate::netlink) fn load(script: &str) {
    let output = nft(&["-f", "-"], script);
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// What `nft list ruleset` prints.
pub(in crate::netlink) fn list() -> String {
    output(&["list", "ruleset"])
}

/// What [`list`] prints, a block an object and sorted: nft lists in the order of making. Without counts, and without
/// what is said of the table's owner.
pub(in crate::netlink) fn blocks() -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in output(&["-s", "list", "ruleset"]).lines() {
        if ["\tcounter ", "\tset ", "\tmap ", "\tchain "].iter().any(|start| line.starts_with(start)) {
            blocks.push(String::new());
        }
        let line = line.split(" # progname").next().unwrap();
        let within = !line.is_empty() && line != "}" && !line.starts_with("\tflags ");
        blocks.last_mut().unwrap().extend([line, "\n"].into_iter().filter(|_| within));
    }
    blocks.sort();
    blocks
}

/// The kernel's expressions and comments, of all rules in order.
pub(in crate::netlink) fn expressions() -> Vec<String> {
    let listing = output(&["--debug=netlink", "list", "ruleset"]);
    listing.lines().filter(|line| line.starts_with("  ")).map(str::to_owned).collect()
}

fn output(arguments: &[&str]) -> String {
    let output = nft(arguments, "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs nft with `input`.
pub(in crate::netlink) fn nft(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new("nft");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut nft = command.spawn().expect("these tests need nft: apt-get install nftables");
    nft.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    nft.wait_with_output().unwrap()
}
