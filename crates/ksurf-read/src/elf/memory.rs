//! The image as memory: what lies at an address, and which symbols point there.

use super::{c_string, Image, ET_REL};
use crate::error::Result;
use rustc_hash::FxHashMap;

/// How many marks of ELF for ARM may stand between an address and the nearest symbol.
const NEAREST_LIMIT: usize = 64;

/// A symbol of any type that lies in a loaded section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark<'a> {
    pub name: &'a [u8],
    /// Address inside the image (made up in a relocatable one).
    pub address: u64,
    /// Size in bytes; 0 where the symbol only marks a place.
    pub size: u64,
    /// `STB_WEAK`: nothing else defines the name, or this would not be here.
    pub weak: bool,
}

/// The loaded part of an image, to be read at addresses. All reads are checked: `None` is "nothing there".
pub struct Memory<'a> {
    image: &'a Image,
    /// Loaded sections with bytes in the file: first address, address after the last, bytes; by address.
    spans: Vec<(u64, u64, &'a [u8])>,
    /// In the order of the symbol table.
    marks: Vec<Mark<'a>>,
    by_name: FxHashMap<&'a [u8], u32>,
    /// Numbers of `marks` by address.
    by_address: Vec<u32>,
}

impl<'a> Memory<'a> {
    /// Looks at an image's sections and symbols; an error if the symbol table is damaged.
    pub fn of(image: &'a Image) -> Result<Memory<'a>> {
        let mut spans: Vec<(u64, u64, &[u8])> = image
            .sections
            .iter()
            .filter(|s| s.is_loaded())
            .map(|s| (s.address, image.section_bytes(s)))
            .filter(|(_, bytes)| !bytes.is_empty())
            .map(|(address, bytes)| (address, address.saturating_add(bytes.len() as u64), bytes))
            .collect();
        spans.sort_by_key(|span| span.0);
        let mut marks = Vec::new();
        image.each_mark(|mark| marks.push(mark))?;
        let mut by_name = FxHashMap::with_capacity_and_hasher(marks.len(), Default::default());
        for (number, mark) in marks.iter().enumerate() {
            by_name.entry(mark.name).or_insert(number as u32);
        }
        let mut by_address: Vec<u32> = (0..marks.len() as u32).collect();
        by_address.sort_by_key(|&number| marks[number as usize].address);
        Ok(Memory { image, spans, marks, by_name, by_address })
    }

    /// The image.
    pub fn image(&self) -> &'a Image {
        self.image
    }

    /// Whether this is a module, whose sections are at made-up addresses.
    pub fn is_module(&self) -> bool {
        self.image.kind == ET_REL
    }

    /// The bytes from an address to the end of its section.
    pub fn from(&self, address: u64) -> Option<&'a [u8]> {
        let next = self.spans.partition_point(|span| span.0 <= address);
        // Spans of a damaged file may overlap; the nearest beginning decides.
        let (start, end, bytes) = self.spans[next.checked_sub(1)?];
        (address < end).then(|| &bytes[(address - start) as usize..])
    }

    /// So many bytes at an address.
    pub fn bytes(&self, address: u64, size: u64) -> Option<&'a [u8]> {
        self.from(address)?.get(..usize::try_from(size).ok()?)
    }

    /// The bytes between two addresses of one section.
    pub fn between(&self, start: u64, end: u64) -> Option<&'a [u8]> {
        self.bytes(start, end.checked_sub(start)?)
    }

    /// The bytes between two symbols that a linker script defines, with the address of the first. Empty where
    /// the two are the same.
    pub fn marked(&self, start: &str, end: &str) -> Option<(u64, &'a [u8])> {
        let (start, end) = (self.address_of(start)?, self.address_of(end)?);
        if start == end {
            return Some((start, &[]));
        }
        Some((start, self.between(start, end)?))
    }

    /// The bytes of a section by name, with its address.
    pub fn section(&self, name: &str) -> Option<(u64, &'a [u8])> {
        let section = self.image.section(name).filter(|s| s.is_loaded())?;
        Some((section.address, self.image.section_bytes(section)))
    }

    /// Name of the loaded section that holds an address.
    pub fn section_name(&self, address: u64) -> Option<&'a str> {
        self.image.place(address).map(|(section, _)| section.name.as_str())
    }

    /// Four bytes as an integer of the image's byte order.
    pub fn u32(&self, address: u64) -> Option<u32> {
        self.image.words().u32(self.bytes(address, 4)?, 0, "memory").ok()
    }

    /// Two bytes as an integer of the image's byte order.
    pub fn u16(&self, address: u64) -> Option<u16> {
        self.image.words().u16(self.bytes(address, 2)?, 0, "memory").ok()
    }

    /// Eight bytes as an integer of the image's byte order.
    pub fn u64(&self, address: u64) -> Option<u64> {
        self.image.words().u64(self.bytes(address, 8)?, 0, "memory").ok()
    }

    /// A pointer, or `unsigned long`, of the image's size.
    pub fn pointer(&self, address: u64) -> Option<u64> {
        match self.image.address_size() {
            8 => self.u64(address),
            _ => self.u32(address).map(u64::from),
        }
    }

    /// Where a signed 32-bit distance from its own place points (`offset_to_ptr`, include/linux/compiler.h).
    pub fn relative(&self, address: u64) -> Option<u64> {
        Some(address.wrapping_add_signed(i64::from(self.u32(address)? as i32)))
    }

    /// The string at an address, without its NUL.
    pub fn string(&self, address: u64) -> Option<&'a [u8]> {
        c_string(self.from(address)?, 0)
    }

    /// The symbol of a name; the first of several.
    pub fn mark(&self, name: &str) -> Option<Mark<'a>> {
        self.by_name.get(name.as_bytes()).map(|&number| self.marks[number as usize])
    }

    /// The address of a symbol.
    pub fn address_of(&self, name: &str) -> Option<u64> {
        self.mark(name).map(|mark| mark.address)
    }

    /// All symbols, in the order of the symbol table.
    pub fn marks(&self) -> &[Mark<'a>] {
        &self.marks
    }

    /// The symbols that point to an address.
    pub fn at(&self, address: u64) -> impl Iterator<Item = Mark<'a>> + '_ {
        let first = self.by_address.partition_point(|&n| self.marks[n as usize].address < address);
        let found = self.by_address[first..].iter().map(|&n| self.marks[n as usize]);
        found.take_while(move |mark| mark.address == address)
    }

    /// The nearest symbol at or before an address. The marks of ELF for ARM, which say where code (`$x`) and data
    /// (`$d`) begin, are none.
    pub fn nearest(&self, address: u64) -> Option<Mark<'a>> {
        let after = self.by_address.partition_point(|&n| self.marks[n as usize].address <= address);
        let before = self.by_address[..after].iter().rev().take(NEAREST_LIMIT);
        before.map(|&n| self.marks[n as usize]).find(|mark| !mark.name.starts_with(b"$"))
    }
}
