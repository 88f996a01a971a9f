//! Types and prototypes of one unit as C text: its DIEs seen as a [`TypeGraph`].

use super::abbrev::{Abbreviation, Abbreviations};
use super::cursor::Cursor;
use super::form::{self, Value};
use super::{Sections, UnitHeader};
use crate::ctype::{self, TypeGraph, TypeNode};
use crate::elf::text;
use crate::error::{Error, Result};
use gimli::constants as dw;
use std::borrow::Cow;

/// Renders the prototypes of one unit's functions.
pub struct Prototypes<'s, 'a> {
    sections: &'s Sections<'a>,
    header: UnitHeader,
    abbreviations: Abbreviations,
    str_offsets_base: u64,
    /// Whether types are written with C's keywords; Rust's names stand alone.
    keywords: bool,
    /// Whether the unit is assembly, whose functions have no types.
    assembly: bool,
}

/// An array's dimensions are types of their own in C, but children of one DIE in DWARF: the number of the
/// dimension is kept above the offset.
const DIMENSION_SHIFT: u32 = 56;
/// `DW_AT_specification` and `DW_AT_abstract_origin` links followed one after another.
const ORIGIN_LIMIT: usize = 16;

struct Die<'a> {
    tag: gimli::DwTag,
    has_children: bool,
    name: Option<&'a [u8]>,
    kind: Option<usize>,
    origin: Option<usize>,
    count: Option<u64>,
    upper_bound: Option<u64>,
    artificial: bool,
    prototyped: bool,
    sibling: Option<usize>,
}

impl<'s, 'a> Prototypes<'s, 'a> {
    pub(super) fn new(sections: &'s Sections<'a>, header: UnitHeader) -> Result<Prototypes<'s, 'a>> {
        let encoding = header.encoding;
        let abbreviations = Abbreviations::parse(sections.abbrev, header.abbrev_offset, encoding)?;
        let mut out = Prototypes {
            sections,
            header,
            abbreviations,
            str_offsets_base: if encoding.offset_size == 8 { 16 } else { 8 },
            keywords: true,
            assembly: false,
        };
        let mut cursor = sections.cursor(header.first);
        if let Some(root) = out.next(&mut cursor)? {
            for attribute in out.abbreviations.attributes(root) {
                let value =
                    form::read(&mut cursor, attribute.form, attribute.implicit, encoding, header.offset)?;
                match gimli::DwAt(attribute.name) {
                    dw::DW_AT_str_offsets_base => {
                        out.str_offsets_base = value.number().unwrap_or(out.str_offsets_base);
                    }
                    dw::DW_AT_language => {
                        let language = value.number();
                        out.keywords = language != Some(dw::DW_LANG_Rust.0.into());
                        out.assembly = language == Some(dw::DW_LANG_Mips_Assembler.0.into());
                    }
                    _ => {}
                }
            }
        }
        Ok(out)
    }

    /// The prototype of the `DW_TAG_subprogram` at `offset`, as a C declaration; empty for one without a name
    /// and for one in assembly.
    pub fn of(&self, offset: usize) -> Result<String> {
        if self.assembly {
            return Ok(String::new());
        }
        let mut cursor = self.sections.cursor(offset);
        let Some(mut die) = self.die(&mut cursor)? else { return Ok(String::new()) };
        for _ in 0..ORIGIN_LIMIT {
            let Some(origin) = die.origin.filter(|_| die.name.is_none()) else { break };
            cursor = self.sections.cursor(origin);
            match self.die(&mut cursor)? {
                Some(next) => die = next,
                None => return Ok(String::new()),
            }
        }
        let Some(name) = die.name else { return Ok(String::new()) };
        let (parameters, variadic) = self.parameters(&mut cursor, &die)?;
        // `f()` in C before C23 says nothing of the parameters; DWARF says that it said nothing.
        let function = TypeNode::Function {
            ret: die.kind.map(|t| t as u64),
            params: parameters,
            variadic: variadic && die.prototyped,
        };
        let mut out = String::new();
        ctype::prototype(self, &function, &text(name), &mut out)?;
        Ok(out)
    }

    fn next(&self, cursor: &mut Cursor<'a>) -> Result<Option<&Abbreviation>> {
        let at = cursor.at;
        match cursor.uleb()? {
            0 => Ok(None),
            code => match self.abbreviations.get(code) {
                Some(abbreviation) => Ok(Some(abbreviation)),
                None => Err(Error::corrupt(
                    ".debug_info",
                    at as u64,
                    format!("abbreviation {code} is not declared"),
                )),
            },
        }
    }

