//! A module's BTF without its functions: most of its bytes, which nobody looks for who looks for types.

use super::types::{
    BTF_KIND_ENUM, BTF_KIND_ENUM64, BTF_KIND_FUNC, BTF_KIND_FUNC_PROTO, BTF_KIND_STRUCT, BTF_KIND_UNION,
};
use super::{Btf, Header, Kind, TYPE_SIZE};
use crate::error::Result;

/// The section with functions and the prototypes that only they have overwritten with zeros, and the names that
/// only these have. All else is as it was and where it was: ids and offsets stay the same.
pub fn without_functions(data: &[u8], base: Option<&Btf<'_>>) -> Result<Vec<u8>> {
    let btf = Btf::parse(data, base)?;
    let mut out = data.to_vec();
    if btf.incomplete().is_some() {
        return Ok(out);
    }
    let header = Header::parse(data)?;
    let (types, strings) = (header.size + header.types.0, header.size + header.strings.0);
    let kept = btf.prototypes_of_types();
    out[strings..strings + header.strings.1].fill(0);
    for (index, &start) in btf.offsets.iter().enumerate() {
        let start = start as usize;
        let end = btf.offsets.get(index + 1).map_or(btf.types.len(), |&next| next as usize);
        let id = btf.first_id + index as u32;
        let kind = btf.kind_number(id).unwrap_or_default();
        let place = |at: usize| types + at;
        if kind == BTF_KIND_FUNC || kind == BTF_KIND_FUNC_PROTO && !kept[index] {
            out[place(start)..place(start + 4)].fill(0);
            out[place(start + 8)..place(end)].fill(0);
            continue;
        }
        let named_elements =
            [BTF_KIND_STRUCT, BTF_KIND_UNION, BTF_KIND_ENUM, BTF_KIND_ENUM64, BTF_KIND_FUNC_PROTO];
        let elements = match named_elements.contains(&kind) {
            true => (start + TYPE_SIZE..end).step_by(btf.element_size(kind)),
            false => (end..end).step_by(1),
        };
        for at in std::iter::once(start).chain(elements) {
            let Some(own) = btf.u32(btf.types, at).checked_sub(btf.first_string) else { continue };
            let own = own as usize;
            let Some(tail) = btf.strings.get(own..) else { continue };
            let len = memchr::memchr(0, tail).unwrap_or(tail.len());
            out[strings + own..strings + own + len].copy_from_slice(&tail[..len]);
        }
    }
    Ok(out)
}

impl Btf<'_> {
    /// For each own type: whether a type that is no function refers to it.
    fn prototypes_of_types(&self) -> Vec<bool> {
        let mut kept = vec![false; self.offsets.len()];
        let mut keep = |id: u32| {
            let index = id.checked_sub(self.first_id);
            if let Some(place) = index.and_then(|index| kept.get_mut(index as usize)) {
                *place = true;
            }
        };
        for (_, found) in self.types() {
            match found.map(|found| found.kind) {
                Ok(
                    Kind::Ptr { to: of }
                    | Kind::Typedef { of }
                    | Kind::Const { of }
                    | Kind::Volatile { of }
                    | Kind::Restrict { of }
                    | Kind::TypeTag { of, .. }
                    | Kind::DeclTag { of, .. }
                    | Kind::Var { of, .. }
                    | Kind::Array { element: of, .. },
                ) => keep(of),
                Ok(Kind::Struct { members, .. } | Kind::Union { members, .. }) => {
                    members.iter().flatten().for_each(|member| keep(member.type_id));
                }
                _ => {}
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Encoder;
    use super::*;

    #[test]
    fn types_stay_as_they_are() {
        for big_endian in [false, true] {
            let mut e = Encoder::new(big_endian);
            let int = e.int("int", 32, 1);
            e.func("gone", 0, int, &[("also_gone", int)]);
            let word = e.string("argument");
            let prototype = e.add("", BTF_KIND_FUNC_PROTO, 1, int, &[word, int]);
            let pointer = e.add("", 2, 0, prototype, &[]);
            let name = e.string("operation");
            let of = e.add("operations", BTF_KIND_STRUCT, 1, 8, &[name, pointer, 0]);
            let data = e.finish();
            let out = without_functions(&data, None).unwrap();
            assert_eq!(out.len(), data.len());
            let has = |word: &str| out.windows(word.len()).any(|w| w == word.as_bytes());
            assert!(["int", "argument", "operation", "operations"].into_iter().all(has));
            assert!(!has("gone"));
            let (before, after) = (Btf::parse(&data, None).unwrap(), Btf::parse(&out, None).unwrap());
            assert_eq!(after.end_id(), before.end_id());
            for id in [int, prototype, pointer, of] {
                let text = |btf: &Btf<'_>| format!("{:?}", btf.get(id).unwrap());
                assert_eq!(text(&before), text(&after));
            }
            let Kind::Struct { members, .. } = after.get(of).unwrap().kind else { panic!() };
            assert_eq!(members.iter().next().unwrap().unwrap().name, b"operation");
            assert!(after.functions().all(|f| f.is_err() || f.unwrap().name.is_empty()));
        }
    }
}
