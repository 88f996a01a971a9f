//! What is known at one instruction of one path: registers, and what was kept on the stacks.

use super::origin::Origin;
use super::tnum::Tnum;

/// Registers that can be written.
const REGISTERS: usize = 10;
/// The frame's pointer, which is read only.
pub const BPF_REG_10: u8 = 10;
/// r0 to r5, as bits: a call overwrites them.
pub const CALLER_SAVED: u16 = 0x3f;
/// Bytes of a slot: what is spilled at once.
const SLOT: i32 = 8;
/// No frame has more bytes.
const MAX_BPF_STACK: i32 = 512;
/// The slots of a frame as bits: that at the end, `-8`, is the lowest one.
pub const ALL_SLOTS: u64 = u64::MAX;

/// What a register holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// The verifier knows that it is a number, and these of its bits.
    Scalar(Tnum),
    /// The address of something in the kernel, which is not 0.
    Address,
    /// Bytes from the end of the stack of a frame, which are counted from the outermost.
    Stack { frame: usize, offset: i32 },
    /// Bytes from the start of one of the areas whose content is known.
    Area { area: usize, offset: i64 },
    /// A number or a pointer, but not to a stack and not to a function.
    Unknown,
    /// A number or any pointer.
    Anything,
}

impl Value {
    pub fn constant(value: u64) -> Value {
        Value::Scalar(Tnum::constant(value))
    }

    pub fn known(self) -> Option<u64> {
        match self {
            Value::Scalar(tnum) => tnum.known(),
            _ => None,
        }
    }

    /// Whether all that the other may be is something that this may be.
    fn covers(self, other: Value) -> bool {
        match (self, other) {
            (Value::Anything, _) => true,
            (Value::Unknown, Value::Stack { .. } | Value::Anything) => false,
            (Value::Unknown, _) => true,
            (Value::Scalar(a), Value::Scalar(b)) => a.covers(b),
            _ => self == other,
        }
    }

    /// Something that covers both. It loses all at once, so that no chain of joins is long.
    fn join(self, other: Value) -> Value {
        match (self, other) {
            _ if self == other => self,
            (Value::Scalar(_), Value::Scalar(_)) => Value::Scalar(Tnum::UNKNOWN),
            (Value::Stack { .. } | Value::Anything, _) | (_, Value::Stack { .. } | Value::Anything) => {
                Value::Anything
            }
            _ => Value::Unknown,
        }
    }
}

/// A value, and the relocations that made it what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub value: Value,
    pub origin: Origin,
}

impl Held {
    pub const UNKNOWN: Held = Held::plain(Value::Unknown);
    pub const ANYTHING: Held = Held::plain(Value::Anything);

    pub const fn plain(value: Value) -> Held {
        Held { value, origin: Origin::NONE }
    }

    /// The origin counts for nothing where one state covers another: the first one stays.
    fn join(self, other: Held) -> Held {
        match self.value == other.value {
            true => self,
            false => Held::plain(self.value.join(other.value)),
        }
    }
}

/// Eight bytes of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Spill(Held),
    /// The bytes of these bits are 0. The verifier knows zeros in each byte, other numbers only where a whole
    /// register was spilled.
    Zeros(u8, Origin),
}

impl Slot {
    /// As a whole.
    fn held(self) -> Held {
        match self {
            Slot::Spill(held) => held,
            Slot::Zeros(0xff, origin) => Held { value: Value::constant(0), origin },
            Slot::Zeros(..) => Held::UNKNOWN,
        }
    }

    fn covers(self, other: Slot) -> bool {
        match (self, other) {
            (Slot::Zeros(a, _), Slot::Zeros(b, _)) => a & !b == 0,
            (Slot::Zeros(..), Slot::Spill(_)) => false,
            (Slot::Spill(held), _) => held.value.covers(other.held().value),
        }
    }

    fn join(self, other: Slot) -> Slot {
        match (self, other) {
            (Slot::Zeros(a, origin), Slot::Zeros(b, _)) => Slot::Zeros(a & b, origin),
            _ => Slot::Spill(self.held().join(other.held())),
        }
    }
}

