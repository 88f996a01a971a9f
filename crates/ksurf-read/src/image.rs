//! One image as rows: its DWARF, or its BTF, and its symbol table brought together.

use crate::btf::Btf;
use crate::dwarf::{self, Sections, Target, Unit, NONE};
use crate::elf::{text, Buffer, Image, Memory, ET_REL};
use crate::error::{Error, Result};
use crate::ikconfig;
use crate::surface::code::{Code, CodeFacts, ErrorTypes};
use crate::surface::definition::Types;
use crate::surface::from_dwarf::{self, Known};
use crate::surface::layout::{Layouts, NoLayouts};
use crate::surface::Surface;
use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::atomic::AtomicBool;

/// Where the rows of an image come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    Dwarf,
    Btf,
    Symtab,
}

impl Evidence {
    /// The value of the column.
    pub fn as_str(self) -> &'static str {
        match self {
            Evidence::Dwarf => "dwarf",
            Evidence::Btf => "btf",
            Evidence::Symtab => "symtab",
        }
    }
}

/// A compile unit.
#[derive(Debug)]
pub struct UnitRow {
    pub path: String,
    pub language: Option<String>,
    pub producer: Option<String>,
}

/// A function by its declaration, as far as this image knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionRow {
    pub name: String,
    pub linkage_name: Option<String>,
    /// Number in [`ImageRows::paths`].
    pub decl_file: Option<u32>,
    pub decl_line: Option<u32>,
    pub external: Option<bool>,
    pub declared_inline: Option<bool>,
    pub prototype: Option<String>,
    /// False for what is called here and defined in another image.
    pub defined: bool,
}

/// A place in memory: a section of a module and an offset in it, or an address of vmlinux.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Number in [`ImageRows::sections`]; `None` where addresses are absolute.
    pub section: Option<u32>,
    pub address: u64,
}

/// A compiled definition. Functions and units are numbers in this image.
#[derive(Debug)]
pub struct InstanceRow {
    pub function: u32,
    pub unit: Option<u32>,
    pub inlined: Option<bool>,
    pub out_of_line: bool,
    pub place: Option<Place>,
    pub size: Option<u64>,
    pub inline_place: Option<Place>,
}

/// A call, in the order of the code.
#[derive(Debug, Clone, Copy)]
pub struct SiteRow {
    pub caller: u32,
    pub callee: u32,
    /// Only where the caller's unit and the callee do not tell it.
    pub callee_instance: Option<u32>,
    pub depth: u16,
    pub inline: bool,
    pub file: Option<u32>,
    pub line: u32,
}

/// A symbol of code.
#[derive(Debug)]
pub struct SymbolRow {
    pub name: String,
    pub function: u32,
    pub instance: Option<u32>,
    pub place: Place,
    pub size: Option<u64>,
    pub bind: &'static str,
    pub kind: &'static str,
    pub facts: CodeFacts,
}

/// What an image tells of types.
#[derive(Debug)]
pub enum TypeSource {
    /// A `.BTF`, which for a module can only be read with that of vmlinux: see [`crate::surface::from_btf`].
    Btf(Vec<u8>),
    /// The same on a `.BTF.base`, which a module that was built outside of the kernel brings along.
    Distilled {
        base: Vec<u8>,
        own: Vec<u8>,
    },
    /// Types that were read, from DWARF.
    Read(Box<Types>),
    Nothing,
}

impl TypeSource {
    /// The `.BTF` of an image, whose content is `own`.
    pub fn of_btf(image: &Image, own: &[u8]) -> TypeSource {
        match image.section(".BTF.base").map(|section| image.section_bytes(section).to_vec()) {
            Some(base) => TypeSource::Distilled { base, own: own.to_vec() },
            None => TypeSource::Btf(own.to_vec()),
        }
    }
}

