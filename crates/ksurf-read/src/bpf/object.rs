//! One eBPF object: its programs, what they call and what their instructions refer to.
//!
//! Source: `Documentation/bpf/llvm_reloc.rst`, `Documentation/bpf/libbpf/libbpf_overview.rst`; libbpf decides what is a
//! program and what a function that programs call: all functions of `.text` are the latter if there are several.

use super::btf_ext::{BtfExt, Lines};
use super::context::{field_at, Code, ContextLoad, Follower};
use super::externs::{self, Extern};
use super::instruction::{instructions, Instruction, BPF_CALL, BPF_PSEUDO_CALL, BYTES};
use super::maps::{self, Map};
use super::programs::{attachment, Attachment};
use super::sections::{Elf, Section, Symbol, SHF_EXECINSTR, SHT_NOBITS, SHT_PROGBITS, STB_LOCAL, STT_FUNC};
use super::struct_ops::{self, StructOps};
use super::uapi::Names;
use super::EM_BPF;
use crate::btf::{Btf, Kind};
use crate::elf::{c_string, text, ET_REL};
use crate::error::{Error, Result};
use std::collections::{HashMap, HashSet};

/// The section whose functions are called by programs.
const TEXT: &str = ".text";
/// What is told of what could not be read; more says nothing new.
const NOTES: usize = 20;
/// Bytes of a source line or a path that are kept.
const LINE_LIMIT: usize = 1024;

/// A function with instructions: a program, or a function that programs call.
#[derive(Debug, Clone)]
pub struct Program {
    pub name: String,
    /// The section's name as it is written, and its number.
    pub section: String,
    pub section_number: usize,
    /// Where it starts in the section, and its size, in bytes.
    pub byte_offset: u64,
    pub byte_size: u64,
    /// It is not loaded by itself, but with each program that calls it.
    pub subprogram: bool,
    pub attachment: Attachment,
    /// The struct that its first parameter points to, if its BTF names one: `pt_regs`.
    pub context: Option<String>,
    context_type: Option<u32>,
}

impl Program {
    /// How many instructions it has; a wide one counts twice.
    pub fn instructions(&self) -> u64 {
        self.byte_size / BYTES as u64
    }
}

/// An instruction that calls a function of the object, or takes its address. Numbers are those of programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    pub program: u32,
    pub instruction: u32,
    pub callee: u32,
    /// Its address is taken, for a helper to call it.
    pub address: bool,
}

/// An instruction that calls a helper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelperCall {
    pub program: u32,
    pub instruction: u32,
    /// `enum bpf_func_id`, and what the helper is called.
    pub helper: i32,
    pub name: Option<String>,
}

/// What an instruction refers to, with the number among those of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Map(u32),
    Extern(u32),
    Program(u32),
}

/// A relocation of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference {
    pub program: u32,
    pub instruction: u32,
    pub target: Target,
    /// Of the data of a map: where in it, in bytes.
    pub byte_offset: Option<i64>,
}

/// The source line of an instruction, and of those that follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceLine {
    pub program: u32,
    pub instruction: u32,
    /// As the compiler was told.
    pub file: Option<String>,
    /// Counted from 1.
    pub line: Option<u32>,
    /// The line itself.
    pub text: Option<String>,
}

/// All that is read of an object. Texts are its names; bytes that are not UTF-8 are escaped.
#[derive(Debug, Default)]
pub struct Object {
    pub license: Option<String>,
    /// `KERNEL_VERSION(...)` of the section `version`.
    pub kernel_version: Option<u32>,
    pub programs: Vec<Program>,
    pub calls: Vec<Call>,
    pub helper_calls: Vec<HelperCall>,
    pub maps: Vec<Map>,
    pub externs: Vec<Extern>,
    pub references: Vec<Reference>,
    pub struct_ops: Vec<StructOps>,
    pub context_loads: Vec<ContextLoad>,
    /// In the order of the programs and their instructions.
    pub lines: Vec<SourceLine>,
    /// What could not be read: the place in the object, and the reason.
    pub incomplete: Vec<(String, String)>,
}

