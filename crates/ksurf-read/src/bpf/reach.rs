//! What of an eBPF object is reached on one kernel: its programs as libbpf would load them there, walked.
//!
//! Source: libbpf's `bpf_object__relocate_calls` (functions that a program calls are put behind it, each once), and
//! `bpf_object__resolve_externs` and `set_kcfg_value_*` for what externs become.

use super::externs::{Extern, Sort};
use super::instruction::{
    Instruction, BPF_ALU, BPF_ALU64, BPF_CALL, BPF_LD_IMM64, BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC, BYTES,
};
use super::maps::Map;
use super::object::{without_modifiers, Call, Object, Reference, Target};
use super::sections::{Elf, STB_GLOBAL, STT_FUNC};
use super::walk::{walk, Decision, Effect, Program, Walk};
use crate::btf::{Btf, Kind};
use crate::elf::text;
use crate::error::Result;
use rustc_hash::{FxHashMap, FxHashSet};

/// Instructions of all programs of an object with the functions that they call. Nobody loads as many.
const LINKED_LIMIT: usize = 1 << 20;
/// Bytes of a `.kconfig` variable: of a text those that an option has.
const KCONFIG_LIMIT: usize = 4096;

/// The number of an option's value that is no number.
const TRI_NO: u64 = 0;
const TRI_MODULE: u64 = 1;
const TRI_YES: u64 = 2;

/// A relocation of the kernel's types, as it was resolved.
#[derive(Debug, Clone, Copy)]
pub struct Relocated<'a> {
    /// The section of the instruction, and the bytes before it there.
    pub section: &'a [u8],
    pub byte_offset: u32,
    /// The instruction that is loaded; `None` if none is.
    pub patched: Option<&'a [u8]>,
    /// It must not be reached.
    pub poisoned: bool,
}

/// What is known of the externs of objects on one kernel.
#[derive(Debug, Default)]
pub struct Facts {
    /// Values of `.kconfig`, as texts; `None` of what is not known. Options that are not here are absent.
    pub kconfig: Option<FxHashMap<String, Option<String>>>,
    /// Whether the kernel has a variable or function; of one that is not here nobody knows.
    pub symbols: FxHashMap<String, bool>,
}

/// What may stop a program, or decide a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Thing {
    /// The number of a relocation of the kernel's types.
    Relocation(u32),
    /// The number of an extern.
    Extern(u32),
    /// A helper (`enum bpf_func_id`).
    Helper(i32),
    /// The number of a load from the context.
    Load(u32),
}

/// An instruction of the object: the number of the function that holds it, and its own there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    pub program: u32,
    pub instruction: u32,
}

/// A branch that goes one way only, and what decides it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    pub branch: Place,
    /// Empty if constants of the program itself decide.
    pub causes: Vec<Thing>,
}

/// One use of something of the kernel by one program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The program that is loaded.
    pub program: u32,
    pub place: Place,
    pub thing: Thing,
    pub reached: bool,
    /// It is reached, and what the instruction gives to a register may be used.
    pub used: bool,
    /// It is reached, and the verifier refuses the program for it.
    pub refused: bool,
    /// The branches that keep it from being reached; the nearest first. Of what is refused: those that let one
    /// path through, the last one first.
    pub guards: Vec<Guard>,
}

