//! What code outside the kernel can lean on, beside functions: read from one image's data, BTF and DWARF.
//!
//! Each file reads one mechanism of the kernel. Where one cannot be read, the others still are: the reason goes
//! into [`Surface::incomplete`].

pub mod btf_ids;
pub mod calls;
pub mod code;
pub mod definition;
pub mod export;
pub mod from_btf;
pub mod from_dwarf;
pub mod layout;
pub mod syscall;
pub mod tracepoint;

use crate::elf::Memory;
use crate::error::Result;
use btf_ids::BtfSet;
use export::Export;
use layout::Layouts;
use syscall::Syscall;
use tracepoint::Tracepoint;

/// What one image offers, beside functions and types.
#[derive(Debug, Default)]
pub struct Surface {
    pub exports: Vec<Export>,
    pub tracepoints: Vec<Tracepoint>,
    pub syscalls: Vec<Syscall>,
    pub btf_ids: Vec<BtfSet>,
    /// What could not be read, and why: `tracepoints: corrupt: ...`.
    pub incomplete: Vec<String>,
}

impl Surface {
    /// Reads all that the image's data tells. `layouts` are those of the kernel's own structs.
    pub fn read(memory: &Memory<'_>, layouts: &dyn Layouts) -> Surface {
        let mut surface = Surface::default();
        surface.exports = surface.part("exported symbols", export::read(memory));
        let syscalls = syscall::read(memory, &mut surface.incomplete);
        let tracepoints = tracepoint::read(memory, layouts, &mut surface.incomplete);
        surface.tracepoints = surface.part("tracepoints", tracepoints);
        surface.syscalls = surface.part("system calls", syscalls);
        surface.btf_ids = surface.part("BTF id sets", btf_ids::read(memory));
        surface
    }

    fn part<T: Default>(&mut self, what: &str, outcome: Result<T>) -> T {
        outcome.unwrap_or_else(|error| {
            self.incomplete.push(format!("{what}: {error}"));
            T::default()
        })
    }
}