    fn die(&self, cursor: &mut Cursor<'a>) -> Result<Option<Die<'a>>> {
        let Some(abbreviation) = self.next(cursor)? else { return Ok(None) };
        let mut die = Die {
            tag: gimli::DwTag(abbreviation.tag),
            has_children: abbreviation.has_children,
            name: None,
            kind: None,
            origin: None,
            count: None,
            upper_bound: None,
            artificial: false,
            prototyped: false,
            sibling: None,
        };
        let encoding = self.header.encoding;
        for attribute in self.abbreviations.attributes(abbreviation) {
            let value = form::read(cursor, attribute.form, attribute.implicit, encoding, self.header.offset)?;
            let reference = if let Value::Reference(at) = value { Some(at) } else { None };
            match gimli::DwAt(attribute.name) {
                dw::DW_AT_name => die.name = self.sections.string(value, encoding, self.str_offsets_base),
                dw::DW_AT_type => die.kind = reference,
                dw::DW_AT_abstract_origin | dw::DW_AT_specification => die.origin = reference,
                dw::DW_AT_count => die.count = value.number(),
                dw::DW_AT_upper_bound => die.upper_bound = value.number(),
                dw::DW_AT_artificial => die.artificial = matches!(value, Value::Flag(true)),
                dw::DW_AT_prototyped => die.prototyped = matches!(value, Value::Flag(true)),
                dw::DW_AT_sibling => {
                    die.sibling = reference.filter(|&at| at > cursor.at && at <= self.header.end)
                }
                _ => {}
            }
        }
        Ok(Some(die))
    }

    /// The direct children of a DIE, whose attributes the cursor stands behind.
    fn children(
        &self,
        cursor: &mut Cursor<'a>,
        parent: &Die<'a>,
        mut with: impl FnMut(Die<'a>),
    ) -> Result<()> {
        if !parent.has_children {
            return Ok(());
        }
        let mut depth = 0usize;
        while cursor.at < self.header.end {
            let Some(die) = self.die(cursor)? else {
                match depth.checked_sub(1) {
                    Some(outer) => depth = outer,
                    None => return Ok(()),
                }
                continue;
            };
            match die.sibling {
                Some(sibling) if die.has_children => cursor.at = sibling,
                _ if die.has_children => {
                    depth += 1;
                    if depth == 1 {
                        with(die);
                    }
                    continue;
                }
                _ => {}
            }
            if depth == 0 {
                with(die);
            }
        }
        Ok(())
    }

    #[allow(clippy::type_complexity)]
    fn parameters(
        &self,
        cursor: &mut Cursor<'a>,
        function: &Die<'a>,
    ) -> Result<(Vec<(Option<Cow<'a, [u8]>>, u64)>, bool)> {
        let mut list = Vec::new();
        let mut variadic = false;
        self.children(cursor, function, |child| match child.tag {
            dw::DW_TAG_formal_parameter if !child.artificial => {
                // No type at all is an unknown one, which C cannot write; void is the nearest.
                list.push((child.name.map(Cow::Borrowed), child.kind.map_or(VOID, |t| t as u64)));
            }
            dw::DW_TAG_unspecified_parameters => variadic = true,
            _ => {}
        })?;
        Ok((list, variadic))
    }

    fn named(&self, keyword: &str, die: &Die<'a>) -> TypeNode<'a> {
        let name = die.name.map_or_else(|| "(anon)".to_owned(), text);
        let text = if keyword.is_empty() || !self.keywords { name } else { format!("{keyword} {name}") };
        TypeNode::Named { text: Cow::Owned(text.into_bytes()) }
    }
}

/// The type that has no DIE.
const VOID: u64 = u64::MAX;

impl<'a> TypeGraph for Prototypes<'_, 'a> {
    fn node(&self, id: u64) -> Result<TypeNode<'_>> {
        if id == VOID {
            return Ok(TypeNode::Void);
        }
        let dimension = (id >> DIMENSION_SHIFT) as usize;
        let offset = (id & ((1 << DIMENSION_SHIFT) - 1)) as usize;
        if offset < self.header.first || offset >= self.header.end {
            return Err(Error::corrupt(".debug_info", offset as u64, "a type lies outside its unit"));
        }
        let mut cursor = self.sections.cursor(offset);
        let Some(die) = self.die(&mut cursor)? else {
            return Err(Error::corrupt(".debug_info", offset as u64, "a reference to a type leads nowhere"));
        };
        let target = die.kind.map_or(VOID, |at| at as u64);
        Ok(match die.tag {
            dw::DW_TAG_pointer_type
            | dw::DW_TAG_reference_type
            | dw::DW_TAG_rvalue_reference_type
            | dw::DW_TAG_ptr_to_member_type => match die.name {
                // Rust names its pointer types: `&str`, `*const u8`.
                Some(_) => self.named("", &die),
                None => TypeNode::Pointer(target),
            },
            dw::DW_TAG_const_type => TypeNode::Const(target),
            dw::DW_TAG_volatile_type => TypeNode::Volatile(target),
            dw::DW_TAG_restrict_type => TypeNode::Restrict(target),
            dw::DW_TAG_atomic_type => TypeNode::Atomic(target),
            dw::DW_TAG_structure_type | dw::DW_TAG_class_type => self.named("struct", &die),
            dw::DW_TAG_union_type => self.named("union", &die),
            dw::DW_TAG_enumeration_type => self.named("enum", &die),
            dw::DW_TAG_subroutine_type => {
                let (params, variadic) = self.parameters(&mut cursor, &die)?;
                let variadic = variadic && (die.prototyped || !params.is_empty());
                TypeNode::Function { ret: die.kind.map(|t| t as u64), params, variadic }
            }
            dw::DW_TAG_array_type => {
                let mut counts = Vec::new();
                self.children(&mut cursor, &die, |child| {
                    if child.tag == dw::DW_TAG_subrange_type {
                        let count = child.count.or(child.upper_bound.and_then(|bound| bound.checked_add(1)));
                        counts.push(count);
                    }
                })?;
                let inner = if dimension + 1 < counts.len() && dimension + 1 < 256 {
                    (dimension as u64 + 1) << DIMENSION_SHIFT | offset as u64
                } else {
                    target
                };
                TypeNode::Array { element: inner, count: counts.get(dimension).copied().flatten() }
            }
            // Base types, typedefs, and whatever else has a name.
            _ => self.named("", &die),
        })
    }
}
