//! The symbols of an image: those that name code, and those that mark a place in memory.

use super::section::{SHF_EXECINSTR, SHN_XINDEX, SHT_SYMTAB};
use super::{c_string, text, Image, Mark, Section, Words, ET_REL};
use crate::error::Result;

const SHT_SYMTAB_SHNDX: u32 = 18;
const SHN_LORESERVE: usize = 0xff00;
const STT_NOTYPE: u8 = 0;
const STT_FUNC: u8 = 2;
const STT_GNU_IFUNC: u8 = 10;
const STB_LOCAL: u8 = 0;

/// A symbol that names code.
#[derive(Debug, Clone)]
pub struct Symbol {
    /// Name, with all its suffixes; bytes that are not UTF-8 are escaped.
    pub name: String,
    /// Address inside the image (made up in a relocatable one).
    pub address: u64,
    /// Size in bytes.
    pub size: u64,
    /// `STB_*` in the gABI's spelling.
    pub bind: &'static str,
    /// `STT_*` in the gABI's spelling.
    pub kind: &'static str,
}

impl Image {
    /// Symbols that name code: `STT_FUNC` and `STT_GNU_IFUNC`, and untyped ones of other than local binding
    /// that have a size, in code sections (assembly; linker scripts' marks have none). The padding that `__pfx_` and
    /// `__cfi_` symbols name is no code.
    pub fn code_symbols(&self) -> Result<Vec<Symbol>> {
        let mut out = Vec::new();
        self.each_symbol(|symbol, name| {
            let (bind, kind) = (symbol.info >> 4, symbol.info & 15);
            let Some(section) = self.symbol_section(&symbol) else { return };
            let code = section.flags & SHF_EXECINSTR != 0;
            let wanted = match kind {
                STT_FUNC | STT_GNU_IFUNC => true,
                STT_NOTYPE => code && bind != STB_LOCAL && symbol.size > 0,
                _ => false,
            };
            if !wanted || name.is_empty() || name.starts_with(b"__pfx_") || name.starts_with(b"__cfi_") {
                return;
            }
            let base = if self.kind == ET_REL { section.address } else { 0 };
            out.push(Symbol {
                name: text(name),
                address: base.wrapping_add(symbol.value),
                size: symbol.size,
                bind: match bind {
                    0 => "STB_LOCAL",
                    1 => "STB_GLOBAL",
                    2 => "STB_WEAK",
                    10 => "STB_GNU_UNIQUE",
                    _ => "STB_OTHER",
                },
                kind: match kind {
                    STT_FUNC => "STT_FUNC",
                    STT_GNU_IFUNC => "STT_GNU_IFUNC",
                    _ => "STT_NOTYPE",
                },
            });
        })?;
        Ok(out)
    }

    /// Every named symbol of a loaded section.
    pub(super) fn each_mark<'a>(&'a self, mut with: impl FnMut(Mark<'a>)) -> Result<()> {
        self.each_symbol(|symbol, name| {
            let Some(section) = self.symbol_section(&symbol) else { return };
            if !name.is_empty() {
                let base = if self.kind == ET_REL { section.address } else { 0 };
                let weak = symbol.info >> 4 == 2;
                with(Mark { name, address: base.wrapping_add(symbol.value), size: symbol.size, weak });
            }
        })
    }

    fn symbol_section(&self, symbol: &RawSymbol) -> Option<&Section> {
        match symbol.section {
            0 => None,
            index => self.sections.get(index).filter(|s| s.is_loaded()),
        }
    }

    fn each_symbol<'a>(&'a self, mut with: impl FnMut(RawSymbol, &'a [u8])) -> Result<()> {
        let Some(table) = self.sections.iter().find(|s| s.kind == SHT_SYMTAB) else { return Ok(()) };
        let names = self.sections.get(table.link).map_or(&[][..], |s| self.section_bytes(s));
        let symbols = Symbols::new(self, table);
        for index in 0..symbols.count() {
            let symbol = symbols.get(index)?;
            with(symbol, c_string(names, symbol.name).unwrap_or_default());
        }
        Ok(())
    }
}

/// An entry of a symbol table.
#[derive(Clone, Copy)]
pub(super) struct RawSymbol {
    pub name: usize,
    pub info: u8,
    pub section: usize,
    pub value: u64,
    pub size: u64,
}

/// A symbol table.
pub(super) struct Symbols<'a> {
    words: Words,
    data: &'a [u8],
    wide_indexes: &'a [u8],
    entry: usize,
}

impl<'a> Symbols<'a> {
    pub fn new(image: &'a Image, table: &'a Section) -> Symbols<'a> {
        let least = if image.class64 { 24 } else { 16 };
        let wide = image.sections.iter().find(|s| s.kind == SHT_SYMTAB_SHNDX);
        Symbols {
            words: image.words(),
            data: image.section_bytes(table),
            wide_indexes: wide.map_or(&[], |s| image.section_bytes(s)),
            entry: usize::try_from(table.entry_size).unwrap_or(0).max(least),
        }
    }

    pub fn count(&self) -> usize {
        self.data.len() / self.entry
    }

    pub fn get(&self, index: usize) -> Result<RawSymbol> {
        let (words, data, at, what) = (self.words, self.data, index * self.entry, "symbol");
        let (info, section, value, size) = if words.class64 {
            (
                data[at + 4],
                words.u16(data, at + 6, what)?,
                words.u64(data, at + 8, what)?,
                words.u64(data, at + 16, what)?,
            )
        } else {
            let (value, size) = (words.u32(data, at + 4, what)?, words.u32(data, at + 8, what)?);
            (data[at + 12], words.u16(data, at + 14, what)?, u64::from(value), u64::from(size))
        };
        let section = match usize::from(section) {
            SHN_XINDEX => words.u32(self.wide_indexes, index * 4, "extended section index")? as usize,
            // Other reserved numbers (SHN_COMMON, SHN_ABS) are no sections.
            reserved if reserved >= SHN_LORESERVE => usize::MAX - SHN_XINDEX + reserved,
            index => index,
        };
        Ok(RawSymbol { name: words.u32(data, at, what)? as usize, info, section, value, size })
    }
}