/// All uses of relocations, externs, helpers and the context, program by program. `data` is the object's file.
pub fn reach(data: &[u8], object: &Object, relocated: &[Relocated<'_>], facts: &Facts) -> Result<Vec<Site>> {
    let elf = Elf::parse(data)?;
    let btf = elf.find(".BTF").and_then(|at| Btf::parse(elf.bytes(&elf.sections[at]), None).ok());
    let mut made = Made::new(&elf, object, relocated)?;
    made.find_areas(btf.as_ref(), facts);
    let mut sites = Vec::new();
    let mut left = LINKED_LIMIT;
    for number in (0..object.programs.len() as u32).filter(|&at| !object.programs[at as usize].subprogram) {
        let linked = made.link(number, &mut left);
        linked.sites(&made, facts, &mut sites);
    }
    Ok(sites)
}

/// What is found once for all programs of an object.
struct Made<'a> {
    elf: &'a Elf<'a>,
    object: &'a Object,
    relocated: &'a [Relocated<'a>],
    /// By place.
    relocations: FxHashMap<Place, u32>,
    calls: FxHashMap<Place, Call>,
    references: FxHashMap<Place, Reference>,
    helpers: FxHashMap<Place, i32>,
    loads: FxHashMap<Place, u32>,
    /// Functions that are verified by themselves.
    global: FxHashSet<u32>,
    /// Values of `.kconfig`, and those of which externs.
    areas: Vec<Vec<u8>>,
    area_of: FxHashMap<u32, usize>,
    /// The most bytes of a map's key, if those of all maps are known.
    key_bytes: Option<u32>,
}

