//! One ELF image: its sections, its function symbols, and its relocations applied.
//!
//! Source: System V gABI, chapters 4 and 5, and each processor's psABI for the relocation types.
//! A module is relocatable: its sections have no addresses yet. They are laid out here one after the other at
//! made-up addresses, so that every address inside the image means one place; [`Image::place`] turns such an
//! address back into a section and an offset.

mod memory;
mod relocation;

use crate::error::{Error, Result};
use flate2::read::ZlibDecoder;
pub use memory::{Mark, Memory};
pub use relocation::CodeRelocation;
use std::io::Read;
use std::ops::{Deref, DerefMut, Range};

/// Bytes of an image that may be changed: read from an archive, or a private mapping of a file.
pub enum Buffer {
    /// Bytes in memory.
    Memory(Vec<u8>),
    /// A copy-on-write mapping of a file.
    Mapped(memmap2::MmapMut),
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Buffer::Memory(bytes) => bytes,
            Buffer::Mapped(map) => map,
        }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Buffer::Memory(bytes) => bytes,
            Buffer::Mapped(map) => map,
        }
    }
}

/// The largest section that is decompressed, in bytes: several times the largest `.debug_info` of any kernel.
const SECTION_LIMIT: u64 = 4 << 30;
/// Where the first section of a relocatable image is laid out; 0 stays free, because it means "dropped".
const FIRST_ADDRESS: u64 = 0x1_0000;

pub const ET_REL: u16 = 1;
const SHT_SYMTAB: u32 = 2;
const SHT_RELA: u32 = 4;
const SHT_NOTE: u32 = 7;
const SHT_NOBITS: u32 = 8;
const SHT_REL: u32 = 9;
const SHT_SYMTAB_SHNDX: u32 = 18;
const SHF_ALLOC: u64 = 2;
const SHF_EXECINSTR: u64 = 4;
const SHF_COMPRESSED: u64 = 0x800;
const SHN_LORESERVE: usize = 0xff00;
const SHN_XINDEX: usize = 0xffff;
const STT_NOTYPE: u8 = 0;
const STT_FUNC: u8 = 2;
const STT_GNU_IFUNC: u8 = 10;
const STB_LOCAL: u8 = 0;
const NT_GNU_BUILD_ID: u32 = 3;

/// A section header, and where the section's bytes are.
pub struct Section {
    /// Name, with bytes that are not UTF-8 escaped.
    pub name: String,
    kind: u32,
    flags: u64,
    /// `sh_addr`, or the made-up address in a relocatable image.
    pub address: u64,
    size: u64,
    link: usize,
    info: usize,
    align: u64,
    entry_size: u64,
    bytes: Bytes,
}

#[derive(Clone)]
enum Bytes {
    InFile(Range<usize>),
    Decompressed(Vec<u8>),
}

impl Section {
    /// Whether the section is loaded into memory.
    pub fn is_loaded(&self) -> bool {
        self.flags & SHF_ALLOC != 0
    }

    /// Whether the section holds code.
    pub fn is_code(&self) -> bool {
        self.is_loaded() && self.flags & SHF_EXECINSTR != 0
    }
}

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

/// An ELF file whose debug sections are ready to read.
pub struct Image {
    data: Buffer,
    big_endian: bool,
    class64: bool,
    /// `e_machine`.
    pub machine: u16,
    /// `e_type`.
    pub kind: u16,
    /// All sections, in the order of the section header table.
    pub sections: Vec<Section>,
}

/// Reads integers of the image's byte order and class; every read is checked.
#[derive(Clone, Copy)]
pub(crate) struct Words {
    pub big_endian: bool,
    pub class64: bool,
}

impl Words {
    fn bytes<const N: usize>(self, data: &[u8], at: usize, what: &'static str) -> Result<[u8; N]> {
        match at.checked_add(N).and_then(|end| data.get(at..end)) {
            Some(bytes) => Ok(bytes.try_into().expect("N bytes")),
            None => Err(Error::truncated(what, at as u64, N as u64, data.len().saturating_sub(at) as u64)),
        }
    }

