//! Exported symbols: `__ksymtab` and `__ksymtab_gpl` (include/linux/export-internal.h, kernel/module/main.c).

use crate::elf::Memory;
use crate::error::Result;

/// A symbol that modules may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    pub name: String,
    /// Only for modules whose licence is compatible with the GPL.
    pub gpl: bool,
    /// `EXPORT_SYMBOL_NS`: the namespace that a module has to import.
    pub namespace: Option<String>,
    /// Checksum of the symbol's prototype (`CONFIG_MODVERSIONS`).
    pub crc: Option<u32>,
}

/// The exports of an image.
pub fn read(_memory: &Memory<'_>) -> Result<Vec<Export>> {
    Ok(Vec::new())
}
