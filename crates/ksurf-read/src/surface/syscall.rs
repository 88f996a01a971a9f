//! System calls: the tables that entry code indexes, or the switches that took their place.

use crate::elf::Memory;
use crate::error::Result;

/// A number that a program can call. Slots that lead to `sys_ni_syscall` are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Syscall {
    /// The table: `64`, `32`, `x32`, `compat`.
    pub abi: &'static str,
    pub number: u32,
    /// The name that users know: `stat`.
    pub name: String,
    /// The symbol that it leads to: `__x64_sys_newstat`.
    pub entry: String,
}

/// The system calls of vmlinux; none in a module.
pub fn read(_memory: &Memory<'_>) -> Result<Vec<Syscall>> {
    Ok(Vec::new())
}
