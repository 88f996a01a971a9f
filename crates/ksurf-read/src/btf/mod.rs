//! BTF, the kernel's own description of its types and functions, over the bytes of a `.BTF` section.
//!
//! Source: `Documentation/bpf/btf.rst`, `include/uapi/linux/btf.h`. A module's BTF continues that of vmlinux:
//! its ids and string offsets begin where those of its base end.

mod lookup;
#[cfg(test)]
pub(crate) mod tests;
mod thin;
mod types;

use std::borrow::Cow;
use std::sync::OnceLock;

use crate::ctype::{self, TypeGraph, TypeNode};
use crate::error::{Error, Result};
pub use thin::{thin, Thin};
pub use types::{EnumValue, Kind, Linkage, List, Member, Param, Type, Variable};
use types::{Info, Layout};
pub(crate) use types::{
    BTF_KIND_ARRAY, BTF_KIND_CONST, BTF_KIND_DATASEC, BTF_KIND_DECL_TAG, BTF_KIND_ENUM, BTF_KIND_ENUM64,
    BTF_KIND_FLOAT, BTF_KIND_FUNC, BTF_KIND_FUNC_PROTO, BTF_KIND_FWD, BTF_KIND_INT, BTF_KIND_PTR,
    BTF_KIND_RESTRICT, BTF_KIND_STRUCT, BTF_KIND_TYPEDEF, BTF_KIND_TYPE_TAG, BTF_KIND_UNION, BTF_KIND_VAR,
    BTF_KIND_VOLATILE,
};

const BTF_MAGIC: u16 = 0xeb9f;
const BTF_VERSION: u8 = 1;
/// `struct btf_header` without the layout section, which Linux 7.1 added.
const HEADER_SIZE: usize = 24;
const HEADER_SIZE_WITH_LAYOUT: usize = 32;
const TYPE_SIZE: usize = 12;
const LAYOUT_SIZE: usize = 4;
/// Type tags on one type; more is a cycle.
const TAG_LIMIT: usize = 32;

/// A BTF section whose types can be looked at by id. Nothing is copied; names are bytes of the section.
#[derive(Debug)]
pub struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    big_endian: bool,
    /// Where each own type starts in `types`.
    offsets: Vec<u32>,
    base: Option<&'a Btf<'a>>,
    /// The id of the first own type, and the offset of the first own string.
    first_id: u32,
    first_string: u32,
    /// By kind; longer than [`Layout::KNOWN`] if the section describes kinds of a later version.
    layouts: Vec<Layout>,
    incomplete: Option<Error>,
    /// Made when something is first looked up by its name.
    names: OnceLock<lookup::Names>,
    pointer_size: OnceLock<Option<u64>>,
}

/// A function that has code in the image, or is declared to be elsewhere.
#[derive(Debug)]
pub struct Function<'b> {
    pub id: u32,
    pub name: &'b [u8],
    /// Of no use in a kernel's BTF, where pahole writes [`Linkage::Static`] for all; right in a BPF object.
    pub linkage: Linkage,
    /// As C, with the names of the parameters. An error if it has a type that cannot be read.
    pub prototype: Result<String>,
}

