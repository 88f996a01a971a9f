//! One type of BTF, decoded. Source: `include/uapi/linux/btf.h`, `Documentation/bpf/btf.rst`.

use super::Btf;
use crate::error::{Error, Result};

pub(crate) const BTF_KIND_INT: u8 = 1;
pub(crate) const BTF_KIND_PTR: u8 = 2;
pub(crate) const BTF_KIND_ARRAY: u8 = 3;
pub(crate) const BTF_KIND_STRUCT: u8 = 4;
pub(crate) const BTF_KIND_UNION: u8 = 5;
pub(crate) const BTF_KIND_ENUM: u8 = 6;
pub(crate) const BTF_KIND_FWD: u8 = 7;
pub(crate) const BTF_KIND_TYPEDEF: u8 = 8;
pub(crate) const BTF_KIND_VOLATILE: u8 = 9;
pub(crate) const BTF_KIND_CONST: u8 = 10;
pub(crate) const BTF_KIND_RESTRICT: u8 = 11;
pub(crate) const BTF_KIND_FUNC: u8 = 12;
pub(crate) const BTF_KIND_FUNC_PROTO: u8 = 13;
pub(crate) const BTF_KIND_VAR: u8 = 14;
pub(crate) const BTF_KIND_DATASEC: u8 = 15;
pub(crate) const BTF_KIND_FLOAT: u8 = 16;
pub(crate) const BTF_KIND_DECL_TAG: u8 = 17;
pub(crate) const BTF_KIND_TYPE_TAG: u8 = 18;
pub(crate) const BTF_KIND_ENUM64: u8 = 19;

const BTF_INT_SIGNED: u8 = 1;
const BTF_INT_CHAR: u8 = 2;
const BTF_INT_BOOL: u8 = 4;

/// What follows a `struct btf_type` of a kind: so many bytes, and so many for each of its `vlen` elements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Layout {
    pub fixed: u8,
    pub element: u8,
}

impl Layout {
    /// The layouts that Linux has defined, by kind.
    pub const KNOWN: [Layout; 20] = {
        let mut layouts = [Layout { fixed: 0, element: 0 }; 20];
        layouts[BTF_KIND_INT as usize].fixed = 4;
        layouts[BTF_KIND_ARRAY as usize].fixed = 12;
        layouts[BTF_KIND_STRUCT as usize].element = 12;
        layouts[BTF_KIND_UNION as usize].element = 12;
        layouts[BTF_KIND_ENUM as usize].element = 8;
        layouts[BTF_KIND_FUNC_PROTO as usize].element = 8;
        layouts[BTF_KIND_VAR as usize].fixed = 4;
        layouts[BTF_KIND_DATASEC as usize].element = 12;
        layouts[BTF_KIND_DECL_TAG as usize].fixed = 4;
        layouts[BTF_KIND_ENUM64 as usize].element = 12;
        layouts
    };
}

/// `info` of `struct btf_type`, taken apart. Linux 7.1 widened `vlen` and `kind` into bits that were zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Info {
    pub kind: u8,
    pub vlen: u32,
    pub kind_flag: bool,
}

impl Info {
    pub fn new(info: u32) -> Info {
        Info { kind: (info >> 24 & 0x7f) as u8, vlen: info & 0xff_ffff, kind_flag: info >> 31 != 0 }
    }
}

/// Who can see a function or variable: `BTF_FUNC_STATIC` and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linkage {
    Static,
    Global,
    Extern,
    /// A value of a later version.
    Other(u32),
}

impl Linkage {
    fn new(value: u32) -> Linkage {
        match value {
            0 => Linkage::Static,
            1 => Linkage::Global,
            2 => Linkage::Extern,
            other => Linkage::Other(other),
        }
    }
}

/// A type: its name (empty where it has none) and what its kind says.
#[derive(Debug, Clone, Copy)]
pub struct Type<'b> {
    pub name: &'b [u8],
    pub kind: Kind<'b>,
}

