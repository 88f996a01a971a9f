//! Definitions from DWARF, for images without BTF: as those that [`super::from_btf`] makes of the BTF that pahole
//! would make of it.
//!
//! Who uses which of several definitions of a name is not told: each unit would have to be asked again.

use super::definition::{Definition, Definitions, Kind, Member, TypeRow, Types};
use super::layout::Layouts;
use crate::ctype;
use crate::dwarf::{Defined, Die, Found, Sections, UnitHeader, UnitTypes, VOID};
use crate::error::{Error, Result};
use gimli::constants as dw;
use rayon::prelude::*;
use rustc_hash::FxHashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

/// Anonymous structs inside one another; more is a cycle.
const DEPTH_LIMIT: u8 = 32;
/// Steps from a type to the one that it is made of; more is a cycle.
const CHAIN_LIMIT: usize = 64;
/// Members looked at for one.
const MEMBER_LIMIT: usize = 1 << 16;
/// Bytes of rows and text for each byte of a unit, whose names and types are written out where they are used.
const FACTOR: usize = 64;
/// Enough work to be worth a thread.
const DEFINITIONS_PER_TASK: usize = 1 << 12;

/// What the images of a kernel have been found to define. They repeat the same headers, so that most of what an
/// image defines need not be read again. An image whose types were read must not be left out of the kernel.
#[derive(Debug, Default)]
pub struct Known {
    images: AtomicU64,
    /// Keys of definitions by what stands in front of them in DWARF.
    keys: Mutex<FxHashMap<u64, u64>>,
}

impl Known {
    fn keys(&self) -> MutexGuard<'_, FxHashMap<u64, u64>> {
        self.keys.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The types and functions of all units of an image, each definition once.
pub fn read(sections: &Sections<'_>, known: &Known, cancelled: &AtomicBool) -> Result<Types> {
    let found = sections.definitions(known.images.fetch_add(1, Ordering::Relaxed), cancelled)?;
    read_found(sections, found, known, cancelled)
}

fn read_found(
    sections: &Sections<'_>,
    mut found: Found,
    known: &Known,
    cancelled: &AtomicBool,
) -> Result<Types> {
    let mut out = Types::default();
    {
        let keys = known.keys();
        for (_, list) in &mut found.units {
            list.retain(|defined| match keys.get(&defined.signature) {
                Some(&key) => {
                    out.known.push(key);
                    false
                }
                None => true,
            });
        }
    }
    let total: usize = found.units.iter().map(|(_, list)| list.len()).sum();
    let units_per_task = found.units.len().div_ceil((total / DEFINITIONS_PER_TASK).max(1)).max(1);
    let read: Vec<Result<Part>> = found
        .units
        .par_chunks(units_per_task)
        .map(|units| {
            let mut part = Part::default();
            for (header, list) in units.iter().filter(|(_, list)| !list.is_empty()) {
                if cancelled.load(Ordering::Relaxed) {
                    return Err(Error::Cancelled);
                }
                part.read(sections, *header, list);
            }
            Ok(part)
        })
        .collect();
    let mut errors = found.unreadable;
    for part in read {
        let part = part?;
        known.keys().extend(part.keys);
        errors.extend(part.errors);
        match out.definitions.list.is_empty() {
            true => out.definitions = part.definitions,
            false => drop(out.definitions.merge(part.definitions)),
        }
    }
    out.rows =
        (0..out.definitions.list.len() as u32).map(|n| TypeRow { definition: n, btf: false }).collect();
    errors.sort_by_key(|(header, _)| header.offset);
    out.incomplete = errors.first().map(|(header, error)| {
        let others = match errors.len() - 1 {
            0 => String::new(),
            count => format!(" (and of {count} more units)"),
        };
        format!("of the unit at {:#x}{others}: {error}", header.offset)
    });
    Ok(out)
}

/// What a module's DWARF tells of what it needs.
#[derive(Debug)]
pub struct Needs {
    /// What it defines, and the prototypes of the functions that it calls.
    pub types: Types,
    /// Of definitions, by their keys, the files that declare them: relative to the folder that the module was
    /// compiled in.
    pub files: Vec<(u64, String)>,
    /// Kinds and names of the types that its code names in variables, parameters and results.
    pub named: Vec<(Kind, String)>,
}

/// What a module needs, by the kernel's types and functions that its code was compiled with.
pub fn needs(sections: &Sections<'_>) -> Result<Needs> {
    let mut found = sections.definitions(0, &AtomicBool::new(false))?;
    let needs = sections.needs(&found)?;
    found.units.extend(needs.functions);
    let known = Known::default();
    let types = read_found(sections, found, &known, &AtomicBool::new(false))?;
    let keys = known.keys();
    let mut files: Vec<(u64, String)> = (needs.files.into_iter())
        .filter_map(|(signature, file)| Some((*keys.get(&signature)?, file)))
        .collect();
    files.sort_unstable();
    files.dedup();
    let named = needs.named.into_iter().map(|(tag, name)| {
        let kind = match gimli::DwTag(tag) {
            dw::DW_TAG_structure_type => Kind::Struct,
            dw::DW_TAG_union_type => Kind::Union,
            dw::DW_TAG_enumeration_type => Kind::Enum,
            _ => Kind::Typedef,
        };
        (kind, name)
    });
    Ok(Needs { types, files, named: named.collect() })
}

/// What some units define.
#[derive(Default)]
struct Part {
    definitions: Definitions,
    /// Of each definition what stands in front of it, and its key.
    keys: Vec<(u64, u64)>,
    errors: Vec<(UnitHeader, Error)>,
}

impl Part {
    /// Adds the definitions of a unit up to the first that cannot be read.
    fn read(&mut self, sections: &Sections<'_>, header: UnitHeader, list: &[Defined]) {
        let types = match sections.types(header) {
            Ok(types) => types.as_btf(),
            Err(error) => return self.errors.push((header, error)),
        };
        let mut reader = Reader::new(types, sections.is_big_endian(), std::mem::take(&mut self.definitions));
        for defined in list {
            match reader.definition(defined) {
                Ok(Some(number)) => {
                    self.keys.push((defined.signature, reader.out.keys[number as usize]));
                }
                Ok(None) => {}
                Err(error) => {
                    self.errors.push((header, error));
                    break;
                }
            }
        }
        self.definitions = reader.out;
    }
}

/// What a member needs to know of its type.
#[derive(Clone, Copy)]
struct Facts {
    byte_size: Option<u64>,
    /// The anonymous struct, union or enum that it is, or is an array of.
    anonymous: Option<usize>,
}

struct Reader<'s, 'a> {
    types: UnitTypes<'s, 'a>,
    big_endian: bool,
    /// By the offset of the type; the text is a number of `out.texts`.
    texts: FxHashMap<u64, u32>,
    facts: FxHashMap<usize, Facts>,
    text: String,
    /// Bytes that rows and texts may still have.
    left: usize,
    out: Definitions,
}

impl<'s, 'a> Reader<'s, 'a> {
    fn new(types: UnitTypes<'s, 'a>, big_endian: bool, out: Definitions) -> Reader<'s, 'a> {
        Reader {
            big_endian,
            left: (1 << 16) + types.unit_size().saturating_mul(FACTOR),
            types,
            texts: FxHashMap::default(),
            facts: FxHashMap::default(),
            text: String::new(),
            out,
        }
    }

