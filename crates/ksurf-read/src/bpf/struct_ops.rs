//! Operations of the kernel that programs implement: variables of `.struct_ops` and `.struct_ops.link`.
//!
//! Source: `Documentation/bpf/map_struct_ops` of libbpf's overview: the variable is a struct of the kernel, each member
//! that is a function is set by a relocation to a program.

use super::object::{is_code, without_modifiers, Object, Source};
use crate::btf::{Btf, Kind, Variable};
use crate::elf::text;
use crate::error::Error;
use std::collections::HashMap;

/// Variables of an object, and members of one, that are looked at: the kernel's largest has some forty members.
const LIMIT: usize = 1024;
/// There are four names of such sections.
const SECTION_LIMIT: usize = 16;
/// Bytes of a member that are looked at to tell whether it is set.
const MEMBER_BYTES: u64 = 256;

/// One variable: the implementation of a struct of operations.
#[derive(Debug, Clone)]
pub struct StructOps {
    pub name: String,
    /// The struct's name: `tcp_congestion_ops`.
    pub type_name: String,
    /// As it is written.
    pub section: String,
    /// It is attached as a link (`.struct_ops.link`).
    pub link: bool,
    /// The section's name begins with `?`: it is made only if the loader says so.
    pub optional: bool,
    /// Those that are set.
    pub members: Vec<OpsMember>,
}

/// A member that is set: to a program, by its number, or to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpsMember {
    pub name: String,
    pub program: Option<u32>,
}

pub(super) fn read(source: &Source<'_>, object: &mut Object) {
    let wanted = |name: &str| match name.strip_prefix('?').unwrap_or(name) {
        ".struct_ops" => Some(false),
        ".struct_ops.link" => Some(true),
        _ => None,
    };
    let sections = source.elf.sections.iter().enumerate();
    let found = sections.filter_map(|(number, section)| Some((number, section, wanted(&section.name)?)));
    for (number, section, link) in found.take(SECTION_LIMIT) {
        let Some(btf) = source.btf else {
            object.note(section.name.clone(), "there is no BTF that tells its structs");
            continue;
        };
        let programs: HashMap<u64, u32> = source
            .elf
            .relocations(number)
            .filter_map(|relocation| {
                let symbol = source.symbols.get(relocation.symbol)?;
                let held = symbol.section.filter(|&at| source.elf.sections.get(at).is_some_and(is_code))?;
                Some((relocation.offset, object.program_at(held, symbol.value)?))
            })
            .take(LIMIT)
            .collect();
        let section_name = section.name.clone();
        for variable in variables(btf, section.name.as_bytes()).into_iter().take(LIMIT) {
            match read_one(source, btf, number, &variable, &programs) {
                Ok(found) => object.struct_ops.push(StructOps { link, ..found }),
                Err(error) => object.note(section_name.clone(), error),
            }
        }
    }
}

fn variables(btf: &Btf<'_>, section: &[u8]) -> Vec<Variable> {
    let sections = btf.types().filter_map(|(_, found)| found.ok()).filter(|found| found.name == section);
    let lists = sections.filter_map(|found| match found.kind {
        Kind::Datasec { variables, .. } => Some(variables),
        _ => None,
    });
    lists.flat_map(|list| list.iter().flatten()).collect()
}

fn read_one(
    source: &Source<'_>,
    btf: &Btf<'_>,
    number: usize,
    variable: &Variable,
    programs: &HashMap<u64, u32>,
) -> Result<StructOps, Error> {
    let section = &source.elf.sections[number];
    let found = btf.get(variable.type_id)?;
    let corrupt = |reason: &str| Error::corrupt(text(found.name), 0, reason.to_owned());
    let Kind::Var { of, .. } = found.kind else { return Err(corrupt("it is no variable")) };
    let symbol = source.symbol(number, found.name).ok_or_else(|| corrupt("it has no symbol"))?;
    let (_, of) = without_modifiers(btf, of).ok_or_else(|| corrupt("it has no type"))?;
    let Kind::Struct { members, .. } = of.kind else { return Err(corrupt("it is no struct")) };
    if members.len() > LIMIT {
        return Err(Error::too_large(text(of.name), members.len() as u64, LIMIT as u64));
    }
    let bytes = source.elf.bytes(section);
    let mut set = Vec::new();
    for member in members.iter() {
        let member = member?;
        let start = symbol.value.wrapping_add(u64::from(member.bit_offset / 8));
        let program = programs.get(&start).copied();
        let size = btf.byte_size(member.type_id, Some(8)).unwrap_or(0).min(MEMBER_BYTES);
        let range = usize::try_from(start).ok().zip(usize::try_from(start.saturating_add(size)).ok());
        let value = range.and_then(|(start, end)| bytes.get(start..end)).unwrap_or_default();
        if program.is_some() || value.iter().any(|&byte| byte != 0) {
            set.push(OpsMember { name: text(member.name), program });
        }
    }
    Ok(StructOps {
        name: text(found.name),
        type_name: text(of.name),
        section: section.name.clone(),
        link: false,
        optional: section.name.starts_with('?'),
        members: set,
    })
}
