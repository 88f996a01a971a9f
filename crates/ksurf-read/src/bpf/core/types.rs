//! Questions to BTF as relocation asks them.

use crate::btf::{
    Btf, Kind, Type, BTF_KIND_ARRAY, BTF_KIND_CONST, BTF_KIND_DATASEC, BTF_KIND_DECL_TAG, BTF_KIND_ENUM,
    BTF_KIND_FLOAT, BTF_KIND_FUNC, BTF_KIND_FUNC_PROTO, BTF_KIND_FWD, BTF_KIND_INT, BTF_KIND_PTR,
    BTF_KIND_RESTRICT, BTF_KIND_STRUCT, BTF_KIND_TYPEDEF, BTF_KIND_TYPE_TAG, BTF_KIND_UNION, BTF_KIND_VAR,
    BTF_KIND_VOLATILE,
};
use crate::error::{Error, Result};

/// Qualifiers and typedefs of one type; more is a cycle.
const CHAIN_LIMIT: usize = 64;
/// Types between one that is asked for its size and the one that tells it (libbpf: `MAX_RESOLVE_DEPTH`).
const SIZE_LIMIT: usize = 32;
/// Members, parameters and enumerators looked at for one relocation and candidate: BTF that nests types in many
/// ways could ask for any number.
const STEP_LIMIT: u32 = 1 << 22;

/// How much looking is left.
pub(super) struct Steps(u32);

impl Steps {
    pub fn new() -> Steps {
        Steps(STEP_LIMIT)
    }

    pub fn take(&mut self) -> Result<()> {
        match self.0.checked_sub(1) {
            Some(left) => self.0 = left,
            None => {
                return Err(Error::too_large(
                    "nesting of types",
                    u64::from(STEP_LIMIT) + 1,
                    STEP_LIMIT.into(),
                ))
            }
        }
        Ok(())
    }
}

/// The name without its flavor: `task_struct___old` is a `task_struct`.
pub fn essential(name: &[u8]) -> &[u8] {
    let is_separator = |w: &[u8]| w[0] != b'_' && w[1..4] == *b"___" && w[4] != b'_';
    match name.windows(5).rposition(is_separator) {
        Some(at) => &name[..=at],
        None => name,
    }
}

/// What follows the essential name and its three underscores.
pub fn flavor(name: &[u8]) -> Option<&[u8]> {
    name.get(essential(name).len() + 3..)
}

/// A type without its qualifiers, tags and typedefs, and its id; `None` is `void`.
pub(super) fn strip<'b>(btf: &'b Btf<'b>, id: u32) -> Result<(u32, Option<Type<'b>>)> {
    let mut at = id;
    for _ in 0..CHAIN_LIMIT {
        if at == 0 {
            return Ok((0, None));
        }
        let found = btf.get(at)?;
        match found.kind {
            Kind::Typedef { of }
            | Kind::Const { of }
            | Kind::Volatile { of }
            | Kind::Restrict { of }
            | Kind::TypeTag { of, .. } => at = of,
            _ => return Ok((at, Some(found))),
        }
    }
    Err(Error::corrupt("BTF", 0, format!("the typedefs of type {id} have no end")))
}

/// A type, which may be `void`, as it is.
pub(super) fn get<'b>(btf: &'b Btf<'b>, id: u32) -> Result<Option<Type<'b>>> {
    match id {
        0 => Ok(None),
        id => btf.get(id).map(Some),
    }
}

