//! Relocations applied to the sections that are read.
//!
//! Source: each processor's psABI supplement. A module has them for every section; a kernel that moves itself at
//! boot (arm64, ppc64, riscv64) keeps the pointers of its data in its dynamic relocations only.

use super::section::{Bytes, SHF_ALLOC, SHF_EXECINSTR, SHT_REL, SHT_RELA, SHT_SYMTAB};
use super::symbol::Symbols;
use super::{c_string, Image, Words, ET_REL};
use crate::error::{At, Error, Result};

/// Loaded sections that nobody here reads, by their beginnings; their relocations are most of a module's.
const UNREAD: [&str; 14] = [
    ".orc_unwind",
    ".return_sites",
    ".call_sites",
    ".retpoline_sites",
    ".ibt_endbr",
    ".cfi_sites",
    ".altinstructions",
    ".static_call_sites",
    ".smp_locks",
    ".eh_frame",
    ".rela",
    "__bug_table",
    "__ex_table",
    "__jump_table",
];

/// A relocation of code, which is not applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeRelocation<'a> {
    /// The address of the bytes that it patches.
    pub place: u64,
    /// The symbol that it refers to; empty for a section.
    pub symbol: &'a [u8],
    /// The symbol's address and the addend; `None` where another image defines the symbol.
    pub target: Option<u64>,
}

