//! Which instructions of an eBPF program the verifier of one kernel reaches, and which it never looks at, because a
//! relocated constant decides a branch.
//!
//! The program is run on what is known of its registers and of its stacks, as the verifier does
//! (`kernel/bpf/verifier.c`), along all paths that are not decided. What is told as not reached is not reached by the
//! verifiers of any kernel since v5.10 that may see known bits (a program is loaded with `CAP_PERFMON`): where those
//! know more, or only some do, nothing is known here. Two numbers that are spilled as less than eight bytes, a
//! constant that is stored without a register, or divided, are such.

mod flow;
mod origin;
mod state;
mod tnum;

use crate::bpf::instruction::{
    Instruction, BPF_ALU, BPF_ALU64, BPF_CALL, BPF_EXIT, BPF_JMP, BPF_JMP32, BPF_LDX, BPF_MEMSX,
    BPF_PSEUDO_CALL, BPF_ST, BPF_STX,
};
use flow::{Flow, BPF_JCOND};
use origin::{Origin, Origins};
use rustc_hash::{FxHashMap, FxHashSet};
use state::{Held, State, Value};
use std::collections::VecDeque;
use tnum::{Tnum, BPF_JEQ, BPF_JNE};

/// No verifier takes more functions that wait for each other.
const MAX_CALL_FRAMES: usize = 8;
/// What is known at one instruction after different calls, or on different paths, is kept apart up to this.
const STATES_LIMIT: usize = 64;
/// Of a longer program everything counts as reached: none that exists has a tenth of it.
const PROGRAM_LIMIT: usize = 100_000;
/// Instructions that are run, for each that there is and at least, before paths are no longer told apart.
const STEPS_FACTOR: usize = 128;
const STEPS_LEAST: usize = 50_000;
const STEPS_MOST: usize = 1_000_000;
/// States that are kept, likewise.
const KEPT_LIMIT: usize = 50_000;
/// How far back the guard of an instruction that is not reached is looked for.
const SEARCH_LIMIT: usize = 4096;

const BPF_X: u8 = 0x08;
const BPF_MOV: u8 = 0xb0;
const BPF_ADD: u8 = 0x00;
const BPF_SUB: u8 = 0x10;
const BPF_END: u8 = 0xd0;
const BPF_ATOMIC: u8 = 0xc0;
const BPF_FETCH: i32 = 0x01;
const BPF_CMPXCHG: i32 = 0xf1;
const BPF_LOAD_ACQ: i32 = 0x100;
const BPF_STORE_REL: i32 = 0x110;

/// Helpers that only read what their arguments lead to (`struct bpf_func_proto`): map look-ups, updates and deletes,
/// `trace_printk`, `perf_event_output`, `map_push_elem`, `ringbuf_output`.
const READERS: [i32; 7] = [1, 2, 3, 6, 25, 87, 130];
/// Helpers that only write to where the first argument leads, as many bytes as the second says: the `probe_read`
/// family, `get_current_comm`, `copy_from_user`.
const WRITERS: [i32; 8] = [4, 16, 45, 112, 113, 114, 115, 148];

/// What a kernel makes of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Its immediate is replaced, by CO-RE or by the address of a weak symbol that is not there (0).
    Immediate(u64),
    /// Reaching it makes the verifier refuse the program: a relocation without a match, which libbpf replaces by an
    /// invalid call, or a call of a weak kfunc that is not there.
    Refused,
    /// It gives the address of a symbol, and the verifier knows that this is not 0.
    Address,
    /// It gives the address of so many bytes in one of the areas.
    Area { area: usize, offset: i64 },
    /// It gives nothing that is known: every other relocated instruction, whose own constant means nothing.
    Unknown,
    /// A call of a kfunc `bpf_iter_*_next`: verifiers forget there what changed since the last time.
    IteratorNext,
}

/// A program of one kernel, as it would be loaded.
#[derive(Debug, Clone, Copy)]
pub struct Program<'a> {
    /// With the functions that it calls; calls lead to them (`BPF_PSEUDO_CALL`, `BPF_PSEUDO_FUNC`). The second half
    /// of a wide one has its own number.
    pub instructions: &'a [Instruction],
    /// Where verification begins: the program itself, and each function that is global, as those are verified
    /// for any arguments, by most kernels also if they are not called.
    pub entries: &'a [usize],
    /// By instruction, each at most once.
    pub effects: &'a [(usize, Effect)],
    /// Memory whose content the verifier knows: the value of a `.kconfig` extern, `.rodata` if nobody changes it.
    pub areas: &'a [&'a [u8]],
    pub big_endian: bool,
}

