//! What a module's DWARF tells of what it needs: the files that declare its types, the functions of others that it
//! calls, and the types that its code names.

use super::definitions::{Defined, Found, Outline};
use super::{walk, Sections, UnitHeader};
use crate::elf::text;
use crate::error::Result;
use gimli::constants as dw;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeSet;
use xxhash_rust::xxh3::xxh3_64;

/// Steps from a type to the one that it is made of; more is a cycle.
const CHAIN_LIMIT: usize = 64;

/// What the units of a module need of others.
#[derive(Debug, Default)]
pub struct Needs {
    /// Of a definition, by its signature, the file that declares it.
    pub files: FxHashMap<u64, String>,
    /// Declarations of functions that are somewhere else, each name once, by unit. Compilers leave out those that
    /// are not called.
    pub functions: Vec<(UnitHeader, Vec<Defined>)>,
    /// Structs, unions, enums and typedefs of the module's variables, parameters and results, and what these
    /// point to, as tag and name. Functions that were inlined into its code count.
    pub named: BTreeSet<(u16, String)>,
}

/// Reads all units that can be read; of the others `found` tells.
pub fn read(sections: &Sections<'_>, headers: &[UnitHeader], found: &Found) -> Result<Needs> {
    let mut out = Needs::default();
    let unreadable: FxHashSet<usize> = found.unreadable.iter().map(|(header, _)| header.offset).collect();
    let chosen: FxHashMap<usize, &Vec<Defined>> =
        found.units.iter().map(|(header, list)| (header.offset, list)).collect();
    let mut known = FxHashSet::default();
    for header in headers.iter().filter(|header| !unreadable.contains(&header.offset)) {
        let Some(mut unit) = Outline::new(sections, *header, 0)? else { continue };
        for defined in chosen.get(&header.offset).into_iter().flat_map(|list| list.iter()) {
            let mut cursor = sections.cursor(defined.offset);
            let Some(abbreviation) = walk::next(&unit.abbreviations, &mut cursor)? else { continue };
            let number = unit.front(&mut cursor, abbreviation)?.decl_file;
            if let Some(path) = number.and_then(|number| unit.path(number)) {
                out.files.insert(defined.signature, path.to_owned());
            }
        }
        let mut functions = Vec::new();
        walk(sections, &unit, |what| match what {
            Need::Function(offset, name) => {
                if known.insert(name) {
                    let signature = xxh3_64(&[b"declaration of ", name].concat());
                    functions.push(Defined { offset, tag: dw::DW_TAG_subprogram.0, signature });
                }
            }
            Need::Type(tag, name) => drop(out.named.insert((tag, text(name)))),
        })?;
        if !functions.is_empty() {
            out.functions.push((*header, functions));
        }
    }
    Ok(out)
}

enum Need<'a> {
    /// Offset of its declaration, and its name.
    Function(usize, &'a [u8]),
    Type(u16, &'a [u8]),
}

/// Hands over what the unit's code names.
fn walk<'a>(sections: &Sections<'a>, unit: &Outline<'_, 'a>, mut with: impl FnMut(Need<'a>)) -> Result<()> {
    let (header, abbreviations) = (&unit.header, &unit.abbreviations);
    let mut cursor = unit.inside.clone();
    let mut seen = FxHashSet::default();
    // How many functions, blocks and inlined calls are around.
    let mut depth = 0usize;
    while cursor.at < header.end {
        let at = cursor.at;
        let Some(abbreviation) = walk::next(abbreviations, &mut cursor)? else {
            match depth.checked_sub(1) {
                Some(outer) => depth = outer,
                None => break,
            }
            continue;
        };
        let tag = gimli::DwTag(abbreviation.tag);
        match tag {
            dw::DW_TAG_subprogram
            | dw::DW_TAG_variable
            | dw::DW_TAG_formal_parameter
            | dw::DW_TAG_inlined_subroutine
            | dw::DW_TAG_lexical_block => {
                let front = unit.front(&mut cursor, abbreviation)?;
                let is_function = tag == dw::DW_TAG_subprogram;
                if is_function && front.declaration {
                    if let Some(name) = unit.string(front.name) {
                        with(Need::Function(at, name));
                    }
                } else if let Some(kind) = front.kind.filter(|&kind| seen.insert(kind)) {
                    if let Some((tag, name)) = named(sections, unit, kind)? {
                        with(Need::Type(tag, name));
                    }
                }
                match abbreviation.has_children {
                    true if is_function && front.declaration => {
                        walk::skip_children(header, abbreviations, &mut cursor, front.sibling)?
                    }
                    true => depth += 1,
                    false => {}
                }
            }
            _ => walk::skip(header, abbreviations, &mut cursor, abbreviation)?,
        }
    }
    Ok(())
}

/// The type with a name that a type is, is an array of, or points to.
fn named<'a>(
    sections: &Sections<'a>,
    unit: &Outline<'_, 'a>,
    kind: usize,
) -> Result<Option<(u16, &'a [u8])>> {
    let mut next = Some(kind);
    for _ in 0..CHAIN_LIMIT {
        let Some(at) = next.filter(|&at| at >= unit.header.offset && at < unit.header.end) else { break };
        let mut cursor = sections.cursor(at);
        let Some(abbreviation) = walk::next(&unit.abbreviations, &mut cursor)? else { break };
        let front = unit.front(&mut cursor, abbreviation)?;
        match gimli::DwTag(abbreviation.tag) {
            dw::DW_TAG_structure_type
            | dw::DW_TAG_union_type
            | dw::DW_TAG_enumeration_type
            | dw::DW_TAG_typedef => {
                return Ok(unit.string(front.name).map(|name| (abbreviation.tag, name)));
            }
            _ => next = front.kind,
        }
    }
    Ok(None)
}
