//! BTF without what CO-RE never looks at: most of a module's bytes, and a quarter of vmlinux's.

use super::types::{BTF_KIND_ENUM, BTF_KIND_ENUM64, BTF_KIND_FUNC_PROTO, BTF_KIND_STRUCT, BTF_KIND_UNION};
use super::{Btf, Header, Kind, Type, TYPE_SIZE};
use crate::error::Result;

/// How much of a type is needed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    Nothing,
    /// What it is, and its name: it is only pointed to.
    Head,
    Whole,
}

/// What is left of a BTF section.
pub struct Thin {
    pub bytes: Vec<u8>,
    /// Where the texts begin that it has of its base.
    pub of_base: Vec<u32>,
}

/// The section with zeros in place of functions and of what only these mention. All else is as it was and where it
/// was: ids and offsets stay the same. `also` are texts that others need of it, by their offsets.
///
/// `base` is the BTF of vmlinux for a module's, of which types are left out that vmlinux has under the same name,
/// too: relocation looks for a type in modules only if vmlinux has none of its name and kind, and never goes
/// through pointers.
pub fn thin(data: &[u8], base: Option<&Btf<'_>>, also: &[u32]) -> Result<Thin> {
    let btf = Btf::parse(data, base)?;
    let mut out = Thin { bytes: data.to_vec(), of_base: Vec::new() };
    if btf.incomplete().is_some() {
        return Ok(out);
    }
    let header = Header::parse(data)?;
    let (types, strings) = (header.size + header.types.0, header.size + header.strings.0);
    let needs = btf.needs();
    let bytes = &mut out.bytes;
    bytes[strings..strings + header.strings.1].fill(0);
    let mut keep = |offset: u32, bytes: &mut Vec<u8>| {
        let Some(own) = offset.checked_sub(btf.first_string) else { return out.of_base.push(offset) };
        let Some(tail) = btf.strings.get(own as usize..) else { return };
        let (start, len) = (strings + own as usize, memchr::memchr(0, tail).unwrap_or(tail.len()));
        bytes[start..start + len].copy_from_slice(&tail[..len]);
    };
    for (index, (&start, need)) in btf.offsets.iter().zip(needs).enumerate() {
        let start = start as usize;
        let end = btf.offsets.get(index + 1).map_or(btf.types.len(), |&next| next as usize);
        let kept = match need {
            Need::Nothing => {
                bytes[types + start..types + start + 4].fill(0);
                bytes[types + start + 8..types + end].fill(0);
                continue;
            }
            Need::Head => start + TYPE_SIZE,
            Need::Whole => end,
        };
        bytes[types + kept..types + end].fill(0);
        let kind = btf.kind_number(btf.first_id + index as u32).unwrap_or_default();
        let named_elements =
            [BTF_KIND_STRUCT, BTF_KIND_UNION, BTF_KIND_ENUM, BTF_KIND_ENUM64, BTF_KIND_FUNC_PROTO];
        keep(btf.u32(btf.types, start), bytes);
        if named_elements.contains(&kind) {
            for at in (start + TYPE_SIZE..kept).step_by(btf.element_size(kind)) {
                keep(btf.u32(btf.types, at), bytes);
            }
        }
    }
    for &offset in also {
        keep(offset, bytes);
    }
    Ok(out)
}