/// One call of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    registers: [Held; REGISTERS],
    /// Where the function returns to.
    pub back: usize,
    /// Slots of which something is known, by their number, which is negative.
    slots: Vec<(i32, Slot)>,
    /// Whether the other slots may hold pointers to a stack: something was written, who knows where.
    wild: bool,
}

impl Frame {
    pub fn new(back: usize) -> Frame {
        Frame { registers: [Held::UNKNOWN; REGISTERS], back, slots: Vec::new(), wild: false }
    }

    fn nothing_known(&self) -> Slot {
        Slot::Spill(if self.wild { Held::ANYTHING } else { Held::UNKNOWN })
    }

    fn slot(&self, number: i32) -> Slot {
        match self.slots.binary_search_by_key(&number, |slot| slot.0) {
            Ok(at) => self.slots[at].1,
            Err(_) => self.nothing_known(),
        }
    }

    fn set_slot(&mut self, number: i32, slot: Slot) {
        let forget = slot == self.nothing_known() || matches!(slot, Slot::Zeros(0, _)) && !self.wild;
        match self.slots.binary_search_by_key(&number, |slot| slot.0) {
            Ok(at) if forget => drop(self.slots.remove(at)),
            Ok(at) => self.slots[at].1 = slot,
            Err(_) if forget => {}
            Err(at) => self.slots.insert(at, (number, slot)),
        }
    }

    fn load(&self, offset: i32, bytes: u8) -> Held {
        let len = i32::from(bytes);
        if offset % SLOT == 0 && len == SLOT {
            return self.slot(offset / SLOT).held();
        }
        let mut origin = Origin::NONE;
        let mut zeros = true;
        for at in offset..offset + len {
            match self.slot(at.div_euclid(SLOT)) {
                Slot::Zeros(mask, of) if mask & 1 << at.rem_euclid(SLOT) != 0 => origin = of,
                _ => zeros = false,
            }
        }
        match zeros {
            true => Held { value: Value::constant(0), origin },
            false => Held::plain(Value::Scalar(Tnum::of_bytes(bytes))),
        }
    }

    fn store(&mut self, offset: i32, bytes: u8, held: Held) {
        let len = i32::from(bytes);
        let is_zero = held.value.known() == Some(0);
        if offset % SLOT == 0 && len == SLOT {
            let slot = if is_zero { Slot::Zeros(0xff, held.origin) } else { Slot::Spill(held) };
            return self.set_slot(offset / SLOT, slot);
        }
        for at in offset..offset + len {
            let (mask, origin) = match self.slot(at.div_euclid(SLOT)) {
                Slot::Zeros(mask, origin) => (mask, origin),
                Slot::Spill(_) => (0, Origin::NONE),
            };
            let bit = 1 << at.rem_euclid(SLOT);
            let slot = match is_zero {
                true => Slot::Zeros(mask | bit, held.origin),
                false => Slot::Zeros(mask & !bit, origin),
            };
            self.set_slot(at.div_euclid(SLOT), slot);
        }
    }

    /// Something may be written from `start` on, up to `end`, that is no pointer to a stack.
    fn forget(&mut self, start: i32, end: i32) {
        let (first, last) = (start.div_euclid(SLOT), (end - 1).div_euclid(SLOT));
        let touched: Vec<i32> =
            self.slots.iter().map(|slot| slot.0).filter(|slot| (first..=last).contains(slot)).collect();
        for number in touched {
            let slot = match self.slot(number) {
                Slot::Spill(Held { value: Value::Stack { .. } | Value::Anything, .. }) => {
                    Slot::Spill(Held::ANYTHING)
                }
                Slot::Spill(_) => Slot::Zeros(0, Origin::NONE),
                Slot::Zeros(mask, origin) => {
                    let written = |bit: &i32| (start..end).contains(&(number * SLOT + bit));
                    let bits = (0..SLOT).filter(written).fold(0, |bits, bit| bits | 1 << bit);
                    Slot::Zeros(mask & !bits, origin)
                }
            };
            self.set_slot(number, slot);
        }
    }

    fn covers(&self, other: &Frame) -> bool {
        self.registers.iter().zip(&other.registers).all(|(a, b)| a.value.covers(b.value))
            && (self.wild || !other.wild)
            && self.slots.iter().all(|&(number, slot)| slot.covers(other.slot(number)))
            && other.slots.iter().all(|&(number, slot)| self.slot(number).covers(slot))
    }

