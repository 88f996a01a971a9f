//! A kernel's types by name, as relocation looks for them.

use super::types::{essential, same_kind};
use crate::btf::{Btf, Type};
use rayon::prelude::*;
use std::sync::OnceLock;
use xxhash_rust::xxh3::xxh3_64;

/// The BTF of a kernel's images. Modules are read when something is looked for that vmlinux does not have.
pub struct Target<'a> {
    vmlinux: &'a Btf<'a>,
    names: Names,
    /// Name and `.BTF`, in the order in which they are searched.
    modules: Vec<(&'a str, &'a [u8])>,
    read: OnceLock<Modules<'a>>,
}

#[derive(Default)]
struct Modules<'a> {
    list: Vec<Module<'a>>,
    unreadable: Vec<String>,
}

struct Module<'a> {
    name: &'a str,
    btf: Btf<'a>,
    names: Names,
}

/// A type of the kernel that may be the one that the object means.
#[derive(Clone, Copy)]
pub(super) struct Candidate<'t> {
    /// Name of the module; `None` is vmlinux.
    pub module: Option<&'t str>,
    pub btf: &'t Btf<'t>,
    pub id: u32,
}

/// The own types of a BTF that have a name: the hash of it without its flavor, and the id. Sorted.
struct Names(Vec<(u64, u32)>);

impl Names {
    fn of(btf: &Btf<'_>) -> Names {
        let mut names: Vec<(u64, u32)> = (btf.first_id()..btf.end_id())
            .filter_map(|id| Some((id, btf.name(id)?)))
            .filter(|(_, name)| !name.is_empty())
            .map(|(id, name)| (xxh3_64(essential(name)), id))
            .collect();
        names.par_sort_unstable();
        Names(names)
    }

    /// Types of the name of `wanted` and of its kind, in the order of their ids.
    fn find(&self, btf: &Btf<'_>, wanted: &Type<'_>) -> Vec<u32> {
        let name = essential(wanted.name);
        let hash = xxh3_64(name);
        let start = self.0.partition_point(|&(other, _)| other < hash);
        let same_hash = self.0[start..].iter().take_while(|&&(other, _)| other == hash);
        let is_meant = |id| {
            btf.get(id)
                .is_ok_and(|found| same_kind(Some(&found), Some(wanted)) && essential(found.name) == name)
        };
        same_hash.map(|&(_, id)| id).filter(|&id| is_meant(id)).collect()
    }
}

impl<'a> Target<'a> {
    /// Puts the names of a vmlinux in order. `vmlinux` is its `.BTF`; `modules` are names and theirs.
    pub fn new(vmlinux: &'a Btf<'a>, modules: Vec<(&'a str, &'a [u8])>) -> Target<'a> {
        Target { vmlinux, names: Names::of(vmlinux), modules, read: OnceLock::new() }
    }

    pub(super) fn is_big_endian(&self) -> bool {
        self.vmlinux.is_big_endian()
    }

    /// The size of a pointer to the kernel.
    pub(super) fn pointer_size(&self) -> u32 {
        self.vmlinux.pointer_size().map_or(8, |size| size as u32)
    }

    /// What may be meant by a type of an object: types of vmlinux, or, if it has none, of its modules. Source:
    /// `bpf_core_find_cands` of libbpf.
    pub(super) fn candidates<'t>(&'t self, wanted: &Type<'_>) -> Vec<Candidate<'t>> {
        let of = |module, btf: &'t Btf<'t>, names: &Names| -> Vec<Candidate<'t>> {
            names.find(btf, wanted).into_iter().map(|id| Candidate { module, btf, id }).collect()
        };
        let found = of(None, self.vmlinux, &self.names);
        if !found.is_empty() {
            return found;
        }
        let modules = self.modules().list.iter();
        modules.flat_map(|module| of(Some(module.name), &module.btf, &module.names)).collect()
    }

    /// What of the kernel's BTF could not be read, each with its reason.
    pub(super) fn unreadable(&self) -> Vec<String> {
        let vmlinux = self.vmlinux.incomplete().map(|error| format!("vmlinux: {error}"));
        vmlinux.into_iter().chain(self.modules().unreadable.iter().cloned()).collect()
    }

    fn modules(&self) -> &Modules<'a> {
        self.read.get_or_init(|| {
            let read = |&(name, data): &(&'a str, &'a [u8])| {
                let btf = Btf::parse(data, Some(self.vmlinux)).map_err(|error| format!("{name}: {error}"))?;
                let names = Names::of(&btf);
                Ok(Module { name, btf, names })
            };
            let mut modules = Modules::default();
            for outcome in self.modules.par_iter().map(read).collect::<Vec<Result<_, String>>>() {
                match outcome {
                    Ok(module) => {
                        let incomplete = module.btf.incomplete();
                        modules
                            .unreadable
                            .extend(incomplete.map(|error| format!("{}: {error}", module.name)));
                        modules.list.push(module);
                    }
                    Err(reason) => modules.unreadable.push(reason),
                }
            }
            modules
        })
    }
}
