//! An image's DWARF and symbol table, put into rows.

use super::{
    module_name, Evidence, FunctionRow, ImageRows, InstanceRow, Place, PlacedSymbol, SiteRow, UnitRow,
};
use crate::dwarf::{self, Sections, Target, Unit, NONE};
use crate::elf::{text, Image, Memory, ET_REL};
use crate::error::{Error, Result};
use crate::ikconfig;
use crate::surface::code::Code;
use rayon::prelude::*;
use rustc_hash::FxHashMap;

/// A function is one by these.
#[derive(PartialEq, Eq, Hash)]
struct Key<'a> {
    name: &'a [u8],
    linkage_name: Option<&'a [u8]>,
    decl_file: Option<u32>,
    decl_line: Option<u32>,
    external: bool,
}

/// Where the inlined copies of an instance are.
#[derive(Clone, Copy, Default)]
struct Copies {
    inside: bool,
    outside: bool,
}

pub(super) struct Builder<'i> {
    image: &'i Image,
    pub(super) rows: ImageRows,
    section_numbers: FxHashMap<String, u32>,
    /// Instances by the addresses of their out-of-line code.
    by_address: FxHashMap<u64, Vec<u32>>,
}

impl<'i> Builder<'i> {
    pub(super) fn new(image: &'i Image) -> Builder<'i> {
        Builder {
            image,
            rows: ImageRows::empty("", "", Evidence::Symtab),
            section_numbers: FxHashMap::default(),
            by_address: FxHashMap::default(),
        }
    }

    fn place(&mut self, address: u64) -> Place {
        if self.image.kind != ET_REL {
            return Place { section: None, address };
        }
        let Some((section, offset)) = self.image.place(address) else {
            return Place { section: None, address };
        };
        let number = match self.section_numbers.get(&section.name) {
            Some(&number) => number,
            None => {
                let number = self.rows.sections.len() as u32;
                self.rows.sections.push(section.name.clone());
                self.section_numbers.insert(section.name.clone(), number);
                number
            }
        };
        Place { section: Some(number), address: offset }
    }

    fn symbols(&mut self, evidence: Evidence, memory: &Memory<'_>) -> Result<()> {
        let symbols = self.image.code_symbols()?;
        let code = Code::of(memory);
        self.rows.error_types = code.error_types(memory);
        self.rows.evidence = evidence;
        let placed = symbols
            .into_iter()
            .map(|s| PlacedSymbol {
                place: self.place(s.address),
                facts: code.facts(s.address, s.size),
                name: s.name,
                address: s.address,
                size: Some(s.size),
                bind: s.bind,
                kind: s.kind,
            })
            .collect();
        self.rows.add_symbols(placed, &self.by_address);
        Ok(())
    }

    pub(super) fn finish(
        mut self,
        kind: &str,
        path: &str,
        evidence: Evidence,
        memory: &Memory<'_>,
    ) -> Result<ImageRows> {
        self.symbols(evidence, memory)?;
        self.rows.drop_removed();
        let (image, mut rows) = (self.image, self.rows);
        if rows.functions.is_empty() && kind == "vmlinux" {
            return Err(Error::not_a_kernel("it has no DWARF, no BTF and no symbols of functions"));
        }
        rows.name = match kind {
            "module" => image.modinfo("name").unwrap_or_else(|| module_name(path)),
            kind => kind.to_owned(),
        };
        path.clone_into(&mut rows.path);
        rows.build_id = image.build_id();
        rows.release = image.release();
        let banner = memory.address_of("linux_banner").and_then(|address| memory.string(address));
        rows.banner = banner.map(|banner| text(banner.trim_ascii()));
        match ikconfig::find(image.bytes(".rodata")) {
            Some(Ok(config)) => rows.config = Some(config),
            Some(Err(error)) => rows.surface.incomplete.push(format!("configuration: {error}")),
            None => {}
        }
        rows.machine = image.machine_name();
        Ok(rows)
    }

    pub(super) fn dwarf(&mut self, sections: &Sections<'_>, units: &[Unit<'_>]) -> Result<()> {
        let mut path_numbers: FxHashMap<&str, u32> = FxHashMap::default();
        let mut function_numbers: FxHashMap<Key<'_>, u32> = FxHashMap::default();
        // Per unit: paths and functions of the unit -> numbers of the image.
        let mut unit_paths: Vec<Vec<u32>> = Vec::with_capacity(units.len());
        let mut instances: Vec<Vec<u32>> = Vec::with_capacity(units.len());
        // Per function of the image: the unit and the DIE that its prototype is read from.
        let mut origins: Vec<(u32, usize)> = Vec::new();
        for (unit_number, unit) in units.iter().enumerate() {
            self.rows.units.push(UnitRow {
                path: unit.path.clone(),
                language: unit.language.clone(),
                producer: unit.producer.map(text),
            });
            let paths: Vec<u32> = unit
                .paths
                .iter()
                .map(|path| {
                    *path_numbers.entry(path).or_insert_with(|| {
                        self.rows.paths.push(path.clone());
                        self.rows.paths.len() as u32 - 1
                    })
                })
                .collect();
            let mut numbers = vec![NONE; unit.functions.len()];
            for (index, function) in unit.functions.iter().enumerate() {
                if !function.defined || function.name.is_empty() {
                    continue;
                }
                let decl_file = paths.get(function.decl_file as usize).copied();
                let key = Key {
                    name: &function.name,
                    linkage_name: function.linkage_name,
                    decl_file,
                    decl_line: function.decl_line,
                    external: function.external,
                };
                let declared_inline = matches!(function.inline, Some(2 | 3));
                let number = *function_numbers.entry(key).or_insert_with(|| {
                    origins.push((unit_number as u32, function.offset));
                    self.rows.functions.push(FunctionRow {
                        name: text(&function.name),
                        linkage_name: function.linkage_name.map(text),
                        decl_file,
                        decl_line: function.decl_line,
                        external: Some(function.external),
                        declared_inline: Some(false),
                        prototype: None,
                        defined: true,
                    });
                    self.rows.functions.len() as u32 - 1
                });
                if declared_inline {
                    self.rows.functions[number as usize].declared_inline = Some(true);
                }
                numbers[index] = self.rows.instances.len() as u32;
                let inline_place = function.inline_address.map(|address| self.place(address));
                self.rows.instances.push(InstanceRow {
                    function: number,
                    unit: Some(unit_number as u32),
                    inlined: Some(matches!(function.inline, Some(1 | 3)) || inline_place.is_some()),
                    out_of_line: false,
                    place: None,
                    size: None,
                    inline_place,
                });
            }
            unit_paths.push(paths);
            instances.push(numbers);
        }
        drop(function_numbers);
        let resolve = |target: Target, unit: usize| -> Option<(usize, u32)> {
            match target {
                Target::Here(index) => Some((unit, index)),
                Target::Elsewhere(offset) => {
                    let other = units.partition_point(|u| u.header.offset <= offset).checked_sub(1)?;
                    Some((other, *units[other].by_offset.get(&offset)?))
                }
            }
        };
        for (unit_number, unit) in units.iter().enumerate() {
            for (index, function) in unit.functions.iter().enumerate() {
                for code in &function.code {
                    self.has_code(instances[unit_number][index], *code);
                }
            }
            for (offset, code) in &unit.code_elsewhere {
                if let Some((other, index)) = resolve(Target::Elsewhere(*offset), unit_number) {
                    self.has_code(instances[other][index as usize], *code);
                }
            }
        }
        self.sites(units, &unit_paths, &instances, resolve);
        self.prototypes(sections, units, &origins)
    }

