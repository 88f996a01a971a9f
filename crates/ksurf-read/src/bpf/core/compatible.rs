//! Whether a type of the kernel may stand for one of the object. The rules are libbpf's (`relo_core.c`,
//! `btf_kind_core_compat` and what uses it): which differences count is a convention, not a consequence of C.

use super::types::{essential, get, same_kind, strip, Steps};
use crate::btf::{Btf, Kind, List, Member, Type};
use crate::error::{Error, Result};

/// Pointers and arrays in a row, and functions or structs inside of each other.
const DEPTH_LIMIT: u32 = 32;

/// Two types to compare: of the object, and of the kernel.
#[derive(Clone, Copy)]
pub(super) struct Pair<'l, 't> {
    pub local: &'l Btf<'l>,
    pub target: &'t Btf<'t>,
}

fn too_deep() -> Error {
    Error::unsupported("types", format!("nested more than {DEPTH_LIMIT} deep"))
}

/// A name for a name: equal without their flavors.
fn names_match(local: &[u8], target: &[u8]) -> bool {
    match target.is_empty() {
        true => local.is_empty(),
        false => essential(local) == essential(target),
    }
}

/// Integers with an offset are an old way to write bit fields.
fn is_plain(found: &Type<'_>) -> bool {
    matches!(found.kind, Kind::Int { bit_offset: 0, .. })
}

impl Pair<'_, '_> {
    /// For members (`bpf_core_fields_are_compat`): any two structs, any two integers, whatever they are called.
    pub fn fields(self, local: u32, target: u32) -> Result<bool> {
        let (mut local, mut target) = (local, target);
        for _ in 0..DEPTH_LIMIT {
            let ((_, own), (_, other)) = (strip(self.local, local)?, strip(self.target, target)?);
            let (Some(own), Some(other)) = (own, other) else { return Ok(false) };
            let is_composite = |t: &Type<'_>| matches!(t.kind, Kind::Struct { .. } | Kind::Union { .. });
            if is_composite(&own) && is_composite(&other) {
                return Ok(true);
            }
            if !same_kind(Some(&own), Some(&other)) {
                return Ok(false);
            }
            return Ok(match (own.kind, other.kind) {
                (Kind::Ptr { .. } | Kind::Float { .. }, _) => true,
                (Kind::Fwd { .. } | Kind::Enum { .. }, _) => {
                    let (own, other) = (essential(own.name), essential(other.name));
                    own.is_empty() || other.is_empty() || own == other
                }
                (Kind::Int { .. }, _) => is_plain(&own) && is_plain(&other),
                (Kind::Array { element: own, .. }, Kind::Array { element: other, .. }) => {
                    (local, target) = (own, other);
                    continue;
                }
                _ => false,
            });
        }
        Err(too_deep())
    }

    /// For whole types (`bpf_core_types_are_compat`): only the kinds count, of what pointers and functions mention
    /// too.
    pub fn types(self, local: u32, target: u32, steps: &mut Steps) -> Result<bool> {
        self.types_at(local, target, DEPTH_LIMIT, steps)
    }

    fn types_at(self, local: u32, target: u32, level: u32, steps: &mut Steps) -> Result<bool> {
        if !same_kind(get(self.local, local)?.as_ref(), get(self.target, target)?.as_ref()) {
            return Ok(false);
        }
        let (mut local, mut target) = (local, target);
        for _ in 0..DEPTH_LIMIT {
            let (own, other) = (strip(self.local, local)?.1, strip(self.target, target)?.1);
            if !same_kind(own.as_ref(), other.as_ref()) {
                return Ok(false);
            }
            let (Some(own), Some(other)) = (own, other) else { return Ok(true) };
            match (own.kind, other.kind) {
                (Kind::Struct { .. } | Kind::Union { .. } | Kind::Enum { .. } | Kind::Fwd { .. }, _) => {
                    return Ok(true)
                }
                (Kind::Int { .. }, _) => return Ok(is_plain(&own) && is_plain(&other)),
                (Kind::Ptr { to: own }, Kind::Ptr { to: other })
                | (Kind::Array { element: own, .. }, Kind::Array { element: other, .. }) => {
                    (local, target) = (own, other)
                }
                (
                    Kind::FuncProto { ret: own_ret, params: own },
                    Kind::FuncProto { ret: other_ret, params: other },
                ) => {
                    if own.len() != other.len() {
                        return Ok(false);
                    }
                    for (own, other) in own.iter().zip(other.iter()) {
                        steps.take()?;
                        let below = level.checked_sub(1).ok_or_else(too_deep)?;
                        let own = strip(self.local, own?.type_id)?.0;
                        let other = strip(self.target, other?.type_id)?.0;
                        if !self.types_at(own, other, below, steps)? {
                            return Ok(false);
                        }
                    }
                    (local, target) = (own_ret, other_ret);
                }
                _ => return Ok(false),
            }
        }
        Err(too_deep())
    }

