//! The number that an access comes to, in the object's types and in the kernel's.
//!
//! Source: `bpf_core_calc_relo` of libbpf.

use super::spec::Spec;
use super::types::{byte_size, strip};
use super::RelocationKind;
use crate::btf::{Btf, Kind, Type, BTF_KIND_ENUM64};
use crate::error::{Error, Result};

/// What becomes of a relocation if a certain type of the kernel is meant, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Value {
    /// What the instruction must hold now, if `validate`.
    pub original: u64,
    /// What it is to hold; `None`: there is nothing to put there.
    pub new: Option<u64>,
    pub validate: bool,
    /// Size in bytes of what a load or store takes, in the object's types and in the kernel's.
    pub sizes: (u32, u32),
    /// These differ, and the instruction cannot be changed to take as many.
    pub unsuitable: bool,
}

/// One side of it.
#[derive(Clone, Copy)]
struct Side {
    value: u64,
    validate: bool,
    /// Of a field whose offset is asked for: its size, and its type.
    field: Option<(u32, u32)>,
}

impl Side {
    fn plain(value: u64) -> Side {
        Side { value, validate: true, field: None }
    }
}

/// `target` is `None` where no type of the kernel has it. `big_endian` is the kernel's byte order.
pub(super) fn value(
    kind: RelocationKind,
    local: &Spec<'_>,
    target: Option<&Spec<'_>>,
    big_endian: bool,
) -> Result<Value> {
    let own = side(kind, local, big_endian)?;
    let other = target.map(|spec| side(kind, spec, big_endian)).transpose()?;
    let absent = (!kind.needs_target()).then_some(0);
    let new = other.map_or(absent, |side| Some(side.value));
    let field = |side: Option<Side>| side.and_then(|side| side.field);
    let sizes = (own.field.map_or(0, |f| f.0), field(other).map_or(0, |f| f.0));
    let mut unsuitable = false;
    if let (Some((own_size, own)), Some((size, id)), Some(target)) = (own.field, field(other), target) {
        unsuitable = own_size != size && !can_resize(local.btf, own, target.btf, id)?;
    }
    // a field without a size on one side only is a bit field there
    unsuitable |= other.is_some() && own.field.is_some() != field(other).is_some() && sizes.0 != sizes.1;
    Ok(Value { original: own.value, new, validate: own.validate, sizes, unsuitable })
}

/// Pointers and unsigned integers may become shorter or longer, as the rest is zero.
fn can_resize(local: &Btf<'_>, own: u32, target: &Btf<'_>, other: u32) -> Result<bool> {
    let only_signed = |signed: bool, char: bool, bool: bool| signed && !char && !bool;
    Ok(match (local.get(own)?.kind, target.get(other)?.kind) {
        (Kind::Ptr { .. }, Kind::Ptr { .. }) => true,
        (
            Kind::Int { signed: s1, char: c1, bool: b1, .. },
            Kind::Int { signed: s2, char: c2, bool: b2, .. },
        ) => !only_signed(s1, c1, b1) && !only_signed(s2, c2, b2),
        _ => false,
    })
}

fn side(kind: RelocationKind, spec: &Spec<'_>, big_endian: bool) -> Result<Side> {
    use RelocationKind as K;
    Ok(match kind {
        K::FieldExists | K::TypeExists | K::TypeMatches | K::EnumvalExists => Side::plain(1),
        K::TypeIdLocal | K::TypeIdTarget => Side { validate: false, ..Side::plain(spec.root.into()) },
        K::TypeSize => Side::plain(byte_size(spec.btf, spec.root, spec.pointer_size)?.into()),
        K::EnumvalValue => Side::plain(enumerator(spec)?),
        K::FieldByteOffset | K::FieldByteSize | K::FieldSigned | K::FieldLshiftU64 | K::FieldRshiftU64 => {
            field(kind, spec, big_endian)?
        }
        K::Other(number) => return Err(Error::unsupported("relocation", number)),
    })
}

fn enumerator(spec: &Spec<'_>) -> Result<u64> {
    let none = || Error::corrupt("access", 0, "it leads to no enumerator");
    let step = spec.steps.first().ok_or_else(none)?;
    let Kind::Enum { values, .. } = spec.btf.get(step.type_id)?.kind else { return Err(none()) };
    let value = values.iter().nth(step.index as usize).ok_or_else(none)??.value;
    // The values of an ENUM are of 32 bits, and signed to libbpf whatever the enum says.
    Ok(match spec.btf.kind_number(step.type_id) {
        Some(BTF_KIND_ENUM64) => value,
        _ => i64::from(value as i32) as u64,
    })
}