    /// Adds a definition and returns its number, if it is one.
    fn definition(&mut self, defined: &Defined) -> Result<Option<u32>> {
        let (die, cursor) = self.types.at(defined.offset)?;
        let Some(name) = self.name(die.name)? else { return Ok(None) };
        let mut members = Vec::new();
        let mut type_text = None;
        let (kind, content) = match gimli::DwTag(defined.tag) {
            dw::DW_TAG_structure_type => (Kind::Struct, Some(defined.offset)),
            dw::DW_TAG_union_type => (Kind::Union, Some(defined.offset)),
            dw::DW_TAG_enumeration_type => (Kind::Enum, Some(defined.offset)),
            dw::DW_TAG_typedef => {
                type_text = Some(self.type_text(die.kind)?);
                (Kind::Typedef, self.facts(die.kind)?.anonymous)
            }
            _ => {
                type_text = Some(self.type_text(die.kind)?);
                let (parameters, variadic) = self.types.parameters(&mut cursor.clone(), &die)?;
                for (name, id) in parameters {
                    let (name, kind) = (self.name(name.as_deref())?, (id != VOID).then_some(id as usize));
                    let type_text = Some(self.type_text(kind)?);
                    self.row(&mut members, Member { name, type_text, ..Member::default() })?;
                }
                if variadic {
                    let type_text = Some(self.out.texts.add("..."));
                    self.row(&mut members, Member { type_text, ..Member::default() })?;
                }
                (Kind::Func, None)
            }
        };
        let (mut byte_size, mut signed) = (None, None);
        if let Some(content) = content {
            let (target, _) = self.types.at(content)?;
            byte_size = Some(target.byte_size.unwrap_or(0));
            if target.tag == dw::DW_TAG_enumeration_type {
                self.enumerators(content, &mut members)?;
                signed = Some(self.is_signed(&target, &members)?);
                if members.is_empty() && kind == Kind::Enum {
                    return Ok(None); // C's `enum name;`
                }
            } else {
                self.members(content, 0, 0, &mut members)?;
            }
        }
        let definition = Definition { kind, name, byte_size, signed, type_text, tags: None };
        Ok(Some(self.out.add(definition, &members)))
    }

