//! The types of all images in one numbering, each definition once.

use super::{incomplete, Kernel};
use crate::btf::{thin, Btf};
use crate::error::Result;
use crate::extract::Unreadable;
use crate::image::{ImageRows, TypeSource};
use crate::numbered::Numbered;
use crate::surface::definition::{self, Definition, Definitions, Kind, TypeRow, UseRow};
use crate::surface::from_btf;
use rayon::prelude::*;
use rustc_hash::FxHashSet;

/// The `.BTF` of images, without what [`thin`] leaves out. One that continues a BTF of its own is not among them.
#[derive(Debug, Default)]
pub struct RawBtf {
    pub image: Vec<i32>,
    pub bytes: Vec<Vec<u8>>,
}

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

/// A column in which values are missing, as Arrow has it: a missing one has a place too.
#[derive(Debug, Default)]
pub struct Nullable<T> {
    pub values: Vec<T>,
    pub valid: Vec<bool>,
}

impl<T: Default> Nullable<T> {
    fn push(&mut self, value: Option<T>) {
        self.valid.push(value.is_some());
        self.values.push(value.unwrap_or_default());
    }

    fn reserve(&mut self, count: usize) {
        self.values.reserve(count);
        self.valid.reserve(count);
    }
}

/// The content behind the keys. Texts are numbers of `texts`.
#[derive(Debug, Default)]
pub struct DefinitionTables {
    pub texts: Numbered,
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
    pub name: Nullable<i32>,
    pub type_text: Nullable<i32>,
    pub bit_offset: Nullable<u64>,
    pub byte_size: Nullable<u64>,
    pub bit_size: Nullable<i32>,
    pub value: Nullable<i64>,
    pub tags: Nullable<i32>,
}

impl Members {
    /// The columns of all definitions' members, each half of them at the same time as the other.
    fn of(order: &[u32], all: &Definitions) -> Members {
        let members = |&number: &u32| all.members(number);
        let text = |number: Option<u32>| number.map(|n| n as i32);
        let count = all.count_members();
        let (left, right) = rayon::join(
            || {
                let mut out = Members::default();
                out.definition.reserve(count);
                out.position.reserve(count);
                out.depth.reserve(count);
                out.name.reserve(count);
                out.type_text.reserve(count);
                for number in order {
                    for (position, member) in members(number).enumerate() {
                        out.definition.push(all.keys[*number as usize]);
                        out.position.push(position as i32);
                        out.depth.push(member.depth.into());
                        out.name.push(text(member.name));
                        out.type_text.push(text(member.type_text));
                    }
                }
                out
            },
            || {
                let mut out = Members::default();
                out.bit_offset.reserve(count);
                out.byte_size.reserve(count);
                out.bit_size.reserve(count);
                out.value.reserve(count);
                out.tags.reserve(count);
                for member in order.iter().flat_map(members) {
                    out.bit_offset.push(member.bit_offset);
                    out.byte_size.push(member.byte_size);
                    out.bit_size.push(member.bit_size.map(|bits| bits as i32));
                    out.value.push(member.value);
                    out.tags.push(text(member.tags));
                }
                out
            },
        );
        let Members { definition, position, depth, name, type_text, .. } = left;
        Members { definition, position, depth, name, type_text, ..right }
    }
}