/// What each kind of type says. Type ids are those of [`Btf::get`]; 0 is `void`.
#[derive(Debug, Clone, Copy)]
pub enum Kind<'b> {
    Int {
        byte_size: u32,
        bits: u8,
        bit_offset: u8,
        signed: bool,
        char: bool,
        bool: bool,
    },
    Ptr {
        to: u32,
    },
    Array {
        element: u32,
        index: u32,
        count: u32,
    },
    Struct {
        byte_size: u32,
        members: List<'b, Member<'b>>,
    },
    Union {
        byte_size: u32,
        members: List<'b, Member<'b>>,
    },
    /// `ENUM` and `ENUM64`.
    Enum {
        byte_size: u32,
        signed: bool,
        values: List<'b, EnumValue<'b>>,
    },
    Fwd {
        union: bool,
    },
    Typedef {
        of: u32,
    },
    Volatile {
        of: u32,
    },
    Const {
        of: u32,
    },
    Restrict {
        of: u32,
    },
    Func {
        prototype: u32,
        linkage: Linkage,
    },
    FuncProto {
        ret: u32,
        params: List<'b, Param<'b>>,
    },
    Var {
        of: u32,
        linkage: Linkage,
    },
    Datasec {
        byte_size: u32,
        variables: List<'b, Variable>,
    },
    Float {
        byte_size: u32,
    },
    /// `component` is the number of a member or parameter; `None` is the whole. `attribute`: the name is that
    /// of an `__attribute__` itself, not an argument of `btf_decl_tag`.
    DeclTag {
        of: u32,
        component: Option<u32>,
        attribute: bool,
    },
    TypeTag {
        of: u32,
        attribute: bool,
    },
    /// A kind of a later version, whose size this BTF tells.
    Unknown {
        kind: u8,
    },
}

/// A member of a struct or union.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member<'b> {
    pub name: &'b [u8],
    pub type_id: u32,
    pub bit_offset: u32,
    /// The width of a bit field; `None` for any other member.
    pub bits: Option<u8>,
}

/// An enumerator. `value` is the two's complement of a negative one where the enum is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnumValue<'b> {
    pub name: &'b [u8],
    pub value: u64,
}

/// A parameter. A last one without name and type stands for `...`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param<'b> {
    pub name: &'b [u8],
    pub type_id: u32,
}

/// A variable of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    pub type_id: u32,
    pub offset: u32,
    pub byte_size: u32,
}

/// The elements that follow a type, decoded as they are looked at.
pub struct List<'b, T> {
    btf: &'b Btf<'b>,
    data: &'b [u8],
    element: usize,
    decode: fn(&'b Btf<'b>, &'b [u8], bool) -> Result<T>,
    kind_flag: bool,
}

impl<T> Clone for List<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for List<'_, T> {}

impl<T> std::fmt::Debug for List<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}]", self.len())
    }
}

impl<'b, T> List<'b, T> {
    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.data.len() / self.element
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The elements in order. One whose name lies outside of the strings is an error.
    pub fn iter(self) -> impl Iterator<Item = Result<T>> + 'b
    where
        T: 'b,
    {
        self.data
            .chunks_exact(self.element)
            .map(move |element| (self.decode)(self.btf, element, self.kind_flag))
    }
}