    fn has_code(&mut self, instance: u32, code: dwarf::Code) {
        if instance == NONE {
            return;
        }
        self.by_address.entry(code.address).or_default().push(instance);
        let place = self.place(code.address);
        let row = &mut self.rows.instances[instance as usize];
        row.out_of_line = true;
        // Of several copies the lowest stands for all, until the symbol of the plain name says which.
        if row.place.is_none_or(|known| known.section == place.section && place.address < known.address) {
            (row.place, row.size) = (Some(place), Some(code.size));
        }
    }

    fn sites(
        &mut self,
        units: &[Unit<'_>],
        unit_paths: &[Vec<u32>],
        instances: &[Vec<u32>],
        resolve: impl Fn(Target, usize) -> Option<(usize, u32)>,
    ) {
        // What a name means to a unit that only declares it: the external definition, if the image has one.
        let mut externals: FxHashMap<String, u32> = FxHashMap::default();
        for (number, function) in self.rows.functions.iter().enumerate() {
            if function.external == Some(true) {
                let name = function.linkage_name.as_ref().unwrap_or(&function.name);
                externals.entry(name.clone()).or_insert(number as u32);
            }
        }
        self.rows.sites.reserve(units.iter().map(|u| u.sites.len()).sum());
        // GCC splits a function and may put the part back where it was: a copy inside of itself, which no
        // caller knows of.
        let mut copies = vec![Copies::default(); self.rows.instances.len()];
        for (unit_number, unit) in units.iter().enumerate() {
            let mut declared: FxHashMap<u32, u32> = FxHashMap::default();
            for site in &unit.sites {
                let Some((caller_unit, caller)) = resolve(site.caller, unit_number) else { continue };
                let caller = instances[caller_unit][caller as usize];
                let Some((callee_unit, callee)) = resolve(site.callee, unit_number) else { continue };
                if caller == NONE {
                    continue;
                }
                let instance = instances[callee_unit][callee as usize];
                if site.inline && instance != NONE {
                    let copies = &mut copies[instance as usize];
                    *(if instance == caller { &mut copies.inside } else { &mut copies.outside }) = true;
                }
                let (callee, callee_instance) = if instance != NONE {
                    let elsewhere = callee_unit != caller_unit;
                    (self.rows.instances[instance as usize].function, elsewhere.then_some(instance))
                } else {
                    let rows = &mut self.rows;
                    let number = *declared.entry(callee).or_insert_with(|| {
                        let function = &units[callee_unit].functions[callee as usize];
                        let name = text(function.linkage_name.unwrap_or(&function.name));
                        *externals.entry(name).or_insert_with_key(|name| {
                            rows.functions.push(FunctionRow {
                                name: name.clone(),
                                linkage_name: None,
                                decl_file: unit_paths[callee_unit].get(function.decl_file as usize).copied(),
                                decl_line: function.decl_line,
                                external: Some(true),
                                declared_inline: None,
                                prototype: None,
                                defined: false,
                            });
                            rows.functions.len() as u32 - 1
                        })
                    });
                    (number, None)
                };
                self.rows.sites.push(SiteRow {
                    caller,
                    callee,
                    callee_instance,
                    depth: site.depth,
                    inline: site.inline,
                    file: unit_paths[unit_number].get(site.file as usize).copied(),
                    line: site.line,
                });
            }
        }
        for (row, copies) in self.rows.instances.iter_mut().zip(copies) {
            if copies.inside && !copies.outside {
                row.inlined = Some(false);
            }
        }
    }

    fn prototypes(
        &mut self,
        sections: &Sections<'_>,
        units: &[Unit<'_>],
        origins: &[(u32, usize)],
    ) -> Result<()> {
        let mut runs: Vec<&[(u32, usize)]> = Vec::new();
        // Functions are numbered as the units are read, so those of one unit stand together.
        runs.extend(origins.chunk_by(|a, b| a.0 == b.0));
        let texts: Vec<Vec<String>> = runs
            .par_iter()
            .map(|run| {
                let prototypes = sections.types(units[run[0].0 as usize].header)?;
                // A type that is out of reach (in another unit, with link-time optimisation) costs its prototype.
                Ok(run.iter().map(|(_, offset)| prototypes.of(*offset).unwrap_or_default()).collect())
            })
            .collect::<Result<_>>()?;
        for (function, prototype) in self.rows.functions.iter_mut().zip(texts.into_iter().flatten()) {
            function.prototype = (!prototype.is_empty()).then_some(prototype);
        }
        Ok(())
    }
}