    /// The members of a struct or union and, after each that is or has an anonymous one, those of that.
    fn members(&mut self, offset: usize, depth: u8, start: u64, out: &mut Vec<Member>) -> Result<()> {
        if depth > DEPTH_LIMIT {
            let reason = "its anonymous members have no end";
            return Err(Error::corrupt(".debug_info", offset as u64, reason));
        }
        for member in children(&self.types, offset, dw::DW_TAG_member)? {
            let facts = self.facts(member.kind)?;
            let bit_offset = start.saturating_add(bit_offset(&member, facts.byte_size, self.big_endian));
            let row = Member {
                depth,
                name: self.name(member.name)?,
                type_text: Some(self.type_text(member.kind)?),
                bit_offset: Some(bit_offset),
                byte_size: facts.byte_size,
                bit_size: member.bit_size.and_then(|bits| u32::try_from(bits).ok()),
                value: None,
                tags: None,
            };
            self.row(out, row)?;
            if let Some(inner) = facts.anonymous {
                if self.types.at(inner)?.0.tag != dw::DW_TAG_enumeration_type {
                    self.members(inner, depth + 1, bit_offset, out)?;
                }
            }
        }
        Ok(())
    }

    fn enumerators(&mut self, offset: usize, out: &mut Vec<Member>) -> Result<()> {
        for child in children(&self.types, offset, dw::DW_TAG_enumerator)? {
            let name = self.name(child.name)?;
            self.row(out, Member { name, value: child.value, ..Member::default() })?;
        }
        Ok(())
    }

    /// Whether an enum's values have a sign: as the integer below it says, or else by its values.
    fn is_signed(&self, die: &Die<'a>, members: &[Member]) -> Result<bool> {
        let encoding = match (die.encoding, die.kind) {
            (None, Some(kind)) => self.types.at(kind)?.0.encoding,
            (encoding, _) => encoding,
        };
        let signed = [dw::DW_ATE_signed.0, dw::DW_ATE_signed_char.0].map(u64::from);
        Ok(match encoding {
            Some(encoding) => signed.contains(&encoding),
            None => members.iter().any(|member| member.value.is_some_and(|value| value < 0)),
        })
    }

    fn row(&mut self, out: &mut Vec<Member>, member: Member) -> Result<()> {
        self.spend(std::mem::size_of::<Member>())?;
        out.push(member);
        Ok(())
    }

    fn spend(&mut self, bytes: usize) -> Result<()> {
        match self.left.checked_sub(bytes) {
            Some(left) => self.left = left,
            None => {
                let limit = (self.types.unit_size() as u64).saturating_mul(FACTOR as u64);
                return Err(Error::too_large("types, as rows,", limit.saturating_add(bytes as u64), limit));
            }
        }
        Ok(())
    }

    fn name(&mut self, name: Option<&[u8]>) -> Result<Option<u32>> {
        let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(None) };
        self.spend(name.len())?;
        if let Ok(name) = std::str::from_utf8(name) {
            return Ok(Some(self.out.texts.add(name)));
        }
        self.text.clear();
        ctype::push_name(&mut self.text, name);
        Ok(Some(self.out.texts.add(&self.text)))
    }

    /// The number of a type's C text; `None` is `void`.
    fn type_text(&mut self, kind: Option<usize>) -> Result<u32> {
        let id = kind.map_or(VOID, |offset| offset as u64);
        if let Some(&known) = self.texts.get(&id) {
            return Ok(known);
        }
        self.text.clear();
        ctype::declare(&self.types, Some(id), None, &mut self.text)?;
        self.spend(self.text.len())?;
        let number = self.out.texts.add(&self.text);
        self.texts.insert(id, number);
        Ok(number)
    }

    fn facts(&mut self, kind: Option<usize>) -> Result<Facts> {
        let Some(kind) = kind else { return Ok(Facts { byte_size: None, anonymous: None }) };
        if let Some(&known) = self.facts.get(&kind) {
            return Ok(known);
        }
        let facts = look_at(&self.types, kind)?;
        self.facts.insert(kind, facts);
        Ok(facts)
    }
}

/// The children of a DIE that have a tag.
fn children<'a>(types: &UnitTypes<'_, 'a>, offset: usize, tag: gimli::DwTag) -> Result<Vec<Die<'a>>> {
    let (die, mut cursor) = types.at(offset)?;
    let mut list = Vec::new();
    types.children(&mut cursor, &die, |child| {
        if child.tag == tag {
            list.push(child);
        }
    })?;
    Ok(list)
}

