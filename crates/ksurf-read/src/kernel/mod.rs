//! A kernel's images joined: one numbering of functions and instances, calls across images resolved.

mod offers;
mod types;

use crate::btf::Btf;
use crate::extract::Unreadable;
use crate::image::{FunctionRow, ImageRows, Place};
use crate::numbered::Numbered;
pub use offers::{BtfIds, Exports, Syscalls, TracepointFields, Tracepoints};
use rustc_hash::FxHashMap;
pub use types::{DefinitionTables, Nullable, RawBtf, TypeUses, Types};

/// The tables of one kernel, column by column; ids are row numbers. `docs/tables/` says what each means.
#[derive(Debug, Default)]
pub struct Kernel {
    pub images: Images,
    pub units: Units,
    pub functions: Functions,
    pub instances: Instances,
    pub call_sites: CallSites,
    pub symbols: Symbols,
    pub types: Types,
    pub type_uses: TypeUses,
    pub definitions: DefinitionTables,
    pub tracepoints: Tracepoints,
    pub tracepoint_fields: TracepointFields,
    pub syscalls: Syscalls,
    pub exports: Exports,
    pub btf_ids: BtfIds,
    pub btf: RawBtf,
    /// Source paths that other columns number.
    pub paths: Numbered,
    /// Section names that other columns number.
    pub sections: Numbered,
}

#[derive(Debug, Default)]
pub struct Images {
    pub name: Vec<String>,
    pub path: Vec<String>,
    pub build_id: Vec<Option<String>>,
    pub evidence: Vec<&'static str>,
}

#[derive(Debug, Default)]
pub struct Units {
    pub image: Vec<i32>,
    pub path: Vec<String>,
    pub language: Vec<Option<String>>,
    pub producer: Vec<Option<String>>,
}

#[derive(Debug, Default)]
pub struct Functions {
    pub name: Vec<String>,
    pub linkage_name: Vec<Option<String>>,
    pub decl_file: Vec<Option<i32>>,
    pub decl_line: Vec<Option<i32>>,
    pub external: Vec<Option<bool>>,
    pub declared_inline: Vec<Option<bool>>,
    pub prototype: Vec<Option<String>>,
}

#[derive(Debug, Default)]
pub struct Instances {
    pub function: Vec<i32>,
    pub image: Vec<i32>,
    pub unit: Vec<Option<i32>>,
    pub inlined: Vec<Option<bool>>,
    pub out_of_line: Vec<bool>,
    pub address: Vec<Option<u64>>,
    pub byte_size: Vec<Option<u64>>,
    pub section: Vec<Option<i32>>,
    pub inline_address: Vec<Option<u64>>,
}

#[derive(Debug, Default)]
pub struct CallSites {
    pub caller: Vec<i32>,
    pub depth: Vec<i32>,
    pub callee: Vec<i32>,
    pub callee_instance: Vec<Option<i32>>,
    pub inline: Vec<bool>,
    pub file: Vec<Option<i32>>,
    pub line: Vec<Option<i32>>,
}

#[derive(Debug, Default)]
pub struct Symbols {
    pub name: Vec<String>,
    pub function: Vec<i32>,
    pub instance: Vec<Option<i32>>,
    pub image: Vec<i32>,
    pub section: Vec<Option<i32>>,
    pub address: Vec<u64>,
    pub byte_size: Vec<Option<u64>>,
    pub bind: Vec<&'static str>,
    pub kind: Vec<&'static str>,
    pub ftrace: Vec<Option<bool>>,
    pub kprobe_blacklist: Vec<Option<&'static str>>,
    pub error_injection: Vec<Option<&'static str>>,
    pub init: Vec<bool>,
}

/// Joins images, vmlinux first and then modules by path, whatever order they come in. Parts of an image that
/// turn out to be unreadable are listed beside.
pub fn join(images: Vec<ImageRows>) -> (Kernel, Vec<Unreadable>) {
    join_on(images, None)
}

