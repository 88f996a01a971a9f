//! Which types and functions the units of an image define, each once.
//!
//! Every unit repeats the types of its headers. So what stands in front of a definition is compared first: kind,
//! name, size, place of declaration, number of members. Only one of those that agree in all is looked into.
//! A file that is no header of `include` may be a template, written to be included under several sets of macros:
//! there the names and types of the members count too, and in a `.c` the unit.

use super::abbrev::{Abbreviation, Abbreviations};
use super::cursor::Cursor;
use super::form::{self, Value};
use super::line::LineTable;
use super::root::Root;
use super::{walk, Sections, UnitHeader};
use crate::elf::text;
use crate::error::{Error, Result};
use gimli::constants as dw;
use rayon::prelude::*;
use rustc_hash::FxHashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use xxhash_rust::xxh3::xxh3_64;

/// Parts of the table that units fill at once; a power of two.
const SHARDS: usize = 64;

/// A definition: what it is, and the offset of its DIE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Defined {
    pub offset: usize,
    /// `DW_TAG_structure_type`, `DW_TAG_union_type`, `DW_TAG_enumeration_type`, `DW_TAG_typedef` or
    /// `DW_TAG_subprogram`.
    pub tag: u16,
    /// A hash of what stands in front of it: the same for the same definition in other units and images.
    pub signature: u64,
}

/// The definitions of an image.
#[derive(Debug, Default)]
pub struct Found {
    /// Those that were chosen from each unit, in order.
    pub units: Vec<(UnitHeader, Vec<Defined>)>,
    /// Units that cannot be read, and why.
    pub unreadable: Vec<(UnitHeader, Error)>,
}

/// Of those that look the same, the first one, so that the outcome does not depend on who was quicker.
struct Seen([Mutex<FxHashMap<u64, (u32, Defined)>>; SHARDS]);

