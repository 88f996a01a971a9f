//! The sections, symbols and relocations of an ELF file, borrowed: nothing is copied, moved or relocated.
//!
//! Source: System V gABI, chapters 4 and 5; `Documentation/bpf/llvm_reloc.rst` for the relocations of eBPF.

use crate::elf::{text, Words};
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::ops::Range;

pub const SHT_PROGBITS: u32 = 1;
pub const SHT_SYMTAB: u32 = 2;
const SHT_STRTAB: u32 = 3;
pub const SHT_NOBITS: u32 = 8;
pub const SHT_REL: u32 = 9;
pub const SHF_EXECINSTR: u64 = 4;
pub const STT_FUNC: u8 = 2;
pub const STT_SECTION: u8 = 3;
pub const STB_LOCAL: u8 = 0;
pub const STB_GLOBAL: u8 = 1;
pub const STB_WEAK: u8 = 2;

const SHN_LORESERVE: u16 = 0xff00;
const SYMBOL_BYTES: usize = 24;
const REL_BYTES: usize = 16;
/// A longer name is cut: many may be one long string, each without its first letters.
const NAME_LIMIT: usize = 1024;

/// A section header, as far as anything here needs it.
pub struct Section {
    /// Name, with bytes that are not UTF-8 escaped.
    pub name: String,
    pub kind: u32,
    pub flags: u64,
    /// Size in bytes, also of what has none in the file (`SHT_NOBITS`).
    pub byte_size: u64,
    pub link: usize,
    pub info: usize,
    /// Where its bytes are in the file.
    pub bytes: Range<usize>,
}

/// A symbol of a 64-bit file.
#[derive(Debug, Clone, Copy)]
pub struct Symbol<'a> {
    pub name: &'a [u8],
    /// `STT_*` and `STB_*`.
    pub kind: u8,
    pub bind: u8,
    /// `STV_HIDDEN` or `STV_INTERNAL`: libbpf treats it as static.
    pub is_hidden: bool,
    /// The number of its section; `None` for one that is not defined here, or in none.
    pub section: Option<usize>,
    pub is_undefined: bool,
    pub value: u64,
    pub byte_size: u64,
}

/// `Elf64_Rel`: what stands at `offset` of a section refers to a symbol.
#[derive(Debug, Clone, Copy)]
pub struct Relocation {
    pub offset: u64,
    pub symbol: usize,
}

/// An ELF file's headers, over its bytes.
pub struct Elf<'a> {
    pub data: &'a [u8],
    pub words: Words,
    pub kind: u16,
    pub machine: u16,
    pub sections: Vec<Section>,
    /// The numbers of the sections that hold relocations, by that of the section that they are for.
    relocations: HashMap<usize, Vec<usize>>,
    /// The number of the first section of each name.
    names: HashMap<String, usize>,
}

/// Where the section header table is, and how many there are of which size.
struct Table {
    start: usize,
    entry: usize,
    count: usize,
    names: usize,
}

impl<'a> Elf<'a> {
    /// Reads the headers. A section that is not all there is an error.
    pub fn parse(data: &'a [u8]) -> Result<Elf<'a>> {
        let words = words(data)?;
        let table = Table::read(data, words)?;
        let mut names = Vec::new();
        let mut sections = Vec::new();
        let mut total = 0u64;
        for index in 0..table.count {
            let (name, section) = section(data, words, table.start + index * table.entry)?;
            if section.bytes.end > data.len() {
                let (start, size) = (section.bytes.start as u64, section.byte_size);
                let available = (data.len() as u64).saturating_sub(start);
                return Err(Error::truncated(format!("section {index}"), start, size, available));
            }
            total += section.bytes.len() as u64;
            names.push(name);
            sections.push(section);
        }
        // What is read once for each section stays as small as the file.
        if total > data.len() as u64 {
            return Err(Error::corrupt("section header table", table.start as u64, "its sections overlap"));
        }
        let strings = sections.get(table.names).map_or(&[][..], |s| &data[s.bytes.clone()]);
        for (section, name) in sections.iter_mut().zip(names) {
            section.name = text(name_at(strings, name));
        }
        let mut relocations: HashMap<usize, Vec<usize>> = HashMap::new();
        for (at, section) in sections.iter().enumerate().filter(|(_, section)| section.kind == SHT_REL) {
            relocations.entry(section.info).or_default().push(at);
        }
        let numbered = sections.iter().enumerate().rev();
        let names = numbered.map(|(at, section)| (section.name.clone(), at)).collect();
        let what = "ELF header";
        let (kind, machine) = (words.u16(data, 16, what)?, words.u16(data, 18, what)?);
        Ok(Elf { data, words, kind, machine, sections, relocations, names })
    }

    pub fn bytes(&self, section: &Section) -> &'a [u8] {
        &self.data[section.bytes.clone()]
    }

