//! The maps of an object: those that it declares, and those that libbpf makes of its variables.
//!
//! Source: `Documentation/bpf/libbpf/libbpf_naming_convention.rst` and libbpf's `bpf_helpers.h`, whose `__uint`, `__type`
//! and `__array` write numbers and types into the type of a variable of `.maps`.

use super::object::{is_data, without_modifiers, Object, Source};
use super::sections::STT_SECTION;
use crate::btf::{Btf, Kind, List, Member};
use crate::elf::text;
use crate::error::{Error, Result};
use std::collections::HashMap;

const BPF_MAP_TYPE_PROG_ARRAY: u32 = 3;
const BPF_MAP_TYPE_ARRAY: u32 = 2;
/// `BPF_MAP_TYPE_QUEUE`, `BPF_MAP_TYPE_STACK`, `BPF_MAP_TYPE_RINGBUF`, `BPF_MAP_TYPE_BLOOM_FILTER`,
/// `BPF_MAP_TYPE_USER_RINGBUF`.
const WITHOUT_KEYS: [u32; 5] = [22, 23, 27, 30, 31];
/// `struct bpf_map_def` of old objects: type, key size, value size, entries, flags.
const OLD_MAP_BYTES: usize = 20;
/// Declared maps, and members of a declaration: real ones have tens and a dozen.
const MAP_LIMIT: usize = 4096;
const MEMBER_LIMIT: usize = 64;

/// How a map is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declared {
    /// A variable of `.maps`, described by BTF.
    Btf,
    /// A `struct bpf_map_def` of the section `maps`, which libbpf 1.0 refuses.
    Old,
    /// All variables of a section.
    Data,
    /// The type of the maps that another one holds.
    Inner,
}

impl Declared {
    pub fn name(self) -> &'static str {
        match self {
            Declared::Btf => "btf",
            Declared::Old => "old",
            Declared::Data => "data",
            Declared::Inner => "inner",
        }
    }
}

/// A map. Numbers that the object leaves to the loader are `None`.
#[derive(Debug, Clone)]
pub struct Map {
    /// Of an inner one: the outer one's and `.inner`, as libbpf calls it.
    pub name: String,
    pub declared: Declared,
    /// Where it is, to find what refers to it: the section's number, and the offset unless it is all of the section.
    pub section: Option<usize>,
    pub byte_offset: Option<u64>,
    /// `enum bpf_map_type`.
    pub kind: Option<u32>,
    pub type_name: Option<String>,
    pub key_size: Option<u32>,
    pub value_size: Option<u32>,
    pub max_entries: Option<u32>,
    pub flags: Option<u32>,
    /// `LIBBPF_PIN_BY_NAME` is 1.
    pub pinning: Option<u32>,
    /// The number of the map that describes those that it holds.
    pub inner: Option<u32>,
}

impl Map {
    fn new(name: String, declared: Declared) -> Map {
        Map {
            name,
            declared,
            section: None,
            byte_offset: None,
            kind: None,
            type_name: None,
            key_size: None,
            value_size: None,
            max_entries: None,
            flags: None,
            pinning: None,
            inner: None,
        }
    }

    /// The bytes of a key, 0 where there are none; `None` if the loader decides.
    pub(super) fn key_bytes(&self) -> Option<u32> {
        let has_none = self.kind.is_some_and(|kind| WITHOUT_KEYS.contains(&kind));
        self.key_size.or(has_none.then_some(0))
    }

    /// Whether it holds variables.
    pub fn is_data(&self) -> bool {
        self.declared == Declared::Data
    }
}

/// Maps by the section and the offset that relocations name.
pub(super) fn places(maps: &[Map]) -> HashMap<(usize, Option<u64>), u32> {
    (0..).zip(maps).filter_map(|(at, map)| Some(((map.section?, map.byte_offset), at))).collect()
}

pub(super) fn read(source: &Source<'_>, object: &mut Object) {
    read_declared(source, object);
    read_old(source, object);
    for (number, section) in source.elf.sections.iter().enumerate().filter(|(_, section)| is_data(section)) {
        let mut map = Map::new(section.name.clone(), Declared::Data);
        map.section = Some(number);
        map.kind = Some(BPF_MAP_TYPE_ARRAY);
        (map.key_size, map.max_entries) = (Some(4), Some(1));
        map.value_size = u32::try_from(section.byte_size).ok();
        object.maps.push(map);
    }
}

fn read_declared(source: &Source<'_>, object: &mut Object) {
    let Some(section) = source.elf.find(".maps") else { return };
    let Some(btf) = source.btf else { return object.note(".maps", "there is no BTF that tells its maps") };
    for (_, found) in btf.types() {
        let Ok(found) = found else { continue };
        let Kind::Datasec { variables, .. } = found.kind else { continue };
        if found.name != b".maps" {
            continue;
        }
        if variables.len() > MAP_LIMIT {
            return object
                .note(".maps", Error::too_large("section", variables.len() as u64, MAP_LIMIT as u64));
        }
        for variable in variables.iter().flatten() {
            let Ok(of) = btf.get(variable.type_id) else { continue };
            let Kind::Var { of: type_id, .. } = of.kind else { continue };
            let name = text(of.name);
            let mut map = Map::new(name.clone(), Declared::Btf);
            map.section = Some(section);
            map.byte_offset = source.symbol(section, of.name).map(|symbol| symbol.value);
            match describe(btf, type_id, &mut map, true) {
                Ok(inner) => {
                    object.maps.push(map);
                    if let Some(inner) = inner {
                        let number = object.maps.len();
                        object.maps[number - 1].inner = Some(number as u32);
                        object.maps.push(inner);
                    }
                }
                Err(error) => {
                    object.note(format!("map {name}"), error);
                    object.maps.push(map);
                }
            }
        }
    }
}