/// Everything that one image tells.
#[derive(Debug)]
pub struct ImageRows {
    /// `vmlinux`, or the module's name as `lsmod` prints it.
    pub name: String,
    /// Where the image was found.
    pub path: String,
    pub build_id: Option<String>,
    pub release: Option<String>,
    pub machine: Option<&'static str>,
    pub evidence: Evidence,
    pub paths: Vec<String>,
    pub sections: Vec<String>,
    pub units: Vec<UnitRow>,
    pub functions: Vec<FunctionRow>,
    pub instances: Vec<InstanceRow>,
    pub sites: Vec<SiteRow>,
    pub symbols: Vec<SymbolRow>,
    /// How the facts of symbols number the types of errors, as far as this image tells.
    pub error_types: Option<ErrorTypes>,
    pub surface: Surface,
    pub types: TypeSource,
    /// What the kernel says of its own making: `Linux version ... (gcc ...) #1 SMP ...` (init/version.c).
    pub banner: Option<String>,
    /// The configuration that a kernel with `CONFIG_IKCONFIG` carries, as text.
    pub config: Option<Vec<u8>>,
}

/// Whether an ELF file is the kernel, one of its modules, or neither.
pub fn kind_of(image: &Image) -> Option<&'static str> {
    let section = |name| image.section(name).is_some();
    if image.kind == ET_REL {
        return (section(".gnu.linkonce.this_module") || section(".modinfo")).then_some("module");
    }
    (section("__ksymtab")
        || section("__ksymtab_strings")
        || section(".init.text")
        || image.release().is_some())
    .then_some("vmlinux")
}

/// The name of a module from its file name: `drivers/net/veth-x.ko.xz` is `veth_x`.
pub fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    let stem = file.find(".ko").map_or(file, |end| &file[..end]);
    stem.replace('-', "_")
}

/// The function that a symbol was made from: its name up to the first suffix (`.isra.0`, `.cold`, `.llvm.1`).
pub fn stem(symbol: &str) -> &str {
    // The dots that begin a name are none: ppc64's ELFv1 calls the code of `f` `.f`.
    let body = symbol.trim_start_matches('.');
    match body.find('.') {
        Some(end) if end > 0 => &body[..end],
        _ => body,
    }
}

/// What came of an ELF file.
pub enum Outcome {
    /// The image's rows.
    Rows(Box<ImageRows>),
    /// A module without DWARF, whose BTF cannot be read without that of vmlinux: see [`read_with_base`].
    NeedsBase(Buffer),
    /// A readable ELF file that is neither vmlinux nor a module.
    Other,
}

/// Reads one image. `known` is for all images of a kernel.
pub fn read(data: Buffer, path: &str, known: &Known, cancelled: &AtomicBool) -> Result<Outcome> {
    let image = Image::parse(data)?;
    let Some(kind) = kind_of(&image) else { return Ok(Outcome::Other) };
    let memory = Memory::of(&image)?;
    let mut builder = Builder::new(&image);
    let btf = image.section(".BTF").map(|s| image.section_bytes(s));
    let sections = Sections::of(&image);
    let evidence = if let Some(sections) = &sections {
        let units = sections.read(cancelled)?;
        builder.dwarf(sections, &units)?;
        Evidence::Dwarf
    } else {
        match btf {
            Some(_) if kind == "module" => {
                drop((memory, builder));
                return Ok(Outcome::NeedsBase(image.into_data()));
            }
            Some(bytes) => {
                builder.rows.add_btf(&Btf::parse(bytes, None)?)?;
                Evidence::Btf
            }
            None => Evidence::Symtab,
        }
    };
    // vmlinux's BTF is quicker to look into than its DWARF; a module's own lies behind a base that may not
    // have been read yet.
    let own = btf.filter(|_| kind == "vmlinux").and_then(|bytes| Btf::parse(bytes, None).ok());
    let layouts: &dyn Layouts = match (&own, &sections) {
        (Some(btf), _) => btf,
        (None, Some(sections)) => sections,
        (None, None) => &NoLayouts,
    };
    builder.rows.surface = Surface::read(&memory, layouts);
    let mut rows = builder.finish(kind, path, evidence, &memory)?;
    // Last: what is known of one image's types others rely on.
    rows.types = match (btf, &sections) {
        (Some(bytes), _) => TypeSource::of_btf(&image, bytes),
        (None, Some(sections)) => TypeSource::Read(Box::new(from_dwarf::read(sections, known, cancelled)?)),
        (None, None) => TypeSource::Nothing,
    };
    Ok(Outcome::Rows(Box::new(rows)))
}