/// Reads the BTF of all images, now that their base is known, and brings all types together. `base` is that of
/// modules whose vmlinux is not among the images.
pub(super) fn join(images: &mut [ImageRows], base: Option<&Btf<'_>>, kernel: &mut Kernel) -> Vec<Unreadable> {
    let mut sources: Vec<TypeSource> =
        images.iter_mut().map(|i| std::mem::replace(&mut i.types, TypeSource::Nothing)).collect();
    let is_vmlinux: Vec<bool> = images.iter().map(|i| i.name == "vmlinux").collect();
    let base_bytes = sources.iter_mut().zip(&is_vmlinux).find_map(|(source, vmlinux)| match source {
        TypeSource::Btf(bytes) if *vmlinux => Some(std::mem::take(bytes)),
        _ => None,
    });
    let own_base = base_bytes.as_deref().map(|bytes| Btf::parse(bytes, None));
    let base = own_base.as_ref().and_then(|parsed| parsed.as_ref().ok()).or(base);
    let read_one = |source: &mut TypeSource, vmlinux: bool| match source {
        TypeSource::Nothing => Ok(definition::Types::default()),
        TypeSource::Read(types) => Ok(std::mem::take(&mut **types)),
        TypeSource::Btf(bytes) if bytes.is_empty() && vmlinux => match &own_base {
            Some(Ok(btf)) => from_btf::read(btf),
            // for the error, which is not kept
            _ => from_btf::read(&Btf::parse(base_bytes.as_deref().unwrap_or_default(), None)?),
        },
        TypeSource::Btf(bytes) => from_btf::read(&Btf::parse(bytes, base.filter(|_| !vmlinux))?),
        TypeSource::Distilled { base, own } => {
            let base = Btf::parse(base, None)?;
            from_btf::read(&Btf::parse(own, Some(&base))?)
        }
    };
    let read: Vec<Result<definition::Types>> =
        sources.par_iter_mut().zip(&is_vmlinux).map(|(source, vmlinux)| read_one(source, *vmlinux)).collect();
    let mut of_base: Vec<u32> = sources
        .par_iter_mut()
        .zip(&is_vmlinux)
        .flat_map_iter(|(source, vmlinux)| match source {
            TypeSource::Btf(bytes) if !vmlinux => match thin(bytes, base, &[]) {
                Ok(thinned) => {
                    *bytes = thinned.bytes;
                    thinned.of_base
                }
                // what cannot be read stays as it is
                Err(_) => Vec::new(),
            },
            _ => Vec::new(),
        })
        .collect();
    of_base.par_sort_unstable();
    of_base.dedup();
    let mut missing = Vec::new();
    let mut all = Definitions::default();
    let mut rows: Vec<(u32, TypeRow)> = Vec::new();
    let mut uses: Vec<(u32, UseRow)> = Vec::new();
    let mut of_vmlinux: FxHashSet<u32> = FxHashSet::default();
    let mut known: Vec<(u32, Vec<u64>)> = Vec::new();
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
        known.push((number, types.known));
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
    // Which of the images gave the content may be any.
    for (image, keys) in known {
        let definitions = keys.iter().filter_map(|&key| all.number(key));
        let own = definitions.filter(|definition| !of_vmlinux.contains(definition));
        rows.extend(own.map(|definition| (image, TypeRow { definition, btf: false })));
    }
    fill(kernel, all, rows, uses);
    let mut base_bytes = base_bytes;
    for (number, source) in sources.into_iter().enumerate() {
        if let TypeSource::Btf(bytes) = source {
            let taken = bytes.is_empty() && is_vmlinux[number];
            let bytes = match base_bytes.take_if(|_| taken) {
                // what cannot be read stays as it is
                Some(own) => thin(&own, None, &of_base).map_or(own, |thinned| thinned.bytes),
                None => bytes,
            };
            kernel.btf.image.push(number as i32);
            kernel.btf.bytes.push(bytes);
        }
    }
    missing
}

/// The kind and name of a definition.
fn named(list: &[Definition], definition: u32) -> (Kind, u32) {
    let definition = &list[definition as usize];
    (definition.kind, definition.name)
}

/// The numbers of definitions by name, kind and key.
fn ordered(all: &Definitions) -> Vec<u32> {
    let Definitions { list, keys, texts, .. } = all;
    let name = |number: u32| texts.get(list[number as usize].name);
    // Most names differ in their first eight bytes, which are compared as one number.
    let start = |number: u32| {
        let mut start = [0; 8];
        let name = name(number).as_bytes();
        let len = name.len().min(8);
        start[..len].copy_from_slice(&name[..len]);
        u64::from_be_bytes(start)
    };
    let rest = |number: u32| (name(number), list[number as usize].kind, keys[number as usize]);
    let mut order: Vec<(u64, u32)> = (0..list.len() as u32).map(|number| (start(number), number)).collect();
    order.par_sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| rest(a.1).cmp(&rest(b.1))));
    order.into_iter().map(|(_, number)| number).collect()
}

fn fill(kernel: &mut Kernel, all: Definitions, mut rows: Vec<(u32, TypeRow)>, mut uses: Vec<(u32, UseRow)>) {
    let Definitions { texts, list, keys, .. } = &all;
    let name = |definition: u32| texts.get(list[definition as usize].name);
    let kind = |definition: u32| list[definition as usize].kind;
    let key = |definition: u32| keys[definition as usize];
    let text = |number: Option<u32>| number.map(|n| n as i32);
    let order = ordered(&all);
    // Where each definition stands in that order, and which name and kind it is of, as a number that grows.
    let mut places = vec![(0u32, 0u32); list.len()];
    let mut several: Vec<bool> = Vec::new();
    for (place, &number) in order.iter().enumerate() {
        let before = place.checked_sub(1).map(|before| order[before]);
        match before.is_some_and(|before| named(list, before) == named(list, number)) {
            true => several.last_mut().into_iter().for_each(|several| *several = true),
            false => several.push(false),
        }
        places[number as usize] = (several.len() as u32 - 1, place as u32);
    }
    rows.par_sort_unstable_by_key(|&(image, row)| {
        let (group, place) = places[row.definition as usize];
        (group, image, place)
    });
    rows.dedup();
    uses.retain(|&(_, used)| several[places[used.definition as usize].0 as usize]);
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
    let out = &mut kernel.definitions;
    for &number in &order {
        let definition = &list[number as usize];
        out.key.push(key(number));
        out.kind.push(definition.kind.as_str());
        out.name.push(definition.name as i32);
        out.byte_size.push(definition.byte_size);
        out.signed.push(definition.signed);
        out.type_text.push(text(definition.type_text));
        out.tags.push(text(definition.tags));
    }
    out.members = Members::of(&order, &all);
    out.texts = all.texts;
}
