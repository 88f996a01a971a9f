//! The sections of an image: their headers, where they lie, and their bytes, decompressed.

use super::{c_string, text, Image, Words, ET_REL};
use crate::error::{Error, Result};
use flate2::read::ZlibDecoder;
use std::io::Read;
use std::ops::Range;

/// The largest section that is decompressed, in bytes: several times the largest `.debug_info` of any kernel.
const SECTION_LIMIT: u64 = 4 << 30;
/// Where the first section of a relocatable image is laid out; 0 stays free, because it means "dropped".
const FIRST_ADDRESS: u64 = 0x1_0000;

pub(super) const SHT_SYMTAB: u32 = 2;
pub(super) const SHT_RELA: u32 = 4;
pub(super) const SHT_NOTE: u32 = 7;
const SHT_NOBITS: u32 = 8;
pub(super) const SHT_REL: u32 = 9;
pub(super) const SHF_ALLOC: u64 = 2;
pub(super) const SHF_EXECINSTR: u64 = 4;
const SHF_COMPRESSED: u64 = 0x800;
pub(super) const SHN_XINDEX: usize = 0xffff;

/// A section header, and where the section's bytes are.
pub struct Section {
    /// Name, with bytes that are not UTF-8 escaped.
    pub name: String,
    pub(super) kind: u32,
    pub(super) flags: u64,
    /// `sh_addr`, or the made-up address in a relocatable image.
    pub address: u64,
    pub(super) size: u64,
    pub(super) link: usize,
    pub(super) info: usize,
    align: u64,
    pub(super) entry_size: u64,
    pub(super) bytes: Bytes,
}

#[derive(Clone)]
pub(super) enum Bytes {
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

impl Image {
    /// Reads the section headers and their names.
    pub(super) fn read_sections(&mut self) -> Result<()> {
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

    /// Gives the loaded sections of a relocatable image their addresses.
    pub(super) fn lay_out(&mut self) {
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

    /// Decompresses those that are.
    pub(super) fn decompress(&mut self) -> Result<()> {
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