impl Image {
    /// The relocations of a module's code, as far as they have addends (on all 64-bit processors but MIPS).
    pub fn code_relocations(&self) -> Result<Vec<CodeRelocation<'_>>> {
        let mut found = Vec::new();
        let Some(table) = self.sections.iter().position(|s| s.kind == SHT_SYMTAB) else { return Ok(found) };
        let words = self.words();
        if self.kind != ET_REL || !words.class64 || self.machine == 8 {
            return Ok(found);
        }
        let symbols = Symbols::new(self, &self.sections[table]);
        let names = self.sections.get(self.sections[table].link).map_or(&[][..], |s| self.section_bytes(s));
        for section in self.sections.iter().filter(|s| s.kind == SHT_RELA) {
            let Some(code) = self.sections.get(section.info).filter(|s| s.is_code()) else { continue };
            if found.len() > self.data.len() / 24 {
                return Err(Error::corrupt("relocation section", 0, "several of them have the same bytes"));
            }
            for relocation in self.section_bytes(section).chunks_exact(24) {
                let what = "relocation";
                let number = (words.u64(relocation, 8, what)? >> 32) as usize;
                if number >= symbols.count() {
                    let reason = format!("symbol {number} of {}", symbols.count());
                    return Err(Error::corrupt(what, 0, reason).at(&section.name));
                }
                let symbol = symbols.get(number)?;
                let addend = words.u64(relocation, 16, what)?;
                let holder = self.sections.get(symbol.section).filter(|_| symbol.section != 0);
                found.push(CodeRelocation {
                    place: code.address.wrapping_add(words.u64(relocation, 0, what)?),
                    symbol: c_string(names, symbol.name).unwrap_or_default(),
                    target: holder.map(|s| s.address.wrapping_add(symbol.value).wrapping_add(addend)),
                });
            }
        }
        Ok(found)
    }

    /// Applies the relocations of debug sections and of data, in place.
    pub(super) fn relocate(&mut self) -> Result<()> {
        if self.kind != ET_REL {
            return self.relocate_dynamic();
        }
        let todo: Vec<(usize, usize, bool)> = (0..self.sections.len())
            .filter_map(|index| {
                let section = &self.sections[index];
                let with_addend = match section.kind {
                    SHT_RELA => true,
                    SHT_REL => false,
                    _ => return None,
                };
                let target = self.sections.get(section.info)?;
                let data = target.is_loaded()
                    && target.flags & SHF_EXECINSTR == 0
                    && !UNREAD.iter().any(|unread| target.name.starts_with(unread));
                (data || target.name.starts_with(".debug_")).then_some((index, section.info, with_addend))
            })
            .collect();
        let Some(table) = self.sections.iter().position(|s| s.kind == SHT_SYMTAB) else { return Ok(()) };
        let values = self.symbol_values(table)?;
        for (index, target, with_addend) in todo {
            let outcome = self.relocate_section(index, target, with_addend, &values);
            // Of data only what is read must be understood; its readers check what they find.
            if self.sections[target].name.starts_with(".debug_") {
                outcome.map_err(|e| e.at(&self.sections[index].name))?;
            }
        }
        Ok(())
    }

    /// The values of all symbols of a table. Only these are needed, so it is read once into a flat vector.
    fn symbol_values(&self, table: usize) -> Result<Vec<u64>> {
        let symbols = Symbols::new(self, &self.sections[table]);
        let relocatable = self.kind == ET_REL;
        (0..symbols.count())
            .map(|i| {
                let symbol = symbols.get(i)?;
                let section = self.sections.get(symbol.section).filter(|_| relocatable);
                Ok(section.map_or(0, |s| s.address).wrapping_add(symbol.value))
            })
            .collect()
    }

    fn relocate_section(
        &mut self,
        index: usize,
        target: usize,
        with_addend: bool,
        values: &[u64],
    ) -> Result<()> {
        let (words, machine) = (self.words(), self.machine);
        let address = self.sections[target].address;
        let mut taken = std::mem::replace(&mut self.sections[target].bytes, Bytes::InFile(0..0));
        let outcome = (|| {
            // Borrowed apart: the relocations are read while the section they change is written.
            let (source, range);
            match &mut taken {
                Bytes::Decompressed(bytes) => {
                    let relocations = self.section_bytes(&self.sections[index]);
                    return apply(words, machine, relocations, with_addend, bytes, address, values);
                }
                Bytes::InFile(r) => {
                    range = r.clone();
                    source = match &self.sections[index].bytes {
                        Bytes::InFile(r) => r.clone(),
                        Bytes::Decompressed(bytes) => {
                            let data = &mut self.data[range];
                            return apply(words, machine, bytes, with_addend, data, address, values);
                        }
                    };
                }
            }
            let overlap = source.start < range.end && range.start < source.end;
            if overlap {
                return Err(Error::corrupt(
                    "relocation section",
                    source.start as u64,
                    "it overlaps the section that it relocates",
                ));
            }
            let (relocations, data) = if source.start >= range.end {
                let (low, high) = self.data.split_at_mut(source.start);
                (&high[..source.len()], &mut low[range])
            } else {
                let (low, high) = self.data.split_at_mut(range.start);
                (&low[source.clone()], &mut high[..range.len()])
            };
            apply(words, machine, relocations, with_addend, data, address, values)
        })();
        self.sections[target].bytes = taken;
        outcome
    }

    /// Applies the dynamic relocations of a linked image. Offsets are addresses, wherever they lie. Those in
    /// `.relr.dyn` have their values in place already.
    fn relocate_dynamic(&mut self) -> Result<()> {
        let words = self.words();
        if !words.class64 {
            return Ok(());
        }
        let tables: Vec<usize> = (0..self.sections.len())
            .filter(|&i| self.sections[i].kind == SHT_RELA && self.sections[i].flags & SHF_ALLOC != 0)
            .collect();
        for index in tables {
            let link = self.sections[index].link;
            let values = if link < self.sections.len() { self.symbol_values(link)? } else { Vec::new() };
            let Bytes::InFile(range) = self.sections[index].bytes.clone() else { continue };
            let mut known = 0usize;
            let last = range.end.saturating_sub(23);
            for at in (range.start..last).step_by(24) {
                let offset = words.u64(&self.data, at, "relocation")?;
                let info = words.u64(&self.data, at + 8, "relocation")?;
                let addend = words.u64(&self.data, at + 16, "relocation")?;
                let (symbol, kind) = ((info >> 32) as usize, (info & 0xffff_ffff) as u32);
                let value = match (self.machine, kind) {
                    (183, 1027) | (21, 22) | (243, 3) | (22, 12) | (258, 3) | (62, 8) => addend, // *_RELATIVE
                    _ => match patch(self.machine, kind) {
                        Some(Patch::Set(8)) => values.get(symbol).map_or(addend, |v| v.wrapping_add(addend)),
                        _ => continue,
                    },
                };
                // They come in the order of their addresses, so the section is nearly always the last one.
                let holds = |s: &super::Section| {
                    s.is_loaded()
                        && offset.checked_sub(s.address).is_some_and(|o| o.saturating_add(8) <= s.size)
                };
                if !self.sections.get(known).is_some_and(holds) {
                    match self.sections.iter().position(holds) {
                        Some(found) => known = found,
                        None => continue,
                    }
                }
                let section = &self.sections[known];
                let place = (offset - section.address) as usize;
                let bytes = if words.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
                let Bytes::InFile(target) = &section.bytes else { continue };
                let start = target.start + place;
                if start + 8 <= target.end {
                    self.data[start..start + 8].copy_from_slice(&bytes);
                }
            }
        }
        Ok(())
    }
}

