//! What programs read of their context: the arguments that they are called with, the registers, the event.
//!
//! The context is in the first register when a program begins. Where it goes is followed along all ways through the
//! code, into called functions too; a register counts as long as each way leaves the same in it. Memory that is written
//! through other pointers than the frame pointer is taken for other than where the compiler keeps registers.

use super::instruction::{
    Instruction, BPF_ADD64_IMM, BPF_ALU, BPF_ALU64, BPF_CALL, BPF_LDX, BPF_MEM, BPF_MOV64_REG,
    BPF_PSEUDO_CALL, BPF_ST, BPF_STX, BYTES,
};
use super::object::without_modifiers;
use crate::btf::{Btf, Kind};
use crate::elf::text;
use std::collections::HashMap;

/// The frame pointer, below which 512 bytes are the function's.
const FRAME: u8 = 10;
const SLOTS: usize = 64;
const SLOT_BYTES: i64 = 8;
/// Instructions that are gone through for all programs of an object: some hundred times those of the largest.
const STEPS: usize = 20_000_000;
/// Structs in structs.
const DEPTH_LIMIT: usize = 16;
/// Members of one struct that are looked at.
const MEMBER_LIMIT: usize = 4096;

/// A load from the context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextLoad {
    /// The program whose context it is.
    pub program: u32,
    /// The function that holds the instruction: the program itself, or one that it calls.
    pub function: u32,
    pub instruction: u32,
    pub byte_offset: u32,
    pub byte_size: u8,
    /// The field of the program's context struct, and its type, as the object's BTF has them: `args[1]`.
    pub field: Option<String>,
    pub field_type: Option<String>,
    /// The offset is replaced when the object is loaded (CO-RE).
    pub relocated: bool,
}

/// A function for [`Follower`]: its code, and the functions that its calls are of, by instruction.
pub(super) struct Code<'a> {
    pub bytes: &'a [u8],
    pub callees: HashMap<u32, u32>,
    /// Numbers of instructions that CO-RE changes.
    pub relocated: Vec<u32>,
}

impl Code<'_> {
    fn is_relocated(&self, instruction: usize) -> bool {
        self.relocated.binary_search(&(instruction as u32)).is_ok()
    }
}

/// What a register or a slot of the frame holds: the context and an offset, or anything.
type Held = Option<i16>;

/// What registers and the frame hold.
#[derive(Clone, PartialEq, Eq)]
struct State {
    registers: [Held; 10],
    slots: [Held; SLOTS],
}

impl State {
    fn entry(registers: [Held; 10]) -> State {
        State { registers, slots: [None; SLOTS] }
    }

    /// Keeps what both hold; whether that is less than before.
    fn meet(&mut self, other: &State) -> bool {
        let mut changed = false;
        let pairs = self.registers.iter_mut().zip(&other.registers);
        for (held, other) in pairs.chain(self.slots.iter_mut().zip(&other.slots)) {
            if held.is_some() && held != other {
                *held = None;
                changed = true;
            }
        }
        changed
    }

    fn get(&self, register: u8) -> Held {
        self.registers.get(usize::from(register)).copied().flatten()
    }

    fn set(&mut self, register: u8, held: Held) {
        if let Some(place) = self.registers.get_mut(usize::from(register)) {
            *place = held;
        }
    }

    fn forget_call(&mut self) {
        self.registers[..6].fill(None);
    }

    /// The slot of an access relative to the frame pointer that is one whole slot.
    fn slot(offset: i16, bytes: u8) -> Option<usize> {
        let from_bottom = i64::from(offset) + SLOTS as i64 * SLOT_BYTES;
        (bytes == 8 && from_bottom >= 0 && offset < 0 && from_bottom % SLOT_BYTES == 0)
            .then_some((from_bottom / SLOT_BYTES) as usize)
    }

    fn store(&mut self, offset: i16, bytes: u8, held: Held) {
        if let Some(slot) = State::slot(offset, bytes) {
            self.slots[slot] = held;
            return;
        }
        let from_bottom = i64::from(offset) + SLOTS as i64 * SLOT_BYTES;
        let (first, last) =
            (from_bottom.div_euclid(SLOT_BYTES), (from_bottom + i64::from(bytes) - 1).div_euclid(SLOT_BYTES));
        for slot in first.max(0)..=last.min(SLOTS as i64 - 1) {
            self.slots[slot as usize] = None;
        }
    }