impl Btf<'_> {
    /// What of each own type is needed.
    fn needs(&self) -> Vec<Need> {
        let mut needs = vec![Need::Nothing; self.offsets.len()];
        let mut todo: Vec<(u32, Need)> = Vec::new();
        for (id, found) in self.types() {
            let Ok(found) = found else { continue };
            match found.kind {
                Kind::Func { .. } => {}
                Kind::Var { .. } | Kind::Datasec { .. } | Kind::DeclTag { .. } => {
                    todo.push((id, Need::Whole))
                }
                _ if !found.name.is_empty() && !self.is_shadowed(&found) => todo.push((id, Need::Whole)),
                _ => {}
            }
        }
        while let Some((id, need)) = todo.pop() {
            let index = id.checked_sub(self.first_id);
            let Some(known) = index.and_then(|index| needs.get_mut(index as usize)) else { continue };
            if *known >= need {
                continue;
            }
            *known = need;
            let Ok(found) = self.get(id) else { continue };
            match found.kind {
                // what is behind a pointer is never gone through
                Kind::Ptr { to: of } | Kind::Var { of, .. } | Kind::DeclTag { of, .. } => {
                    todo.push((of, Need::Head));
                }
                Kind::Typedef { of }
                | Kind::Const { of }
                | Kind::Volatile { of }
                | Kind::Restrict { of }
                | Kind::TypeTag { of, .. } => todo.push((of, need)),
                Kind::Array { element, index, .. } => todo.extend([(element, need), (index, Need::Head)]),
                Kind::FuncProto { ret, params } => {
                    todo.push((ret, Need::Head));
                    todo.extend(params.iter().flatten().map(|param| (param.type_id, Need::Head)));
                }
                Kind::Struct { members, .. } | Kind::Union { members, .. } if need == Need::Whole => {
                    todo.extend(members.iter().flatten().map(|member| (member.type_id, Need::Whole)));
                }
                Kind::Datasec { variables, .. } => {
                    todo.extend(variables.iter().flatten().map(|variable| (variable.type_id, Need::Head)));
                }
                _ => {}
            }
        }
        for (index, need) in needs.iter_mut().enumerate() {
            // Only these have parts that may be left out: enumerators are compared behind pointers too.
            let has_parts =
                |kind| matches!(kind, Kind::Struct { .. } | Kind::Union { .. } | Kind::Func { .. });
            let found = self.get(self.first_id + index as u32);
            if *need == Need::Head && !found.is_ok_and(|found| has_parts(found.kind)) {
                *need = Need::Whole;
            }
        }
        needs
    }

    /// Whether the base has a type of this name and kind.
    fn is_shadowed(&self, found: &Type<'_>) -> bool {
        let kind = |kind: &Kind<'_>| match kind {
            Kind::Struct { .. } => Some(BTF_KIND_STRUCT),
            Kind::Union { .. } => Some(BTF_KIND_UNION),
            Kind::Enum { .. } => Some(BTF_KIND_ENUM),
            Kind::Typedef { .. } => Some(super::types::BTF_KIND_TYPEDEF),
            _ => None,
        };
        let wanted = kind(&found.kind);
        let Some(base) = self.base.filter(|_| wanted.is_some()) else { return false };
        let mut same = base.named(found.name);
        same.any(|(_, other)| kind(&other.kind) == wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Encoder;
    use super::*;

    #[test]
    fn what_relocation_looks_at_stays_as_it_is() {
        for big_endian in [false, true] {
            let mut e = Encoder::new(big_endian);
            let int = e.int("int", 32, 1);
            let name = e.string("pid");
            let pid_struct = e.add("task_struct", BTF_KIND_STRUCT, 1, 4, &[name, int, 0]);
            let shared = e.string("shared_name");
            let own_function = e.next_id() + 1;
            e.func("own_func", 0, int, &[("own_argument", int)]);
            let base_data = e.finish();
            let base = Btf::parse(&base_data, None).unwrap();
            let mut e = Encoder::on(&base);
            let first = e.next_id();
            e.func("gone", 0, int, &[("also_gone", int)]);
            let name = e.string("pid_again");
            let shadowed = e.add("task_struct", BTF_KIND_STRUCT, 1, 4, &[name, int, 0]);
            let to = e.add("", 2, 0, shadowed, &[]);
            let word = e.string("argument");
            let prototype = e.add("", BTF_KIND_FUNC_PROTO, 1, int, &[word, to]);
            let pointer = e.add("", 2, 0, prototype, &[]);
            let name = e.string("inside");
            let nameless = e.add("", BTF_KIND_UNION, 1, 4, &[name, int, 0]);
            let names = ["operation", "value"].map(|name| e.string(name));
            let fields = [names[0], pointer, 0, names[1], nameless, 64, shared, int, 96];
            let of = e.add("operations", BTF_KIND_STRUCT, 3, 16, &fields);
            let data = e.finish();
            let Thin { bytes: out, of_base } = thin(&data, Some(&base), &[]).unwrap();
            assert_eq!(out.len(), data.len());
            let alone = thin(&base_data, None, &of_base).unwrap().bytes;
            let text = |data: &[u8], id| format!("{:?}", Btf::parse(data, None).unwrap().get(id).unwrap());
            assert_eq!(text(&alone, pid_struct), text(&base_data, pid_struct));
            assert!(
                text(&alone, own_function).contains("name: []")
                    && !text(&base_data, own_function).contains("name: []")
            );
            let in_base = |word: &str| alone.windows(word.len()).any(|w| w == word.as_bytes());
            assert!(in_base("task_struct") && in_base("shared_name") && !in_base("own_"));
            let has = |word: &str| out.windows(word.len()).any(|w| w == word.as_bytes());
            for word in ["argument", "operation", "operations", "inside", "value", "task_struct"] {
                assert!(has(word), "{word}");
            }
            assert!(!has("gone") && !has("pid_again"));
            let before = Btf::parse(&data, Some(&base)).unwrap();
            let after = Btf::parse(&out, Some(&base)).unwrap();
            assert_eq!(after.end_id(), before.end_id());
            for id in [to, prototype, pointer, nameless, of] {
                let text = |btf: &Btf<'_>| format!("{:?}", btf.get(id).unwrap());
                assert_eq!(text(&before), text(&after));
            }
            assert_eq!(after.get(shadowed).unwrap().name, b"task_struct");
            assert!(after.get(first + 1).unwrap().name.is_empty());
            let Kind::Struct { members, .. } = after.get(of).unwrap().kind else { panic!() };
            assert_eq!(members.iter().nth(1).unwrap().unwrap().name, b"value");
        }
    }
}
