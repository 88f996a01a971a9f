//! One compile unit: its functions, where their code is, and the calls in that code.

mod calls;

use super::abbrev::{Abbreviation, Abbreviations};
use super::cursor::Cursor;
use super::form::{self, Value};
use super::line::{LineTable, NO_FILE};
use super::root::Root;
use super::{gimli_encoding, gimli_error, walk, Sections, UnitHeader};
use crate::elf::text;
use crate::error::{Error, Result};
use gimli::constants as dw;
use rustc_hash::FxHashMap;
use std::borrow::Cow;
use std::rc::Rc;

/// Marks "none" among indexes into a unit's vectors.
pub const NONE: u32 = u32::MAX;
/// Nesting of DIEs beyond what any compiler makes; deeper input is hostile.
const DEPTH_LIMIT: usize = 1 << 12;

/// A piece of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// First address (made up in a relocatable image, see [`crate::elf`]).
    pub address: u64,
    /// Bytes of its first range: the hot part, if it is split.
    pub size: u64,
}

/// A function of this unit: defined in it, or only declared and called.
#[derive(Debug)]
pub struct Function<'a> {
    /// Offset of the DIE that all of its copies refer to.
    pub offset: usize,
    /// Name, with the namespaces around it where the language has them.
    pub name: Cow<'a, [u8]>,
    pub linkage_name: Option<&'a [u8]>,
    /// Number in the unit's `paths`, or [`NONE`].
    pub decl_file: u32,
    pub decl_line: Option<u32>,
    pub external: bool,
    /// `DW_AT_inline`: what was asked for and what the compiler did (DWARF 5, table 3.4).
    pub inline: Option<u8>,
    /// Whether the unit holds a definition, inlined or not.
    pub defined: bool,
    /// Out-of-line code, in the order of the unit: usually none or one; several after cloning.
    pub code: Vec<Code>,
    /// Lowest address of an inlined copy.
    pub inline_address: Option<u64>,
}

/// What a call or a copy refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A function of this unit, by its number.
    Here(u32),
    /// The DIE at this offset, in another unit.
    Elsewhere(usize),
}

/// One call, inlined or direct.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// The function whose out-of-line code holds the call.
    pub caller: Target,
    /// How many inlined calls it sits in.
    pub depth: u16,
    pub inline: bool,
    pub callee: Target,
    /// Number in the unit's `paths`; [`NONE`] for "the file that declares the function it is written in".
    pub file: u32,
    /// 0 if unknown.
    pub line: u32,
}

/// What one compile unit holds.
pub struct Unit<'a> {
    pub header: UnitHeader,
    /// Relative to the source root.
    pub path: String,
    /// `DW_LANG_*` without its prefix.
    pub language: Option<String>,
    pub producer: Option<&'a [u8]>,
    /// Source files that the other fields number.
    pub paths: Vec<String>,
    pub functions: Vec<Function<'a>>,
    /// Number of a function by the offset of its DIE.
    pub by_offset: FxHashMap<usize, u32>,
    /// Code of functions whose DIE is in another unit (link-time optimisation): `(DIE, code)`.
    pub code_elsewhere: Vec<(usize, Code)>,
    /// In the order of the code; a caller's sites stand together.
    pub sites: Vec<Site>,
}

/// Reads one unit.
pub fn read<'a>(sections: &Sections<'a>, header: UnitHeader) -> Result<Unit<'a>> {
    let mut reader = Reader::new(sections, header)?;
    reader.walk()?;
    reader.resolve_lines()?;
    let Reader { lines, functions, by_offset, code_elsewhere, sites, path, language, producer, .. } = reader;
    Ok(Unit {
        header,
        path,
        language,
        producer,
        paths: lines.paths,
        functions,
        by_offset,
        code_elsewhere,
        sites,
    })
}

/// The attributes of a DIE that any reader here asks for.
#[derive(Default)]
struct Attributes<'a> {
    name: Option<Value<'a>>,
    linkage_name: Option<Value<'a>>,
    decl_file: Option<u64>,
    decl_line: Option<u64>,
    external: bool,
    declaration: bool,
    inline: Option<u64>,
    origin: Option<usize>,
    specification: Option<usize>,
    low_pc: Option<Value<'a>>,
    high_pc: Option<Value<'a>>,
    entry_pc: Option<Value<'a>>,
    ranges: Option<Value<'a>>,
    sibling: Option<usize>,
    call_file: Option<u64>,
    call_line: Option<u64>,
    call_origin: Option<usize>,
    return_pc: Option<Value<'a>>,
}