impl<'a> Made<'a> {
    fn new(elf: &'a Elf<'a>, object: &'a Object, relocated: &'a [Relocated<'a>]) -> Result<Made<'a>> {
        let mut sections = FxHashMap::default();
        for (number, section) in elf.sections.iter().enumerate().rev() {
            sections.insert(section.name.as_str(), number);
        }
        let mut relocations = FxHashMap::default();
        for (number, one) in (0..).zip(relocated) {
            let Some(&section) = sections.get(text(one.section).as_str()) else { continue };
            let offset = u64::from(one.byte_offset);
            let Some(program) = object.program_at(section, offset) else { continue };
            let start = object.programs[program as usize].byte_offset;
            let instruction = ((offset - start) / BYTES as u64) as u32;
            relocations.insert(Place { program, instruction }, number);
        }
        let mut global = FxHashSet::default();
        for symbol in
            elf.symbols()?.iter().filter(|s| s.kind == STT_FUNC && s.bind == STB_GLOBAL && !s.is_hidden)
        {
            let holder = symbol.section.and_then(|section| object.program_at(section, symbol.value));
            global.extend(holder);
        }
        let place = |program, instruction| Place { program, instruction };
        Ok(Made {
            elf,
            object,
            relocated,
            relocations,
            calls: object.calls.iter().map(|c| (place(c.program, c.instruction), *c)).collect(),
            references: object.references.iter().map(|r| (place(r.program, r.instruction), *r)).collect(),
            helpers: object
                .helper_calls
                .iter()
                .map(|h| (place(h.program, h.instruction), h.helper))
                .collect(),
            loads: (0..)
                .zip(&object.context_loads)
                .map(|(number, load)| (place(load.function, load.instruction), number))
                .collect(),
            global,
            areas: Vec::new(),
            area_of: FxHashMap::default(),
            key_bytes: object.maps.iter().map(Map::key_bytes).try_fold(0, |most, one| Some(most.max(one?))),
        })
    }

    /// The values of `.kconfig` externs that are known.
    fn find_areas(&mut self, btf: Option<&Btf<'_>>, facts: &Facts) {
        let (Some(btf), Some(kconfig)) = (btf, &facts.kconfig) else { return };
        let types = kconfig_types(btf);
        for (number, one) in (0..).zip(&self.object.externs).filter(|(_, one)| one.sort == Sort::Kconfig) {
            let Some(form) = types.get(&one.name) else { continue };
            let bytes = match kconfig.get(&one.name) {
                Some(Some(value)) => form.bytes(value, self.elf.words.big_endian),
                Some(None) => None,
                None if one.weak => Some(vec![0; form.byte_size()]),
                // the object is not loaded
                None => None,
            };
            if let Some(bytes) = bytes {
                self.area_of.insert(number, self.areas.len());
                self.areas.push(bytes);
            }
        }
    }

    /// A program with the functions that it calls, and those that they call, each once.
    fn link(&self, number: u32, left: &mut usize) -> Linked {
        let mut linked = Linked { program: number, ..Linked::default() };
        let mut starts: FxHashMap<u32, usize> = FxHashMap::default();
        let mut waiting = vec![number];
        while let Some(part) = waiting.pop() {
            if starts.contains_key(&part) {
                continue;
            }
            let found = &self.object.programs[part as usize];
            let bytes = self.elf.bytes(&self.elf.sections[found.section_number]);
            let (start, size) = (found.byte_offset as usize, found.byte_size as usize);
            let code = bytes.get(start..start.saturating_add(size)).unwrap_or_default();
            let count = code.len() / BYTES;
            linked.whole &= *left >= count;
            if !linked.whole {
                return linked;
            }
            *left -= count;
            starts.insert(part, linked.instructions.len());
            if part != number && self.global.contains(&part) {
                linked.entries.push(linked.instructions.len());
            }
            for (instruction, bytes) in (0..).zip(code.chunks_exact(BYTES)) {
                let place = Place { program: part, instruction };
                let decoded = Instruction::decode(bytes, self.elf.words.big_endian);
                linked.instructions.extend(decoded);
                linked.places.push(place);
                waiting.extend(self.calls.get(&place).map(|call| call.callee));
            }
        }
        for (at, place) in linked.places.iter().enumerate() {
            let Some(call) = self.calls.get(place) else { continue };
            let one = &mut linked.instructions[at];
            one.src = if one.code == BPF_CALL { BPF_PSEUDO_CALL } else { BPF_PSEUDO_FUNC };
            one.imm = starts[&call.callee] as i32 - at as i32 - 1;
        }
        linked.entries.push(0);
        linked
    }

    /// What is used at a place.
    fn thing(&self, place: &Place) -> Option<Thing> {
        if let Some(&relocation) = self.relocations.get(place) {
            return Some(Thing::Relocation(relocation));
        }
        match self.references.get(place) {
            Some(Reference { target: Target::Extern(number), .. }) => Some(Thing::Extern(*number)),
            _ => match self.helpers.get(place) {
                Some(&helper) => Some(Thing::Helper(helper)),
                None => self.loads.get(place).map(|&load| Thing::Load(load)),
            },
        }
    }

    /// What an extern makes of the instruction that refers to it.
    fn of_extern(&self, number: u32, one: Instruction, facts: &Facts) -> Effect {
        let found = &self.object.externs[number as usize];
        if let Some(&area) = self.area_of.get(&number) {
            return Effect::Area { area, offset: 0 };
        }
        let is_call = one.code == BPF_CALL;
        match (facts.symbols.get(&found.name), found.sort) {
            (Some(false), _) if found.weak && is_call => Effect::Refused,
            (Some(false), Sort::Variable | Sort::Function) if found.weak => Effect::Immediate(0),
            (_, Sort::Function) if is_call && is_iterator_next(found) => Effect::IteratorNext,
            // of a function and of an address without a type the verifier knows that it is not 0
            (Some(true), Sort::Function) if !is_call => Effect::Address,
            (Some(true), Sort::Variable) if found.type_text.is_none() => Effect::Address,
            _ => Effect::Unknown,
        }
    }
}

fn is_iterator_next(found: &Extern) -> bool {
    found.name.starts_with("bpf_iter_") && found.name.ends_with("_next")
}

/// A program as it is loaded, before the kernel's numbers are in it.
struct Linked {
    program: u32,
    instructions: Vec<Instruction>,
    /// Where each comes from.
    places: Vec<Place>,
    entries: Vec<usize>,
    /// Else there is too much of it.
    whole: bool,
}

impl Default for Linked {
    fn default() -> Linked {
        Linked { program: 0, instructions: Vec::new(), places: Vec::new(), entries: Vec::new(), whole: true }
    }
}

impl Linked {
    /// Walks it, and tells of each use.
    fn sites(mut self, made: &Made<'_>, facts: &Facts, out: &mut Vec<Site>) {
        let effects = self.effects(made, facts);
        let areas: Vec<&[u8]> = made.areas.iter().map(Vec::as_slice).collect();
        let program = Program {
            instructions: &self.instructions,
            entries: &self.entries,
            effects: &effects,
            areas: &areas,
            key_bytes: made.key_bytes,
            big_endian: made.elf.words.big_endian,
        };
        let walked = self.whole.then(|| walk(&program));
        let refusals: FxHashMap<usize, &[Decision]> = walked
            .iter()
            .flat_map(|walked| &walked.refused)
            .map(|refusal| (refusal.instruction, refusal.passed.as_slice()))
            .collect();
        let poisoned = |at| effects.contains(&(at, Effect::Refused));
        for (at, &place) in self.places.iter().enumerate() {
            let Some(thing) = made.thing(&place) else { continue };
            let reached = walked.as_ref().is_none_or(|walked| walked.reached[at]);
            let used = walked.as_ref().is_none_or(|walked| walked.used[at]);
            let guards = match (&walked, reached) {
                (Some(walked), false) => self.guards(made, &guards_of(walked, at)),
                _ => self.guards(made, refusals.get(&at).copied().unwrap_or_default()),
            };
            let refused = refusals.contains_key(&at) || walked.is_none() && poisoned(at);
            out.push(Site { program: self.program, place, thing, reached, used, refused, guards });
        }
    }

    fn guards(&self, made: &Made<'_>, decisions: &[Decision]) -> Vec<Guard> {
        let guard = |decision: &Decision| {
            let causes = decision.causes.iter().filter_map(|&at| made.thing(&self.places[at]));
            Guard { branch: self.places[decision.branch], causes: causes.collect() }
        };
        decisions.iter().map(guard).collect()
    }

    /// Puts the kernel's numbers into the instructions, and tells what else it makes of them.
    fn effects(&mut self, made: &Made<'_>, facts: &Facts) -> Vec<(usize, Effect)> {
        let mut effects = Vec::new();
        for at in 0..self.places.len() {
            let (place, one) = (&self.places[at], self.instructions[at]);
            if let Some(&number) = made.relocations.get(place) {
                let relocated = &made.relocated[number as usize];
                let effect = match relocated.patched {
                    _ if relocated.poisoned => Some(Effect::Refused),
                    Some(bytes) => self.patch(at, bytes, made.elf.words.big_endian),
                    None => Some(Effect::Unknown),
                };
                effects.extend(effect.map(|effect| (at, effect)));
            } else if let Some(reference) = made.references.get(place) {
                let effect = match reference.target {
                    Target::Extern(number) => Some(made.of_extern(number, one, facts)),
                    Target::Map(_) => Some(Effect::Unknown),
                    Target::Program(_) => None,
                };
                effects.extend(effect.map(|effect| (at, effect)));
            }
        }
        effects
    }

    /// Replaces an instruction; what its number means if it is more than the place of a load or store.
    fn patch(&mut self, at: usize, bytes: &[u8], big_endian: bool) -> Option<Effect> {
        for (at, bytes) in (at..self.instructions.len()).zip(bytes.chunks_exact(BYTES)) {
            self.instructions[at] = Instruction::decode(bytes, big_endian)?;
        }
        let one = self.instructions[at];
        let low = u64::from(one.imm as u32);
        match one.class() {
            BPF_ALU | BPF_ALU64 => Some(Effect::Immediate(low)),
            _ if one.code == BPF_LD_IMM64 => {
                let high = self.instructions.get(at + 1)?.imm as u32;
                Some(Effect::Immediate(low | u64::from(high) << 32))
            }
            _ => None,
        }
    }
}

/// Those that are told: the nearest few.
fn guards_of(walked: &Walk, at: usize) -> Vec<Decision> {
    let mut found = walked.guards(at);
    found.truncate(8);
    found
}

/// What a `.kconfig` variable is, as libbpf distinguishes them.
enum Form {
    Bool,
    Tristate(usize),
    Char,
    Integer { byte_size: usize, signed: bool },
    Text(usize),
}

impl Form {
    fn byte_size(&self) -> usize {
        match *self {
            Form::Bool | Form::Char => 1,
            Form::Tristate(size) | Form::Text(size) | Form::Integer { byte_size: size, .. } => size,
        }
    }

    /// An option's value in memory; `None` where libbpf refuses it.
    fn bytes(&self, value: &str, big_endian: bool) -> Option<Vec<u8>> {
        let size = self.byte_size();
        let word = match (self, value) {
            (Form::Text(_), _) => {
                // cut to what there is room for, with the NUL
                let mut bytes: Vec<u8> = value.bytes().take(size.checked_sub(1)?).collect();
                bytes.resize(size, 0);
                return Some(bytes);
            }
            (Form::Bool, "n") => 0,
            (Form::Bool, "y") => 1,
            (Form::Tristate(_), "n") => TRI_NO,
            (Form::Tristate(_), "m") => TRI_MODULE,
            (Form::Tristate(_), "y") => TRI_YES,
            (Form::Char, "y" | "n" | "m") => value.as_bytes()[0].into(),
            (Form::Integer { byte_size, signed }, _) => {
                let word = integer(value)?;
                let bits = 8 * *byte_size as u32;
                let fits = match (bits, signed) {
                    (64.., _) => true,
                    (_, true) => ((word as i64) << (64 - bits)) >> (64 - bits) == word as i64,
                    (_, false) => word >> bits == 0,
                };
                fits.then_some(word)?
            }
            _ => return None,
        };
        let bytes = if big_endian { word.to_be_bytes() } else { word.to_le_bytes() };
        match big_endian {
            true => bytes.get(8usize.checked_sub(size)?..).map(<[u8]>::to_vec),
            false => bytes.get(..size).map(<[u8]>::to_vec),
        }
    }
}

fn integer(value: &str) -> Option<u64> {
    let (negative, digits) = match value.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    let word = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16),
        None if digits.len() > 1 && digits.starts_with('0') => u64::from_str_radix(digits, 8),
        None => digits.parse(),
    };
    word.ok().map(|word| if negative { word.wrapping_neg() } else { word })
}