/// What the readers of an object's parts share.
pub(super) struct Source<'a> {
    pub elf: &'a Elf<'a>,
    pub symbols: &'a [Symbol<'a>],
    pub btf: Option<&'a Btf<'a>>,
    /// Symbols that name something in a section, by the section and the name.
    names: HashMap<(usize, &'a [u8]), usize>,
}

impl<'a> Source<'a> {
    /// The symbol of a name in a section.
    pub fn symbol(&self, section: usize, name: &[u8]) -> Option<&'a Symbol<'a>> {
        self.names.get(&(section, name)).map(|&at| &self.symbols[at])
    }
}

impl Object {
    /// Reads an object. What is wrong in one part is noted in [`Object::incomplete`]; an error means that nothing
    /// can be read.
    pub fn read(data: &[u8]) -> Result<Object> {
        let elf = Elf::parse(data)?;
        if elf.machine != EM_BPF || elf.kind != ET_REL || !elf.words.class64 {
            return Err(Error::corrupt("ELF header", 0, "it is no eBPF object"));
        }
        let symbols = elf.symbols()?;
        let mut object = Object::default();
        object.read_marks(&elf);
        let parsed = elf.find(".BTF").map(|at| Btf::parse(elf.bytes(&elf.sections[at]), None));
        let btf = match &parsed {
            Some(Ok(btf)) => {
                if let Some(error) = btf.incomplete() {
                    object.note(".BTF", error);
                }
                Some(btf)
            }
            Some(Err(error)) => {
                object.note(".BTF", error);
                None
            }
            None => None,
        };
        let mut names = HashMap::new();
        for (at, symbol) in symbols.iter().enumerate().filter(|(_, symbol)| !symbol.name.is_empty()) {
            if let Some(section) = symbol.section {
                names.insert((section, symbol.name), at);
            }
        }
        let source = Source { elf: &elf, symbols: &symbols, btf, names };
        object.read_programs(&source);
        maps::read(&source, &mut object);
        externs::read(&source, &mut object);
        struct_ops::read(&source, &mut object);
        object.read_instructions(&source);
        object.read_ext(&source);
        object.name_numbers(&Names::new(btf));
        Ok(object)
    }

    /// Notes that something could not be read.
    pub(super) fn note(&mut self, place: impl Into<String>, reason: impl ToString) {
        if self.incomplete.len() < NOTES {
            self.incomplete.push((place.into(), reason.to_string()));
        }
    }

    fn read_marks(&mut self, elf: &Elf<'_>) {
        let bytes = |name| elf.find(name).map(|at| elf.bytes(&elf.sections[at]));
        self.license = bytes("license").map(|data| text(c_string(data, 0).unwrap_or(data)));
        self.kernel_version = bytes("version").and_then(|data| elf.words.u32(data, 0, "version").ok());
    }

    fn read_programs(&mut self, source: &Source<'_>) {
        let sections = &source.elf.sections;
        let mut functions: Vec<&Symbol<'_>> = Vec::new();
        for symbol in source.symbols.iter().filter(|symbol| symbol.kind == STT_FUNC) {
            let Some(section) = symbol.section.and_then(|at| sections.get(at)).filter(|s| is_code(s)) else {
                continue;
            };
            let end = symbol.value.checked_add(symbol.byte_size);
            if end.is_none_or(|end| end > section.byte_size) || (symbol.value | symbol.byte_size) % 8 != 0 {
                let place = format!("section {}", section.name);
                self.note(place, format!("{} is no range of instructions", text(symbol.name)));
                continue;
            }
            functions.push(symbol);
        }
        functions.sort_by_key(|symbol| (symbol.section, symbol.value));
        let mut end = (None, 0);
        for symbol in functions {
            let (Some(number), start) = (symbol.section, symbol.value) else { continue };
            let section = &sections[number];
            if end.0 == Some(number) && start < end.1 {
                self.note(format!("section {}", section.name), format!("{} overlaps", text(symbol.name)));
                continue;
            }
            end = (Some(number), start + symbol.byte_size);
            let attachment = attachment(&section.name);
            if section.name != TEXT && symbol.bind == STB_LOCAL {
                let reason = format!("{} is static, which no loader takes for a program", text(symbol.name));
                self.note(format!("section {}", section.name), reason);
            }
            self.programs.push(Program {
                name: text(symbol.name),
                section: section.name.clone(),
                section_number: number,
                byte_offset: start,
                byte_size: symbol.byte_size,
                subprogram: section.name == TEXT,
                attachment,
                context: None,
                context_type: None,
            });
        }
        // one function of `.text` and nothing else is a program without a section of its own
        if let [only] = &mut self.programs[..] {
            only.subprogram = false;
        }
        if let Some(btf) = source.btf {
            let mut contexts = contexts(btf);
            for program in self.programs.iter_mut().filter(|program| !program.subprogram) {
                (program.context, program.context_type) = contexts.remove(&program.name).unzip();
            }
        }
        let held: HashSet<usize> = self.programs.iter().map(|program| program.section_number).collect();
        for (number, section) in sections.iter().enumerate().filter(|(_, section)| is_code(section)) {
            if section.name != TEXT && !held.contains(&number) {
                self.note(format!("section {}", section.name), "it has instructions, and no function");
            }
        }
    }

