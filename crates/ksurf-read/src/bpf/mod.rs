//! eBPF objects: the ELF files that clang makes and libbpf loads, and what they need of a kernel.
//!
//! Source: `Documentation/bpf/` (`libbpf/`, `standardization/`), and what libbpf reads of an object.

pub mod btf_ext;
pub mod context;
pub mod core;
pub mod embedded;
pub mod externs;
pub mod instruction;
pub mod maps;
pub mod object;
pub mod programs;
pub mod reach;
pub(crate) mod sections;
pub mod struct_ops;
pub mod uapi;
pub mod walk;

/// `e_machine` of eBPF (include/uapi/linux/elf-em.h).
pub const EM_BPF: u16 = 247;
