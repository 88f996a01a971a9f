//! What an object takes from outside: variables and functions of the kernel, and options of its configuration.
//!
//! Source: `__ksym` and `__kconfig` of libbpf's `bpf_helpers.h`: undefined symbols whose types BTF puts into the sections
//! `.ksyms` and `.kconfig`.

use super::object::{without_modifiers, Object, Source};
use super::sections::{Symbol, STB_GLOBAL, STB_WEAK};
use crate::btf::{Btf, Kind};
use crate::ctype::{self, TypeGraph};
use crate::elf::text;
use crate::error::Result;
use std::collections::HashMap;

/// What an extern is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    Kconfig,
    Variable,
    Function,
    /// BTF does not tell.
    Unknown,
}

impl Sort {
    pub fn name(self) -> &'static str {
        match self {
            Sort::Kconfig => "kconfig",
            Sort::Variable => "variable",
            Sort::Function => "function",
            Sort::Unknown => "unknown",
        }
    }
}

/// A symbol that the object needs and does not have.
#[derive(Debug, Clone)]
pub struct Extern {
    pub name: String,
    pub sort: Sort,
    /// As C: a type, or a function's prototype. `None` for a variable without a type (`const void`), of which only
    /// the address is taken.
    pub type_text: Option<String>,
    /// The object is loaded without it, too; its address is then 0.
    pub weak: bool,
}

pub(super) fn read(source: &Source<'_>, object: &mut Object) {
    let declared = source.btf.map(declared).unwrap_or_default();
    let undefined = |symbol: &&Symbol<'_>| {
        symbol.is_undefined && [STB_GLOBAL, STB_WEAK].contains(&symbol.bind) && !symbol.name.is_empty()
    };
    for symbol in source.symbols.iter().filter(undefined) {
        let name = text(symbol.name);
        let found = declared.get(symbol.name).zip(source.btf);
        let (sort, written) = match found {
            Some((&(sort, id), btf)) => match write_type(btf, id) {
                Ok(written) => (sort, written),
                Err(error) => {
                    object.note(format!("extern {name}"), error);
                    (sort, None)
                }
            },
            None => {
                object.note(format!("extern {name}"), "BTF does not tell what it is");
                (Sort::Unknown, None)
            }
        };
        object.externs.push(Extern { name, sort, type_text: written, weak: symbol.bind == STB_WEAK });
    }
}

/// The variables and functions of the two sections, by name.
fn declared<'b>(btf: &'b Btf<'_>) -> HashMap<&'b [u8], (Sort, u32)> {
    let mut all = HashMap::new();
    for (_, found) in btf.types() {
        let Ok(found) = found else { continue };
        let Kind::Datasec { variables, .. } = found.kind else { continue };
        let is_kconfig = match found.name {
            b".kconfig" => true,
            b".ksyms" => false,
            _ => continue,
        };
        for variable in variables.iter().flatten() {
            let Ok(of) = btf.get(variable.type_id) else { continue };
            let sort = match of.kind {
                Kind::Func { .. } => Sort::Function,
                Kind::Var { .. } if is_kconfig => Sort::Kconfig,
                Kind::Var { .. } => Sort::Variable,
                _ => continue,
            };
            all.insert(of.name, (sort, variable.type_id));
        }
    }
    all
}

fn write_type(btf: &Btf<'_>, id: u32) -> Result<Option<String>> {
    let found = btf.get(id)?;
    let mut out = String::new();
    match found.kind {
        Kind::Func { prototype, .. } => {
            ctype::prototype(btf, &btf.node(prototype.into())?, &text(found.name), &mut out)?;
        }
        Kind::Var { of, .. } if without_modifiers(btf, of).is_some() => {
            ctype::declare(btf, Some(of.into()), None, &mut out)?;
        }
        _ => return Ok(None),
    }
    Ok(Some(out))
}
