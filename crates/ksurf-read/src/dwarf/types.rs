//! The types of one unit: its DIEs one by one, and as a [`TypeGraph`] that C text is made from.

use super::abbrev::Abbreviations;
use super::cursor::Cursor;
use super::form::{self, Value};
use super::root::Root;
use super::{walk, Sections, UnitHeader};
use crate::ctype::{self, TypeGraph, TypeNode};
use crate::elf::text;
use crate::error::{Error, Result};
use gimli::constants as dw;
use std::borrow::Cow;

/// The types of one unit, looked at by the offsets of their DIEs.
pub struct UnitTypes<'s, 'a> {
    sections: &'s Sections<'a>,
    header: UnitHeader,
    abbreviations: Abbreviations,
    str_offsets_base: u64,
    /// Whether types are written with C's keywords; Rust's names stand alone.
    keywords: bool,
    /// Whether the unit is assembly, whose functions have no types.
    assembly: bool,
    /// Whether texts are those that pahole's BTF gives: see [`UnitTypes::as_btf`].
    as_btf: bool,
}

/// An array's dimensions are types of their own in C, but children of one DIE in DWARF: the number of the
/// dimension is kept above the offset.
const DIMENSION_SHIFT: u32 = 56;

/// A DIE, as far as types and functions need it.
pub struct Die<'a> {
    pub tag: gimli::DwTag,
    has_children: bool,
    pub name: Option<&'a [u8]>,
    /// The type that it has or refers to, as the offset of its DIE.
    pub kind: Option<usize>,
    origin: Option<usize>,
    /// Number of elements of a dimension of an array; `None` if it is open.
    pub count: Option<u64>,
    pub byte_size: Option<u64>,
    pub bit_size: Option<u64>,
    /// `DW_AT_data_bit_offset`.
    pub data_bit_offset: Option<u64>,
    /// `DW_AT_bit_offset` of DWARF 2 and 3: counted from the most significant bit of the storage unit.
    pub bit_offset: Option<u64>,
    /// `DW_AT_data_member_location`, in bytes.
    pub location: Option<u64>,
    /// `DW_AT_const_value` as two's complement.
    pub value: Option<i64>,
    /// `DW_AT_encoding`.
    pub encoding: Option<u64>,
    pub declaration: bool,
    artificial: bool,
    prototyped: bool,
    sibling: Option<usize>,
}

impl<'s, 'a> UnitTypes<'s, 'a> {
    pub(super) fn new(sections: &'s Sections<'a>, header: UnitHeader) -> Result<UnitTypes<'s, 'a>> {
        let encoding = header.encoding;
        let abbreviations = Abbreviations::parse(sections.abbrev, header.abbrev_offset, encoding)?;
        let root = Root::read(sections, &header, &abbreviations)?;
        let root = root.ok_or_else(|| walk::unknown_code(header.first, 0))?;
        Ok(UnitTypes {
            sections,
            header,
            abbreviations,
            str_offsets_base: root.str_offsets_base,
            keywords: root.language != Some(dw::DW_LANG_Rust),
            assembly: root.is_assembly(),
            as_btf: false,
        })
    }

    /// The same, with texts that equal those of the BTF that pahole makes of this DWARF: it knows no arrays of
    /// arrays, but multiplies their sizes, and takes `f()` for `f(...)`.
    pub fn as_btf(self) -> Self {
        UnitTypes { as_btf: true, ..self }
    }

