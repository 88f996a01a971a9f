//! DWARF 2 to 5: one pass over `.debug_info` for functions, their compiled definitions and their calls.
//!
//! Source: the DWARF 4 and 5 standards, and GCC's extensions before them (`DW_TAG_GNU_call_site`).
//! Units are independent of each other and are read on all cores ([`mod@unit`]); what one unit says of another's
//! functions (link-time optimisation) is resolved afterwards, by offset.

mod abbrev;
mod cursor;
mod definitions;
mod form;
mod line;
mod needs;
mod path;
mod root;
mod types;
mod unit;
mod walk;

pub use definitions::{Defined, Found};
pub use needs::Needs;
pub use types::{Die, UnitTypes, VOID};
pub use unit::{Code, Function, Site, Target, Unit, NONE};

use crate::elf::Image;
use crate::error::{Error, Result};
use cursor::Cursor;
use form::{Encoding, Value};
use gimli::{EndianSlice, RunTimeEndian};
use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};

type Slice<'a> = EndianSlice<'a, RunTimeEndian>;

/// The debug sections of one image.
pub struct Sections<'a> {
    image: &'a Image,
    big_endian: bool,
    info: &'a [u8],
    abbrev: &'a [u8],
    str: &'a [u8],
    line_str: &'a [u8],
    str_offsets: &'a [u8],
    addr: &'a [u8],
    line: gimli::DebugLine<Slice<'a>>,
    ranges: gimli::RangeLists<Slice<'a>>,
    /// Addresses below this one are those of dropped code (a linker leaves 0 or 1 behind).
    lowest_address: u64,
    highest_address: u64,
    /// Structs that were looked for by name: the unit that defines one, and the offset of its DIE.
    structs: Mutex<FxHashMap<String, Option<(UnitHeader, usize)>>>,
    /// Names of the symbols of code, once somebody asked.
    symbols: OnceLock<FxHashSet<String>>,
}

/// Where a unit of `.debug_info` is, and how it is written.
#[derive(Clone, Copy, Debug)]
pub struct UnitHeader {
    /// Offset of the header: what local references count from.
    pub offset: usize,
    /// Offset of the first DIE.
    first: usize,
    /// Offset after the last byte.
    end: usize,
    encoding: Encoding,
    abbrev_offset: usize,
}

impl<'a> Sections<'a> {
    /// The debug sections of an image, or `None` if it has no `.debug_info`.
    pub fn of(image: &'a Image) -> Option<Sections<'a>> {
        let info = image.bytes(".debug_info");
        if info.is_empty() {
            return None;
        }
        let endian = if image.is_big_endian() { RunTimeEndian::Big } else { RunTimeEndian::Little };
        let slice = |name| EndianSlice::new(image.bytes(name), endian);
        let loaded = image.sections.iter().filter(|s| s.is_loaded() && s.address > 1);
        Some(Sections {
            image,
            big_endian: image.is_big_endian(),
            info,
            abbrev: image.bytes(".debug_abbrev"),
            str: image.bytes(".debug_str"),
            line_str: image.bytes(".debug_line_str"),
            str_offsets: image.bytes(".debug_str_offsets"),
            addr: image.bytes(".debug_addr"),
            line: gimli::DebugLine::from(slice(".debug_line")),
            ranges: gimli::RangeLists::new(
                gimli::DebugRanges::from(slice(".debug_ranges")),
                gimli::DebugRngLists::from(slice(".debug_rnglists")),
            ),
            lowest_address: loaded.map(|s| s.address).min().unwrap_or(2).max(2),
            highest_address: if image.address_size() == 4 { 0xffff_fff0 } else { u64::MAX - 15 },
            structs: Mutex::default(),
            symbols: OnceLock::new(),
        })
    }

    /// Whether the image has a symbol of code with that name.
    fn has_symbol(&self, name: &[u8]) -> bool {
        let names = self.symbols.get_or_init(|| {
            let symbols = self.image.code_symbols().unwrap_or_default();
            symbols.into_iter().map(|symbol| symbol.name).collect()
        });
        std::str::from_utf8(name).is_ok_and(|name| names.contains(name))
    }

    /// Whether integers are stored most significant byte first.
    pub fn is_big_endian(&self) -> bool {
        self.big_endian
    }

    fn cursor(&self, at: usize) -> Cursor<'a> {
        Cursor::new(self.info, at, self.big_endian, ".debug_info")
    }

