//! Where BTF has a struct's members, for what is read from an image's data.

use super::{CHAIN_LIMIT, DEPTH_LIMIT, MEMBER_LIMIT};
use crate::btf::{self, Btf, List};
use crate::surface::layout::Layouts;

impl Layouts for Btf<'_> {
    fn member(&self, name: &str, member: &str) -> Option<(u64, u64)> {
        let pointer_size = self.pointer_size();
        structs(self, name).find_map(|id| {
            let (mut id, mut bit_offset) = (id, 0);
            for part in member.split('.') {
                let mut left = MEMBER_LIMIT;
                let (start, of) = find(self, composite(self, id)?, part.as_bytes(), 0, &mut left)?;
                bit_offset += start;
                id = of;
            }
            (bit_offset % 8 == 0).then_some((bit_offset / 8, self.byte_size(id, pointer_size)?))
        })
    }

    fn size_of(&self, name: &str) -> Option<u64> {
        structs(self, name).find_map(|id| self.byte_size(id, None))
    }
}

/// The structs of a name, own ones first.
fn structs<'b>(btf: &'b Btf<'b>, name: &'b str) -> Box<dyn Iterator<Item = u32> + 'b> {
    let own = btf.named(name.as_bytes());
    let own = own.filter(|(_, found)| matches!(found.kind, btf::Kind::Struct { .. })).map(|(id, _)| id);
    match btf.base() {
        Some(base) => Box::new(own.chain(structs(base, name))),
        None => Box::new(own),
    }
}

/// The members of the struct or union that a type is, by whatever name.
fn composite<'b>(btf: &'b Btf<'b>, id: u32) -> Option<List<'b, btf::Member<'b>>> {
    let mut id = id;
    for _ in 0..CHAIN_LIMIT {
        id = match btf.get(id).ok()?.kind {
            btf::Kind::Struct { members, .. } | btf::Kind::Union { members, .. } => return Some(members),
            btf::Kind::Typedef { of }
            | btf::Kind::Const { of }
            | btf::Kind::Volatile { of }
            | btf::Kind::TypeTag { of, .. } => of,
            _ => return None,
        };
    }
    None
}

/// Bit offset and type of a member that is no bit field, of anonymous members too. `left`: how many may be seen.
fn find<'b>(
    btf: &'b Btf<'b>,
    members: List<'b, btf::Member<'b>>,
    name: &[u8],
    depth: u8,
    left: &mut usize,
) -> Option<(u64, u32)> {
    for member in members.iter() {
        *left = left.checked_sub(1)?;
        let member = member.ok()?;
        let start = u64::from(member.bit_offset);
        if member.name == name {
            return member.bits.is_none().then_some((start, member.type_id));
        }
        if member.name.is_empty() && depth < DEPTH_LIMIT {
            let inner =
                composite(btf, member.type_id).and_then(|inner| find(btf, inner, name, depth + 1, left));
            if let Some((offset, id)) = inner {
                return Some((start + offset, id));
            }
        }
    }
    None
}