/// Reads a module that has no DWARF, by its BTF if `base`, vmlinux's, is known, else by its symbols.
pub fn read_with_base(data: Buffer, path: &str, base: Option<&Btf>) -> Result<ImageRows> {
    let image = Image::parse(data)?;
    let memory = Memory::of(&image)?;
    let mut builder = Builder::new(&image);
    let evidence = match (image.section(".BTF"), base) {
        (Some(section), Some(base)) => {
            let bytes = image.section_bytes(section);
            let distilled = image.section(".BTF.base").map(|s| Btf::parse(image.section_bytes(s), None));
            let distilled = distilled.transpose()?;
            let btf = Btf::parse(bytes, distilled.as_ref().or(Some(base)))?;
            builder.rows.add_btf(&btf)?;
            builder.rows.types = TypeSource::of_btf(&image, bytes);
            // A distilled base has no members.
            let layouts = if distilled.is_some() { base } else { &btf };
            builder.rows.surface = Surface::read(&memory, layouts);
            Evidence::Btf
        }
        _ => {
            builder.rows.surface = Surface::read(&memory, &NoLayouts);
            Evidence::Symtab
        }
    };
    builder.finish("module", path, evidence, &memory)
}

impl ImageRows {
    /// An image of which nothing is known yet.
    pub fn empty(name: &str, path: &str, evidence: Evidence) -> ImageRows {
        ImageRows {
            name: name.to_owned(),
            path: path.to_owned(),
            build_id: None,
            release: None,
            machine: None,
            evidence,
            paths: Vec::new(),
            sections: Vec::new(),
            units: Vec::new(),
            functions: Vec::new(),
            instances: Vec::new(),
            sites: Vec::new(),
            symbols: Vec::new(),
            error_types: None,
            surface: Surface::default(),
            types: TypeSource::Nothing,
            banner: None,
            config: None,
        }
    }

    /// Takes out the definitions of which the compiler left nothing, neither code nor copies.
    fn drop_removed(&mut self) {
        let mut numbers = vec![NONE; self.instances.len()];
        let mut next = 0;
        let mut index = 0;
        self.instances.retain(|row| {
            let kept = row.out_of_line || row.inlined != Some(false);
            if kept {
                numbers[index] = next;
                next += 1;
            }
            index += 1;
            kept
        });
        let renumbered = |old: u32| Some(numbers[old as usize]).filter(|&new| new != NONE);
        // A caller has code, so it is still there.
        self.sites.retain_mut(|site| {
            site.callee_instance = site.callee_instance.and_then(renumbered);
            renumbered(site.caller).map(|caller| site.caller = caller).is_some()
        });
        for symbol in &mut self.symbols {
            symbol.instance = symbol.instance.and_then(renumbered);
        }
    }

    /// Adds the functions of a BTF, as far as they are not there.
    pub fn add_btf(&mut self, btf: &Btf) -> Result<()> {
        for function in btf.functions() {
            let function = function?;
            self.functions.push(FunctionRow {
                name: text(function.name),
                linkage_name: None,
                decl_file: None,
                decl_line: None,
                external: None,
                declared_inline: None,
                prototype: function.prototype.ok(),
                defined: true,
            });
            // BTF lists only functions that have code of their own.
            self.instances.push(InstanceRow {
                function: self.functions.len() as u32 - 1,
                unit: None,
                inlined: None,
                out_of_line: true,
                place: None,
                size: None,
                inline_place: None,
            });
        }
        Ok(())
    }

