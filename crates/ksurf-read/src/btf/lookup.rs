//! Questions to a BTF that go beyond one type: what is called so, and how large is it.

use super::types::{
    BTF_KIND_ENUM, BTF_KIND_ENUM64, BTF_KIND_INT, BTF_KIND_STRUCT, BTF_KIND_TYPEDEF, BTF_KIND_UNION,
};
use super::{Btf, Kind, Type};
use xxhash_rust::xxh3::xxh3_64;

/// Types between one that is asked for its size and the one that tells it; more is a cycle.
const CHAIN_LIMIT: usize = 64;
/// What C calls the integer that is as wide as a pointer, in Linux on every architecture.
const POINTER_WIDE: [&[u8]; 2] = [b"long unsigned int", b"unsigned long"];

/// Named structs, unions, enums and typedefs: the hash of the name, and the id. Sorted.
pub(super) type Names = Vec<(u64, u32)>;

impl Btf<'_> {
    /// The own structs, unions, enums and typedefs of a name, in the order of their ids.
    pub fn named<'b>(&'b self, name: &'b [u8]) -> impl Iterator<Item = (u32, Type<'b>)> + 'b {
        let names = self.names.get_or_init(|| self.collect_names());
        let hash = xxh3_64(name);
        let start = names.partition_point(|&(other, _)| other < hash);
        names[start..]
            .iter()
            .take_while(move |&&(other, _)| other == hash)
            .filter_map(|&(_, id)| Some((id, self.get(id).ok()?)))
            .filter(move |(_, found)| found.name == name)
    }

    fn collect_names(&self) -> Names {
        let mentioned = [BTF_KIND_STRUCT, BTF_KIND_UNION, BTF_KIND_ENUM, BTF_KIND_ENUM64, BTF_KIND_TYPEDEF];
        let mut names: Names = self
            .ids_of(|kind| mentioned.contains(&kind))
            .filter_map(|id| Some((id, self.get(id).ok()?.name)))
            .filter(|(_, name)| !name.is_empty())
            .map(|(id, name)| (xxh3_64(name), id))
            .collect();
        names.sort_unstable();
        names
    }

    /// The own types of [`Btf::named`] that may share their name with another one, here or in the base.
    pub fn of_shared_names(&self) -> Vec<u32> {
        let own = self.names.get_or_init(|| self.collect_names());
        let of_base = self.base.map(|base| base.names.get_or_init(|| base.collect_names()).as_slice());
        let mut shared = Vec::new();
        for (at, &(hash, id)) in own.iter().enumerate() {
            let before = at.checked_sub(1).and_then(|before| own.get(before));
            let is_one = |other: Option<&(u64, u32)>| other.is_some_and(|&(other, _)| other == hash);
            let in_base =
                |names: &[(u64, u32)]| names.binary_search_by_key(&hash, |&(other, _)| other).is_ok();
            if is_one(before) || is_one(own.get(at + 1)) || of_base.is_some_and(in_base) {
                shared.push(id);
            }
        }
        shared
    }

    /// The BTF that this one continues.
    pub fn base(&self) -> Option<&Btf<'_>> {
        self.base
    }

    /// Bytes of the section that hold types and names.
    pub fn byte_len(&self) -> usize {
        self.types.len() + self.strings.len()
    }

    /// Bytes of the section that hold names.
    pub fn string_len(&self) -> usize {
        self.strings.len()
    }

    /// Size of a pointer in bytes, which BTF does not tell: that of the integer `unsigned long` (of the base, for
    /// a module), as every Linux has it.
    pub fn pointer_size(&self) -> Option<u64> {
        let own = || {
            self.ids_of(|kind| kind == BTF_KIND_INT).find_map(|id| match self.get(id).ok()? {
                Type { name, kind: Kind::Int { byte_size, .. } } if POINTER_WIDE.contains(&name) => {
                    Some(byte_size.into())
                }
                _ => None,
            })
        };
        *self.pointer_size.get_or_init(|| self.base.and_then(Btf::pointer_size).or_else(own))
    }

    /// Size of a type in bytes, through typedefs and arrays; `None` of what has none or does not tell it: a
    /// function, `void`, a struct that is only declared.
    pub fn byte_size(&self, id: u32, pointer_size: Option<u64>) -> Option<u64> {
        let mut id = id;
        let mut count = 1u64;
        for _ in 0..CHAIN_LIMIT {
            let size = match self.get(id).ok()?.kind {
                Kind::Typedef { of }
                | Kind::Const { of }
                | Kind::Volatile { of }
                | Kind::Restrict { of }
                | Kind::TypeTag { of, .. } => {
                    id = of;
                    continue;
                }
                Kind::Array { element, count: elements, .. } => {
                    count = count.checked_mul(elements.into())?;
                    id = element;
                    continue;
                }
                Kind::Ptr { .. } => pointer_size?,
                Kind::Int { byte_size, .. }
                | Kind::Float { byte_size }
                | Kind::Enum { byte_size, .. }
                | Kind::Struct { byte_size, .. }
                | Kind::Union { byte_size, .. } => byte_size.into(),
                _ => return None,
            };
            return count.checked_mul(size);
        }
        None
    }
}