    /// The function that holds an offset of a section.
    pub(super) fn program_at(&self, section: usize, offset: u64) -> Option<u32> {
        let after = self.programs.partition_point(|p| (p.section_number, p.byte_offset) <= (section, offset));
        let found = &self.programs[after.checked_sub(1)?];
        let holds = found.section_number == section && offset - found.byte_offset < found.byte_size;
        holds.then_some(after as u32 - 1)
    }

    fn read_instructions(&mut self, source: &Source<'_>) {
        let elf = source.elf;
        let map_places = maps::places(&self.maps);
        let extern_names: HashMap<String, u32> =
            (0..).zip(&self.externs).map(|(at, found)| (found.name.clone(), at)).collect();
        let mut relocated: HashSet<(u32, u32)> = HashSet::new();
        let code = elf.sections.iter().enumerate().filter(|(_, section)| is_code(section));
        for (number, section) in code {
            for relocation in elf.relocations(number) {
                let place = || format!("section {}+{:#x}", section.name, relocation.offset);
                let Some(program) = self.program_at(number, relocation.offset) else {
                    // of a function that was noted, or between functions
                    continue;
                };
                let instruction = self.instruction_at(program, relocation.offset);
                let Some(symbol) = source.symbols.get(relocation.symbol) else {
                    self.note(place(), format!("its relocation is of symbol {}", relocation.symbol));
                    continue;
                };
                let bytes = elf.bytes(section).get(relocation.offset as usize..).unwrap_or_default();
                let Some(found) = Instruction::decode(bytes, elf.words.big_endian) else { continue };
                relocated.insert((program, instruction));
                let imm = i64::from(found.imm);
                let (target, byte_offset) = if symbol.is_undefined {
                    (extern_names.get(&text(symbol.name)).map(|&at| Target::Extern(at)), None)
                } else if let Some(held) =
                    symbol.section.filter(|&at| elf.sections.get(at).is_some_and(is_code))
                {
                    // a call counts instructions from the next one, an address bytes
                    let is_call = found.code == BPF_CALL;
                    let addend = if is_call { (imm + 1) * BYTES as i64 } else { imm };
                    let callee = self.program_at(held, symbol.value.wrapping_add_signed(addend));
                    if let Some(callee) = callee {
                        self.calls.push(Call { program, instruction, callee, address: !is_call });
                    }
                    (callee.map(Target::Program), None)
                } else {
                    let at = symbol.section.and_then(|at| {
                        map_places.get(&(at, Some(symbol.value))).or_else(|| map_places.get(&(at, None)))
                    });
                    let data = at.is_some_and(|&at| self.maps[at as usize].is_data());
                    let offset = (symbol.value as i64).wrapping_add(imm);
                    (at.map(|&at| Target::Map(at)), data.then_some(offset))
                };
                match target {
                    Some(target) => {
                        self.references.push(Reference { program, instruction, target, byte_offset });
                    }
                    None => {
                        self.note(place(), format!("it refers to {}, which is not there", named(elf, symbol)))
                    }
                }
            }
        }
        for number in 0..self.programs.len() as u32 {
            self.read_calls(elf, number, &relocated);
        }
        self.calls.sort_unstable_by_key(|call| (call.program, call.instruction));
        self.references.sort_by_key(|found| (found.program, found.instruction));
    }

