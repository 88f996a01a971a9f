//! What one instruction does to what is known, and where a path goes on after it.

use super::flow::{self, BPF_JCOND};
use super::origin::Origin;
use super::state::{Held, State, Value};
use super::tnum::{Tnum, BPF_JEQ, BPF_JNE};
use super::{Effect, Walker};
use crate::bpf::instruction::{
    Instruction, BPF_ALU, BPF_ALU64, BPF_CALL, BPF_EXIT, BPF_JMP, BPF_JMP32, BPF_LDX, BPF_MEMSX,
    BPF_PSEUDO_CALL, BPF_ST, BPF_STX,
};

/// No verifier takes more functions that wait for each other.
const MAX_CALL_FRAMES: usize = 8;
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

impl Walker<'_> {
    /// Runs one instruction; where the path goes on.
    pub(super) fn step(
        &mut self,
        at: usize,
        next: usize,
        effect: Option<Effect>,
        state: &mut State,
    ) -> Option<usize> {
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
            self.seen[at].ways[usize::from(jumps)] = true;
            self.decides(at, origin, state);
            return if jumps { target } else { Some(next) };
        }
        self.seen[at].ways = [true; 2];
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