struct Reader<'s, 'a> {
    sections: &'s Sections<'a>,
    header: UnitHeader,
    abbreviations: Rc<Abbreviations>,
    lines: LineTable<'a>,
    path: String,
    language: Option<String>,
    /// Whether functions may be nested in namespaces and types.
    scoped: bool,
    producer: Option<&'a [u8]>,
    low_pc: u64,
    /// A position at the unit's first function or type, if it has any.
    children: Option<Cursor<'a>>,
    str_offsets_base: u64,
    addr_base: u64,
    rnglists_base: u64,
    functions: Vec<Function<'a>>,
    by_offset: FxHashMap<usize, u32>,
    code_elsewhere: Vec<(usize, Code)>,
    sites: Vec<Site>,
    /// Number of a direct call among `sites`, its return address, and the function it is written in.
    direct: Vec<(u32, u64, Target)>,
}

impl<'s, 'a> Reader<'s, 'a> {
    fn new(sections: &'s Sections<'a>, header: UnitHeader) -> Result<Reader<'s, 'a>> {
        let encoding = header.encoding;
        let abbreviations = Rc::new(Abbreviations::parse(sections.abbrev, header.abbrev_offset, encoding)?);
        let root = Root::read(sections, &header, &abbreviations)?;
        let root = root.ok_or_else(|| walk::unknown_code(header.first, 0))?;
        let comp_dir = root.comp_dir.map(text).unwrap_or_default();
        let lines = LineTable::new(sections, root.stmt_list, encoding.address_size, &comp_dir)?;
        Ok(Reader {
            path: lines.unit_path(&root.name.map(text).unwrap_or_default()),
            scoped: root.is_c() != Some(true) && !root.is_assembly(),
            language: root.language.map(|language| match language.static_string() {
                Some(name) => name.trim_start_matches("DW_LANG_").to_owned(),
                None => format!("{:#06x}", language.0),
            }),
            producer: root.producer,
            low_pc: root.low_pc.unwrap_or(0),
            sections,
            header,
            abbreviations,
            lines,
            str_offsets_base: root.str_offsets_base,
            addr_base: root.addr_base,
            rnglists_base: root.rnglists_base,
            children: root.children,
            functions: Vec::new(),
            by_offset: FxHashMap::default(),
            code_elsewhere: Vec::new(),
            sites: Vec::new(),
            direct: Vec::new(),
        })
    }