    /// For `BPF_CORE_TYPE_MATCHES` (`bpf_core_types_match`): all that the object's type has is in the kernel's, as
    /// it is there. Behind a pointer only names and kinds count.
    pub fn matches(self, local: u32, target: u32, steps: &mut Steps) -> Result<bool> {
        self.matches_at(local, target, false, DEPTH_LIMIT, steps)
    }

    fn matches_at(
        self,
        local: u32,
        target: u32,
        behind_pointer: bool,
        level: u32,
        steps: &mut Steps,
    ) -> Result<bool> {
        if level == 0 {
            return Err(too_deep());
        }
        let (mut local, mut target, mut behind_pointer) = (local, target, behind_pointer);
        for _ in 0..DEPTH_LIMIT {
            let (own, other) = (strip(self.local, local)?.1, strip(self.target, target)?.1);
            let (own_name, other_name) = (own.map_or(&[][..], |t| t.name), other.map_or(&[][..], |t| t.name));
            if !names_match(own_name, other_name) {
                return Ok(false);
            }
            let (Some(own), Some(other)) = (own, other) else { return Ok(own.is_none() && other.is_none()) };
            match (own.kind, other.kind) {
                (Kind::Fwd { union }, Kind::Fwd { union: other }) => return Ok(union == other),
                (Kind::Fwd { union }, kind) => {
                    return Ok(behind_pointer
                        && match kind {
                            Kind::Struct { .. } => !union,
                            Kind::Union { .. } => union,
                            _ => false,
                        });
                }
                (
                    Kind::Enum { byte_size: own_size, values: own, .. },
                    Kind::Enum { byte_size: other_size, values: other, .. },
                ) => {
                    return Ok(own_size == other_size
                        && each_is_found(own, other, steps, |own, other, _| {
                            Ok(names_match(own.name, other.name))
                        })?)
                }
                (Kind::Struct { .. }, Kind::Struct { .. }) | (Kind::Union { .. }, Kind::Union { .. })
                    if behind_pointer =>
                {
                    return Ok(true)
                }
                (Kind::Struct { members: own, .. }, Kind::Struct { members: other, .. })
                | (Kind::Union { members: own, .. }, Kind::Union { members: other, .. }) => {
                    return self.members_match(own, other, level, steps)
                }
                (Kind::Struct { .. }, Kind::Fwd { union }) => return Ok(behind_pointer && !union),
                (Kind::Union { .. }, Kind::Fwd { union }) => return Ok(behind_pointer && union),
                (
                    Kind::Int { byte_size: own_size, signed: own, .. },
                    Kind::Int { byte_size: other_size, signed: other, .. },
                ) => return Ok(own_size == other_size && own == other),
                (Kind::Ptr { to: own }, Kind::Ptr { to: other }) => {
                    behind_pointer = true;
                    (local, target) = (own, other);
                }
                (
                    Kind::Array { element: own, count: own_count, .. },
                    Kind::Array { element: other, count: other_count, .. },
                ) => {
                    if own_count != other_count {
                        return Ok(false);
                    }
                    (local, target) = (own, other);
                }
                (
                    Kind::FuncProto { ret: own_ret, params: own },
                    Kind::FuncProto { ret: other_ret, params: other },
                ) => {
                    if own.len() != other.len() {
                        return Ok(false);
                    }
                    for (own, other) in own.iter().zip(other.iter()) {
                        steps.take()?;
                        let (own, other) = (own?.type_id, other?.type_id);
                        if !self.matches_at(own, other, behind_pointer, level - 1, steps)? {
                            return Ok(false);
                        }
                    }
                    (local, target) = (own_ret, other_ret);
                }
                _ => return Ok(false),
            }
        }
        Err(too_deep())
    }

    fn members_match<'b>(
        self,
        own: List<'b, Member<'b>>,
        other: List<'b, Member<'b>>,
        level: u32,
        steps: &mut Steps,
    ) -> Result<bool> {
        each_is_found(own, other, steps, |own, other, steps| {
            Ok(names_match(own.name, other.name)
                && self.matches_at(own.type_id, other.type_id, false, level - 1, steps)?)
        })
    }
}

/// Whether each of the object's members or enumerators fits one of the kernel's.
fn each_is_found<'b, L: Copy + 'b, T: 'b>(
    own: List<'b, L>,
    other: List<'b, T>,
    steps: &mut Steps,
    fits: impl Fn(L, T, &mut Steps) -> Result<bool>,
) -> Result<bool> {
    if own.len() > other.len() {
        return Ok(false);
    }
    'own: for own in own.iter() {
        let own = own?;
        for other in other.iter() {
            steps.take()?;
            if fits(own, other?, steps)? {
                continue 'own;
            }
        }
        return Ok(false);
    }
    Ok(true)
}