/// What a relocation does to the bytes at its offset.
#[derive(Clone, Copy, PartialEq)]
enum Patch {
    Nothing,
    Set(u8),
    Add(u8),
    Subtract(u8),
    /// The distance from the patched place.
    Relative(u8),
    /// RISC-V: the low six bits of a byte.
    Set6,
    Subtract6,
    /// RISC-V: a ULEB128 whose length stays.
    SetUleb,
    SubtractUleb,
}

/// The relocation types that assemblers put into debug sections and data; psABI of each processor.
fn patch(machine: u16, kind: u32) -> Option<Patch> {
    use Patch::*;
    Some(match (machine, kind) {
        (_, 0) => Nothing,
        (62, 1) => Set(8),            // R_X86_64_64
        (62, 10 | 11) => Set(4),      // R_X86_64_32, R_X86_64_32S
        (3, 1) => Set(4),             // R_386_32
        (183, 257) => Set(8),         // R_AARCH64_ABS64
        (183, 258) => Set(4),         // R_AARCH64_ABS32
        (40, 2) => Set(4),            // R_ARM_ABS32
        (20, 1) => Set(4),            // R_PPC_ADDR32
        (21, 38) => Set(8),           // R_PPC64_ADDR64
        (21, 1) => Set(4),            // R_PPC64_ADDR32
        (22, 22) => Set(8),           // R_390_64
        (22, 4) => Set(4),            // R_390_32
        (8, 2) => Set(4),             // R_MIPS_32
        (8, 18) => Set(8),            // R_MIPS_64
        (243 | 258, 1) => Set(4),     // R_RISCV_32, R_LARCH_32
        (243 | 258, 2) => Set(8),     // R_RISCV_64, R_LARCH_64
        (62, 2 | 4) => Relative(4),   // R_X86_64_PC32, R_X86_64_PLT32
        (62, 24) => Relative(8),      // R_X86_64_PC64
        (3, 2) => Relative(4),        // R_386_PC32
        (183, 260) => Relative(8),    // R_AARCH64_PREL64
        (183, 261) => Relative(4),    // R_AARCH64_PREL32
        (40, 3) => Relative(4),       // R_ARM_REL32
        (20 | 21, 26) => Relative(4), // R_PPC_REL32, R_PPC64_REL32
        (21, 44) => Relative(8),      // R_PPC64_REL64
        (22, 5) => Relative(4),       // R_390_PC32
        (22, 23) => Relative(8),      // R_390_PC64
        (243, 57) => Relative(4),     // R_RISCV_32_PCREL
        (258, 99) => Relative(4),     // R_LARCH_32_PCREL
        (258, 109) => Relative(8),    // R_LARCH_64_PCREL
        (243, 33) => Add(1),
        (243, 34) => Add(2),
        (243, 35) => Add(4),
        (243, 36) => Add(8),
        (243, 37) => Subtract(1),
        (243, 38) => Subtract(2),
        (243, 39) => Subtract(4),
        (243, 40) => Subtract(8),
        (243, 51) => Nothing, // R_RISCV_RELAX
        (243, 52) => Subtract6,
        (243, 53) => Set6,
        (243, 54) => Set(1),
        (243, 55) => Set(2),
        (243, 56) => Set(4),
        (243, 60) => SetUleb,
        (243, 61) => SubtractUleb,
        (258, 47) => Add(1), // R_LARCH_ADD8 and so on
        (258, 48) => Add(2),
        (258, 50) => Add(4),
        (258, 51) => Add(8),
        (258, 52) => Subtract(1),
        (258, 53) => Subtract(2),
        (258, 55) => Subtract(4),
        (258, 56) => Subtract(8),
        (258, 100) => Nothing, // R_LARCH_RELAX
        (258, 105) => Set6,    // R_LARCH_ADD6 adds to a zero field
        (258, 106) => Subtract6,
        (258, 107) => SetUleb,
        (258, 108) => SubtractUleb,
        _ => return None,
    })
}