    /// What is held after an instruction that is neither a jump nor a call.
    fn step(&mut self, found: Instruction, relocated: bool) {
        match found.class() {
            BPF_LDX => {
                let of_frame = found.src == FRAME && found.code & 0xe0 == BPF_MEM;
                let slot = found.memory_bytes().and_then(|bytes| State::slot(found.offset, bytes));
                self.set(found.dst, slot.filter(|_| of_frame).and_then(|slot| self.slots[slot]));
            }
            BPF_ST | BPF_STX => match found.memory_bytes() {
                Some(bytes) if found.dst == FRAME => {
                    let held = if found.class() == BPF_STX { self.get(found.src) } else { None };
                    self.store(found.offset, bytes, held);
                }
                Some(_) => {}
                // an atomic one may give the old value to a register
                None => {
                    self.set(found.src, None);
                    self.set(0, None);
                }
            },
            BPF_ALU | BPF_ALU64 => {
                let held = match found.code {
                    BPF_MOV64_REG if found.offset == 0 => self.get(found.src),
                    BPF_ADD64_IMM if !relocated => {
                        let sum = |held: i16| i64::from(held) + i64::from(found.imm);
                        self.get(found.dst).and_then(|held| i16::try_from(sum(held)).ok())
                    }
                    _ => None,
                };
                self.set(found.dst, held);
            }
            // loads of a constant, and those of packets, which call the kernel
            0 if found.is_wide() => self.set(found.dst, None),
            0 => self.forget_call(),
            _ => {}
        }
    }
}

/// What is held where jumps arrive, by instruction.
type States = HashMap<usize, State>;

/// Follows the contexts of an object's programs.
pub(super) struct Follower<'a> {
    pub functions: &'a [Code<'a>],
    pub big_endian: bool,
    steps: usize,
}

impl<'a> Follower<'a> {
    pub fn new(functions: &'a [Code<'a>], big_endian: bool) -> Follower<'a> {
        Follower { functions, big_endian, steps: 0 }
    }

    /// The loads from a program's context; `None` if there is too much code to follow.
    pub fn follow(&mut self, program: u32) -> Option<Vec<ContextLoad>> {
        let mut entries: HashMap<u32, State> = HashMap::new();
        let mut registers = [None; 10];
        registers[1] = Some(0);
        entries.insert(program, State::entry(registers));
        let mut todo = vec![program];
        let mut states: HashMap<u32, States> = HashMap::new();
        while let Some(function) = todo.pop() {
            let (at_targets, calls) = self.flow(function, &entries[&function])?;
            states.insert(function, at_targets);
            for (callee, state) in calls {
                match entries.get_mut(&callee) {
                    // nothing of the context gets there
                    None if state.registers.iter().all(Option::is_none) => {}
                    None => {
                        entries.insert(callee, state);
                        todo.push(callee);
                    }
                    Some(known) => {
                        if known.meet(&state) {
                            todo.push(callee);
                        }
                    }
                }
            }
        }
        let mut loads = Vec::new();
        for (function, at_targets) in states {
            self.collect(program, function, &at_targets, &mut loads)?;
        }
        loads.sort_by_key(|load| (load.function, load.instruction));
        Some(loads)
    }

    fn instruction(&mut self, code: &Code<'_>, at: usize) -> Option<Option<Instruction>> {
        self.steps += 1;
        let bytes = code.bytes.get(at.checked_mul(BYTES)?..).unwrap_or_default();
        (self.steps <= STEPS).then(|| Instruction::decode(bytes, self.big_endian))
    }

    /// What is held where jumps arrive, and when functions are called.
    fn flow(&mut self, function: u32, entry: &State) -> Option<(States, Vec<(u32, State)>)> {
        let functions = self.functions;
        let code = &functions[function as usize];
        let mut states = States::new();
        let mut targets: Vec<usize> = vec![0];
        let mut at = 0;
        while let Some(found) = self.instruction(code, at)? {
            let next = at + if found.is_wide() { 2 } else { 1 };
            targets.extend(target(next, found));
            at = next;
        }
        targets.sort_unstable();
        targets.dedup();
        let mut calls = Vec::new();
        states.insert(0, entry.clone());
        let mut todo = vec![0];
        let arrive = |states: &mut States, todo: &mut Vec<usize>, at: usize, state: &State| match states
            .get_mut(&at)
        {
            None => {
                states.insert(at, state.clone());
                todo.push(at);
            }
            Some(known) => {
                if known.meet(state) {
                    todo.push(at);
                }
            }
        };
        while let Some(start) = todo.pop() {
            let mut state = states[&start].clone();
            let mut at = start;
            while let Some(found) = self.instruction(code, at)? {
                let next = at + if found.is_wide() { 2 } else { 1 };
                if let Some(to) = target(next, found) {
                    arrive(&mut states, &mut todo, to, &state);
                }
                if found.ends() {
                    break;
                }
                if found.code == BPF_CALL {
                    if let Some(&callee) =
                        code.callees.get(&(at as u32)).filter(|_| found.src == BPF_PSEUDO_CALL)
                    {
                        let mut passed = State::entry(state.registers);
                        passed.registers[6..].fill(None);
                        passed.registers[0] = None;
                        calls.push((callee, passed));
                    }
                    state.forget_call();
                } else {
                    state.step(found, code.is_relocated(at));
                }
                at = next;
                if targets.binary_search(&at).is_ok() {
                    arrive(&mut states, &mut todo, at, &state);
                    break;
                }
            }
        }
        Some((states, calls))
    }

    fn collect(
        &mut self,
        program: u32,
        function: u32,
        states: &States,
        loads: &mut Vec<ContextLoad>,
    ) -> Option<()> {
        let functions = self.functions;
        let code = &functions[function as usize];
        for (&start, state) in states {
            let mut state = state.clone();
            let mut at = start;
            while let Some(found) = self.instruction(code, at)? {
                let relocated = code.is_relocated(at);
                let held = if found.class() == BPF_LDX { state.get(found.src) } else { None };
                if let (Some(base), Some(byte_size)) = (held, found.memory_bytes()) {
                    if let Ok(byte_offset) = u32::try_from(i32::from(base) + i32::from(found.offset)) {
                        loads.push(ContextLoad {
                            program,
                            function,
                            instruction: at as u32,
                            byte_offset,
                            byte_size,
                            field: None,
                            field_type: None,
                            relocated,
                        });
                    }
                }
                if found.ends() {
                    break;
                }
                if found.code == BPF_CALL {
                    state.forget_call();
                } else {
                    state.step(found, relocated);
                }
                at += if found.is_wide() { 2 } else { 1 };
                if states.contains_key(&at) {
                    break;
                }
            }
        }
        Some(())
    }
}