/// The same for modules whose vmlinux is not among the images: `base` is its BTF.
pub fn join_on(mut images: Vec<ImageRows>, base: Option<&Btf<'_>>) -> (Kernel, Vec<Unreadable>) {
    images.sort_by(|a, b| (a.name != "vmlinux", &a.path).cmp(&(b.name != "vmlinux", &b.path)));
    let mut paths = Numbered::default();
    let mut sections = Numbered::default();
    let image_paths: Vec<Vec<u32>> =
        images.iter().map(|i| i.paths.iter().map(|p| paths.add(p)).collect()).collect();
    let image_sections: Vec<Vec<u32>> =
        images.iter().map(|i| i.sections.iter().map(|s| sections.add(s)).collect()).collect();

    let (functions, function_numbers) = join_functions(&mut images, &image_paths, &paths);
    let (instances, instance_numbers, unit_starts) =
        join_instances(&images, &function_numbers, &image_sections);
    let mut kernel = Kernel { functions, instances, ..Kernel::default() };
    kernel.call_sites = join_sites(&images, &function_numbers, &instance_numbers, &image_paths);
    kernel.symbols = join_symbols(&mut images, &function_numbers, &instance_numbers, &image_sections);
    debug_assert_eq!(unit_starts.len(), images.len());
    // Sets are named by the BTF, which the joining of types takes away.
    let mut incomplete = offers::join(&mut images, base, &mut kernel);
    incomplete.extend(types::join(&mut images, base, &mut kernel));
    for (number, image) in images.into_iter().enumerate() {
        for unit in image.units {
            kernel.units.image.push(number as i32);
            kernel.units.path.push(unit.path);
            kernel.units.language.push(unit.language);
            kernel.units.producer.push(unit.producer);
        }
        kernel.images.name.push(image.name);
        kernel.images.path.push(image.path);
        kernel.images.build_id.push(image.build_id);
        kernel.images.evidence.push(image.evidence.as_str());
    }
    kernel.paths = paths;
    kernel.sections = sections;
    (kernel, incomplete)
}

/// That a part of an image is missing, and why.
fn incomplete(image: &ImageRows, reason: String) -> Unreadable {
    Unreadable { name: image.name.clone(), path: image.path.clone(), reason }
}

/// A function of the kernel: the same declaration with the same prototype is the same function.
#[derive(PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Function {
    name: String,
    decl_file: Option<u32>,
    decl_line: Option<u32>,
    linkage_name: Option<String>,
    external: Option<bool>,
    prototype: Option<String>,
}

fn join_functions(
    images: &mut [ImageRows],
    image_paths: &[Vec<u32>],
    paths: &Numbered,
) -> (Functions, Vec<Vec<u32>>) {
    let mut numbers: FxHashMap<Function, u32> = FxHashMap::default();
    let mut declared_inline: Vec<Option<bool>> = Vec::new();
    // The external definition that a name means outside the image that has it; vmlinux comes first and wins.
    let mut externals: FxHashMap<String, u32> = FxHashMap::default();
    let mut by_image: Vec<Vec<u32>> = images.iter().map(|i| Vec::with_capacity(i.functions.len())).collect();
    for defined in [true, false] {
        for (image_number, image) in images.iter_mut().enumerate() {
            let known = &mut by_image[image_number];
            for (index, row) in image.functions.iter_mut().enumerate() {
                if known.len() <= index {
                    known.push(u32::MAX);
                }
                if row.defined != defined {
                    continue;
                }
                if !defined {
                    if let Some(&number) = externals.get(&row.name) {
                        known[index] = number;
                        continue;
                    }
                }
                let inline = row.declared_inline;
                let function = take(row, &image_paths[image_number]);
                let link = (function.external != Some(false))
                    .then(|| function.linkage_name.clone().unwrap_or_else(|| function.name.clone()));
                let next = numbers.len() as u32;
                let number = *numbers.entry(function).or_insert(next);
                if number == next {
                    declared_inline.push(inline);
                } else if inline == Some(true) {
                    declared_inline[number as usize] = inline;
                }
                known[index] = number;
                if let Some(name) = link {
                    externals.entry(name).or_insert(number);
                }
            }
        }
    }
    let mut order: Vec<(Function, u32)> = numbers.into_iter().collect();
    let path = |file: Option<u32>| file.map(|f| paths.get(f));
    order.sort_unstable_by(|(a, _), (b, _)| {
        (&a.name, path(a.decl_file), a.decl_line, &a.linkage_name, a.external, &a.prototype).cmp(&(
            &b.name,
            path(b.decl_file),
            b.decl_line,
            &b.linkage_name,
            b.external,
            &b.prototype,
        ))
    });
    let mut position = vec![0u32; order.len()];
    let mut out = Functions::default();
    for (row, (function, number)) in order.into_iter().enumerate() {
        position[number as usize] = row as u32;
        out.name.push(function.name);
        out.linkage_name.push(function.linkage_name);
        out.decl_file.push(function.decl_file.map(|f| f as i32));
        out.decl_line.push(function.decl_line.map(|l| l as i32));
        out.external.push(function.external);
        out.declared_inline.push(declared_inline[number as usize]);
        out.prototype.push(function.prototype);
    }
    for number in by_image.iter_mut().flatten() {
        *number = position[*number as usize];
    }
    (out, by_image)
}

fn take(row: &mut FunctionRow, paths: &[u32]) -> Function {
    Function {
        name: std::mem::take(&mut row.name),
        linkage_name: row.linkage_name.take(),
        decl_file: row.decl_file.map(|f| paths[f as usize]),
        decl_line: row.decl_line,
        external: row.external,
        prototype: row.prototype.take(),
    }
}

