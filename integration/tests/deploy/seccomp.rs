//! The system calls that a container runtime lets the agent make.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::thread;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use syscalls::Sysno;

/// containerd's default profile, but that what it denies ends the program, which could otherwise hide that it wanted it.
pub(crate) struct Profile {
    allowed: BTreeMap<i64, Vec<SeccompRule>>,
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

impl Profile {
    pub(crate) fn runtime_default() -> Self {
        let lines = include_str!("runtime-default.txt").lines().filter(|line| !line.starts_with('#'));
        let names = lines.flat_map(str::split_whitespace);
        let mut allowed: Rules = names.filter_map(number).map(|number| (number, vec![])).collect();
        allowed.insert(libc::SYS_clone, vec![argument(SeccompCmpOp::MaskedEq(NEW_NAMESPACES), 0)]);
        // Allowed here only for the filter that answers it.
        allowed.insert(libc::SYS_clone3, vec![]);
        allowed.insert(libc::SYS_socket, vec![argument(SeccompCmpOp::Ne, libc::AF_VSOCK as u64)]);
        allowed.insert(libc::SYS_personality, PERSONAS.map(|persona| argument(SeccompCmpOp::Eq, persona)).to_vec());
        Self { allowed }
    }

    /// The same without a system call.
    pub(crate) fn without(mut self, name: &str) -> Self {
        let number = number(name).unwrap_or_else(|| panic!("no system call {name}"));
        assert!(self.allowed.remove(&number).is_some(), "{name} is not allowed anyway");
        self
    }

    /// Does `work` on a thread that has this profile, as have the programs that it starts.
    pub(crate) fn confine<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        // C libraries fall back to clone, whose flags a filter can see.
        let clone3 = Rules::from([(libc::SYS_clone3, vec![])]);
        let filters = [
            filter(clone3, SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS as u32)),
            filter(self.allowed.clone(), SeccompAction::KillProcess, SeccompAction::Allow),
        ];
        let confined = || {
            filters.iter().for_each(|filter| seccompiler::apply_filter(filter).unwrap());
            work()
        };
        thread::scope(|scope| scope.spawn(confined).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET.
const NEW_NAMESPACES: u64 = 0x7e02_0000;
/// Execution domains: Linux, and 32 bits of it, each with and without UNAME26; and the question.
const PERSONAS: [u64; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

fn number(name: &str) -> Option<i64> {
    Sysno::from_str(name).ok().map(|number| i64::from(number.id()))
}

/// The first argument is so.
fn argument(operator: SeccompCmpOp, value: u64) -> SeccompRule {
    let condition = SeccompCondition::new(0, SeccompCmpArgLen::Dword, operator, value).unwrap();
    SeccompRule::new(vec![condition]).unwrap()
}

fn filter(rules: Rules, otherwise: SeccompAction, these: SeccompAction) -> BpfProgram {
    let architecture = std::env::consts::ARCH.try_into().unwrap();
    SeccompFilter::new(rules, otherwise, these, architecture).unwrap().try_into().unwrap()
}