    pub fn u16(self, data: &[u8], at: usize, what: &'static str) -> Result<u16> {
        let bytes = self.bytes(data, at, what)?;
        Ok(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    pub fn u32(self, data: &[u8], at: usize, what: &'static str) -> Result<u32> {
        let bytes = self.bytes(data, at, what)?;
        Ok(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    pub fn u64(self, data: &[u8], at: usize, what: &'static str) -> Result<u64> {
        let bytes = self.bytes(data, at, what)?;
        Ok(if self.big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }

    fn word(self, data: &[u8], at: usize, what: &'static str) -> Result<u64> {
        if self.class64 {
            self.u64(data, at, what)
        } else {
            Ok(u64::from(self.u32(data, at, what)?))
        }
    }
}

/// Whether these are the first bytes of an ELF file.
pub fn is_elf(data: &[u8]) -> bool {
    data.starts_with(b"\x7fELF")
}

/// Text of a name that need not be UTF-8: what is not is written `\xNN`, so that no two names become one.
pub fn text(name: &[u8]) -> String {
    let mut out = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

/// The bytes up to the next NUL.
pub(crate) fn c_string(data: &[u8], at: usize) -> Option<&[u8]> {
    let rest = data.get(at..)?;
    rest.iter().position(|&b| b == 0).map(|end| &rest[..end])
}

impl Image {
    /// Reads the headers of an ELF file, decompresses its debug sections and applies its relocations to them.
    pub fn parse(data: Buffer) -> Result<Image> {
        if !is_elf(&data) {
            return Err(Error::not_a_kernel("not an ELF file"));
        }
        let class64 = match data.get(4) {
            Some(1) => false,
            Some(2) => true,
            other => return Err(Error::unsupported("ELF class", other.copied().unwrap_or(0))),
        };
        let big_endian = match data.get(5) {
            Some(1) => false,
            Some(2) => true,
            other => return Err(Error::unsupported("ELF byte order", other.copied().unwrap_or(0))),
        };
        let words = Words { big_endian, class64 };
        let mut image = Image {
            big_endian,
            class64,
            kind: words.u16(&data, 16, "ELF header")?,
            machine: words.u16(&data, 18, "ELF header")?,
            sections: Vec::new(),
            data,
        };
        image.read_sections()?;
        image.lay_out();
        image.decompress()?;
        image.relocate()?;
        Ok(image)
    }

    pub(crate) fn words(&self) -> Words {
        Words { big_endian: self.big_endian, class64: self.class64 }
    }

    /// Whether integers are stored most significant byte first.
    pub fn is_big_endian(&self) -> bool {
        self.big_endian
    }

    /// Size of an address in bytes.
    pub fn address_size(&self) -> u8 {
        if self.class64 {
            8
        } else {
            4
        }
    }

    /// What `uname -m` says on such a machine, where known.
    pub fn machine_name(&self) -> Option<&'static str> {
        Some(match (self.machine, self.class64, self.big_endian) {
            (3, ..) => "i686",
            (8, true, false) => "mips64",
            (8, ..) => "mips",
            (20, ..) => "ppc",
            (21, _, false) => "ppc64le",
            (21, _, true) => "ppc64",
            (22, ..) => "s390x",
            (40, ..) => "armv7l",
            (62, ..) => "x86_64",
            (183, ..) => "aarch64",
            (243, true, _) => "riscv64",
            (243, false, _) => "riscv32",
            (258, ..) => "loongarch64",
            _ => return None,
        })
    }

    /// The file's bytes back.
    pub fn into_data(self) -> Buffer {
        self.data
    }

    fn read_sections(&mut self) -> Result<()> {
        let (words, data) = (self.words(), &self.data);
        let what = "ELF header";
        let (table, entry, count, names) = if self.class64 {
            (
                words.u64(data, 40, what)?,
                words.u16(data, 58, what)?,
                words.u16(data, 60, what)?,
                words.u16(data, 62, what)?,
            )
        } else {
            (
                u64::from(words.u32(data, 32, what)?),
                words.u16(data, 46, what)?,
                words.u16(data, 48, what)?,
                words.u16(data, 50, what)?,
            )
        };
        let least = if self.class64 { 64 } else { 40 };
        if table == 0 {
            return Err(Error::not_a_kernel("ELF file without a section header table"));
        }
        if usize::from(entry) < least {
            return Err(Error::corrupt(
                what,
                0,
                format!("section header size {entry}, at least {least} expected"),
            ));
        }
        let table = usize::try_from(table)
            .map_err(|_| Error::truncated("section header table", table, least as u64, 0))?;
        let first = raw_section(words, data, table)?;
        let count = if count == 0 { first.size as usize } else { usize::from(count) };
        let names = if usize::from(names) == SHN_XINDEX { first.link } else { usize::from(names) };
        let needed = count.saturating_mul(usize::from(entry));
        let available = data.len().saturating_sub(table);
        if needed > available {
            return Err(Error::truncated(
                "section header table",
                table as u64,
                needed as u64,
                available as u64,
            ));
        }
        let mut sections = Vec::with_capacity(count);
        let mut name_offsets = Vec::with_capacity(count);
        for index in 0..count {
            let raw = raw_section(words, data, table + index * usize::from(entry))?;
            let bytes = if raw.kind == SHT_NOBITS || index == 0 {
                0..0
            } else {
                let start = usize::try_from(raw.offset).unwrap_or(usize::MAX);
                let end = usize::try_from(raw.size).ok().and_then(|size| start.checked_add(size));
                match end {
                    Some(end) if end <= data.len() => start..end,
                    _ => {
                        return Err(Error::truncated(
                            format!("section {index}"),
                            raw.offset,
                            raw.size,
                            (data.len() as u64).saturating_sub(raw.offset),
                        ))
                    }
                }
            };
            name_offsets.push(raw.name);
            sections.push(Section {
                name: String::new(),
                kind: raw.kind,
                flags: raw.flags,
                address: raw.address,
                size: raw.size,
                link: raw.link,
                info: raw.info,
                align: raw.align,
                entry_size: raw.entry_size,
                bytes: Bytes::InFile(bytes),
            });
        }
        let table = match sections.get(names) {
            Some(Section { bytes: Bytes::InFile(range), .. }) => &data[range.clone()],
            _ => {
                return Err(Error::corrupt(
                    "ELF header",
                    0,
                    format!("section name table {names} of {count} sections"),
                ))
            }
        };
        for (section, offset) in sections.iter_mut().zip(name_offsets) {
            section.name = text(c_string(table, offset).unwrap_or_default());
        }
        self.sections = sections;
        Ok(())
    }

    fn lay_out(&mut self) {
        if self.kind != ET_REL {
            return;
        }
        let mut next = FIRST_ADDRESS;
        for section in &mut self.sections {
            if section.is_loaded() {
                let align = section.align.clamp(16, 1 << 20).next_power_of_two();
                section.address = next.next_multiple_of(align);
                // A hostile size must not wrap the addresses; no reader goes that far.
                next = section.address.saturating_add(section.size.min(1 << 40)).saturating_add(16);
            } else {
                section.address = 0;
            }
        }
    }

    fn decompress(&mut self) -> Result<()> {
        let words = self.words();
        for section in &mut self.sections {
            let Bytes::InFile(range) = &section.bytes else { continue };
            let raw = &self.data[range.clone()];
            let at = range.start as u64;
            let (kind, size, body) = if section.flags & SHF_COMPRESSED != 0 {
                let header = if words.class64 { 24 } else { 12 };
                let what = "compressed section header";
                let size = if words.class64 {
                    words.u64(raw, 8, what)?
                } else {
                    u64::from(words.u32(raw, 4, what)?)
                };
                let kind = words.u32(raw, 0, what)?;
                (kind, size, raw.get(header..).unwrap_or_default())
            } else if section.name.starts_with(".zdebug_") && raw.starts_with(b"ZLIB") && raw.len() >= 12 {
                (1, u64::from_be_bytes(raw[4..12].try_into().expect("8 bytes")), &raw[12..])
            } else {
                continue;
            };
            if size > SECTION_LIMIT {
                return Err(Error::too_large(section.name.clone(), size, SECTION_LIMIT));
            }
            let mut out = Vec::new();
            let outcome = match kind {
                1 => ZlibDecoder::new(body).take(size).read_to_end(&mut out),
                2 => zstd::Decoder::new(body).and_then(|decoder| decoder.take(size).read_to_end(&mut out)),
                other => return Err(Error::unsupported("section compression", other)),
            };
            outcome.map_err(|e| {
                Error::corrupt(format!("compressed section {}", section.name), at, e.to_string())
            })?;
            if (out.len() as u64) < size {
                return Err(Error::truncated(
                    format!("compressed section {}", section.name),
                    at,
                    size,
                    out.len() as u64,
                ));
            }
            if let Some(rest) = section.name.strip_prefix(".zdebug_") {
                section.name = format!(".debug_{rest}");
            }
            section.size = size;
            section.bytes = Bytes::Decompressed(out);
        }
        Ok(())
    }

    /// The first section of this name.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|s| s.name == name)
    }

    /// The bytes of the first section of this name; empty where there is none.
    pub fn bytes(&self, name: &str) -> &[u8] {
        self.section(name).map_or(&[], |s| self.section_bytes(s))
    }

    /// The bytes of a section; empty for one that has none in the file.
    pub fn section_bytes<'a>(&'a self, section: &'a Section) -> &'a [u8] {
        match &section.bytes {
            Bytes::InFile(range) => &self.data[range.clone()],
            Bytes::Decompressed(bytes) => bytes,
        }
    }

    /// The loaded section that holds an address, and the offset inside it.
    pub fn place(&self, address: u64) -> Option<(&Section, u64)> {
        self.sections.iter().filter(|s| s.is_loaded() && s.size > 0).find_map(|s| {
            let offset = address.checked_sub(s.address)?;
            (offset < s.size).then_some((s, offset))
        })
    }

    /// The build id as lower-case hex, from the first `NT_GNU_BUILD_ID` note.
    pub fn build_id(&self) -> Option<String> {
        let words = self.words();
        self.sections.iter().filter(|s| s.kind == SHT_NOTE || s.name == ".notes").find_map(|section| {
            let notes = self.section_bytes(section);
            let mut at = 0usize;
            while let (Ok(name), Ok(size), Ok(kind)) = (
                words.u32(notes, at, "note"),
                words.u32(notes, at + 4, "note"),
                words.u32(notes, at + 8, "note"),
            ) {
                let name_end = at.checked_add(12)?.checked_add(name as usize)?;
                let start = name_end.checked_next_multiple_of(4)?;
                let end = start.checked_add(size as usize)?;
                if kind == NT_GNU_BUILD_ID && notes.get(at + 12..name_end) == Some(b"GNU\0") {
                    return Some(notes.get(start..end)?.iter().map(|b| format!("{b:02x}")).collect());
                }
                at = end.checked_next_multiple_of(4)?;
            }
            None
        })
    }

    /// The value of a `.modinfo` entry (`name`, `vermagic`, ...): include/linux/moduleparam.h, `__MODULE_INFO`.
    pub fn modinfo(&self, key: &str) -> Option<String> {
        self.bytes(".modinfo").split(|&b| b == 0).find_map(|entry| {
            let value = entry.strip_prefix(key.as_bytes())?.strip_prefix(b"=")?;
            Some(text(value))
        })
    }

    /// `uname -r`: a module's `vermagic`, or what follows `Linux version ` in the image (init/version.c).
    pub fn release(&self) -> Option<String> {
        if let Some(magic) = self.modinfo("vermagic") {
            return magic.split(' ').next().map(str::to_owned);
        }
        const BANNER: &[u8] = b"Linux version ";
        [".rodata", ".init.rodata", ".rodata.str1.1", ".data", ".head.text", ".text", ".init.data"]
            .iter()
            .find_map(|name| {
                let bytes = self.bytes(name);
                memchr::memmem::find_iter(bytes, BANNER).find_map(|at| {
                    let rest = &bytes[at + BANNER.len()..];
                    let end = rest.iter().take(128).position(|&b| b == b' ')?;
                    let release = std::str::from_utf8(&rest[..end]).ok()?;
                    release.starts_with(|c: char| c.is_ascii_digit()).then(|| release.to_owned())
                })
            })
    }

    /// Symbols that name code: `STT_FUNC` and `STT_GNU_IFUNC`, and untyped ones of other than local binding
    /// that have a size, in code sections (assembly; linker scripts' marks have none). The padding that `__pfx_` and `__cfi_` symbols name is no code.
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
    fn each_mark<'a>(&'a self, mut with: impl FnMut(Mark<'a>)) -> Result<()> {
        let Some(table) = self.sections.iter().find(|s| s.kind == SHT_SYMTAB) else { return Ok(()) };
        let names = self.sections.get(table.link).map_or(&[][..], |s| self.section_bytes(s));
        let symbols = Symbols::new(self, table);
        for index in 0..symbols.count() {
            let symbol = symbols.get(index)?;
            let Some(section) = self.symbol_section(&symbol) else { continue };
            let name = c_string(names, symbol.name).unwrap_or_default();
            if !name.is_empty() {
                let base = if self.kind == ET_REL { section.address } else { 0 };
                let weak = symbol.info >> 4 == 2;
                with(Mark { name, address: base.wrapping_add(symbol.value), size: symbol.size, weak });
            }
        }
        Ok(())
    }

    fn symbol_section(&self, symbol: &RawSymbol) -> Option<&Section> {
        match symbol.section {
            0 => None,
            index => self.sections.get(index).filter(|s| s.is_loaded()),
        }
    }

    fn each_symbol(&self, mut with: impl FnMut(RawSymbol, &[u8])) -> Result<()> {
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

struct RawSection {
    name: usize,
    kind: u32,
    flags: u64,
    address: u64,
    offset: u64,
    size: u64,
    link: usize,
    info: usize,
    align: u64,
    entry_size: u64,
}

fn raw_section(words: Words, data: &[u8], at: usize) -> Result<RawSection> {
    let what = "section header";
    let word = if words.class64 { 8 } else { 4 };
    let field = |index: usize| words.word(data, at.saturating_add(8 + index * word), what);
    let after = at.saturating_add(8 + 4 * word);
    Ok(RawSection {
        name: words.u32(data, at, what)? as usize,
        kind: words.u32(data, at.saturating_add(4), what)?,
        flags: field(0)?,
        address: field(1)?,
        offset: field(2)?,
        size: field(3)?,
        link: words.u32(data, after, what)? as usize,
        info: words.u32(data, after + 4, what)? as usize,
        align: words.word(data, after + 8, what)?,
        entry_size: words.word(data, after + 8 + word, what)?,
    })
}

#[derive(Clone, Copy)]
struct RawSymbol {
    name: usize,
    info: u8,
    section: usize,
    value: u64,
    size: u64,
}

struct Symbols<'a> {
    words: Words,
    data: &'a [u8],
    wide_indexes: &'a [u8],
    entry: usize,
}

impl<'a> Symbols<'a> {
    fn new(image: &'a Image, table: &'a Section) -> Symbols<'a> {
        let least = if image.class64 { 24 } else { 16 };
        let wide = image.sections.iter().find(|s| s.kind == SHT_SYMTAB_SHNDX);
        Symbols {
            words: image.words(),
            data: image.section_bytes(table),
            wide_indexes: wide.map_or(&[], |s| image.section_bytes(s)),
            entry: usize::try_from(table.entry_size).unwrap_or(0).max(least),
        }
    }

    fn count(&self) -> usize {
        self.data.len() / self.entry
    }

    fn get(&self, index: usize) -> Result<RawSymbol> {
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