impl<'a> Btf<'a> {
    /// Reads a section: of vmlinux without `base`, of a module with the BTF of its vmlinux. A kind of a later
    /// version whose size cannot be known ends the reading early: see [`Btf::incomplete`].
    pub fn parse(data: &'a [u8], base: Option<&'a Btf<'a>>) -> Result<Btf<'a>> {
        let header = Header::parse(data)?;
        let mut btf = Btf {
            types: section(data, header.size, header.types, "BTF types")?,
            strings: section(data, header.size, header.strings, "BTF strings")?,
            big_endian: header.big_endian,
            offsets: Vec::new(),
            base,
            first_id: base.map_or(1, Btf::end_id),
            first_string: base.map_or(0, |base| base.first_string.saturating_add(base.strings.len() as u32)),
            layouts: Layout::KNOWN.to_vec(),
            incomplete: None,
            names: OnceLock::new(),
            pointer_size: OnceLock::new(),
        };
        if base.is_some_and(|base| base.big_endian != btf.big_endian) {
            return Err(Error::corrupt("BTF header", 0, "its byte order is not that of its base"));
        }
        let layouts = section(data, header.size, header.layouts, "BTF layouts")?;
        for layout in layouts.chunks_exact(LAYOUT_SIZE).skip(Layout::KNOWN.len()) {
            btf.layouts.push(Layout { fixed: layout[0], element: layout[1] });
        }
        btf.index((header.size + header.types.0) as u64)?;
        Ok(btf)
    }

    /// The byte order of the section.
    pub fn is_big_endian(&self) -> bool {
        self.big_endian
    }

    /// Why the reading ended before the last type, if it did. What does not depend on the rest can be used.
    pub fn incomplete(&self) -> Option<&Error> {
        self.incomplete.as_ref()
    }

    /// One more than the highest id: own types have those from [`Btf::first_id`] up to it.
    pub fn end_id(&self) -> u32 {
        self.first_id.saturating_add(self.offsets.len() as u32)
    }

    /// The lowest id that is not of the base.
    pub fn first_id(&self) -> u32 {
        self.first_id
    }

    /// The type of an id, of the base too. Id 0, `void`, is no type.
    pub fn get<'b>(&'b self, id: u32) -> Result<Type<'b>> {
        let Some(index) = id.checked_sub(self.first_id) else {
            return match self.base {
                Some(base) if id > 0 => base.get(id),
                _ => Err(Error::corrupt("BTF type", id.into(), "void is used as a type")),
            };
        };
        let index = index as usize;
        let Some(&start) = self.offsets.get(index) else {
            let reason = format!("type {id} does not exist");
            return Err(Error::corrupt("BTF", 0, reason));
        };
        // the index was made such that a type ends where the next one starts
        let end = self.offsets.get(index + 1).map_or(self.end_of_types(), |&next| next as usize);
        Type::decode(self, &self.types[start as usize..end])
    }

    /// A type's name alone, which takes less than the type; `None` of what cannot be read.
    pub(crate) fn name(&self, id: u32) -> Option<&[u8]> {
        let Some(index) = id.checked_sub(self.first_id) else { return self.base?.name(id) };
        let &start = self.offsets.get(index as usize)?;
        self.string(self.u32(self.types, start as usize)).ok()
    }

    /// The number of a type's kind (`BTF_KIND_*`), which tells `ENUM` from `ENUM64`.
    pub(crate) fn kind_number(&self, id: u32) -> Option<u8> {
        let Some(index) = id.checked_sub(self.first_id) else { return self.base?.kind_number(id) };
        let &start = self.offsets.get(index as usize)?;
        Some(Info::new(self.u32(self.types, start as usize + 4)).kind)
    }

    /// The own types and their ids, in order.
    pub fn types<'b>(&'b self) -> impl Iterator<Item = (u32, Result<Type<'b>>)> + 'b {
        (self.first_id..self.end_id()).map(|id| (id, self.get(id)))
    }

    /// The own functions, in the order of their ids.
    pub fn functions<'b>(&'b self) -> impl Iterator<Item = Result<Function<'b>>> + 'b {
        self.ids_of(|kind| kind == BTF_KIND_FUNC).map(|id| self.function(id))
    }

    /// The own types of some kinds, in the order of their ids, without decoding them.
    pub(crate) fn ids_of<'b>(
        &'b self,
        is_wanted: impl Fn(u8) -> bool + 'b,
    ) -> impl Iterator<Item = u32> + 'b {
        let kind = |start: u32| Info::new(self.u32(self.types, start as usize + 4)).kind;
        let starts = self.offsets.iter().zip(self.first_id..);
        starts.filter(move |(&start, _)| is_wanted(kind(start))).map(|(_, id)| id)
    }

    fn function(&self, id: u32) -> Result<Function<'_>> {
        let Type { name, kind } = self.get(id)?;
        let Kind::Func { prototype, linkage } = kind else {
            return Err(Error::corrupt("BTF type", id.into(), "it is no function"));
        };
        let mut text = String::new();
        let mut called = String::new();
        ctype::push_name(&mut called, name);
        let prototype = self
            .node(prototype.into())
            .and_then(|function| ctype::prototype(self, &function, &called, &mut text))
            .map(|()| text);
        Ok(Function { id, name, linkage, prototype })
    }

    /// The string at an offset, of the base too.
    pub(crate) fn string(&self, offset: u32) -> Result<&[u8]> {
        let Some(own) = offset.checked_sub(self.first_string) else {
            return match self.base {
                Some(base) => base.string(offset),
                None => Ok(&[]),
            };
        };
        let tail = self.strings.get(own as usize..).unwrap_or_default();
        match memchr::memchr(0, tail) {
            Some(end) => Ok(&tail[..end]),
            None if offset == 0 => Ok(&[]),
            None => Err(Error::corrupt("BTF strings", offset.into(), "a name lies outside of them")),
        }
    }

    /// Finds where each type starts. `place` is where the types are in the section, for messages.
    fn index(&mut self, place: u64) -> Result<()> {
        let mut at = 0;
        while at < self.types.len() {
            let available = self.types.len() - at;
            let offset = place + at as u64;
            if available < TYPE_SIZE {
                return Err(Error::truncated("BTF type", offset, TYPE_SIZE as u64, available as u64));
            }
            let info = Info::new(self.u32(self.types, at + 4));
            let Some(&layout) = self.layouts.get(usize::from(info.kind)).filter(|_| info.kind != 0) else {
                self.incomplete = Some(types::unknown(info.kind));
                break;
            };
            let elements =
                if layout.element == 0 { 0 } else { u64::from(layout.element) * u64::from(info.vlen) };
            let size = TYPE_SIZE as u64 + u64::from(layout.fixed) + elements;
            if size > available as u64 {
                return Err(Error::truncated("BTF type", offset, size, available as u64));
            }
            self.offsets.push(at as u32);
            at += size as usize;
        }
        // the last one ends here
        self.types = &self.types[..at];
        Ok(())
    }

    fn end_of_types(&self) -> usize {
        self.types.len()
    }

    fn element_size(&self, kind: u8) -> usize {
        usize::from(Layout::KNOWN[usize::from(kind)].element)
    }

    fn u32(&self, data: &[u8], at: usize) -> u32 {
        read_u32(data, at, self.big_endian)
    }
}