/// Where an instruction may jump to.
fn target(next: usize, found: Instruction) -> Option<usize> {
    usize::try_from(i64::try_from(next).ok()?.checked_add(found.jump()?)?).ok()
}

/// The field of a struct at an offset, through structs in it, and its type as C: `ent.type`, `args[1]`.
pub(super) fn field_at(
    btf: &Btf<'_>,
    type_id: u32,
    byte_offset: u32,
    byte_size: u8,
) -> Option<(String, String)> {
    let mut path = String::new();
    let id = descend(btf, type_id, u64::from(byte_offset) * 8, byte_size, &mut path, 0)?;
    let mut written = String::new();
    crate::ctype::declare(btf, Some(id.into()), None, &mut written).ok()?;
    Some((path, written))
}

fn descend(
    btf: &Btf<'_>,
    type_id: u32,
    bit_offset: u64,
    byte_size: u8,
    path: &mut String,
    depth: usize,
) -> Option<u32> {
    let (id, found) = without_modifiers(btf, type_id)?;
    match found.kind {
        _ if depth > DEPTH_LIMIT => None,
        Kind::Struct { members, .. } | Kind::Union { members, .. } => {
            for member in members.iter().take(MEMBER_LIMIT) {
                let member = member.ok()?;
                let size = btf.byte_size(member.type_id, Some(8))?;
                let start = u64::from(member.bit_offset);
                if member.bits.is_some() || !(start..start + size.saturating_mul(8)).contains(&bit_offset) {
                    continue;
                }
                let before = path.len();
                if !path.is_empty() && !member.name.is_empty() {
                    path.push('.');
                }
                path.push_str(&text(member.name));
                if let Some(id) = descend(btf, member.type_id, bit_offset - start, byte_size, path, depth + 1)
                {
                    return Some(id);
                }
                path.truncate(before);
            }
            None
        }
        Kind::Array { element, .. } => {
            let size = btf.byte_size(element, Some(8)).filter(|&size| size > 0)?.saturating_mul(8);
            path.push_str(&format!("[{}]", bit_offset / size));
            descend(btf, element, bit_offset % size, byte_size, path, depth + 1)
        }
        _ => {
            // a part of a number is read, too
            let end = bit_offset / 8 + u64::from(byte_size);
            btf.byte_size(id, Some(8)).is_some_and(|size| end <= size).then_some(type_id)
        }
    }
}
