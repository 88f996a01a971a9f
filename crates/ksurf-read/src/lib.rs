//! Readers of kernel packages, ELF images, DWARF and BTF, and the joining of a kernel's images into flat tables.
//!
//! Nothing here knows Python, and nothing here judges: formats come in, rows go out.

pub mod archive;
pub mod bpf;
pub mod btf;
pub mod ctype;
pub mod dwarf;
pub mod elf;
pub mod error;
pub mod extract;
pub mod ikconfig;
pub mod image;
pub mod kallsyms;
pub mod kernel;
pub mod module;
pub mod numbered;
pub mod surface;