impl TypeGraph for Btf<'_> {
    fn node(&self, id: u64) -> Result<TypeNode<'_>> {
        let mut id = u32::try_from(id).map_err(|_| Error::corrupt("BTF type", id, "no id is that large"))?;
        for _ in 0..TAG_LIMIT {
            if id == 0 {
                return Ok(TypeNode::Void);
            }
            let Type { name, kind } = self.get(id)?;
            return Ok(match kind {
                // what a tag says is for programs, not part of the type in C
                Kind::TypeTag { of, .. } => {
                    id = of;
                    continue;
                }
                Kind::Int { .. } | Kind::Float { .. } | Kind::Typedef { .. } => named("", name),
                Kind::Struct { .. } | Kind::Fwd { union: false } => named("struct ", name),
                Kind::Union { .. } | Kind::Fwd { union: true } => named("union ", name),
                Kind::Enum { .. } => named("enum ", name),
                Kind::Ptr { to } => TypeNode::Pointer(to.into()),
                Kind::Const { of } => TypeNode::Const(of.into()),
                Kind::Volatile { of } => TypeNode::Volatile(of.into()),
                Kind::Restrict { of } => TypeNode::Restrict(of.into()),
                // `[0]` and `[]` are the same to BTF; a kernel has the second
                Kind::Array { element, count, .. } => {
                    let count = (count > 0).then_some(count.into());
                    TypeNode::Array { element: element.into(), count }
                }
                Kind::FuncProto { ret, params } => {
                    let mut list = Vec::with_capacity(params.len());
                    for param in params.iter() {
                        let Param { name, type_id } = param?;
                        list.push(((!name.is_empty()).then_some(Cow::Borrowed(name)), u64::from(type_id)));
                    }
                    let variadic = list.pop_if(|(name, type_id)| name.is_none() && *type_id == 0).is_some();
                    TypeNode::Function { ret: Some(ret.into()), params: list, variadic }
                }
                Kind::Unknown { kind } => return Err(types::unknown(kind)),
                Kind::Func { .. } | Kind::Var { .. } | Kind::Datasec { .. } | Kind::DeclTag { .. } => {
                    return Err(Error::corrupt("BTF", 0, format!("{id} is used as a type and is none")));
                }
            });
        }
        Err(Error::corrupt("BTF", 0, format!("the tags of type {id} have no end")))
    }
}

