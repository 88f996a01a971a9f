//! What a kernel module needs of the kernel that loads it: the symbols that it imports, with the checksums that it
//! was built with, and what it says of itself.
//!
//! Source: kernel/module/main.c (`resolve_symbol`), kernel/module/version.c (`struct modversion_info`, and
//! `__version_ext_crcs` beside `__version_ext_names`, which have no limit for names), include/linux/module.h for
//! `.modinfo`.

use crate::bpf::sections::{Elf, SHT_SYMTAB, STB_WEAK};
use crate::elf::{c_string, text, ET_REL};
use crate::error::{Error, Result};
use rustc_hash::FxHashMap;

/// Bytes of a `struct modversion_info`.
const MODVERSION_BYTES: usize = 64;

/// A symbol that the module does not have itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    pub name: String,
    /// The module is loaded without it, too.
    pub weak: bool,
    /// Checksum of its prototype where the module was built (`CONFIG_MODVERSIONS`).
    pub crc: Option<u32>,
}

/// A module, as far as it depends on a kernel.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// In the order of its symbols.
    pub imports: Vec<Import>,
    /// Keys and values of `.modinfo`, in their order.
    pub modinfo: Vec<(String, String)>,
    /// Whether it has types of its own, and those of the kernel that it was built with: by name and size in
    /// `.BTF.base`, whole in DWARF.
    pub btf: bool,
    pub btf_base: bool,
    pub dwarf: bool,
}

/// Reads a module, which is not compressed.
pub fn needs(data: &[u8]) -> Result<Needs> {
    let elf = Elf::parse(data)?;
    if elf.kind != ET_REL {
        return Err(Error::not_a_kernel("it is no module: not a relocatable file"));
    }
    let crcs = crcs(&elf)?;
    let mut imports = undefined(&elf)?;
    for import in &mut imports {
        import.crc = crcs.get(&import.name).copied();
    }
    let section = |name: &str| elf.find(name).map(|at| elf.bytes(&elf.sections[at])).unwrap_or_default();
    let modinfo = section(".modinfo").split(|&byte| byte == 0).filter_map(|entry| {
        let at = memchr::memchr(b'=', entry)?;
        Some((text(&entry[..at]), text(&entry[at + 1..])))
    });
    let has = |name: &str| !section(name).is_empty();
    Ok(Needs {
        imports,
        modinfo: modinfo.collect(),
        btf: has(".BTF"),
        btf_base: has(".BTF.base"),
        dwarf: has(".debug_info") || has(".zdebug_info"),
    })
}

/// The undefined symbols, each once.
fn undefined(elf: &Elf<'_>) -> Result<Vec<Import>> {
    let Some(table) = elf.sections.iter().find(|section| section.kind == SHT_SYMTAB) else {
        return Err(Error::not_a_kernel("it has no symbols"));
    };
    let names = elf.sections.get(table.link).map(|strings| elf.bytes(strings)).unwrap_or_default();
    // st_info and st_shndx stand elsewhere in the two forms of a symbol
    let (size, info, section) = if elf.words.class64 { (24, 4, 6) } else { (16, 12, 14) };
    let mut imports = Vec::new();
    let mut seen = rustc_hash::FxHashSet::default();
    // the first one is no symbol
    for entry in elf.bytes(table).chunks_exact(size).skip(1) {
        if elf.words.u16(entry, section, "symbol")? != 0 {
            continue;
        }
        let at = elf.words.u32(entry, 0, "symbol")? as usize;
        let Some(name) = c_string(names, at).filter(|name| !name.is_empty()) else { continue };
        if seen.insert(name) {
            imports.push(Import { name: text(name), weak: entry[info] >> 4 == STB_WEAK, crc: None });
        }
    }
    Ok(imports)
}

/// The checksums by name, from either form of the table.
fn crcs(elf: &Elf<'_>) -> Result<FxHashMap<String, u32>> {
    let mut found = FxHashMap::default();
    let section = |name: &str| elf.find(name).map(|at| elf.bytes(&elf.sections[at])).unwrap_or_default();
    let words = section("__version_ext_crcs").chunks_exact(4);
    for (crc, name) in words.zip(section("__version_ext_names").split(|&byte| byte == 0)) {
        found.insert(text(name), elf.words.u32(crc, 0, "__version_ext_crcs")?);
    }
    // an unsigned long, and the name
    let width = if elf.words.class64 { 8 } else { 4 };
    for entry in section("__versions").chunks_exact(MODVERSION_BYTES) {
        let crc = match elf.words.class64 {
            true => elf.words.u64(entry, 0, "__versions")? as u32,
            false => elf.words.u32(entry, 0, "__versions")?,
        };
        let name = &entry[width..];
        // a longer name is cut short there, and whole in the other form
        let name = c_string(name, 0).unwrap_or(name);
        found.insert(text(name), crc);
    }
    Ok(found)
}
