//! The types of all images in one numbering, each definition once.

use super::{incomplete, Kernel};
use crate::btf::Btf;
use crate::error::Result;
use crate::extract::Unreadable;
use crate::image::{ImageRows, TypeSource};
use crate::surface::definition::{self, Definition, Definitions, Kind, TypeRow, UseRow};
use crate::surface::from_btf;
use rayon::prelude::*;
use rustc_hash::FxHashSet;

/// Names are numbers of [`DefinitionTables::texts`].
#[derive(Debug, Default)]
pub struct Types {
    pub name: Vec<i32>,
    pub kind: Vec<&'static str>,
    pub image: Vec<i32>,
    pub definition: Vec<u64>,
    pub evidence: Vec<&'static str>,
}

/// Names are numbers of [`DefinitionTables::texts`].
#[derive(Debug, Default)]
pub struct TypeUses {
    pub name: Vec<i32>,
    pub definition: Vec<u64>,
    pub image: Vec<i32>,
    pub user_kind: Vec<&'static str>,
    pub user: Vec<i32>,
}

/// The content behind the keys. Texts are numbers of `texts`.
#[derive(Debug, Default)]
pub struct DefinitionTables {
    pub texts: Vec<String>,
    pub key: Vec<u64>,
    pub kind: Vec<&'static str>,
    pub name: Vec<i32>,
    pub byte_size: Vec<Option<u64>>,
    pub signed: Vec<Option<bool>>,
    pub type_text: Vec<Option<i32>>,
    pub tags: Vec<Option<i32>>,
    pub members: Members,
}

/// The members of all definitions, in the order of these.
#[derive(Debug, Default)]
pub struct Members {
    pub definition: Vec<u64>,
    pub position: Vec<i32>,
    pub depth: Vec<i32>,
    pub name: Vec<Option<i32>>,
    pub type_text: Vec<Option<i32>>,
    pub bit_offset: Vec<Option<u64>>,
    pub byte_size: Vec<Option<u64>>,
    pub bit_size: Vec<Option<i32>>,
    pub value: Vec<Option<i64>>,
    pub tags: Vec<Option<i32>>,
}

/// Reads the BTF of all images, now that their base is known, and brings all types together. `base` is that of
/// modules whose vmlinux is not among the images.
pub(super) fn join(images: &mut [ImageRows], base: Option<&Btf<'_>>, kernel: &mut Kernel) -> Vec<Unreadable> {
    let sources: Vec<TypeSource> =
        images.iter_mut().map(|i| std::mem::replace(&mut i.types, TypeSource::Nothing)).collect();
    let is_vmlinux: Vec<bool> = images.iter().map(|i| i.name == "vmlinux").collect();
    let base_bytes = sources.iter().zip(&is_vmlinux).find_map(|(source, vmlinux)| match source {
        TypeSource::Btf(bytes) if *vmlinux => Some(bytes.clone()),
        _ => None,
    });
    let own_base = base_bytes.as_deref().and_then(|bytes| Btf::parse(bytes, None).ok());
    let base = own_base.as_ref().or(base);
    let read: Vec<Result<definition::Types>> = sources
        .into_par_iter()
        .zip(&is_vmlinux)
        .map(|(source, vmlinux)| match source {
            TypeSource::Nothing => Ok(definition::Types::default()),
            TypeSource::Read(types) => Ok(*types),
            TypeSource::Btf(bytes) => from_btf::read(&Btf::parse(&bytes, base.filter(|_| !vmlinux))?),
        })
        .collect();
    let mut missing = Vec::new();
    let mut all = Definitions::default();
    let mut rows: Vec<(u32, TypeRow)> = Vec::new();
    let mut uses: Vec<(u32, UseRow)> = Vec::new();
    let mut of_vmlinux: FxHashSet<u32> = FxHashSet::default();
    for (number, (image, types)) in images.iter().zip(read).enumerate() {
        let types = match types {
            Ok(types) => types,
            Err(error) => {
                missing.push(incomplete(image, format!("types: {error}")));
                continue;
            }
        };
        missing.extend(types.incomplete.map(|reason| incomplete(image, format!("types: {reason}"))));
        let numbers = all.merge(types.definitions);
        let number = number as u32;
        for row in types.rows {
            let definition = numbers[row.definition as usize];
            if is_vmlinux[number as usize] {
                of_vmlinux.insert(definition);
            } else if of_vmlinux.contains(&definition) {
                // A module's DWARF repeats the headers, and so does its BTF where pahole could not tell.
                continue;
            }
            rows.push((number, TypeRow { definition, ..row }));
        }
        uses.extend(types.uses.iter().map(|used| {
            let (definition, user) = (numbers[used.definition as usize], numbers[used.user as usize]);
            (number, UseRow { definition, user })
        }));
    }
    fill(kernel, all, rows, uses);
    missing
}