fn apply(
    words: Words,
    machine: u16,
    relocations: &[u8],
    with_addend: bool,
    data: &mut [u8],
    address: u64,
    values: &[u64],
) -> Result<()> {
    let word = if words.class64 { 8 } else { 4 };
    let entry = word * if with_addend { 3 } else { 2 };
    let what = "relocation";
    let mut last = (u32::MAX, Patch::Nothing);
    for (number, relocation) in relocations.chunks_exact(entry).enumerate() {
        let at = words.word(relocation, 0, what)? as usize;
        let info = words.word(relocation, word, what)?;
        let (symbol, kind) = if !words.class64 {
            ((info >> 8) as usize, (info & 0xff) as u32)
        } else if machine == 8 && !words.big_endian {
            // 64-bit little-endian MIPS stores the four bytes of the type the other way round.
            ((info & 0xffff_ffff) as usize, (info >> 56) as u32)
        } else {
            ((info >> 32) as usize, (info & 0xffff_ffff) as u32)
        };
        if kind != last.0 {
            let found = patch(machine, kind).ok_or_else(|| {
                Error::unsupported("relocation type", format!("{kind} of machine {machine}"))
            })?;
            last = (kind, found);
        }
        let wrong = |reason: String| Error::corrupt(what, (number * entry) as u64, reason);
        let value =
            *values.get(symbol).ok_or_else(|| wrong(format!("symbol {symbol} of {}", values.len())))?;
        let addend = if with_addend { words.word(relocation, 2 * word, what)? } else { 0 };
        let addend = if words.class64 || !with_addend { addend } else { addend as u32 as i32 as u64 };
        let value = value.wrapping_add(addend);
        let place = address.wrapping_add(at as u64);
        let value = if matches!(last.1, Patch::Relative(_)) { value.wrapping_sub(place) } else { value };
        let (width, combine): (usize, fn(u64, u64) -> u64) = match last.1 {
            Patch::Nothing => continue,
            Patch::Set(width) | Patch::Relative(width) if with_addend => (width.into(), |_, new| new),
            Patch::Set(width) | Patch::Relative(width) | Patch::Add(width) => {
                (width.into(), u64::wrapping_add)
            }
            Patch::Subtract(width) => (width.into(), u64::wrapping_sub),
            Patch::Set6 => (1, |old, new| old & 0xc0 | new & 0x3f),
            Patch::Subtract6 => (1, |old, new| old & 0xc0 | (old.wrapping_sub(new)) & 0x3f),
            Patch::SetUleb | Patch::SubtractUleb => {
                let field = data.get_mut(at..).unwrap_or_default();
                patch_uleb(field, value, last.1 == Patch::SetUleb)
                    .ok_or_else(|| wrong(format!("offset {at:#x} is outside its section")))?;
                continue;
            }
        };
        let field = at
            .checked_add(width)
            .and_then(|end| data.get_mut(at..end))
            .ok_or_else(|| wrong(format!("offset {at:#x} is outside its section")))?;
        let mut buffer = [0u8; 8];
        if words.big_endian {
            buffer[8 - width..].copy_from_slice(field);
            let new = combine(u64::from_be_bytes(buffer), value);
            field.copy_from_slice(&new.to_be_bytes()[8 - width..]);
        } else {
            buffer[..width].copy_from_slice(field);
            let new = combine(u64::from_le_bytes(buffer), value);
            field.copy_from_slice(&new.to_le_bytes()[..width]);
        }
    }
    Ok(())
}

/// Sets or subtracts from a ULEB128 in place, keeping the number of its bytes.
fn patch_uleb(field: &mut [u8], value: u64, set: bool) -> Option<()> {
    let length = field.iter().take(10).position(|b| b & 0x80 == 0)? + 1;
    let old = field[..length].iter().rev().fold(0u64, |sum, b| sum << 7 | u64::from(b & 0x7f));
    let mut new = if set { value } else { old.wrapping_sub(value) };
    for (index, byte) in field[..length].iter_mut().enumerate() {
        let more = if index + 1 < length { 0x80 } else { 0 };
        *byte = (new & 0x7f) as u8 | more;
        new >>= 7;
    }
    Some(())
}