/// A conditional jump that goes only one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The jump.
    pub branch: usize,
    /// The instructions whose effects decided it; empty for constants of the program itself.
    pub causes: Vec<usize>,
}

/// An instruction that is reached and must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub instruction: usize,
    /// The branches on one way there that effects decided, the last one first.
    pub passed: Vec<Decision>,
}

/// What became of a program.
pub struct Walk {
    /// By number of the instruction; both halves of a wide one.
    pub reached: Vec<bool>,
    /// What is reached of the instructions with [`Effect::Refused`], in order.
    pub refused: Vec<Refusal>,
    decided: FxHashMap<usize, Decided>,
    flow: Flow,
    origins: Origins,
}

impl Walk {
    /// The branches that keep an instruction, which is not reached, from being so; the nearest first, and those
    /// before the others which an effect decided. Empty if nothing of the program leads there.
    pub fn guards(&self, instruction: usize) -> Vec<Decision> {
        let mut found: Vec<Decision> = Vec::new();
        if self.reached.get(instruction) != Some(&false) {
            return found;
        }
        let mut seen = FxHashSet::from_iter([instruction]);
        let mut work = VecDeque::from([instruction]);
        while let Some(at) = work.pop_front() {
            for before in self.flow.before(at) {
                if !seen.insert(before) || seen.len() > SEARCH_LIMIT {
                    continue;
                }
                if !self.reached[before] {
                    work.push_back(before);
                } else if let Some(decided) = self.decided.get(&before) {
                    let causes = self.origins.get(decided.origin).to_vec();
                    found.push(Decision { branch: before, causes });
                }
            }
        }
        found.sort_by_key(|decision| decision.causes.is_empty());
        found
    }
}

/// Finds what is reached of a program. It always ends, and a program that no verifier would take is no error.
pub fn walk(program: &Program<'_>) -> Walk {
    let len = program.instructions.len();
    if len > PROGRAM_LIMIT || program.instructions.iter().any(|&one| flow::is_indirect(one)) {
        return everything(program);
    }
    let mut walker = Walker::new(program, true);
    if !walker.run() {
        walker = Walker::new(program, false);
        if !walker.run() {
            return everything(program);
        }
    }
    walker.finish()
}

/// Nothing is known: each instruction counts as reached.
fn everything(program: &Program<'_>) -> Walk {
    let of = |at| Refusal { instruction: at, passed: Vec::new() };
    let mut refused: Vec<Refusal> = program
        .effects
        .iter()
        .filter(|effect| effect.1 == Effect::Refused)
        .map(|effect| of(effect.0))
        .collect();
    refused.sort_unstable_by_key(|refusal| refusal.instruction);
    Walk {
        reached: vec![true; program.instructions.len()],
        refused,
        decided: FxHashMap::default(),
        flow: Flow::new(&[], &[]),
        origins: Origins::new(),
    }
}

/// What became of a conditional jump.
struct Decided {
    /// What decided it, wherever it was.
    origin: Origin,
}

/// A branch that an effect decided, on one path.
struct Mark {
    before: u32,
    branch: usize,
    origin: Origin,
}

/// What is known at an instruction, and whether it stands for several paths.
struct Kept {
    state: State,
    joined: bool,
}

struct Walker<'a> {
    program: &'a Program<'a>,
    effects: Vec<Option<Effect>>,
    /// Whether paths are told apart, and calls of one function.
    apart: bool,
    flow: Flow,
    origins: Origins,
    /// Number 0 is none.
    trails: Vec<Mark>,
    kept: Vec<Vec<Kept>>,
    kept_count: usize,
    steps: usize,
    work: Vec<(usize, State)>,
    /// Functions that are run for any arguments.
    roots: FxHashSet<usize>,
    reached: Vec<bool>,
    /// The trail of the first path to it.
    refused: FxHashMap<usize, u32>,
    decided: FxHashMap<usize, Decided>,
}