    fn join(&mut self, other: &Frame) {
        for (a, b) in self.registers.iter_mut().zip(&other.registers) {
            *a = a.join(*b);
        }
        let numbers = self.slots.iter().chain(&other.slots).map(|slot| slot.0);
        let joined: Vec<(i32, Slot)> =
            numbers.map(|number| (number, self.slot(number).join(other.slot(number)))).collect();
        self.wild |= other.wild;
        self.slots.clear();
        for (number, slot) in joined {
            self.set_slot(number, slot);
        }
    }
}

/// Where one path is: the function that runs, and those that wait for it.
#[derive(Debug, Clone)]
pub struct State {
    pub frames: Vec<Frame>,
    /// The last branch that was decided.
    pub trail: u32,
}

impl State {
    /// At the start of a function of whose arguments nothing is known.
    pub fn start() -> State {
        State { frames: vec![Frame::new(usize::MAX)], trail: 0 }
    }

    fn frame(&mut self) -> &mut Frame {
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    pub fn get(&self, register: u8) -> Held {
        let frame = self.frames.len() - 1;
        match self.frames[frame].registers.get(usize::from(register)) {
            Some(&held) => held,
            None if register == BPF_REG_10 => Held::plain(Value::Stack { frame, offset: 0 }),
            None => Held::UNKNOWN,
        }
    }

    pub fn set(&mut self, register: u8, held: Held) {
        if let Some(place) = self.frame().registers.get_mut(usize::from(register)) {
            *place = held;
        }
    }

    /// Forgets the registers that nothing reads any more.
    pub fn keep(&mut self, live: u16) {
        for (number, held) in self.frame().registers.iter_mut().enumerate() {
            if live & 1 << number == 0 {
                *held = Held::UNKNOWN;
            }
        }
    }

    /// The frame and offset that an access goes to.
    fn place(&self, base: Value, offset: i16, bytes: u8) -> Place {
        match base {
            Value::Stack { frame, offset: start } if frame < self.frames.len() => {
                let at = start.saturating_add(offset.into());
                // what lies outside is refused
                match at >= -MAX_BPF_STACK && at + i32::from(bytes) <= 0 {
                    true => Place::Stack(frame, at),
                    false => Place::Anywhere,
                }
            }
            Value::Stack { .. } | Value::Anything => Place::Anywhere,
            _ => Place::Elsewhere,
        }
    }

    /// The slots of the frame that runs to which an access may go.
    pub fn slots(&self, base: Value, offset: i16, bytes: u8) -> u64 {
        match self.place(base, offset, bytes) {
            Place::Stack(frame, at) if frame + 1 == self.frames.len() => slots(at, at + i32::from(bytes)),
            Place::Stack(..) | Place::Elsewhere => 0,
            Place::Anywhere => ALL_SLOTS,
        }
    }

    /// The slot of the frame that runs which a store overwrites, if it is one and all of it.
    pub fn whole_slot(&self, base: Value, offset: i16, bytes: u8) -> u64 {
        match self.place(base, offset, bytes) {
            Place::Stack(frame, at) if frame + 1 == self.frames.len() && (at % SLOT, bytes) == (0, 8) => {
                slots(at, at + SLOT)
            }
            _ => 0,
        }
    }

    /// The slots of the frame that runs from where a pointer leads on: of so many bytes, or as far as they go.
    pub fn slots_from(&self, pointer: Value, bytes: Option<u64>) -> u64 {
        match pointer {
            Value::Stack { frame, offset } if frame + 1 == self.frames.len() => {
                let bytes = bytes.and_then(|bytes| i32::try_from(bytes).ok());
                slots(offset, bytes.and_then(|bytes| offset.checked_add(bytes)).unwrap_or(0))
            }
            Value::Anything => ALL_SLOTS,
            _ => 0,
        }
    }

    /// What is loaded from memory that is no area.
    pub fn load(&self, base: Value, offset: i16, bytes: u8) -> Held {
        match (self.place(base, offset, bytes), bytes) {
            (Place::Stack(frame, at), _) => self.frames[frame].load(at, bytes),
            (Place::Anywhere, 8) => Held::ANYTHING,
            // a context gives pointers to packets in fields of four bytes
            (Place::Elsewhere, 4 | 8) => Held::UNKNOWN,
            _ => Held::plain(Value::Scalar(Tnum::of_bytes(bytes))),
        }
    }

    pub fn store(&mut self, base: Value, offset: i16, bytes: u8, held: Held) {
        match self.place(base, offset, bytes) {
            Place::Stack(frame, at) => self.frames[frame].store(at, bytes, held),
            Place::Anywhere => {
                self.forget_stacks(matches!(held.value, Value::Stack { .. } | Value::Anything));
            }
            Place::Elsewhere => {}
        }
    }

    /// Something is written to where a pointer leads: `bytes` of it, or as far as it goes.
    pub fn written(&mut self, pointer: Value, bytes: Option<u64>) {
        match pointer {
            Value::Stack { frame, offset } if frame < self.frames.len() => {
                let end =
                    bytes.and_then(|bytes| i32::try_from(bytes).ok()).and_then(|n| offset.checked_add(n));
                self.frames[frame].forget(offset, end.unwrap_or(0).min(0));
            }
            Value::Stack { .. } | Value::Anything => self.forget_stacks(true),
            _ => {}
        }
    }

    /// Something is written somewhere: a pointer to a stack, if it is `wild`.
    pub fn forget_stacks(&mut self, wild: bool) {
        for frame in &mut self.frames {
            // a pointer to a stack that lies there may be overwritten or not
            let pointers =
                |slot: &(i32, Slot)| matches!(slot.1.held().value, Value::Stack { .. } | Value::Anything);
            frame.wild |= wild || frame.slots.iter().any(pointers);
            frame.slots.clear();
        }
    }

    /// After a call: the result, and arguments that nobody knows.
    pub fn returned(&mut self, result: Held) {
        self.set(0, result);
        for argument in 1..=5 {
            self.set(argument, Held::UNKNOWN);
        }
    }

    /// A call of a function with the arguments that are in the registers; `live` are those that the caller reads
    /// afterwards.
    pub fn enter(&mut self, back: usize, live: u16) {
        let mut frame = Frame::new(back);
        for argument in 1..=5u8 {
            frame.registers[usize::from(argument)] = self.get(argument);
        }
        self.keep(live & !CALLER_SAVED);
        self.frames.push(frame);
    }

    /// The function returns; to where, if it was called.
    pub fn leave(&mut self) -> Option<usize> {
        let result = self.get(0);
        let back = self.frames.last()?.back;
        if self.frames.len() < 2 {
            return None;
        }
        self.frames.pop();
        let of_a_frame = matches!(result.value, Value::Stack { frame, .. } if frame >= self.frames.len());
        self.returned(if of_a_frame { Held::ANYTHING } else { result });
        Some(back)
    }

    /// Whether both were called from the same places.
    pub fn same_calls(&self, other: &State) -> bool {
        self.frames.len() == other.frames.len()
            && self.frames.iter().zip(&other.frames).all(|(a, b)| a.back == b.back)
    }

    /// Whether a path of the other can do nothing that one of this cannot. Both have the same calls.
    pub fn covers(&self, other: &State) -> bool {
        self.frames.iter().zip(&other.frames).rev().all(|(a, b)| a.covers(b))
    }

    /// Covers the other too. Both have the same calls.
    pub fn join(&mut self, other: &State) {
        for (a, b) in self.frames.iter_mut().zip(&other.frames) {
            a.join(b);
        }
    }
}

/// The slots of the bytes from `start` up to `end`, as bits.
fn slots(start: i32, end: i32) -> u64 {
    let (start, end) = (start.max(-MAX_BPF_STACK), end.min(0));
    if start >= end {
        return 0;
    }
    let (low, high) = ((-end / SLOT) as u32, ((-start - 1) / SLOT) as u32);
    (u64::MAX >> (63 - high)) & (u64::MAX << low)
}

enum Place {
    Stack(usize, i32),
    /// On a stack or not.
    Anywhere,
    /// On no stack.
    Elsewhere,
}
