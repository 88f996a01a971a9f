//! One ELF image: its sections, its function symbols, and its relocations applied.
//!
//! Source: System V gABI, chapters 4 and 5, and each processor's psABI for the relocation types.
//! A module is relocatable: its sections have no addresses yet. They are laid out here one after the other at
//! made-up addresses, so that every address inside the image means one place; [`Image::place`] turns such an
//! address back into a section and an offset.

mod memory;
mod relocation;
mod section;
mod symbol;

use crate::error::{Error, Result};
pub use memory::{Mark, Memory};
pub use relocation::CodeRelocation;
pub use section::Section;
use section::{Bytes, SHT_NOTE};
use std::ops::{Deref, DerefMut};
pub use symbol::Symbol;

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

pub const ET_REL: u16 = 1;
const NT_GNU_BUILD_ID: u32 = 3;

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
}