/// The kind and name of a definition.
fn named(list: &[Definition], definition: u32) -> (Kind, u32) {
    let definition = &list[definition as usize];
    (definition.kind, definition.name)
}

/// The names that have more than one definition in the kernel. The rows of each name stand together.
fn several_definitions(rows: &[(u32, TypeRow)], list: &[Definition]) -> FxHashSet<(Kind, u32)> {
    rows.windows(2)
        .map(|pair| [pair[0].1.definition, pair[1].1.definition])
        .filter(|[one, other]| one != other && named(list, *one) == named(list, *other))
        .map(|[one, _]| named(list, one))
        .collect()
}

fn fill(kernel: &mut Kernel, all: Definitions, mut rows: Vec<(u32, TypeRow)>, mut uses: Vec<(u32, UseRow)>) {
    let Definitions { texts, list, keys, .. } = all;
    let name = |definition: u32| texts.strings[list[definition as usize].name as usize].as_str();
    let kind = |definition: u32| list[definition as usize].kind;
    let key = |definition: u32| keys[definition as usize];
    let text = |number: Option<u32>| number.map(|n| n as i32);
    rows.par_sort_unstable_by_key(|&(image, row)| {
        (name(row.definition), kind(row.definition), image, key(row.definition))
    });
    rows.dedup();
    let several = several_definitions(&rows, &list);
    uses.retain(|&(_, used)| several.contains(&named(&list, used.definition)));
    for &(image, row) in &rows {
        kernel.types.name.push(list[row.definition as usize].name as i32);
        kernel.types.kind.push(kind(row.definition).as_str());
        kernel.types.image.push(image as i32);
        kernel.types.definition.push(key(row.definition));
        kernel.types.evidence.push(if row.btf { "btf" } else { "dwarf" });
    }
    uses.par_sort_unstable_by_key(|&(image, used)| {
        (name(used.definition), key(used.definition), image, kind(used.user), name(used.user))
    });
    uses.dedup_by_key(|&mut (image, used)| {
        (image, used.definition, kind(used.user), list[used.user as usize].name)
    });
    for &(image, used) in &uses {
        kernel.type_uses.name.push(list[used.definition as usize].name as i32);
        kernel.type_uses.definition.push(key(used.definition));
        kernel.type_uses.image.push(image as i32);
        kernel.type_uses.user_kind.push(kind(used.user).as_str());
        kernel.type_uses.user.push(list[used.user as usize].name as i32);
    }
    let mut order: Vec<u32> = (0..list.len() as u32).collect();
    order.par_sort_unstable_by_key(|&d| (name(d), kind(d), key(d)));
    let out = &mut kernel.definitions;
    for number in order {
        let definition = &list[number as usize];
        out.key.push(key(number));
        out.kind.push(definition.kind.as_str());
        out.name.push(definition.name as i32);
        out.byte_size.push(definition.byte_size);
        out.signed.push(definition.signed);
        out.type_text.push(text(definition.type_text));
        out.tags.push(text(definition.tags));
        for (position, member) in definition.members.iter().enumerate() {
            out.members.definition.push(key(number));
            out.members.position.push(position as i32);
            out.members.depth.push(member.depth.into());
            out.members.name.push(text(member.name));
            out.members.type_text.push(text(member.type_text));
            out.members.bit_offset.push(member.bit_offset);
            out.members.byte_size.push(member.byte_size);
            out.members.bit_size.push(member.bit_size.map(|bits| bits as i32));
            out.members.value.push(member.value);
            out.members.tags.push(text(member.tags));
        }
    }
    out.texts = texts.strings;
}