    /// The headers of all units that hold code; type units and skeletons are passed over.
    pub fn units(&self) -> Result<Vec<UnitHeader>> {
        let mut units = Vec::new();
        let mut cursor = self.cursor(0);
        while cursor.at < self.info.len() {
            let offset = cursor.at;
            let mut length = cursor.u32()?;
            let mut offset_size = 4;
            if length == 0xffff_ffff {
                (length, offset_size) = (cursor.u64()?, 8);
            } else if length >= 0xffff_fff0 {
                return Err(Error::corrupt(
                    "unit header",
                    offset as u64,
                    format!("reserved length {length:#x}"),
                ));
            }
            let start = cursor.at;
            let available = self.info.len() - start;
            let end = match usize::try_from(length) {
                Ok(length) if length <= available => start + length,
                _ => return Err(Error::truncated("unit", offset as u64, length, available as u64)),
            };
            if length == 0 {
                continue;
            }
            let version = cursor.u16()? as u16;
            let (kind, address_size, abbrev_offset) = match version {
                2..=4 => {
                    let abbrev = cursor.word(offset_size)?;
                    (gimli::DW_UT_compile, cursor.u8()?, abbrev)
                }
                5 => {
                    let kind = gimli::DwUt(cursor.u8()? as u8);
                    let address_size = cursor.u8()?;
                    (kind, address_size, cursor.word(offset_size)?)
                }
                other => {
                    return Err(Error::unsupported(
                        "DWARF version",
                        format!("{other} of the unit at {offset:#x}"),
                    ))
                }
            };
            if !matches!(address_size, 4 | 8) {
                return Err(Error::unsupported(
                    "address size",
                    format!("{address_size} of the unit at {offset:#x}"),
                ));
            }
            if matches!(kind, gimli::DW_UT_compile | gimli::DW_UT_partial) {
                units.push(UnitHeader {
                    offset,
                    first: cursor.at,
                    end,
                    encoding: Encoding { version, address_size: address_size as u8, offset_size },
                    abbrev_offset: abbrev_offset as usize,
                });
            }
            cursor.at = end;
        }
        Ok(units)
    }

    /// Reads all units, on all cores of the current pool; `cancelled` is looked at before each.
    pub fn read(&self, cancelled: &AtomicBool) -> Result<Vec<Unit<'a>>> {
        let headers = self.units()?;
        headers
            .par_iter()
            .map(|header| {
                if cancelled.load(Ordering::Relaxed) {
                    return Err(Error::Cancelled);
                }
                unit::read(self, *header)
            })
            .collect()
    }

    /// Finds what the units define: each type and function once, as far as its declaration tells. `image` is a
    /// number that no other image of the kernel has.
    pub fn definitions(&self, image: u64, cancelled: &AtomicBool) -> Result<Found> {
        definitions::find(self, &self.units()?, image, cancelled)
    }

    /// What a module's DWARF says of what it needs, beside the definitions that were found.
    pub fn needs(&self, found: &Found) -> Result<Needs> {
        needs::read(self, &self.units()?, found)
    }

    /// The first definition of `struct NAME`, and its unit; remembered.
    pub fn find_struct(&self, name: &str) -> Option<(UnitHeader, usize)> {
        let mut known = self.structs.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(found) = known.get(name) {
            return *found;
        }
        let find = |header: &UnitHeader| Some((*header, definitions::find_struct(self, header, name).ok()??));
        let found = self.units().ok().and_then(|units| units.iter().find_map(find));
        known.insert(name.to_owned(), found);
        found
    }

    /// The types and prototypes of a unit, by the offsets of their DIEs.
    pub fn types<'s>(&'s self, header: UnitHeader) -> Result<UnitTypes<'s, 'a>> {
        UnitTypes::new(self, header)
    }

    fn is_dropped(&self, address: u64) -> bool {
        address < self.lowest_address || address > self.highest_address
    }

    fn c_string(section: &'a [u8], at: u64) -> Option<&'a [u8]> {
        let rest = section.get(usize::try_from(at).ok()?..)?;
        memchr::memchr(0, rest).map(|end| &rest[..end])
    }

    fn string(&self, value: Value<'a>, encoding: Encoding, str_offsets_base: u64) -> Option<&'a [u8]> {
        match value {
            Value::Text(text) => Some(text),
            Value::StringOffset(at) => Self::c_string(self.str, at),
            Value::LineStringOffset(at) => Self::c_string(self.line_str, at),
            Value::StringIndex(index) => {
                let size = encoding.offset_size;
                let at = index.checked_mul(size.into())?.checked_add(str_offsets_base)?;
                let section = ".debug_str_offsets";
                let mut cursor =
                    Cursor::new(self.str_offsets, usize::try_from(at).ok()?, self.big_endian, section);
                Self::c_string(self.str, cursor.word(size).ok()?)
            }
            _ => None,
        }
    }

    fn address(&self, value: Value<'a>, encoding: Encoding, addr_base: u64) -> Option<u64> {
        match value {
            Value::Address(address) => Some(address),
            Value::AddressIndex(index) => {
                let size = encoding.address_size;
                let at = index.checked_mul(size.into())?.checked_add(addr_base)?;
                let mut cursor =
                    Cursor::new(self.addr, usize::try_from(at).ok()?, self.big_endian, ".debug_addr");
                cursor.word(size).ok()
            }
            _ => None,
        }
    }
}

fn gimli_encoding(encoding: Encoding) -> gimli::Encoding {
    gimli::Encoding {
        format: if encoding.offset_size == 8 { gimli::Format::Dwarf64 } else { gimli::Format::Dwarf32 },
        version: encoding.version,
        address_size: encoding.address_size,
    }
}

fn gimli_error(what: &'static str, offset: u64) -> impl FnOnce(gimli::Error) -> Error {
    move |error| Error::corrupt(what, offset, error.to_string())
}