/// Follows a type to the one that it is made of.
fn look_at(types: &UnitTypes<'_, '_>, kind: usize) -> Result<Facts> {
    let mut elements = 1u64;
    let mut named = false;
    let mut next = kind;
    for _ in 0..CHAIN_LIMIT {
        let (die, cursor) = types.at(next)?;
        match die.tag {
            dw::DW_TAG_array_type => {
                for count in types.counts(cursor, &die)? {
                    elements = elements.saturating_mul(count.unwrap_or(0));
                }
            }
            dw::DW_TAG_typedef => named = true,
            dw::DW_TAG_const_type
            | dw::DW_TAG_volatile_type
            | dw::DW_TAG_restrict_type
            | dw::DW_TAG_atomic_type => {}
            tag => {
                let (byte_size, nameable) = match tag {
                    dw::DW_TAG_pointer_type => (die.byte_size.or(Some(types.address_size())), false),
                    dw::DW_TAG_structure_type | dw::DW_TAG_union_type | dw::DW_TAG_enumeration_type => {
                        (die.byte_size, true)
                    }
                    _ => (die.byte_size, false),
                };
                return Ok(Facts {
                    byte_size: byte_size.map(|size| size.saturating_mul(elements)),
                    anonymous: (nameable && !named && die.name.is_none()).then_some(next),
                });
            }
        }
        match die.kind {
            Some(kind) => next = kind,
            None => return Ok(Facts { byte_size: None, anonymous: None }),
        }
    }
    Err(Error::corrupt(".debug_info", kind as u64, "a type refers to itself"))
}

/// Where a member starts, from the start of what it is a member of. `byte_size` is that of its type.
fn bit_offset(member: &Die<'_>, byte_size: Option<u64>, big_endian: bool) -> u64 {
    let start = member.location.unwrap_or(0).saturating_mul(8);
    match (member.data_bit_offset, member.bit_offset, member.bit_size) {
        (Some(offset), ..) => offset,
        // DWARF 3, section 5.5.6: from the most significant bit of the storage to that of the field
        (None, Some(offset), _) if big_endian => start.saturating_add(offset),
        (None, Some(offset), Some(bits)) => {
            let storage = member.byte_size.or(byte_size).unwrap_or(0).saturating_mul(8);
            start.saturating_add(storage.saturating_sub(offset.saturating_add(bits)))
        }
        _ => start,
    }
}

impl Layouts for Sections<'_> {
    fn member(&self, name: &str, member: &str) -> Option<(u64, u64)> {
        let (header, mut offset) = self.find_struct(name)?;
        let types = self.types(header).ok()?;
        let mut start = 0u64;
        let mut byte_size = None;
        for part in member.split('.') {
            let place = Place { types: &types, big_endian: self.is_big_endian(), name: part.as_bytes() };
            let mut left = MEMBER_LIMIT;
            let (bit_offset, kind) = place.find(composite(&types, offset)?, 0, &mut left)?;
            start = start.checked_add(bit_offset)?;
            byte_size = look_at(&types, kind).ok()?.byte_size;
            offset = kind;
        }
        start.is_multiple_of(8).then_some((start / 8, byte_size?))
    }

    fn size_of(&self, name: &str) -> Option<u64> {
        let (header, offset) = self.find_struct(name)?;
        self.types(header).ok()?.at(offset).ok()?.0.byte_size
    }
}

/// The struct or union that a type is, by whatever name.
fn composite(types: &UnitTypes<'_, '_>, kind: usize) -> Option<usize> {
    let mut next = kind;
    for _ in 0..CHAIN_LIMIT {
        let (die, _) = types.at(next).ok()?;
        next = match die.tag {
            dw::DW_TAG_structure_type | dw::DW_TAG_union_type => return Some(next),
            dw::DW_TAG_typedef | dw::DW_TAG_const_type | dw::DW_TAG_volatile_type => die.kind?,
            _ => return None,
        };
    }
    None
}

/// A search for a member that is no bit field.
struct Place<'t, 's, 'a> {
    types: &'t UnitTypes<'s, 'a>,
    big_endian: bool,
    name: &'t [u8],
}

impl Place<'_, '_, '_> {
    /// Bit offset and type, in anonymous members too. `left`: how many may be seen.
    fn find(&self, offset: usize, depth: u8, left: &mut usize) -> Option<(u64, usize)> {
        for member in children(self.types, offset, dw::DW_TAG_member).ok()? {
            *left = left.checked_sub(1)?;
            let kind = member.kind?;
            let start = bit_offset(&member, None, self.big_endian);
            if member.name == Some(self.name) {
                return member.bit_size.is_none().then_some((start, kind));
            }
            if member.name.is_none() && depth < DEPTH_LIMIT {
                let inner = composite(self.types, kind).and_then(|inner| self.find(inner, depth + 1, left));
                if let Some((offset, kind)) = inner {
                    return Some((start.checked_add(offset)?, kind));
                }
            }
        }
        None
    }
}