fn join_instances(
    images: &[ImageRows],
    functions: &[Vec<u32>],
    sections: &[Vec<u32>],
) -> (Instances, Vec<Vec<u32>>, Vec<u32>) {
    let mut unit_starts = Vec::with_capacity(images.len());
    let mut units = 0u32;
    let mut order: Vec<(u32, u32, u32, u32)> = Vec::new();
    for (image_number, image) in images.iter().enumerate() {
        unit_starts.push(units);
        for (index, row) in image.instances.iter().enumerate() {
            let function = functions[image_number][row.function as usize];
            let unit = row.unit.map_or(u32::MAX, |unit| units + unit);
            order.push((function, image_number as u32, unit, index as u32));
        }
        units += image.units.len() as u32;
    }
    order.sort_unstable();
    let mut numbers: Vec<Vec<u32>> = images.iter().map(|i| vec![0; i.instances.len()]).collect();
    let mut out = Instances::default();
    let absolute = |place: Option<Place>| place.map(|p| p.address);
    for (id, (function, image, unit, index)) in order.into_iter().enumerate() {
        numbers[image as usize][index as usize] = id as u32;
        let row = &images[image as usize].instances[index as usize];
        let place = row.place.or(row.inline_place);
        out.function.push(function as i32);
        out.image.push(image as i32);
        out.unit.push((unit != u32::MAX).then_some(unit as i32));
        out.inlined.push(row.inlined);
        out.out_of_line.push(row.out_of_line);
        out.address.push(absolute(row.place));
        out.byte_size.push(row.size);
        out.section.push(place.and_then(|p| p.section).map(|s| sections[image as usize][s as usize] as i32));
        out.inline_address.push(absolute(row.inline_place));
    }
    (out, numbers, unit_starts)
}

fn join_sites(
    images: &[ImageRows],
    functions: &[Vec<u32>],
    instances: &[Vec<u32>],
    paths: &[Vec<u32>],
) -> CallSites {
    let mut out = CallSites::default();
    let count = images.iter().map(|i| i.sites.len()).sum();
    out.caller.reserve(count);
    out.depth.reserve(count);
    out.callee.reserve(count);
    out.callee_instance.reserve(count);
    out.inline.reserve(count);
    out.file.reserve(count);
    out.line.reserve(count);
    for (number, image) in images.iter().enumerate() {
        for site in &image.sites {
            out.caller.push(instances[number][site.caller as usize] as i32);
            out.depth.push(site.depth.into());
            out.callee.push(functions[number][site.callee as usize] as i32);
            out.callee_instance.push(site.callee_instance.map(|i| instances[number][i as usize] as i32));
            out.inline.push(site.inline);
            out.file.push(site.file.map(|f| paths[number][f as usize] as i32));
            out.line.push((site.line != 0).then_some(site.line as i32));
        }
    }
    out
}

fn join_symbols(
    images: &mut [ImageRows],
    functions: &[Vec<u32>],
    instances: &[Vec<u32>],
    sections: &[Vec<u32>],
) -> Symbols {
    let mut order: Vec<(u32, u32)> = Vec::new();
    for (number, image) in images.iter().enumerate() {
        order.extend((0..image.symbols.len() as u32).map(|index| (number as u32, index)));
    }
    let of = |(image, index): (u32, u32)| &images[image as usize].symbols[index as usize];
    order.sort_unstable_by(|&a, &b| {
        (&of(a).name, a.0, of(a).place.address, a.1).cmp(&(&of(b).name, b.0, of(b).place.address, b.1))
    });
    // A module's own number of its few functions tell less than vmlinux, which comes first.
    let error_types = images.iter().find_map(|image| image.error_types);
    let mut out = Symbols::default();
    for (image, index) in order {
        let row = &mut images[image as usize].symbols[index as usize];
        let image = image as usize;
        out.name.push(std::mem::take(&mut row.name));
        out.function.push(functions[image][row.function as usize] as i32);
        out.instance.push(row.instance.map(|i| instances[image][i as usize] as i32));
        out.image.push(image as i32);
        out.section.push(row.place.section.map(|s| sections[image][s as usize] as i32));
        out.address.push(row.place.address);
        out.byte_size.push(row.size);
        out.bind.push(row.bind);
        out.kind.push(row.kind);
        out.ftrace.push(row.facts.ftrace);
        out.kprobe_blacklist.push(row.facts.kprobe_blacklist);
        let error = row.facts.error_injection;
        out.error_injection.push(error.and_then(|number| error_types?.name(number)));
        out.init.push(row.facts.init);
    }
    out
}