    /// The prototype of the `DW_TAG_subprogram` at `offset`, as a C declaration; empty for one without a name
    /// and for one in assembly.
    pub fn of(&self, offset: usize) -> Result<String> {
        if self.assembly {
            return Ok(String::new());
        }
        let mut cursor = self.sections.cursor(offset);
        let Some(mut die) = self.die(&mut cursor)? else { return Ok(String::new()) };
        for _ in 0..walk::ORIGIN_LIMIT {
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

    /// The DIE at an offset of the unit, and a position behind its attributes.
    pub fn at(&self, offset: usize) -> Result<(Die<'a>, Cursor<'a>)> {
        if offset < self.header.first || offset >= self.header.end {
            return Err(Error::corrupt(".debug_info", offset as u64, "a type lies outside its unit"));
        }
        let mut cursor = self.sections.cursor(offset);
        match self.die(&mut cursor)? {
            Some(die) => Ok((die, cursor)),
            None => Err(Error::corrupt(".debug_info", offset as u64, "a reference to a type leads nowhere")),
        }
    }

    /// Size of the unit in bytes.
    pub fn unit_size(&self) -> usize {
        self.header.end - self.header.first
    }

    /// Size of an address in bytes.
    pub fn address_size(&self) -> u64 {
        self.header.encoding.address_size.into()
    }

    fn die(&self, cursor: &mut Cursor<'a>) -> Result<Option<Die<'a>>> {
        let Some(abbreviation) = walk::next(&self.abbreviations, cursor)? else { return Ok(None) };
        let mut die = Die {
            tag: gimli::DwTag(abbreviation.tag),
            has_children: abbreviation.has_children,
            name: None,
            kind: None,
            origin: None,
            count: None,
            byte_size: None,
            bit_size: None,
            data_bit_offset: None,
            bit_offset: None,
            location: None,
            value: None,
            encoding: None,
            declaration: false,
            artificial: false,
            prototyped: false,
            sibling: None,
        };
        let mut upper_bound = None;
        let encoding = self.header.encoding;
        for attribute in self.abbreviations.attributes(abbreviation) {
            let value = form::read(cursor, attribute.form, attribute.implicit, encoding, self.header.offset)?;
            let reference = if let Value::Reference(at) = value { Some(at) } else { None };
            match gimli::DwAt(attribute.name) {
                dw::DW_AT_name => die.name = self.sections.string(value, encoding, self.str_offsets_base),
                dw::DW_AT_type => die.kind = reference,
                dw::DW_AT_abstract_origin | dw::DW_AT_specification => die.origin = reference,
                dw::DW_AT_count => die.count = value.number(),
                dw::DW_AT_upper_bound => upper_bound = value.number(),
                dw::DW_AT_byte_size => die.byte_size = value.number(),
                dw::DW_AT_bit_size => die.bit_size = value.number(),
                dw::DW_AT_bit_offset => die.bit_offset = value.number(),
                dw::DW_AT_data_bit_offset => die.data_bit_offset = value.number(),
                dw::DW_AT_data_member_location => die.location = location(value),
                dw::DW_AT_const_value => die.value = signed(value),
                dw::DW_AT_encoding => die.encoding = value.number(),
                dw::DW_AT_declaration => die.declaration = flag(value),
                dw::DW_AT_artificial => die.artificial = flag(value),
                dw::DW_AT_prototyped => die.prototyped = flag(value),
                dw::DW_AT_sibling => {
                    die.sibling = reference.filter(|&at| at > cursor.at && at <= self.header.end)
                }
                _ => {}
            }
        }
        die.count = die.count.or(upper_bound.and_then(|bound| bound.checked_add(1)));
        Ok(Some(die))
    }

    /// The direct children of a DIE, whose attributes the cursor stands behind.
    pub fn children(
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

    /// The sizes of an array's dimensions; `None` is an open one.
    pub fn counts(&self, mut cursor: Cursor<'a>, array: &Die<'a>) -> Result<Vec<Option<u64>>> {
        let mut counts = Vec::new();
        self.children(&mut cursor, array, |child| {
            if child.tag == dw::DW_TAG_subrange_type {
                counts.push(child.count);
            }
        })?;
        Ok(counts)
    }

    /// A function's parameters, and whether it takes more than these.
    #[allow(clippy::type_complexity)]
    pub fn parameters(
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

fn flag(value: Value<'_>) -> bool {
    value.number().is_some_and(|number| number != 0)
}

/// As two's complement.
fn signed(value: Value<'_>) -> Option<i64> {
    match value {
        Value::Signed(value) => Some(value),
        Value::Constant(value) => Some(value as i64),
        _ => None,
    }
}

/// DWARF 2 knew a member's place as an expression only, which adds it to the address of the whole.
fn location(value: Value<'_>) -> Option<u64> {
    match value {
        Value::Block(expression) => {
            let mut cursor = Cursor::new(expression, 0, false, "DW_AT_data_member_location");
            let operation = gimli::DwOp(cursor.u8().ok()? as u8);
            (operation == dw::DW_OP_plus_uconst).then(|| cursor.uleb().ok())?
        }
        _ => value.number(),
    }
}

/// The type that has no DIE.
pub const VOID: u64 = u64::MAX;

impl<'a> TypeGraph for UnitTypes<'_, 'a> {
    fn node(&self, id: u64) -> Result<TypeNode<'_>> {
        if id == VOID {
            return Ok(TypeNode::Void);
        }
        let dimension = (id >> DIMENSION_SHIFT) as usize;
        let offset = (id & ((1 << DIMENSION_SHIFT) - 1)) as usize;
        let (die, mut cursor) = self.at(offset)?;
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
                let variadic = variadic && (die.prototyped || !params.is_empty() || self.as_btf);
                TypeNode::Function { ret: die.kind.map(|t| t as u64), params, variadic }
            }
            dw::DW_TAG_array_type => {
                let counts = self.counts(cursor, &die)?;
                if self.as_btf {
                    let count = counts.iter().fold(1u64, |all, count| all.saturating_mul(count.unwrap_or(0)));
                    return Ok(TypeNode::Array { element: target, count: (count > 0).then_some(count) });
                }
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