impl<'a> Walker<'a> {
    fn new(program: &'a Program<'a>, apart: bool) -> Walker<'a> {
        let len = program.instructions.len();
        let mut effects = vec![None; len];
        let mut flow = Flow::new(program.instructions, program.entries);
        for &(at, effect) in program.effects {
            if let Some(place) = effects.get_mut(at) {
                *place = Some(effect);
                flow.joins[at] |= effect == Effect::IteratorNext;
            }
        }
        Walker {
            program,
            effects,
            apart,
            flow,
            origins: Origins::new(),
            trails: vec![Mark { before: 0, branch: 0, origin: Origin::NONE }],
            kept: std::iter::repeat_with(Vec::new).take(len).collect(),
            kept_count: 0,
            steps: (len * STEPS_FACTOR).clamp(STEPS_LEAST, STEPS_MOST),
            work: Vec::new(),
            roots: FxHashSet::default(),
            reached: vec![false; len],
            refused: FxHashMap::default(),
            decided: FxHashMap::default(),
        }
    }

    fn finish(self) -> Walk {
        let mut refused: Vec<Refusal> = self
            .refused
            .iter()
            .map(|(&instruction, &trail)| Refusal { instruction, passed: self.passed(trail) })
            .collect();
        refused.sort_unstable_by_key(|refusal| refusal.instruction);
        let Walker { reached, decided, flow, origins, .. } = self;
        Walk { reached, refused, decided, flow, origins }
    }

    /// Each branch of a trail once.
    fn passed(&self, mut trail: u32) -> Vec<Decision> {
        let mut found: Vec<Decision> = Vec::new();
        let mut seen = FxHashSet::default();
        while trail != 0 {
            let mark = &self.trails[trail as usize];
            if seen.insert(mark.branch) {
                found.push(Decision { branch: mark.branch, causes: self.origins.get(mark.origin).to_vec() });
            }
            trail = mark.before;
        }
        found
    }

    /// Whether it came to an end within its means.
    fn run(&mut self) -> bool {
        for &entry in self.program.entries {
            self.root(entry);
        }
        while let Some((at, state)) = self.work.pop() {
            if !self.path(at, state) {
                return false;
            }
        }
        true
    }

    /// Runs a function for any arguments, once.
    fn root(&mut self, at: usize) {
        if at < self.program.instructions.len() && self.roots.insert(at) {
            self.work.push((at, State::start()));
        }
    }

    /// Follows one path to its end, and leaves others to be followed.
    fn path(&mut self, mut at: usize, mut state: State) -> bool {
        while at < self.program.instructions.len() {
            if self.flow.joins[at] {
                state.keep(self.flow.live[at]);
                if !self.arrives(at, &mut state) {
                    return true;
                }
            }
            if self.steps == 0 || self.kept_count > KEPT_LIMIT.max(self.program.instructions.len()) {
                return false;
            }
            self.steps -= 1;
            let next = flow::next(self.program.instructions, at);
            self.reached[at..next.min(self.program.instructions.len())].fill(true);
            let effect = self.effects[at];
            if effect == Some(Effect::Refused) {
                self.refused.entry(at).or_insert(state.trail);
            }
            match self.step(at, next, effect, &mut state) {
                Some(onward) => at = onward,
                None => return true,
            }
        }
        true
    }

    /// Whether there is something new on this path; the state may then stand for others too.
    fn arrives(&mut self, at: usize, state: &mut State) -> bool {
        let one = self.program.instructions[at];
        let forgets = one.code == BPF_JCOND || self.effects[at] == Some(Effect::IteratorNext);
        let limit = if self.apart && !forgets { STATES_LIMIT } else { 1 };
        let kept = &mut self.kept[at];
        let mut same = 0;
        let mut joined = false;
        for other in kept.iter().filter(|other| other.state.same_calls(state)) {
            if other.state.covers(state) {
                return false;
            }
            same += 1;
            joined |= other.joined;
        }
        if same >= limit || joined {
            let before = kept.len();
            kept.retain(|other| {
                let is_same = other.state.same_calls(state);
                if is_same {
                    state.join(&other.state);
                }
                !is_same
            });
            self.kept_count -= before - kept.len();
            joined = true;
        }
        kept.push(Kept { state: state.clone(), joined });
        self.kept_count += 1;
        true
    }

    /// Runs one instruction; where the path goes on.
    fn step(&mut self, at: usize, next: usize, effect: Option<Effect>, state: &mut State) -> Option<usize> {
        let one = self.program.instructions[at];
        match one.class() {
            BPF_ALU | BPF_ALU64 => self.calculate(at, one, effect, state),
            BPF_LDX => {
                let held = match effect {
                    Some(Effect::Refused) => Held::UNKNOWN,
                    _ => self.load(one, state),
                };
                state.set(one.dst, held);
            }
            BPF_ST => {
                if let Some(bytes) = one.memory_bytes() {
                    state.store(state.get(one.dst).value, one.offset, bytes, Held::UNKNOWN);
                }
            }
            BPF_STX if one.code & 0xe0 == BPF_ATOMIC => self.atomic(one, state),
            BPF_STX => {
                let bytes = one.memory_bytes().unwrap_or(8);
                state.store(state.get(one.dst).value, one.offset, bytes, state.get(one.src));
            }
            BPF_JMP | BPF_JMP32 => return self.jump(at, next, one, effect, state),
            _ if one.is_wide() => self.load_constant(at, one, effect, state),
            // BPF_ABS, BPF_IND: a call
            _ => state.returned(Held::UNKNOWN),
        }
        Some(next)
    }

    /// `lddw`.
    fn load_constant(&mut self, at: usize, one: Instruction, effect: Option<Effect>, state: &mut State) {
        let callback = flow::function(self.program.instructions, at);
        let high = self.program.instructions.get(at + 1).map_or(0, |half| half.imm);
        let value = match effect {
            Some(Effect::Immediate(value)) => Value::constant(value),
            Some(Effect::Address) => Value::Address,
            Some(Effect::Area { area, offset }) => Value::Area { area, offset },
            Some(_) => Value::Unknown,
            None if callback.is_some() => Value::Anything,
            None if one.src != 0 => Value::Unknown,
            None => Value::constant(u64::from(one.imm as u32) | (high as u64) << 32),
        };
        // verified when it is called back, which is known to whom it is passed
        if let Some(callback) = callback {
            self.root(callback);
        }
        let origin = self.origin(at, effect);
        state.set(one.dst, Held { value, origin });
    }

    /// The instruction itself, if an effect makes its value.
    fn origin(&mut self, at: usize, effect: Option<Effect>) -> Origin {
        match effect {
            Some(Effect::Immediate(_) | Effect::Address | Effect::Area { .. }) => self.origins.one(at),
            _ => Origin::NONE,
        }
    }

    /// The second operand.
    fn operand(&mut self, at: usize, one: Instruction, effect: Option<Effect>, state: &State) -> Held {
        if one.code & BPF_X != 0 {
            return state.get(one.src);
        }
        let imm = match effect {
            Some(Effect::Immediate(value)) => value as i32,
            Some(Effect::Unknown) => return Held::plain(Value::Scalar(Tnum::UNKNOWN)),
            _ => one.imm,
        };
        Held { value: Value::constant(i64::from(imm) as u64), origin: self.origin(at, effect) }
    }

    fn calculate(&mut self, at: usize, one: Instruction, effect: Option<Effect>, state: &mut State) {
        let narrow = one.class() == BPF_ALU;
        let b = self.operand(at, one, effect, state);
        let held = match one.code & 0xf0 {
            // nobody sees what follows; it is followed to find what else is refused
            _ if effect == Some(Effect::Refused) => Held::UNKNOWN,
            BPF_END => Held::plain(Value::Scalar(Tnum::UNKNOWN)),
            BPF_MOV if one.offset != 0 => moved(one, b),
            BPF_MOV if narrow => Held { value: Value::Scalar(bits(b.value).cut(4)), origin: b.origin },
            BPF_MOV => b,
            _ => {
                let a = state.get(one.dst);
                Held {
                    value: calculated(one.code, a.value, b.value),
                    origin: self.origins.both(a.origin, b.origin),
                }
            }
        };
        state.set(one.dst, held);
    }

    fn load(&self, one: Instruction, state: &State) -> Held {
        let base = state.get(one.src);
        let Some(bytes) = one.memory_bytes() else { return Held::ANYTHING };
        let extends = one.code & 0xe0 == BPF_MEMSX;
        if let Value::Area { area, offset } = base.value {
            let start = offset.checked_add(one.offset.into()).and_then(|at| usize::try_from(at).ok());
            let area = self.program.areas.get(area);
            let known = start.and_then(|at| area?.get(at..at.checked_add(bytes.into())?));
            let Some(known) = known else { return Held::UNKNOWN };
            let place = |word: u64, &byte: &u8| word << 8 | u64::from(byte);
            let word = match self.program.big_endian {
                true => known.iter().fold(0, place),
                false => known.iter().rev().fold(0, place),
            };
            let word = if extends { extended(word, bytes) } else { word };
            return Held { value: Value::constant(word), origin: base.origin };
        }
        match extends {
            false => state.load(base.value, one.offset, bytes),
            true => Held::plain(Value::Scalar(Tnum::UNKNOWN)),
        }
    }

    fn atomic(&mut self, one: Instruction, state: &mut State) {
        let (dst, src) = (state.get(one.dst), state.get(one.src));
        let bytes = if one.code & 0x18 == 0x18 { 8 } else { 4 };
        match one.imm {
            BPF_LOAD_ACQ => state.set(one.dst, Held::ANYTHING),
            BPF_STORE_REL => {
                let bytes = [4, 2, 1, 8][usize::from(one.code >> 3 & 3)];
                state.store(dst.value, one.offset, bytes, src);
            }
            _ => {
                // what it leaves there may be what was there, or what is written
                let pointer = matches!(src.value, Value::Stack { .. } | Value::Anything);
                let left = if pointer || bytes == 8 { Held::ANYTHING } else { Held::UNKNOWN };
                state.store(dst.value, one.offset, bytes, left);
                if one.imm == BPF_CMPXCHG {
                    state.set(0, Held::ANYTHING);
                } else if one.imm & BPF_FETCH != 0 {
                    state.set(one.src, Held::ANYTHING);
                }
            }
        }
    }

    fn jump(
        &mut self,
        at: usize,
        next: usize,
        one: Instruction,
        effect: Option<Effect>,
        state: &mut State,
    ) -> Option<usize> {
        let target = flow::target(self.program.instructions, at);
        match one.code {
            BPF_EXIT => return state.leave(),
            BPF_CALL if one.src == BPF_PSEUDO_CALL && effect.is_none() => return self.call(at, next, state),
            BPF_CALL => {
                self.leaves_program(one.helper().filter(|_| effect.is_none()), state);
                return Some(next);
            }
            _ if one.ends() => return target,
            BPF_JCOND => {
                if let Some(target) = target {
                    self.work.push((target, state.clone()));
                }
                return Some(next);
            }
            _ => {}
        }
        let (a, b) = (state.get(one.dst), self.operand(at, one, effect, state));
        let origin = self.origins.both(a.origin, b.origin);
        if let Some(jumps) = jumps(one.code, a.value, b.value) {
            self.decides(at, origin, state);
            return if jumps { target } else { Some(next) };
        }
        let refine = |state: &mut State, taken: bool| {
            let refined = |a: Held, b: Held| match (a.value, b.value.known()) {
                (Value::Scalar(tnum), Some(b)) => Some(Value::Scalar(tnum.refined(one.code, b, taken))),
                _ => None,
            };
            if let Some(value) = refined(a, b) {
                state.set(one.dst, Held { value, origin: a.origin });
            } else if one.code & BPF_X != 0 && matches!(one.code & 0xf0, BPF_JEQ | BPF_JNE) {
                if let Some(value) = refined(b, a) {
                    state.set(one.src, Held { value, origin: b.origin });
                }
            }
        };
        if let Some(target) = target {
            let mut other = state.clone();
            refine(&mut other, true);
            self.work.push((target, other));
        }
        refine(state, false);
        Some(next)
    }

    /// Notes that a branch goes one way on this path.
    fn decides(&mut self, at: usize, origin: Origin, state: &mut State) {
        let last = &self.trails[state.trail as usize];
        // a constant of the program itself which the compiler could not see through was chosen by a branch
        // that an effect decided before
        let reason = if origin == Origin::NONE { last.origin } else { origin };
        let decided = self.decided.entry(at).or_insert(Decided { origin: reason });
        if decided.origin != reason {
            decided.origin = self.origins.both(decided.origin, reason);
        }
        if origin != Origin::NONE && (last.branch, last.origin) != (at, origin) {
            self.trails.push(Mark { before: state.trail, branch: at, origin });
            state.trail = (self.trails.len() - 1) as u32;
        }
    }

    /// A function of the object: it is followed for these arguments, or, where verifiers do so or there are too
    /// many calls, for any.
    fn call(&mut self, at: usize, next: usize, state: &mut State) -> Option<usize> {
        let callee = flow::function(self.program.instructions, at)?;
        let is_global = self.program.entries.contains(&callee);
        if self.apart && !is_global && state.frames.len() < MAX_CALL_FRAMES {
            state.enter(next, self.flow.live.get(next).copied().unwrap_or(0));
            return Some(callee);
        }
        self.root(callee);
        match is_global {
            true => self.leaves_program(None, state),
            false => {
                state.forget_stacks(true);
                state.returned(Held::ANYTHING);
            }
        }
        Some(next)
    }

    /// A helper, a kfunc or a function that is verified by itself: what its arguments lead to may be written.
    fn leaves_program(&mut self, helper: Option<i32>, state: &mut State) {
        let argument = |register: u8| state.get(register).value;
        // any may be a function that is called back, and writes to what was the stack of this one
        if (1..=5).any(|register| argument(register) == Value::Anything) {
            state.forget_stacks(true);
        } else if helper.is_some_and(|helper| WRITERS.contains(&helper)) {
            let most = match argument(2) {
                Value::Scalar(tnum) => Some(tnum.value | tnum.mask),
                _ => None,
            };
            state.written(argument(1), most);
        } else if !helper.is_some_and(|helper| READERS.contains(&helper)) {
            for register in 1..=5 {
                let pointer = state.get(register).value;
                state.written(pointer, None);
            }
        }
        state.returned(Held::UNKNOWN);
    }
}