    /// The number of the first section of this name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    /// All symbols; numbers are those of [`Relocation::symbol`].
    pub fn symbols(&self) -> Result<Vec<Symbol<'a>>> {
        let Some(table) = self.sections.iter().find(|s| s.kind == SHT_SYMTAB) else { return Ok(Vec::new()) };
        let names = self.sections.get(table.link).map_or(&[][..], |s| self.bytes(s));
        let (words, what) = (self.words, "symbol");
        let decode = |entry: &[u8]| {
            let section = words.u16(entry, 6, what)?;
            Ok(Symbol {
                name: name_at(names, words.u32(entry, 0, what)? as usize),
                kind: entry[4] & 15,
                bind: entry[4] >> 4,
                is_hidden: matches!(entry[5] & 3, 1 | 2),
                section: (section != 0 && section < SHN_LORESERVE).then_some(section.into()),
                is_undefined: section == 0,
                value: words.u64(entry, 8, what)?,
                byte_size: words.u64(entry, 16, what)?,
            })
        };
        self.bytes(table).chunks_exact(SYMBOL_BYTES).map(decode).collect()
    }

    /// The relocations of a section, by its number, in the order of the file.
    pub fn relocations(&self, target: usize) -> impl Iterator<Item = Relocation> + '_ {
        let tables = self.relocations.get(&target).into_iter().flatten();
        tables.flat_map(|&at| self.bytes(&self.sections[at]).chunks_exact(REL_BYTES)).filter_map(|entry| {
            let info = self.words.u64(entry, 8, "relocation").ok()?;
            Some(Relocation {
                offset: self.words.u64(entry, 0, "relocation").ok()?,
                symbol: (info >> 32) as usize,
            })
        })
    }
}

/// The number of bytes from the start of an ELF file to the end of its last section or of its section header table,
/// whichever comes later. Sections that claim more than there is do not count.
pub fn extent(data: &[u8]) -> Result<usize> {
    let words = words(data)?;
    let table = Table::read(data, words)?;
    let mut end = table.start + table.count * table.entry;
    for index in 0..table.count {
        let (_, section) = section(data, words, table.start + index * table.entry)?;
        if section.bytes.end <= data.len() {
            end = end.max(section.bytes.end);
        }
    }
    Ok(end)
}

/// The bytes up to the next NUL.
fn name_at(names: &[u8], at: usize) -> &[u8] {
    let rest = names.get(at..).unwrap_or_default();
    let rest = &rest[..rest.len().min(NAME_LIMIT)];
    &rest[..memchr::memchr(0, rest).unwrap_or(rest.len())]
}

fn words(data: &[u8]) -> Result<Words> {
    if !crate::elf::is_elf(data) {
        return Err(Error::corrupt("ELF header", 0, "its magic number is missing"));
    }
    let bit = |at: usize, what| match data.get(at) {
        Some(1) => Ok(false),
        Some(2) => Ok(true),
        other => Err(Error::unsupported(what, other.copied().unwrap_or(0))),
    };
    Ok(Words { class64: bit(4, "ELF class")?, big_endian: bit(5, "ELF byte order")? })
}

impl Table {
    /// Finds the table, and makes sure that it is all there.
    fn read(data: &[u8], words: Words) -> Result<Table> {
        let what = "ELF header";
        let (start, sizes, least) = if words.class64 {
            (words.u64(data, 40, what)?, 58, 64)
        } else {
            (words.u32(data, 32, what)?.into(), 46, 40)
        };
        let entry = usize::from(words.u16(data, sizes, what)?);
        let mut count = usize::from(words.u16(data, sizes + 2, what)?);
        let mut names = usize::from(words.u16(data, sizes + 4, what)?);
        if start == 0 {
            return Err(Error::corrupt(what, 0, "it has no section header table"));
        }
        if entry < least {
            let reason = format!("section header size {entry}, at least {least} expected");
            return Err(Error::corrupt(what, 0, reason));
        }
        let place = start;
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let available = data.len().saturating_sub(start);
        let has = |count: usize| {
            let needed = count.saturating_mul(entry);
            let error = || Error::truncated("section header table", place, needed as u64, available as u64);
            (needed <= available).then_some(()).ok_or_else(error)
        };
        has(count.max(1))?;
        // The first one is none; where there are more than fit into the header, it tells how many.
        let (_, first) = section(data, words, start)?;
        if first.kind != 0 {
            let reason = format!("the first section is of kind {}", first.kind);
            return Err(Error::corrupt("section header table", place, reason));
        }
        count = if count == 0 { usize::try_from(first.byte_size).unwrap_or(usize::MAX) } else { count };
        names = if names == 0xffff { first.link } else { names };
        has(count)?;
        if names >= count || section(data, words, start + names * entry)?.1.kind != SHT_STRTAB {
            let reason = format!("section {names} of {count} has no names");
            return Err(Error::corrupt("section header table", place, reason));
        }
        Ok(Table { start, entry, count, names })
    }
}

/// A section header, and where its name is.
fn section(data: &[u8], words: Words, at: usize) -> Result<(usize, Section)> {
    let what = "section header";
    let width = if words.class64 { 8 } else { 4 };
    let place = |offset: usize| at.saturating_add(offset);
    let word = |offset: usize| {
        if words.class64 {
            words.u64(data, place(offset), what)
        } else {
            words.u32(data, place(offset), what).map(u64::from)
        }
    };
    let kind = words.u32(data, place(4), what)?;
    let (offset, byte_size) = (word(8 + 2 * width)?, word(8 + 3 * width)?);
    let bytes = if matches!(kind, 0 | SHT_NOBITS) {
        0..0
    } else {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        start..start.saturating_add(usize::try_from(byte_size).unwrap_or(usize::MAX))
    };
    let section = Section {
        name: String::new(),
        kind,
        flags: word(8)?,
        byte_size,
        link: words.u32(data, place(8 + 4 * width), what)? as usize,
        info: words.u32(data, place(12 + 4 * width), what)? as usize,
        bytes,
    };
    Ok((words.u32(data, at, what)? as usize, section))
}