impl<'b> Type<'b> {
    /// Decodes a type of 12 bytes and what follows it, whose size is known to fit its kind.
    pub(super) fn decode(btf: &'b Btf<'b>, data: &'b [u8]) -> Result<Type<'b>> {
        let info = Info::new(btf.u32(data, 4));
        let name = btf.string(btf.u32(data, 0))?;
        let value = btf.u32(data, 8); // a size or a type, as the kind wants
        let rest = &data[12..];
        let kind = match info.kind {
            BTF_KIND_INT => {
                let int = btf.u32(rest, 0);
                let encoding = (int >> 24 & 0xf) as u8;
                Kind::Int {
                    byte_size: value,
                    bits: int as u8,
                    bit_offset: (int >> 16) as u8,
                    signed: encoding & BTF_INT_SIGNED != 0,
                    char: encoding & BTF_INT_CHAR != 0,
                    bool: encoding & BTF_INT_BOOL != 0,
                }
            }
            BTF_KIND_PTR => Kind::Ptr { to: value },
            BTF_KIND_ARRAY => {
                Kind::Array { element: btf.u32(rest, 0), index: btf.u32(rest, 4), count: btf.u32(rest, 8) }
            }
            BTF_KIND_STRUCT => Kind::Struct { byte_size: value, members: btf.list(info, rest, member) },
            BTF_KIND_UNION => Kind::Union { byte_size: value, members: btf.list(info, rest, member) },
            BTF_KIND_ENUM => Kind::Enum {
                byte_size: value,
                signed: info.kind_flag,
                values: btf.list(info, rest, enum_value),
            },
            BTF_KIND_ENUM64 => Kind::Enum {
                byte_size: value,
                signed: info.kind_flag,
                values: btf.list(info, rest, enum64_value),
            },
            BTF_KIND_FWD => Kind::Fwd { union: info.kind_flag },
            BTF_KIND_TYPEDEF => Kind::Typedef { of: value },
            BTF_KIND_VOLATILE => Kind::Volatile { of: value },
            BTF_KIND_CONST => Kind::Const { of: value },
            BTF_KIND_RESTRICT => Kind::Restrict { of: value },
            BTF_KIND_FUNC => Kind::Func { prototype: value, linkage: Linkage::new(info.vlen) },
            BTF_KIND_FUNC_PROTO => Kind::FuncProto { ret: value, params: btf.list(info, rest, param) },
            BTF_KIND_VAR => Kind::Var { of: value, linkage: Linkage::new(btf.u32(rest, 0)) },
            BTF_KIND_DATASEC => Kind::Datasec { byte_size: value, variables: btf.list(info, rest, variable) },
            BTF_KIND_FLOAT => Kind::Float { byte_size: value },
            BTF_KIND_DECL_TAG => Kind::DeclTag {
                of: value,
                component: Some(btf.u32(rest, 0)).filter(|&component| component != u32::MAX),
                attribute: info.kind_flag,
            },
            BTF_KIND_TYPE_TAG => Kind::TypeTag { of: value, attribute: info.kind_flag },
            kind => Kind::Unknown { kind },
        };
        Ok(Type { name, kind })
    }
}

impl<'a> Btf<'a> {
    fn list<'b, T>(
        &'b self,
        info: Info,
        data: &'b [u8],
        decode: fn(&'b Btf<'b>, &'b [u8], bool) -> Result<T>,
    ) -> List<'b, T>
    where
        'a: 'b,
    {
        let element = self.element_size(info.kind);
        List { btf: self, data, element, decode, kind_flag: info.kind_flag }
    }
}

fn member<'b>(btf: &'b Btf<'b>, data: &'b [u8], kind_flag: bool) -> Result<Member<'b>> {
    let offset = btf.u32(data, 8);
    // the flag says that the upper byte is the width of a bit field, or 0
    let (bit_offset, bits) = if kind_flag { (offset & 0xff_ffff, (offset >> 24) as u8) } else { (offset, 0) };
    Ok(Member {
        name: btf.string(btf.u32(data, 0))?,
        type_id: btf.u32(data, 4),
        bit_offset,
        bits: (bits != 0).then_some(bits),
    })
}

fn enum_value<'b>(btf: &'b Btf<'b>, data: &'b [u8], signed: bool) -> Result<EnumValue<'b>> {
    let value = btf.u32(data, 4);
    let value = if signed { i64::from(value as i32) as u64 } else { u64::from(value) };
    Ok(EnumValue { name: btf.string(btf.u32(data, 0))?, value })
}

fn enum64_value<'b>(btf: &'b Btf<'b>, data: &'b [u8], _signed: bool) -> Result<EnumValue<'b>> {
    let value = u64::from(btf.u32(data, 4)) | u64::from(btf.u32(data, 8)) << 32;
    Ok(EnumValue { name: btf.string(btf.u32(data, 0))?, value })
}

fn param<'b>(btf: &'b Btf<'b>, data: &'b [u8], _kind_flag: bool) -> Result<Param<'b>> {
    Ok(Param { name: btf.string(btf.u32(data, 0))?, type_id: btf.u32(data, 4) })
}

fn variable<'b>(btf: &'b Btf<'b>, data: &'b [u8], _kind_flag: bool) -> Result<Variable> {
    Ok(Variable { type_id: btf.u32(data, 0), offset: btf.u32(data, 4), byte_size: btf.u32(data, 8) })
}

/// A kind as `btf.h` calls it.
pub(super) fn unknown(kind: u8) -> Error {
    Error::unsupported("BTF kind", kind)
}