/// Fills in what the type of a map says; gives the type of the maps in it.
fn describe(btf: &Btf<'_>, type_id: u32, map: &mut Map, outer: bool) -> Result<Option<Map>> {
    let members = members(btf, type_id)?;
    let mut inner = None;
    for member in members.iter() {
        let member = member?;
        match member.name {
            b"type" => map.kind = number(btf, member.type_id),
            b"key_size" => map.key_size = number(btf, member.type_id),
            b"value_size" => map.value_size = number(btf, member.type_id),
            b"max_entries" => map.max_entries = number(btf, member.type_id),
            b"map_flags" => map.flags = number(btf, member.type_id),
            b"pinning" => map.pinning = number(btf, member.type_id),
            b"key" => map.key_size = size_of_pointed(btf, member.type_id),
            b"value" => map.value_size = size_of_pointed(btf, member.type_id),
            b"values" if outer => {
                map.value_size = Some(4);
                let what = |what: &str| Error::corrupt("member values", 0, what.to_owned());
                let element = match without_modifiers(btf, member.type_id) {
                    Some((_, array)) => match array.kind {
                        Kind::Array { element, .. } => element,
                        _ => return Err(what("it is no array")),
                    },
                    None => return Err(what("it has no type")),
                };
                let pointed = pointed(btf, element).ok_or_else(|| what("its elements are no pointers"))?;
                let is_struct = without_modifiers(btf, pointed)
                    .is_some_and(|(_, to)| matches!(to.kind, Kind::Struct { .. }));
                // otherwise it holds programs
                if is_struct && map.kind != Some(BPF_MAP_TYPE_PROG_ARRAY) {
                    let mut found = Map::new(format!("{}.inner", map.name), Declared::Inner);
                    describe(btf, pointed, &mut found, false)?;
                    inner = Some(found);
                }
            }
            _ => {}
        }
    }
    Ok(inner)
}

fn members<'b>(btf: &'b Btf<'_>, type_id: u32) -> Result<List<'b, Member<'b>>> {
    match without_modifiers(btf, type_id).map(|(_, found)| found.kind) {
        Some(Kind::Struct { members, .. }) if members.len() <= MEMBER_LIMIT => Ok(members),
        Some(Kind::Struct { members, .. }) => {
            Err(Error::too_large("map declaration", members.len() as u64, MEMBER_LIMIT as u64))
        }
        _ => Err(Error::corrupt("map declaration", 0, "its type is no struct")),
    }
}

/// `int (*name)[number]`, or an enum of one value, for numbers of 64 bits.
fn number(btf: &Btf<'_>, type_id: u32) -> Option<u32> {
    let (_, found) = without_modifiers(btf, type_id)?;
    match found.kind {
        Kind::Ptr { to } => match without_modifiers(btf, to)?.1.kind {
            Kind::Array { count, .. } => Some(count),
            _ => None,
        },
        Kind::Enum { values, .. } => u32::try_from(values.iter().next()?.ok()?.value).ok(),
        _ => None,
    }
}

fn pointed(btf: &Btf<'_>, type_id: u32) -> Option<u32> {
    match without_modifiers(btf, type_id)?.1.kind {
        Kind::Ptr { to } => Some(to),
        _ => None,
    }
}

/// Pointers of eBPF have eight bytes.
fn size_of_pointed(btf: &Btf<'_>, type_id: u32) -> Option<u32> {
    u32::try_from(btf.byte_size(pointed(btf, type_id)?, Some(8))?).ok()
}

fn read_old(source: &Source<'_>, object: &mut Object) {
    let elf = source.elf;
    let Some(number) = elf.find("maps") else { return };
    let bytes = elf.bytes(&elf.sections[number]);
    let here =
        |symbol: &&super::sections::Symbol<'_>| symbol.section == Some(number) && symbol.kind != STT_SECTION;
    for symbol in source.symbols.iter().filter(here).take(MAP_LIMIT) {
        let name = text(symbol.name);
        let mut map = Map::new(name.clone(), Declared::Old);
        (map.section, map.byte_offset) = (Some(number), Some(symbol.value));
        let start = usize::try_from(symbol.value).unwrap_or(usize::MAX);
        match bytes.get(start..).filter(|rest| rest.len() >= OLD_MAP_BYTES) {
            Some(rest) => {
                let word = |at: usize| elf.words.u32(rest, at * 4, "map").ok();
                (map.kind, map.key_size, map.value_size) = (word(0), word(1), word(2));
                (map.max_entries, map.flags) = (word(3), word(4));
            }
            None => object.note(format!("map {name}"), "its declaration is cut off"),
        }
        object.maps.push(map);
    }
}