    fn name_numbers(&mut self, names: &Names<'_>) {
        let mut known: HashMap<i32, Option<String>> = HashMap::new();
        for call in &mut self.helper_calls {
            call.name = known.entry(call.helper).or_insert_with(|| names.helper(call.helper)).clone();
        }
        for map in &mut self.maps {
            map.type_name = map.kind.and_then(|kind| names.map_type(kind));
        }
    }

    /// What BTF tells of instructions: their lines, which of them are relocated, and what of the context they read.
    fn read_ext(&mut self, source: &Source<'_>) {
        let mut relocated: Vec<Vec<u32>> = vec![Vec::new(); self.programs.len()];
        let bytes = source.elf.find(".BTF.ext").map(|at| source.elf.bytes(&source.elf.sections[at]));
        if let (Some(btf), Some(bytes)) = (source.btf, bytes) {
            let read = BtfExt::parse(bytes, btf).and_then(|ext| {
                self.read_lines(source, &ext.lines()?);
                for records in ext.relocations()? {
                    let Some(number) = source.elf.find(&text(records.section)) else { continue };
                    for found in records.list {
                        let Some(program) = self.program_at(number, found.offset.into()) else { continue };
                        relocated[program as usize].push(self.instruction_at(program, found.offset.into()));
                    }
                }
                Ok(())
            });
            if let Err(error) = read {
                self.note(".BTF.ext", error);
            }
        }
        self.follow_contexts(source, relocated);
    }

    /// The number of the instruction at an offset of the section, in a function that holds it.
    fn instruction_at(&self, program: u32, offset: u64) -> u32 {
        ((offset - self.programs[program as usize].byte_offset) / BYTES as u64) as u32
    }

    fn read_lines(&mut self, source: &Source<'_>, lines: &Lines<'_>) {
        let some = |bytes: &[u8]| (!bytes.is_empty()).then(|| text(&bytes[..bytes.len().min(LINE_LIMIT)]));
        for records in lines.sections() {
            let Some(number) = source.elf.find(&text(records.section)) else { continue };
            for found in &records.list {
                let Some(program) = self.program_at(number, found.offset.into()) else { continue };
                self.lines.push(SourceLine {
                    program,
                    instruction: self.instruction_at(program, found.offset.into()),
                    file: some(found.file),
                    line: (found.line > 0).then_some(found.line),
                    text: some(found.text),
                });
            }
        }
        self.lines.sort_by_key(|line| (line.program, line.instruction));
    }

    fn follow_contexts(&mut self, source: &Source<'_>, relocated: Vec<Vec<u32>>) {
        let elf = source.elf;
        let mut functions: Vec<Code<'_>> = Vec::with_capacity(self.programs.len());
        for (program, mut relocated) in self.programs.iter().zip(relocated) {
            relocated.sort_unstable();
            let (start, size) = (program.byte_offset as usize, program.byte_size as usize);
            let bytes = elf.bytes(&elf.sections[program.section_number]).get(start..start + size);
            functions.push(Code { bytes: bytes.unwrap_or_default(), callees: HashMap::new(), relocated });
        }
        for call in self.calls.iter().filter(|call| !call.address) {
            functions[call.program as usize].callees.insert(call.instruction, call.callee);
        }
        let mut follower = Follower::new(&functions, elf.words.big_endian);
        for number in 0..self.programs.len() as u32 {
            let program = &self.programs[number as usize];
            if program.subprogram {
                continue;
            }
            let context = program.context_type;
            let Some(mut loads) = follower.follow(number) else {
                return self.note("programs", "they are too long to follow what they read of their contexts");
            };
            if let Some((btf, context)) = source.btf.zip(context) {
                for load in &mut loads {
                    let found = field_at(btf, context, load.byte_offset, load.byte_size);
                    (load.field, load.field_type) = found.unzip();
                }
            }
            self.context_loads.extend(loads);
        }
    }