/// Whether one may stand for the other: `ENUM` and `ENUM64` are one kind.
pub(super) fn same_kind(a: Option<&Type<'_>>, b: Option<&Type<'_>>) -> bool {
    let number = |found: Option<&Type<'_>>| match found?.kind {
        Kind::Int { .. } => Some(BTF_KIND_INT),
        Kind::Ptr { .. } => Some(BTF_KIND_PTR),
        Kind::Array { .. } => Some(BTF_KIND_ARRAY),
        Kind::Struct { .. } => Some(BTF_KIND_STRUCT),
        Kind::Union { .. } => Some(BTF_KIND_UNION),
        Kind::Enum { .. } => Some(BTF_KIND_ENUM),
        Kind::Fwd { .. } => Some(BTF_KIND_FWD),
        Kind::Typedef { .. } => Some(BTF_KIND_TYPEDEF),
        Kind::Volatile { .. } => Some(BTF_KIND_VOLATILE),
        Kind::Const { .. } => Some(BTF_KIND_CONST),
        Kind::Restrict { .. } => Some(BTF_KIND_RESTRICT),
        Kind::Func { .. } => Some(BTF_KIND_FUNC),
        Kind::FuncProto { .. } => Some(BTF_KIND_FUNC_PROTO),
        Kind::Var { .. } => Some(BTF_KIND_VAR),
        Kind::Datasec { .. } => Some(BTF_KIND_DATASEC),
        Kind::Float { .. } => Some(BTF_KIND_FLOAT),
        Kind::DeclTag { .. } => Some(BTF_KIND_DECL_TAG),
        Kind::TypeTag { .. } => Some(BTF_KIND_TYPE_TAG),
        Kind::Unknown { kind } => Some(kind),
    };
    number(a) == number(b)
}

/// Size of a type in bytes; an error of what has none.
pub(super) fn byte_size(btf: &Btf<'_>, id: u32, pointer_size: u32) -> Result<u32> {
    let none = || Error::corrupt("BTF", 0, format!("type {id} has no size"));
    let mut at = id;
    let mut count = 1u32;
    for _ in 0..SIZE_LIMIT {
        let size = match get(btf, at)?.ok_or_else(none)?.kind {
            Kind::Typedef { of }
            | Kind::Const { of }
            | Kind::Volatile { of }
            | Kind::Restrict { of }
            | Kind::Var { of, .. }
            | Kind::DeclTag { of, .. }
            | Kind::TypeTag { of, .. } => {
                at = of;
                continue;
            }
            Kind::Array { element, count: elements, .. } => {
                count = count.checked_mul(elements).ok_or_else(none)?;
                at = element;
                continue;
            }
            Kind::Ptr { .. } => pointer_size,
            Kind::Int { byte_size, .. }
            | Kind::Float { byte_size }
            | Kind::Enum { byte_size, .. }
            | Kind::Struct { byte_size, .. }
            | Kind::Union { byte_size, .. }
            | Kind::Datasec { byte_size, .. } => byte_size,
            Kind::Fwd { .. } | Kind::Func { .. } | Kind::FuncProto { .. } | Kind::Unknown { .. } => {
                return Err(none())
            }
        };
        return count.checked_mul(size).ok_or_else(none);
    }
    Err(none())
}

/// How `ksurf show` calls the kind of a type, which C writes in front of most names.
pub fn kind_word(kind: &Kind<'_>) -> &'static str {
    match kind {
        Kind::Struct { .. } | Kind::Fwd { union: false } => "struct",
        Kind::Union { .. } | Kind::Fwd { union: true } => "union",
        Kind::Enum { .. } => "enum",
        Kind::Typedef { .. } => "typedef",
        Kind::Int { .. } | Kind::Float { .. } => "base type",
        Kind::Func { .. } => "function",
        Kind::Var { .. } => "variable",
        _ => "type",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flavor_is_what_follows_the_last_three_underscores() {
        let of = |name: &'static str| {
            let flavor = flavor(name.as_bytes()).map(|f| std::str::from_utf8(f).unwrap());
            (std::str::from_utf8(essential(name.as_bytes())).unwrap(), flavor)
        };
        assert_eq!(of("task_struct___old"), ("task_struct", Some("old")));
        assert_eq!(of("a___b___c"), ("a___b", Some("c")));
        for plain in ["task_struct", "___x", "a____b", "a___", "a__b", "", "____", "a_____b"] {
            assert_eq!(of(plain), (plain, None));
        }
        assert_eq!(of("a___b"), ("a", Some("b")));
    }
}