    fn string(&self, value: Option<Value<'a>>) -> Option<&'a [u8]> {
        self.sections.string(value?, self.header.encoding, self.str_offsets_base)
    }

    fn address(&self, value: Option<Value<'a>>) -> Option<u64> {
        let address = self.sections.address(value?, self.header.encoding, self.addr_base)?;
        (!self.sections.is_dropped(address)).then_some(address)
    }

    /// Steps over a DIE and everything in it. The cursor stands behind its abbreviation code.
    #[inline(always)]
    fn skip(&self, cursor: &mut Cursor<'a>, abbreviation: &Abbreviation) -> Result<()> {
        walk::skip(&self.header, &self.abbreviations, cursor, abbreviation)
    }

    fn skip_children(&self, cursor: &mut Cursor<'a>, sibling: Option<usize>) -> Result<()> {
        walk::skip_children(&self.header, &self.abbreviations, cursor, sibling)
    }

    fn attributes(&self, cursor: &mut Cursor<'a>, abbreviation: &Abbreviation) -> Result<Attributes<'a>> {
        let mut out = Attributes::default();
        let encoding = self.header.encoding;
        for attribute in self.abbreviations.attributes(abbreviation) {
            let value = form::read(cursor, attribute.form, attribute.implicit, encoding, self.header.offset)?;
            let reference = || if let Value::Reference(at) = value { Some(at) } else { None };
            let flag = matches!(value, Value::Flag(true)) || matches!(value, Value::Signed(1..));
            match gimli::DwAt(attribute.name) {
                dw::DW_AT_name => out.name = Some(value),
                dw::DW_AT_linkage_name | dw::DW_AT_MIPS_linkage_name => out.linkage_name = Some(value),
                dw::DW_AT_decl_file => out.decl_file = value.number(),
                dw::DW_AT_decl_line => out.decl_line = value.number(),
                dw::DW_AT_external => out.external = flag,
                dw::DW_AT_declaration => out.declaration = flag,
                dw::DW_AT_inline => out.inline = value.number(),
                dw::DW_AT_abstract_origin => out.origin = reference(),
                dw::DW_AT_specification => out.specification = reference(),
                dw::DW_AT_low_pc => out.low_pc = Some(value),
                dw::DW_AT_high_pc => out.high_pc = Some(value),
                dw::DW_AT_entry_pc => out.entry_pc = Some(value),
                dw::DW_AT_ranges => out.ranges = Some(value),
                dw::DW_AT_sibling => {
                    out.sibling = reference().and_then(|at| walk::forward(&self.header, at, cursor.at))
                }
                dw::DW_AT_call_file => out.call_file = value.number(),
                dw::DW_AT_call_line => out.call_line = value.number(),
                dw::DW_AT_call_origin => out.call_origin = reference(),
                dw::DW_AT_call_return_pc => out.return_pc = Some(value),
                _ => {}
            }
        }
        Ok(out)
    }

    /// Walks the unit from behind its first DIE to its end.
    fn walk(&mut self) -> Result<()> {
        let abbreviations = Rc::clone(&self.abbreviations);
        let Some(mut cursor) = self.children.clone() else { return Ok(()) };
        let mut scopes: Vec<Option<&'a [u8]>> = vec![None];
        while cursor.at < self.header.end {
            let at = cursor.at;
            let Some(abbreviation) = walk::next(&abbreviations, &mut cursor)? else {
                scopes.pop();
                if scopes.is_empty() {
                    break;
                }
                continue;
            };
            match gimli::DwTag(abbreviation.tag) {
                dw::DW_TAG_subprogram => {
                    let attributes = self.attributes(&mut cursor, abbreviation)?;
                    let has_children = abbreviation.has_children;
                    self.subprogram(&mut cursor, at, has_children, attributes, &scopes)?;
                }
                dw::DW_TAG_namespace
                | dw::DW_TAG_module
                | dw::DW_TAG_structure_type
                | dw::DW_TAG_class_type
                | dw::DW_TAG_union_type
                | dw::DW_TAG_enumeration_type
                | dw::DW_TAG_variant_part
                | dw::DW_TAG_variant
                    if self.scoped && abbreviation.has_children =>
                {
                    let attributes = self.attributes(&mut cursor, abbreviation)?;
                    if scopes.len() >= DEPTH_LIMIT {
                        return Err(too_deep(at));
                    }
                    scopes.push(self.string(attributes.name));
                }
                _ => self.skip(&mut cursor, abbreviation)?,
            }
        }
        Ok(())
    }

    /// A `DW_TAG_subprogram`: a declaration, an abstract definition, a concrete one, or a copy of either.
    fn subprogram(
        &mut self,
        cursor: &mut Cursor<'a>,
        at: usize,
        has_children: bool,
        attributes: Attributes<'a>,
        scopes: &[Option<&'a [u8]>],
    ) -> Result<()> {
        let sibling = attributes.sibling;
        if attributes.declaration {
            // Kept only if something refers to it; but its scope is known only here.
            if scopes.len() > 1 {
                self.define(at, &attributes, scopes)?;
            }
            return if has_children { self.skip_children(cursor, sibling) } else { Ok(()) };
        }
        let code = self.code(&attributes)?;
        let target = self.define(at, &attributes, scopes)?;
        match target {
            Target::Here(index) => {
                let function = &mut self.functions[index as usize];
                function.defined = true;
                function.code.extend(code);
            }
            Target::Elsewhere(offset) => self.code_elsewhere.extend(code.map(|code| (offset, code))),
        }
        if !has_children {
            return Ok(());
        }
        if code.is_none() {
            return self.skip_children(cursor, sibling);
        }
        self.body(cursor, target, scopes)
    }

    /// The function that a definition belongs to, made if it is new.
    fn define(
        &mut self,
        at: usize,
        attributes: &Attributes<'a>,
        scopes: &[Option<&'a [u8]>],
    ) -> Result<Target> {
        let origin = attributes.origin.or(attributes.specification);
        let target = match origin {
            Some(origin) => self.function(origin, 0)?,
            None => self.add(at, attributes, scopes),
        };
        if let (Some(_), Target::Here(index)) = (attributes.specification, target) {
            // The definition's own place is the better one.
            let file = attributes.decl_file.map(|number| self.lines.file(self.sections, number));
            let function = &mut self.functions[index as usize];
            if let Some(file) = file.filter(|&f| f != NO_FILE) {
                function.decl_file = file;
            }
            function.decl_line = attributes.decl_line.map(|line| line as u32).or(function.decl_line);
            function.inline = attributes.inline.map(|v| v as u8).or(function.inline);
            function.external |= attributes.external;
        }
        if origin.is_some() {
            if let Target::Here(index) = target {
                self.by_offset.insert(at, index);
            }
        }
        Ok(target)
    }

    fn add(&mut self, at: usize, attributes: &Attributes<'a>, scopes: &[Option<&'a [u8]>]) -> Target {
        if let Some(&index) = self.by_offset.get(&at) {
            // Something referred to it before the walk came here; only the scope was not known then.
            if scopes.len() > 1 {
                let name = self.string(attributes.name).unwrap_or_default();
                self.functions[index as usize].name = qualified(scopes, name);
            }
            return Target::Here(index);
        }
        let index = self.functions.len() as u32;
        let name = self.string(attributes.name).unwrap_or_default();
        let linkage_name = self.string(attributes.linkage_name).filter(|linkage| *linkage != name);
        // A call of GCC's `__builtin_memcpy` is one of `memcpy`.
        let (name, linkage_name) = match linkage_name {
            Some(linkage) if name.starts_with(b"__builtin_") => (linkage, None),
            _ => (name, linkage_name),
        };
        let decl_file = attributes.decl_file.map_or(NONE, |number| self.lines.file(self.sections, number));
        self.functions.push(Function {
            offset: at,
            name: qualified(scopes, name),
            linkage_name,
            decl_file,
            decl_line: attributes.decl_line.and_then(|line| u32::try_from(line).ok()),
            external: attributes.external,
            inline: attributes.inline.map(|value| value as u8),
            defined: false,
            code: Vec::new(),
            inline_address: None,
        });
        self.by_offset.insert(at, index);
        Target::Here(index)
    }

    /// The function that the DIE at `offset` is, or is a copy of.
    fn function(&mut self, offset: usize, links: usize) -> Result<Target> {
        if offset < self.header.first || offset >= self.header.end {
            return Ok(Target::Elsewhere(offset));
        }
        if let Some(&index) = self.by_offset.get(&offset) {
            return Ok(Target::Here(index));
        }
        if links > walk::ORIGIN_LIMIT {
            return Err(Error::corrupt(
                ".debug_info",
                offset as u64,
                "origins refer to each other in a circle",
            ));
        }
        let abbreviations = Rc::clone(&self.abbreviations);
        let mut cursor = self.sections.cursor(offset);
        let abbreviation = walk::next(&abbreviations, &mut cursor)?;
        let Some(abbreviation) = abbreviation.filter(|a| a.tag == dw::DW_TAG_subprogram.0) else {
            return Err(Error::corrupt(
                ".debug_info",
                offset as u64,
                "a reference to a function leads elsewhere",
            ));
        };
        let attributes = self.attributes(&mut cursor, abbreviation)?;
        match attributes.origin.or(attributes.specification) {
            Some(origin) => {
                let target = self.function(origin, links + 1)?;
                if let Target::Here(index) = target {
                    self.by_offset.insert(offset, index);
                }
                Ok(target)
            }
            None => Ok(self.add(offset, &attributes, &[])),
        }
    }

    /// Where a DIE's code is: its first range.
    fn code(&self, attributes: &Attributes<'a>) -> Result<Option<Code>> {
        if let Some(address) = self.address(attributes.low_pc) {
            let size = match attributes.high_pc {
                Some(high @ (Value::Address(_) | Value::AddressIndex(_))) => {
                    self.address(Some(high)).map_or(0, |end| end.saturating_sub(address))
                }
                Some(size) => size.number().unwrap_or(0),
                None => 0,
            };
            return Ok(Some(Code { address, size }));
        }
        self.first_range(attributes.ranges)
    }

    fn first_range(&self, ranges: Option<Value<'a>>) -> Result<Option<Code>> {
        let Some(value) = ranges else { return Ok(None) };
        let sections = self.sections;
        let endian =
            if sections.big_endian { gimli::RunTimeEndian::Big } else { gimli::RunTimeEndian::Little };
        let debug_addr = gimli::DebugAddr::from(gimli::EndianSlice::new(sections.addr, endian));
        let addr_base = gimli::DebugAddrBase(self.addr_base as usize);
        let encoding = gimli_encoding(self.header.encoding);
        let offset = match value {
            Value::RangesIndex(index) => {
                let base = gimli::DebugRngListsBase(self.rnglists_base as usize);
                let index = gimli::DebugRngListsIndex(index as usize);
                sections.ranges.get_offset(encoding, base, index).map_err(gimli_error("range list", 0))?
            }
            other => match other.number() {
                Some(offset) => gimli::RangeListsOffset(offset as usize),
                None => return Ok(None),
            },
        };
        let error = |e| gimli_error("range list", offset.0 as u64)(e);
        let mut list =
            sections.ranges.ranges(offset, encoding, self.low_pc, &debug_addr, addr_base).map_err(error)?;
        while let Some(range) = list.next().map_err(error)? {
            if !sections.is_dropped(range.begin) && range.end > range.begin {
                return Ok(Some(Code { address: range.begin, size: range.end - range.begin }));
            }
        }
        Ok(None)
    }
}

fn qualified<'a>(scopes: &[Option<&'a [u8]>], name: &'a [u8]) -> Cow<'a, [u8]> {
    let mut named = scopes.iter().flatten().peekable();
    if named.peek().is_none() {
        return Cow::Borrowed(name);
    }
    let mut out = Vec::new();
    for scope in named {
        out.extend_from_slice(scope);
        out.extend_from_slice(b"::");
    }
    out.extend_from_slice(name);
    Cow::Owned(out)
}

#[cold]
fn too_deep(at: usize) -> Error {
    Error::corrupt(".debug_info", at as u64, format!("entries nested more than {DEPTH_LIMIT} deep"))
}
