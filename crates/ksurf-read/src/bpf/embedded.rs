//! eBPF objects inside of any file: the file itself, or bytes that a program carries.
//!
//! libbpf's skeletons, Go's `//go:embed` (bpf2go) and Rust's `include_bytes!` all keep an object as it was, among the
//! data of an executable. So it is found by its ELF header, and its length by what that header says.

use super::sections::{extent, Elf, SHT_NOBITS};
use super::EM_BPF;
use crate::elf::ET_REL;
use crate::error::{Error, Result};
use memchr::memmem;
use std::ops::Range;

/// An ELF header's first bytes: 64 bit, since eBPF is.
const MAGIC: &[u8] = b"\x7fELF\x02";
const HEADER_SIZE: usize = 64;
/// Objects of one file; the largest programs have some tens.
const LIMIT: usize = 1024;

/// An object, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The section of the file that holds it, if that is an ELF file too.
    pub section: Option<String>,
    /// Where its bytes are; up to the next header or the end of the file if its own says too little.
    pub range: Range<usize>,
}

/// All objects of a file, in the order of their places. One in another is part of that.
pub fn find(data: &[u8]) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut at = 0;
    let magic = memmem::Finder::new(MAGIC);
    while let Some(next) = magic.find(&data[at..]) {
        let start = at + next;
        let rest = &data[start..];
        at = start + 1;
        if !is_object(rest) {
            continue;
        }
        if found.len() == LIMIT {
            return Err(Error::too_large("list of eBPF objects", LIMIT as u64 + 1, LIMIT as u64));
        }
        let end = match extent(rest) {
            Ok(size) => start + size,
            // Listed, so that it is reported; the next one may be whole.
            Err(_) => magic.find(&data[at..]).map_or(data.len(), |next| at + next),
        };
        at = end;
        found.push(start..end);
    }
    let holder = if found.iter().any(|range| range.start > 0) { Elf::parse(data).ok() } else { None };
    let section = |range: &Range<usize>| {
        let holds = |bytes: &Range<usize>| bytes.start <= range.start && range.end <= bytes.end;
        let sections = &holder.as_ref()?.sections;
        let section = sections.iter().find(|s| s.kind != SHT_NOBITS && holds(&s.bytes))?;
        Some(section.name.clone())
    };
    Ok(found.into_iter().map(|range| Found { section: section(&range), range }).collect())
}

/// Whether these bytes begin with the header of an eBPF object.
pub fn is_object(data: &[u8]) -> bool {
    let Some(header) = data.get(..HEADER_SIZE) else { return false };
    let half = |at: usize| match header[5] {
        1 => Some(u16::from_le_bytes([header[at], header[at + 1]])),
        2 => Some(u16::from_be_bytes([header[at], header[at + 1]])),
        _ => None,
    };
    header.starts_with(MAGIC) && header[6] == 1 && half(16) == Some(ET_REL) && half(18) == Some(EM_BPF)
}