fn named<'b>(keyword: &'static str, name: &'b [u8]) -> TypeNode<'b> {
    let name = if name.is_empty() { b"(anon)" } else { name };
    let text = match keyword {
        "" => Cow::Borrowed(name),
        keyword => Cow::Owned([keyword.as_bytes(), name].concat()),
    };
    TypeNode::Named { text }
}

/// `struct btf_header`: offsets count from its end.
struct Header {
    big_endian: bool,
    size: usize,
    types: (usize, usize),
    strings: (usize, usize),
    layouts: (usize, usize),
}

impl Header {
    fn parse(data: &[u8]) -> Result<Header> {
        let (big_endian, size) = preamble("BTF", data, HEADER_SIZE)?;
        let word = |at| read_u32(data, at, big_endian) as usize;
        let has_layouts = size >= HEADER_SIZE_WITH_LAYOUT;
        Ok(Header {
            big_endian,
            size,
            types: (word(8), word(12)),
            strings: (word(16), word(20)),
            layouts: if has_layouts { (word(24), word(28)) } else { (0, 0) },
        })
    }
}

/// What the headers of `.BTF` and `.BTF.ext` begin with: the byte order, and the size of the header, which is all
/// there and has at least so many bytes.
pub(crate) fn preamble(section: &str, data: &[u8], least: usize) -> Result<(bool, usize)> {
    let what = || format!("{section} header");
    if data.len() < least {
        return Err(Error::truncated(what(), 0, least as u64, data.len() as u64));
    }
    let big_endian = match u16::from_le_bytes([data[0], data[1]]) {
        BTF_MAGIC => false,
        magic if magic == BTF_MAGIC.swap_bytes() => true,
        magic => return Err(Error::corrupt(what(), 0, format!("its magic number is {magic:#x}"))),
    };
    if data[2] != BTF_VERSION {
        return Err(Error::unsupported(format!("{section} version"), data[2]));
    }
    let size = read_u32(data, 4, big_endian) as usize;
    if size < least {
        return Err(Error::corrupt(what(), 4, format!("it has {size} bytes")));
    }
    if size > data.len() {
        return Err(Error::truncated(what(), 0, size as u64, data.len() as u64));
    }
    Ok((big_endian, size))
}

fn section<'a>(
    data: &'a [u8],
    header: usize,
    (offset, size): (usize, usize),
    what: &'static str,
) -> Result<&'a [u8]> {
    let start = header.saturating_add(offset);
    let available = data.len().saturating_sub(start);
    if size > available {
        return Err(Error::truncated(what, start as u64, size as u64, available as u64));
    }
    Ok(data.get(start..start + size).unwrap_or_default())
}

/// Four bytes that the caller knows to be there.
pub(crate) fn read_u32(data: &[u8], at: usize, big_endian: bool) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&data[at..at + 4]);
    if big_endian {
        u32::from_be_bytes(bytes)
    } else {
        u32::from_le_bytes(bytes)
    }
}