    /// Adds a symbol: to the function it is named after, which is made if no other evidence has it.
    pub fn add_symbols(&mut self, symbols: Vec<PlacedSymbol>, by_place: &FxHashMap<u64, Vec<u32>>) {
        let mut by_name: FxHashMap<String, Vec<u32>> = FxHashMap::default();
        for (index, function) in self.functions.iter().enumerate().filter(|(_, f)| f.defined) {
            by_name
                .entry(function.linkage_name.clone().unwrap_or_else(|| function.name.clone()))
                .or_default()
                .push(index as u32);
        }
        let mut instances_of: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
        for (index, instance) in self.instances.iter().enumerate() {
            instances_of.entry(instance.function).or_default().push(index as u32);
        }
        let mut placed: FxHashSet<u32> = by_place.values().flatten().copied().collect();
        for symbol in symbols {
            let stem = stem(&symbol.name);
            let external = symbol.bind != "STB_LOCAL";
            let here = by_place.get(&symbol.address).map_or(&[][..], Vec::as_slice);
            let named = by_name.get(stem).map_or(&[][..], Vec::as_slice);
            let instance = here
                .iter()
                .copied()
                .find(|&i| named.contains(&self.instances[i as usize].function))
                .or(here.first().copied());
            let function = instance
                .map(|i| self.instances[i as usize].function)
                .filter(|f| named.contains(f))
                .or_else(|| {
                    named.iter().copied().find(|&f| self.functions[f as usize].external == Some(external))
                })
                .or_else(|| named.first().copied());
            let (function, instance) = match function {
                Some(function) => (function, instance),
                None => {
                    let function = self.functions.len() as u32;
                    self.functions.push(FunctionRow {
                        name: stem.to_owned(),
                        linkage_name: None,
                        decl_file: None,
                        decl_line: None,
                        external: Some(external),
                        declared_inline: None,
                        prototype: None,
                        defined: true,
                    });
                    by_name.entry(stem.to_owned()).or_default().push(function);
                    // Another name for code that DWARF describes under its own (`init_module`), or code that it
                    // does not describe at all (assembly, thunks).
                    let unit = instance.and_then(|i| self.instances[i as usize].unit);
                    self.instances.push(InstanceRow {
                        function,
                        unit,
                        inlined: (self.evidence == Evidence::Dwarf).then_some(false),
                        out_of_line: true,
                        place: Some(symbol.place),
                        size: symbol.size,
                        inline_place: None,
                    });
                    let alias = self.instances.len() as u32 - 1;
                    instances_of.insert(function, vec![alias]);
                    (function, Some(alias))
                }
            };
            if self.functions[function as usize].external.is_none() {
                self.functions[function as usize].external = Some(external);
            }
            let mut instance = instance;
            if symbol.name == stem {
                // A symbol is code even where nothing else says so: BTF has no addresses, and the thunks that
                // GCC leaves of identical functions (-fipa-icf) have no entry in DWARF.
                let mut bare =
                    instances_of.get(&function).into_iter().flatten().filter(|i| !placed.contains(i));
                let bare = match (bare.next(), bare.next()) {
                    (Some(&only), None) => Some(only),
                    _ => None,
                };
                instance = instance.or(bare);
                // Where nothing but the symbols tells definitions apart, each of them is one.
                if instance.is_none() && self.evidence != Evidence::Dwarf {
                    self.instances.push(InstanceRow {
                        function,
                        unit: None,
                        inlined: None,
                        out_of_line: true,
                        place: None,
                        size: None,
                        inline_place: None,
                    });
                    instance = Some(self.instances.len() as u32 - 1);
                }
                // Of several copies of the code the one under the plain name is the instance's own.
                if let Some(i) = instance.filter(|&i| self.instances[i as usize].function == function) {
                    let row = &mut self.instances[i as usize];
                    row.out_of_line = true;
                    row.place = Some(symbol.place);
                    row.size = symbol.size.or(row.size);
                    placed.insert(i);
                }
            }
            self.symbols.push(SymbolRow {
                name: symbol.name,
                function,
                instance,
                place: symbol.place,
                size: symbol.size,
                bind: symbol.bind,
                kind: symbol.kind,
                facts: symbol.facts,
            });
        }
    }
}

/// A symbol, and where it is both for a person and inside the image.
pub struct PlacedSymbol {
    pub name: String,
    pub place: Place,
    /// The address that instances are known by.
    pub address: u64,
    pub size: Option<u64>,
    pub bind: &'static str,
    pub kind: &'static str,
    pub facts: CodeFacts,
}

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

struct Builder<'i> {
    image: &'i Image,
    rows: ImageRows,
    section_numbers: FxHashMap<String, u32>,
    /// Instances by the addresses of their out-of-line code.
    by_address: FxHashMap<u64, Vec<u32>>,
}

impl<'i> Builder<'i> {
    fn new(image: &'i Image) -> Builder<'i> {
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

    fn finish(
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

    fn dwarf(&mut self, sections: &Sections<'_>, units: &[Unit<'_>]) -> Result<()> {
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