/// The variables of `.kconfig`.
fn kconfig_types(btf: &Btf<'_>) -> FxHashMap<String, Form> {
    let mut found = FxHashMap::default();
    for (_, section) in btf.types() {
        let Ok(section) = section else { continue };
        let Kind::Datasec { variables, .. } = section.kind else { continue };
        if section.name != b".kconfig" {
            continue;
        }
        for variable in variables.iter().flatten() {
            let Ok(of) = btf.get(variable.type_id) else { continue };
            let Kind::Var { of: id, .. } = of.kind else { continue };
            if let Some(form) = form(btf, id) {
                found.insert(text(of.name), form);
            }
        }
    }
    found
}

fn form(btf: &Btf<'_>, id: u32) -> Option<Form> {
    let (_, found) = without_modifiers(btf, id)?;
    Some(match found.kind {
        Kind::Int { bool: true, .. } => Form::Bool,
        Kind::Int { byte_size: 1, .. } => Form::Char,
        Kind::Int { byte_size: byte_size @ (2 | 4 | 8), signed, .. } => {
            Form::Integer { byte_size: byte_size as usize, signed }
        }
        Kind::Enum { byte_size, .. } if found.name == b"libbpf_tristate" && byte_size <= 8 => {
            Form::Tristate(byte_size as usize)
        }
        Kind::Array { element, count, .. } if count as usize <= KCONFIG_LIMIT => {
            let is_char = matches!(without_modifiers(btf, element)?.1.kind, Kind::Int { byte_size: 1, .. });
            is_char.then_some(Form::Text(count as usize))?
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
