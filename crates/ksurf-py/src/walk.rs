//! What of eBPF objects is reached on a kernel, as an Arrow table.

use crate::core::{read, stream, Bytes};
use crate::tables::{optional, optional_integers, required, table, Table};
use crate::ArrowStream;
use arrow_array::builder::{Int32Builder, ListBuilder};
use arrow_array::{BooleanArray, Int32Array};
use arrow_schema::ArrowError;
use ksurf_read::bpf::core::{resolve, Target};
use ksurf_read::bpf::object::Object;
use ksurf_read::bpf::reach::{reach, Facts, Relocated, Site, Thing};
use ksurf_read::btf::Btf;
use ksurf_read::error::{At, Result};
use pyo3::prelude::*;
use rayon::prelude::*;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

fn sites(data: &[u8], target: &Target<'_>, facts: &Facts) -> Result<Vec<Site>> {
    let object = Object::read(data)?;
    read(data, |_, btf, list| {
        let outcomes = resolve(btf, list, target);
        let relocated: Vec<Relocated<'_>> = list
            .iter()
            .zip(&outcomes)
            .map(|(relocation, outcome)| Relocated {
                section: relocation.section,
                byte_offset: relocation.offset,
                patched: outcome.patched.as_ref().map(|patched| patched.bytes.as_slice()),
                poisoned: outcome.patched.as_ref().is_some_and(|patched| patched.poisoned),
            })
            .collect();
        reach(data, &object, &relocated, facts)
    })
}

fn relocation(thing: Thing) -> Option<i32> {
    match thing {
        Thing::Relocation(number) => Some(number as i32),
        _ => None,
    }
}

fn external(thing: Thing) -> Option<i32> {
    match thing {
        Thing::Extern(number) => Some(number as i32),
        _ => None,
    }
}

fn helper(thing: Thing) -> Option<i32> {
    match thing {
        Thing::Helper(number) => Some(number),
        _ => None,
    }
}

fn load(thing: Thing) -> Option<i32> {
    match thing {
        Thing::Load(number) => Some(number as i32),
        _ => None,
    }
}

fn sites_table(
    objects: &[&[u8]],
    vmlinux: &[u8],
    modules: Vec<(&str, &[u8])>,
    facts: &Facts,
) -> Result<std::result::Result<Table, ArrowError>> {
    let btf = Btf::parse(vmlinux, None).at("vmlinux")?;
    let target = Target::new(&btf, modules);
    let found: Vec<Result<Vec<Site>>> = objects.par_iter().map(|data| sites(data, &target, facts)).collect();
    let mut rows: Vec<(i32, Site)> = Vec::new();
    for (number, sites) in (0..).zip(found) {
        rows.extend(sites.at(format!("object {number}"))?.into_iter().map(|site| (number, site)));
    }
    Ok(sites_columns(&rows))
}

fn sites_columns(rows: &[(i32, Site)]) -> std::result::Result<Table, ArrowError> {
    let numbers = |of: &dyn Fn(&Site) -> u32| {
        Arc::new(Int32Array::from_iter_values(rows.iter().map(|(_, site)| of(site) as i32)))
    };
    let things = |of: fn(Thing) -> Option<i32>| {
        optional_integers(rows.iter().map(|(_, site)| of(site.thing)).collect())
    };
    let flags = |of: &dyn Fn(&Site) -> bool| {
        Arc::new(BooleanArray::from_iter(rows.iter().map(|(_, site)| Some(of(site)))))
    };
    // the nearest branch, and what decides it; of what is refused, what decides all of one path
    let guard = |of: fn(&Site) -> Option<u32>| {
        optional_integers(rows.iter().map(|(_, site)| of(site).map(|number| number as i32)).collect())
    };
    let causes = |of: fn(Thing) -> Option<i32>| {
        let mut lists = ListBuilder::new(Int32Builder::new());
        for (_, site) in rows {
            let count = if site.refused { site.guards.len() } else { 1 };
            for guard in site.guards.iter().take(count) {
                lists.values().extend(guard.causes.iter().filter_map(|&thing| of(thing)).map(Some));
            }
            lists.append(true);
        }
        Arc::new(lists.finish())
    };
    table(
        "core_sites",
        vec![
            required(
                "object",
                Arc::new(Int32Array::from_iter_values(rows.iter().map(|(object, _)| *object))),
            ),
            required("program", numbers(&|site| site.program)),
            required("function", numbers(&|site| site.place.program)),
            required("instruction", numbers(&|site| site.place.instruction)),
            optional("relocation", things(relocation)),
            optional("extern", things(external)),
            optional("helper", things(helper)),
            optional("load", things(load)),
            required("reached", flags(&|site| site.reached)),
            required("used", flags(&|site| site.used)),
            required("refused", flags(&|site| site.refused)),
            optional("guard_function", guard(|site| site.guards.first().map(|guard| guard.branch.program))),
            optional(
                "guard_instruction",
                guard(|site| site.guards.first().map(|guard| guard.branch.instruction)),
            ),
            required("guard_relocations", causes(relocation)),
            required("guard_externs", causes(external)),
        ],
    )
}

#[pyfunction]
#[pyo3(signature = (objects, vmlinux_btf, module_btfs, *, kconfig = None, symbols = None))]
pub fn core_walk(
    py: Python<'_>,
    objects: Vec<Bytes>,
    vmlinux_btf: Bytes,
    module_btfs: Vec<(String, Bytes)>,
    kconfig: Option<HashMap<String, Option<String>>>,
    symbols: Option<HashMap<String, bool>>,
) -> PyResult<ArrowStream> {
    let facts = Facts {
        kconfig: kconfig.map(|options| options.into_iter().collect()),
        symbols: symbols.into_iter().flatten().collect(),
    };
    stream(py, || {
        let objects: Vec<&[u8]> = objects.iter().map(Deref::deref).collect();
        let modules = module_btfs.iter().map(|(name, btf)| (name.as_str(), &**btf)).collect();
        sites_table(&objects, &vmlinux_btf, modules, &facts)
    })
}