impl Seen {
    fn offer(&self, unit: u32, defined: Defined) {
        let mut shard = locked(&self.0[(defined.signature >> 32) as usize % SHARDS]);
        let first = shard.entry(defined.signature).or_insert((unit, defined));
        if (unit, defined) < *first {
            *first = (unit, defined);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Reads the outlines of all units, on all cores; `cancelled` is looked at before each. `image` is a number that no
/// other image of the kernel has.
pub fn find(
    sections: &Sections<'_>,
    headers: &[UnitHeader],
    image: u64,
    cancelled: &AtomicBool,
) -> Result<Found> {
    let seen = Seen(std::array::from_fn(|_| Mutex::default()));
    let outcomes: Vec<Result<()>> = headers
        .par_iter()
        .enumerate()
        .map(|(number, header)| {
            if cancelled.load(Ordering::Relaxed) {
                return Err(Error::Cancelled);
            }
            match Outline::new(sections, *header, image)? {
                Some(mut unit) => unit.walk(|defined| seen.offer(number as u32, defined)),
                None => Ok(()),
            }
        })
        .collect();
    let mut found = Found::default();
    for (header, outcome) in headers.iter().zip(outcomes) {
        match outcome {
            Ok(()) => {}
            Err(error) if error.is_cancelled() => return Err(error),
            Err(error) => found.unreadable.push((*header, error)),
        }
    }
    let mut chosen: Vec<(u32, Defined)> =
        seen.0.iter().flat_map(|shard| locked(shard).values().copied().collect::<Vec<_>>()).collect();
    chosen.par_sort_unstable();
    for run in chosen.chunk_by(|a, b| a.0 == b.0) {
        found.units.push((headers[run[0].0 as usize], run.iter().map(|&(_, defined)| defined).collect()));
    }
    Ok(found)
}

/// The first definition of `struct NAME` in a unit.
pub fn find_struct(sections: &Sections<'_>, header: &UnitHeader, name: &str) -> Result<Option<usize>> {
    let Some(unit) = Outline::new(sections, *header, 0)? else { return Ok(None) };
    let mut cursor = unit.inside.clone();
    while cursor.at < header.end {
        let at = cursor.at;
        let Some(abbreviation) = walk::next(&unit.abbreviations, &mut cursor)? else { break };
        if abbreviation.tag == dw::DW_TAG_structure_type.0 {
            let front = unit.front(&mut cursor.clone(), abbreviation)?;
            if !front.declaration && unit.string(front.name) == Some(name.as_bytes()) {
                return Ok(Some(at));
            }
        }
        walk::skip(header, &unit.abbreviations, &mut cursor, abbreviation)?;
    }
    Ok(None)
}

/// A source file.
#[derive(Clone, Copy)]
struct File {
    hash: u64,
    /// Whether it is no header for all.
    template: bool,
}

/// The attributes that tell definitions apart.
#[derive(Clone, Copy, Default)]
pub(super) struct Front<'a> {
    pub name: Option<Value<'a>>,
    byte_size: Option<u64>,
    pub decl_file: Option<u64>,
    decl_line: Option<u64>,
    /// The type that it has or refers to.
    pub kind: Option<usize>,
    origin: Option<usize>,
    inline: Option<u64>,
    low_pc: Option<Value<'a>>,
    has_ranges: bool,
    pub declaration: bool,
    pub sibling: Option<usize>,
}

/// A unit of C, of which only the fronts of definitions are read.
pub(super) struct Outline<'s, 'a> {
    sections: &'s Sections<'a>,
    pub header: UnitHeader,
    image: u64,
    pub abbreviations: Abbreviations,
    /// A position at the first child of the unit's first DIE.
    pub inside: Cursor<'a>,
    lines: LineTable<'a>,
    str_offsets_base: u64,
    addr_base: u64,
    /// The unit's files by their numbers.
    files: FxHashMap<u64, File>,
    scratch: Vec<u8>,
}

impl<'s, 'a> Outline<'s, 'a> {
    /// `None` for a unit in another language than C: neither Rust nor assembly has types of C.
    pub fn new(
        sections: &'s Sections<'a>,
        header: UnitHeader,
        image: u64,
    ) -> Result<Option<Outline<'s, 'a>>> {
        let encoding = header.encoding;
        let abbreviations = Abbreviations::parse(sections.abbrev, header.abbrev_offset, encoding)?;
        let Some(root) = Root::read(sections, &header, &abbreviations)? else { return Ok(None) };
        let is_c = root.is_c() != Some(false);
        let Some(inside) = root.children.filter(|_| is_c) else { return Ok(None) };
        let comp_dir = root.comp_dir.map(text).unwrap_or_default();
        let lines = LineTable::new(sections, root.stmt_list, encoding.address_size, &comp_dir)?;
        Ok(Some(Outline {
            sections,
            header,
            image,
            abbreviations,
            inside,
            lines,
            str_offsets_base: root.str_offsets_base,
            addr_base: root.addr_base,
            files: FxHashMap::default(),
            scratch: Vec::new(),
        }))
    }

    pub fn string(&self, value: Option<Value<'a>>) -> Option<&'a [u8]> {
        self.sections.string(value?, self.header.encoding, self.str_offsets_base)
    }

    pub fn front(&self, cursor: &mut Cursor<'a>, abbreviation: &Abbreviation) -> Result<Front<'a>> {
        let mut front = Front::default();
        let (encoding, unit) = (self.header.encoding, self.header.offset);
        for attribute in self.abbreviations.attributes(abbreviation) {
            let value = form::read(cursor, attribute.form, attribute.implicit, encoding, unit)?;
            let reference = || if let Value::Reference(at) = value { Some(at) } else { None };
            match gimli::DwAt(attribute.name) {
                dw::DW_AT_name => front.name = Some(value),
                dw::DW_AT_byte_size => front.byte_size = value.number(),
                dw::DW_AT_decl_file => front.decl_file = value.number(),
                dw::DW_AT_decl_line => front.decl_line = value.number(),
                dw::DW_AT_type => front.kind = reference(),
                dw::DW_AT_abstract_origin | dw::DW_AT_specification => front.origin = reference(),
                dw::DW_AT_inline => front.inline = value.number(),
                dw::DW_AT_low_pc => front.low_pc = Some(value),
                dw::DW_AT_ranges => front.has_ranges = true,
                dw::DW_AT_declaration => front.declaration = value.number() == Some(1),
                dw::DW_AT_sibling => {
                    front.sibling = reference().and_then(|at| walk::forward(&self.header, at, cursor.at))
                }
                _ => {}
            }
        }
        Ok(front)
    }

    /// Hands over every definition.
    fn walk(&mut self, mut with: impl FnMut(Defined)) -> Result<()> {
        let mut cursor = self.inside.clone();
        // How many functions and blocks are around: types may be local.
        let mut depth = 0usize;
        while cursor.at < self.header.end {
            let at = cursor.at;
            let Some(abbreviation) = walk::next(&self.abbreviations, &mut cursor)? else {
                match depth.checked_sub(1) {
                    Some(outer) => depth = outer,
                    None => break,
                }
                continue;
            };
            let (tag, has_children) = (abbreviation.tag, abbreviation.has_children);
            match gimli::DwTag(tag) {
                dw::DW_TAG_structure_type | dw::DW_TAG_union_type | dw::DW_TAG_enumeration_type => {
                    let front = self.front(&mut cursor, abbreviation)?;
                    let name = self.string(front.name).filter(|_| !front.declaration);
                    let Some(name) = name else {
                        if has_children {
                            walk::skip_children(
                                &self.header,
                                &self.abbreviations,
                                &mut cursor,
                                front.sibling,
                            )?;
                        }
                        continue;
                    };
                    let count = match front.decl_file.map(|number| self.file(number)) {
                        _ if !has_children => 0,
                        Some(File { template: true, .. }) => self.content(&mut cursor)?,
                        _ => self.count(&mut cursor)?,
                    };
                    let signature = self.signature(tag, name, &front, count);
                    with(Defined { offset: at, tag, signature });
                }
                dw::DW_TAG_typedef => {
                    let front = self.front(&mut cursor, abbreviation)?;
                    if has_children {
                        walk::skip_children(&self.header, &self.abbreviations, &mut cursor, front.sibling)?;
                    }
                    if let Some(name) = self.string(front.name) {
                        let target = self.target(front.kind)?;
                        let signature = self.signature(tag, name, &front, target);
                        with(Defined { offset: at, tag, signature });
                    }
                }
                dw::DW_TAG_subprogram => {
                    let front = self.front(&mut cursor, abbreviation)?;
                    if !front.declaration && self.has_code(&front) {
                        if let Some((offset, front)) = self.origin(at, front)? {
                            if let Some(name) = self.string(front.name) {
                                let signature = self.signature(tag, name, &front, 0);
                                with(Defined { offset, tag, signature });
                            }
                        }
                    }
                    match has_children {
                        // What a copy has, its origin has too.
                        true if front.declaration || front.origin.is_some() => walk::skip_children(
                            &self.header,
                            &self.abbreviations,
                            &mut cursor,
                            front.sibling,
                        )?,
                        true => depth += 1,
                        false => {}
                    }
                }
                dw::DW_TAG_lexical_block => {
                    for attribute in self.abbreviations.attributes(abbreviation) {
                        form::skip(&mut cursor, attribute.form, self.header.encoding)?;
                    }
                    depth += usize::from(has_children);
                }
                _ => walk::skip(&self.header, &self.abbreviations, &mut cursor, abbreviation)?,
            }
        }
        Ok(())
    }

    /// Steps over the children of a DIE, and counts them.
    fn count(&self, cursor: &mut Cursor<'a>) -> Result<u64> {
        let mut count = 0;
        while let Some(abbreviation) = walk::next(&self.abbreviations, cursor)? {
            walk::skip(&self.header, &self.abbreviations, cursor, abbreviation)?;
            count += 1;
        }
        Ok(count)
    }

    /// The same, and hashes the names and types of members.
    fn content(&mut self, cursor: &mut Cursor<'a>) -> Result<u64> {
        let mut hash = 0;
        loop {
            let abbreviations = &self.abbreviations;
            let Some(abbreviation) = walk::next(abbreviations, cursor)? else { return Ok(hash) };
            if abbreviation.tag != dw::DW_TAG_member.0 || abbreviation.has_children {
                walk::skip(&self.header, abbreviations, cursor, abbreviation)?;
                continue;
            }
            let front = self.front(cursor, abbreviation)?;
            let name = xxh3_64(self.string(front.name).unwrap_or_default());
            let numbers = [hash, name, self.target(front.kind)?];
            self.scratch.clear();
            numbers.iter().for_each(|number| self.scratch.extend_from_slice(&number.to_ne_bytes()));
            hash = xxh3_64(&self.scratch);
        }
    }

    /// A hash of the type that a typedef or a member has: its front, without what it refers to.
    fn target(&mut self, offset: Option<usize>) -> Result<u64> {
        let Some(offset) = offset.filter(|&at| at >= self.header.first && at < self.header.end) else {
            return Ok(0);
        };
        let mut cursor = self.sections.cursor(offset);
        let Some(abbreviation) = walk::next(&self.abbreviations, &mut cursor)? else { return Ok(0) };
        let front = self.front(&mut cursor, abbreviation)?;
        let name = self.string(front.name).unwrap_or_default();
        let count = if name.is_empty() && abbreviation.has_children { self.count(&mut cursor)? } else { 0 };
        Ok(self.signature(abbreviation.tag, name, &front, count))
    }

    /// The DIE that declares a function, which the copy that has the code refers to.
    fn origin(&self, at: usize, front: Front<'a>) -> Result<Option<(usize, Front<'a>)>> {
        let mut found = (at, front);
        for _ in 0..walk::ORIGIN_LIMIT {
            let Some(offset) = found.1.origin else { return Ok(Some(found)) };
            if offset < self.header.first || offset >= self.header.end {
                break;
            }
            let mut cursor = self.sections.cursor(offset);
            match walk::next(&self.abbreviations, &mut cursor)? {
                Some(abbreviation) if abbreviation.tag == dw::DW_TAG_subprogram.0 => {
                    found = (offset, self.front(&mut cursor, abbreviation)?);
                }
                _ => break,
            }
        }
        Ok(None)
    }

    /// Whether a definition has code of its own, or shares that of an identical function: then GCC tells of
    /// neither code nor copies (-fipa-icf), but there is a symbol.
    fn has_code(&self, front: &Front<'a>) -> bool {
        let address =
            front.low_pc.and_then(|v| self.sections.address(v, self.header.encoding, self.addr_base));
        match address {
            Some(address) => !self.sections.is_dropped(address),
            None if front.has_ranges => true,
            None if front.origin.is_some() || front.inline.unwrap_or(0) != 0 => false,
            None => self.string(front.name).is_some_and(|name| self.sections.has_symbol(name)),
        }
    }

    fn signature(&mut self, tag: u16, name: &[u8], front: &Front<'a>, detail: u64) -> u64 {
        let file = front.decl_file.map_or(0, |number| self.file(number).hash);
        let out = &mut self.scratch;
        out.clear();
        let size = front.byte_size.unwrap_or(u64::MAX);
        for number in [tag.into(), file, front.decl_line.unwrap_or(0), size, detail] {
            out.extend_from_slice(&number.to_ne_bytes());
        }
        out.extend_from_slice(name);
        xxh3_64(out)
    }

    /// The path of a file of the unit, relative to the folder that it was compiled in.
    pub fn path(&mut self, number: u64) -> Option<&str> {
        let index = self.lines.file(self.sections, number);
        self.lines.paths.get(index as usize).map(String::as_str)
    }

    fn file(&mut self, number: u64) -> File {
        let (sections, lines, scratch) = (self.sections, &self.lines, &mut self.scratch);
        let unit = [self.image, self.header.offset as u64];
        *self.files.entry(number).or_insert_with(|| {
            let (directory, name) = lines.raw(sections, number).unwrap_or_default();
            scratch.clear();
            scratch.extend_from_slice(directory);
            scratch.push(0);
            scratch.extend_from_slice(name);
            if name.ends_with(b".c") {
                // Included by several units, it may mean something else in each (fs/compat_binfmt_elf.c).
                unit.iter().for_each(|number| scratch.extend_from_slice(&number.to_ne_bytes()));
            }
            // A folder of the table, or one in it that the name begins with.
            let template = !is_include(directory) && !is_include(name);
            File { hash: xxh3_64(scratch), template }
        })
    }
}

/// Whether a path leads through a folder of headers.
fn is_include(path: &[u8]) -> bool {
    path.split(|&byte| byte == b'/').any(|part| part == b"include")
}