/// The type of an array's elements, and its size in bytes: a load takes one element.
fn element_size(spec: &Spec<'_>, id: u32) -> Result<u32> {
    let (mut id, mut found) = strip(spec.btf, id)?;
    for _ in 0..64 {
        let Some(Type { kind: Kind::Array { element, .. }, .. }) = found else {
            return byte_size(spec.btf, id, spec.pointer_size);
        };
        (id, found) = strip(spec.btf, element)?;
    }
    Err(Error::corrupt("BTF", 0, "an array of arrays without an end"))
}

fn field(kind: RelocationKind, spec: &Spec<'_>, big_endian: bool) -> Result<Side> {
    let nothing = || Error::corrupt("access", 0, "it leads nowhere");
    let last = spec.steps.last().ok_or_else(nothing)?;
    if last.name.is_none() {
        return Ok(match kind {
            RelocationKind::FieldByteOffset => Side {
                field: Some((element_size(spec, last.type_id)?, last.type_id)),
                ..Side::plain((spec.bit_offset / 8).into())
            },
            RelocationKind::FieldByteSize => {
                Side::plain(byte_size(spec.btf, last.type_id, spec.pointer_size)?.into())
            }
            _ => return Err(Error::unsupported("relocation of an array's element", kind.name())),
        });
    }
    let (Kind::Struct { members, .. } | Kind::Union { members, .. }) = spec.btf.get(last.type_id)?.kind
    else {
        return Err(nothing());
    };
    let member = members.iter().nth(last.index as usize).ok_or_else(nothing)??;
    let (type_id, found) = strip(spec.btf, member.type_id)?;
    let place = match member.bits {
        Some(bits) => Place::of_bit_field(spec, found.as_ref(), bits.into())?,
        None => {
            let byte_size = byte_size(spec.btf, type_id, spec.pointer_size)?;
            let byte_offset = spec.bit_offset / 8;
            Place { byte_offset, byte_size, bits: byte_size.wrapping_mul(8) }
        }
    };
    let is_plain = member.bits.is_none();
    let plain = |value: u64| Side { validate: is_plain, ..Side::plain(value) };
    let first_bit = u64::from(spec.bit_offset).wrapping_sub(u64::from(place.byte_offset) * 8);
    Ok(match kind {
        RelocationKind::FieldByteOffset => Side {
            field: match is_plain {
                true => Some((element_size(spec, type_id)?, type_id)),
                false => None,
            },
            ..plain(place.byte_offset.into())
        },
        RelocationKind::FieldByteSize => plain(place.byte_size.into()),
        RelocationKind::FieldSigned => Side::plain(match found.map(|found| found.kind) {
            Some(Kind::Int { signed, .. } | Kind::Enum { signed, .. }) => signed.into(),
            _ => 0,
        }),
        // C computes these in 32 bits
        RelocationKind::FieldLshiftU64 => plain(match big_endian {
            false => 64u32.wrapping_sub((first_bit as u32).wrapping_add(place.bits)).into(),
            true => 8u32.wrapping_sub(place.byte_size).wrapping_mul(8).wrapping_add(first_bit as u32).into(),
        }),
        _ => Side::plain(64u32.wrapping_sub(place.bits).into()),
    })
}

/// The bytes that are to be loaded for a field, and how many bits of them it is.
struct Place {
    byte_offset: u32,
    byte_size: u32,
    bits: u32,
}

impl Place {
    /// The smallest integer that holds the bit field, from the size of its declared type on.
    fn of_bit_field(spec: &Spec<'_>, found: Option<&Type<'_>>, bits: u32) -> Result<Place> {
        let mut byte_size = match found.map(|found| found.kind) {
            Some(Kind::Int { byte_size, .. } | Kind::Enum { byte_size, .. }) if byte_size > 0 => byte_size,
            _ => return Err(Error::corrupt("BTF", 0, "a bit field that is no integer")),
        };
        loop {
            let byte_offset = spec.bit_offset / 8 / byte_size * byte_size;
            let end = u64::from(spec.bit_offset) + u64::from(bits);
            if end <= (u64::from(byte_offset) + u64::from(byte_size)) * 8 {
                return Ok(Place { byte_offset, byte_size, bits });
            }
            if byte_size >= 8 {
                return Err(Error::unsupported("bit field", "one that eight bytes do not hold"));
            }
            byte_size *= 2;
        }
    }
}
