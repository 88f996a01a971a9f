//! One image as rows: its DWARF, or its BTF, and its symbol table brought together.

mod builder;

use crate::btf::Btf;
use crate::dwarf::{Sections, NONE};
use crate::elf::{text, Buffer, Image, Memory, ET_REL};
use crate::error::Result;
use crate::surface::code::{CodeFacts, ErrorTypes};
use crate::surface::definition::Types;
use crate::surface::from_dwarf::{self, Known};
use crate::surface::layout::{Layouts, NoLayouts};
use crate::surface::Surface;
use builder::Builder;
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
        (None, Some(sections)) => match from_dwarf::read(sections, known, cancelled) {
            Ok(types) => TypeSource::Read(Box::new(types)),
            Err(error) if error.is_cancelled() => return Err(error),
            // Its functions are read, and stay.
            Err(error) => {
                rows.surface.incomplete.push(format!("types: {error}"));
                TypeSource::Nothing
            }
        },
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