    /// Calls of helpers, and of functions of the same section, which need no relocation.
    fn read_calls(&mut self, elf: &Elf<'_>, program: u32, relocated: &HashSet<(u32, u32)>) {
        let Program { section_number, byte_offset, byte_size, .. } = self.programs[program as usize];
        let bytes = elf.bytes(&elf.sections[section_number]);
        let Some(bytes) = bytes.get(byte_offset as usize..(byte_offset + byte_size) as usize) else { return };
        for (at, found) in instructions(bytes, elf.words.big_endian) {
            let instruction = at as u32;
            if let Some(helper) = found.helper() {
                self.helper_calls.push(HelperCall { program, instruction, helper, name: None });
            }
            let is_local = found.code == BPF_CALL && found.src == BPF_PSEUDO_CALL;
            if is_local && !relocated.contains(&(program, instruction)) {
                let ahead = (at as i64 + 1 + i64::from(found.imm)) * BYTES as i64;
                match self.program_at(section_number, byte_offset.wrapping_add_signed(ahead)) {
                    Some(callee) => self.calls.push(Call { program, instruction, callee, address: false }),
                    None => {
                        let place =
                            format!("program {}, instruction {at}", self.programs[program as usize].name);
                        self.note(place, "it calls what is no function");
                    }
                }
            }
        }
    }
}

pub(super) fn is_code(section: &Section) -> bool {
    section.kind == SHT_PROGBITS && section.flags & SHF_EXECINSTR != 0 && section.byte_size > 0
}

fn named(elf: &Elf<'_>, symbol: &Symbol<'_>) -> String {
    let section = || symbol.section.and_then(|at| elf.sections.get(at)).map(|section| section.name.clone());
    match symbol.name {
        [] => section().unwrap_or_else(|| "nothing".into()),
        name => text(name),
    }
}

/// Functions and the struct that the first parameter of each points to.
fn contexts(btf: &Btf<'_>) -> HashMap<String, (String, u32)> {
    let functions = btf.types().filter_map(|(_, found)| match found.ok()? {
        found if matches!(found.kind, Kind::Func { .. }) => Some(found),
        _ => None,
    });
    functions
        .filter_map(|function| {
            let Kind::Func { prototype, .. } = function.kind else { return None };
            let Kind::FuncProto { params, .. } = btf.get(prototype).ok()?.kind else { return None };
            let first = params.iter().next()?.ok()?;
            let Kind::Ptr { to } = without_modifiers(btf, first.type_id)?.1.kind else { return None };
            let (id, pointed) = without_modifiers(btf, to)?;
            let is_struct = matches!(pointed.kind, Kind::Struct { .. } | Kind::Fwd { union: false });
            (is_struct && !pointed.name.is_empty()).then(|| (text(function.name), (text(pointed.name), id)))
        })
        .collect()
}

/// A type through typedefs, qualifiers and tags; `None` of `void` and of what cannot be read.
pub(super) fn without_modifiers<'b>(btf: &'b Btf<'_>, id: u32) -> Option<(u32, crate::btf::Type<'b>)> {
    let mut id = id;
    for _ in 0..32 {
        let found = btf.get(id).ok()?;
        id = match found.kind {
            Kind::Typedef { of }
            | Kind::Const { of }
            | Kind::Volatile { of }
            | Kind::Restrict { of }
            | Kind::TypeTag { of, .. } => of,
            _ => return Some((id, found)),
        };
    }
    None
}

/// Whether a section becomes a map of its own: the variables of the programs.
pub(super) fn is_data(section: &Section) -> bool {
    let is_one = |name: &str| {
        section.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let kinds = [SHT_PROGBITS, SHT_NOBITS];
    section.byte_size > 0
        && kinds.contains(&section.kind)
        && [".data", ".rodata", ".bss"].into_iter().any(is_one)
}