/// What is known of the bits of anything.
fn bits(value: Value) -> Tnum {
    match value {
        Value::Scalar(tnum) => tnum,
        _ => Tnum::UNKNOWN,
    }
}

fn extended(word: u64, bytes: u8) -> u64 {
    let unused = 64 - u32::from(bytes) * 8;
    ((word << unused) as i64 >> unused) as u64
}

/// A move that extends the sign of 8, 16 or 32 bits, or casts between address spaces.
fn moved(one: Instruction, b: Held) -> Held {
    let value = match (one.offset, b.value.known()) {
        (8 | 16 | 32, Some(word)) => {
            let word = extended(word, (one.offset / 8) as u8);
            Value::constant(if one.class() == BPF_ALU { word & 0xffff_ffff } else { word })
        }
        (8 | 16 | 32, None) => Value::Scalar(Tnum::UNKNOWN),
        _ => Value::Anything,
    };
    Held { value, origin: b.origin }
}

/// The result of an operation that is no move.
fn calculated(code: u8, a: Value, b: Value) -> Value {
    let wide = code & 7 == BPF_ALU64;
    let by = |value: Value| value.known().map(|word| word as i64);
    let step = match (wide, code & 0xf0) {
        (true, BPF_ADD) => by(b).map(|by| (a, by)).or(by(a).map(|by| (b, by))),
        (true, BPF_SUB) => by(b).and_then(i64::checked_neg).map(|by| (a, by)),
        _ => None,
    };
    match (a, b, step) {
        (_, _, Some((Value::Stack { frame, offset }, by))) => {
            let offset = i64::from(offset).checked_add(by).and_then(|offset| i32::try_from(offset).ok());
            offset.map_or(Value::Anything, |offset| Value::Stack { frame, offset })
        }
        (_, _, Some((Value::Area { area, offset }, by))) => {
            offset.checked_add(by).map_or(Value::Unknown, |offset| Value::Area { area, offset })
        }
        (Value::Scalar(a), Value::Scalar(b), _) => Value::Scalar(Tnum::operation(code, a, b)),
        (Value::Stack { .. } | Value::Anything, _, _) | (_, Value::Stack { .. } | Value::Anything, _)
            if wide =>
        {
            Value::Anything
        }
        // what is added to a pointer leaves it one
        (..) if wide && matches!(code & 0xf0, BPF_ADD | BPF_SUB) => Value::Unknown,
        (..) => Value::Scalar(Tnum::operation(code, bits(a), bits(b))),
    }
}

/// Whether a conditional jump is taken, if that is known.
fn jumps(code: u8, a: Value, b: Value) -> Option<bool> {
    match (a, b) {
        (Value::Scalar(a), Value::Scalar(b)) => Tnum::jumps(code, a, b),
        (Value::Address, b) if code & 7 == BPF_JMP && b.known() == Some(0) => match code & 0xf0 {
            BPF_JEQ => Some(false),
            BPF_JNE => Some(true),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests;
