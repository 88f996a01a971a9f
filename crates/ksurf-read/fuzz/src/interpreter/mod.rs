//! What eBPF programs really do: whatever an execution reaches, `bpf::walk` must have called reached; and what it calls
//! not used may be anything, and the program does the same.

mod program;

use ksurf_read::bpf::instruction::{Instruction, BPF_LD_IMM64};
use ksurf_read::bpf::walk::{walk, Effect};
use program::{Made, AREAS, KEY_BYTES};

const STACK: u64 = 512;
/// Where the stack of the outermost function ends; those of others lie this much higher each.
const FIRST_TOP: u64 = 1 << 32;
const AREA_START: u64 = 1 << 48;
const MOST_STEPS: usize = 1500;
const MOST_FRAMES: usize = 8;

/// Makes a program of the bytes, walks it and runs it a few times.
pub fn check(data: &[u8]) {
    let made = Made::new(data);
    let walked = walk(&made.program());
    assert_eq!(walked.reached.len(), made.instructions.len());
    for refusal in &walked.refused {
        assert!(walked.reached[refusal.instruction]);
    }
    for at in 0..made.instructions.len() {
        for guard in walked.guards(at) {
            assert!(walked.reached[guard.branch] && !walked.reached[at]);
        }
    }
    let gives =
        |at: usize| matches!(made.instructions[at].code & 7, 1 | 4 | 7) || made.instructions[at].is_wide();
    let unused: Vec<usize> =
        (0..made.instructions.len()).filter(|&at| walked.reached[at] && !walked.used[at]).collect();
    assert!(unused.iter().all(|&at| gives(at)), "{unused:?}: {:#?}", made.listing());
    let seed = data.iter().fold(1u64, |seed, &byte| seed.wrapping_mul(31) + u64::from(byte));
    for run in 0..6 {
        for &entry in &made.entries {
            let mut machine = Machine::new(&made, seed.wrapping_add(run * 7919));
            machine.run(entry, &mut |at| {
                assert!(walked.reached[at], "instruction {at} runs: {:#?}", made.listing());
            });
            let mut other = Machine { unused: &unused, ..Machine::new(&made, seed.wrapping_add(run * 7919)) };
            other.run(entry, &mut |_| {});
            assert!(machine.told == other.told, "not used are {unused:?}: {:#?}", made.listing());
        }
    }
}

/// What a pointer points to; arithmetic that no verifier allows loses it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum To {
    Nothing,
    Stack(usize),
    Area,
    Function(usize),
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Word {
    bits: u64,
    to: To,
}

fn number(bits: u64) -> Word {
    Word { bits, to: To::Nothing }
}

struct Frame {
    registers: [Word; 10],
    bytes: [u8; STACK as usize],
    /// Of each slot that was written as a whole.
    pointers: [To; STACK as usize / 8],
    back: usize,
    /// A helper called it.
    is_callback: bool,
}

struct Machine<'a> {
    made: &'a Made,
    frames: Vec<Frame>,
    random: u64,
    /// Instructions after which the register that they write gets other bits.
    unused: &'a [usize],
    /// All that somebody else can see: the way, and what is passed on.
    told: Vec<u64>,
}

/// What no verifier lets happen.
struct Refused;

type Step<T> = Result<T, Refused>;

impl<'a> Machine<'a> {
    fn new(made: &'a Made, seed: u64) -> Machine<'a> {
        Machine { made, frames: Vec::new(), random: seed | 1, unused: &[], told: Vec::new() }
    }

    /// Anything, small numbers more often.
    fn any(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let word = self.random.wrapping_mul(0x2545_f491_4f6c_dd1d);
        match word >> 61 {
            0..=2 => word >> 8 & 1,
            3 => word >> 8 & 7,
            4 => u64::MAX,
            5 => word >> 32,
            _ => word >> 2,
        }
    }

    fn run(&mut self, entry: usize, seen: &mut dyn FnMut(usize)) {
        if entry >= self.made.instructions.len() {
            return;
        }
        self.enter(usize::MAX, false, [number(0); 5]);
        for argument in 1..=5 {
            let any = self.any();
            self.set(argument, number(any));
        }
        let mut at = entry;
        for _ in 0..MOST_STEPS {
            if at >= self.made.instructions.len() {
                return;
            }
            seen(at);
            self.told.push(at as u64);
            let Ok(Some(next)) = self.step(at) else { return };
            if self.unused.contains(&at) {
                let dst = self.made.instructions[at].dst;
                let Word { bits, to } = self.get(dst);
                self.set(dst, Word { bits: bits ^ 0x5555_aaaa_1234_4321, to });
            }
            at = next;
        }
    }

    fn enter(&mut self, back: usize, is_callback: bool, arguments: [Word; 5]) {
        let mut registers = [number(0); 10];
        for register in &mut registers {
            *register = number(self.any());
        }
        registers[1..=5].copy_from_slice(&arguments);
        let bytes = std::array::from_fn(|_| self.any() as u8);
        let pointers = [To::Nothing; STACK as usize / 8];
        self.frames.push(Frame { registers, bytes, pointers, back, is_callback });
    }

    fn top(&mut self) -> &mut Frame {
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    fn get(&self, register: u8) -> Word {
        let last = self.frames.len() - 1;
        match self.frames[last].registers.get(usize::from(register)) {
            Some(&word) => word,
            None => Word { bits: FIRST_TOP * (last as u64 + 1), to: To::Stack(last) },
        }
    }

    fn set(&mut self, register: u8, word: Word) {
        if let Some(place) = self.top().registers.get_mut(usize::from(register)) {
            *place = word;
        }
    }

    /// Frame and first byte, if the pointer leads to a stack.
    fn place(&self, pointer: Word, offset: i16, bytes: usize) -> Step<Option<(usize, usize)>> {
        let To::Stack(frame) = pointer.to else { return Ok(None) };
        let start = FIRST_TOP * (frame as u64 + 1) - STACK;
        let at = pointer.bits.wrapping_add(offset as u64).wrapping_sub(start);
        match at.checked_add(bytes as u64).is_some_and(|end| end <= STACK) && frame < self.frames.len() {
            true => Ok(Some((frame, at as usize))),
            false => Err(Refused),
        }
    }

    fn load(&mut self, pointer: Word, offset: i16, bytes: usize) -> Step<Word> {
        let whole = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
        if let Some((frame, at)) = self.place(pointer, offset, bytes)? {
            let frame = &self.frames[frame];
            let to = if bytes == 8 && at % 8 == 0 { frame.pointers[at / 8] } else { To::Nothing };
            return Ok(Word { bits: whole(&frame.bytes[at..at + bytes]), to });
        }
        if pointer.to == To::Area {
            let at = pointer.bits.wrapping_add(offset as u64).wrapping_sub(AREA_START);
            let (area, at) = ((at >> 16) as usize, (at & 0xffff) as usize);
            if let Some(known) = AREAS.get(area).and_then(|area| area.get(at..at + bytes)) {
                return Ok(number(whole(known)));
            }
        }
        let any = self.any();
        Ok(number(if bytes == 8 { any } else { any & ((1 << (bytes * 8)) - 1) }))
    }

    fn store(&mut self, pointer: Word, offset: i16, bytes: usize, word: Word) -> Step<()> {
        let Some((frame, at)) = self.place(pointer, offset, bytes)? else {
            self.told.push(word.bits);
            return Ok(());
        };
        // the stack of a function must not outlive it
        if matches!(word.to, To::Stack(of) if of > frame) {
            return Err(Refused);
        }
        let frame = &mut self.frames[frame];
        frame.bytes[at..at + bytes].copy_from_slice(&word.bits.to_le_bytes()[..bytes]);
        for slot in at / 8..=(at + bytes - 1) / 8 {
            frame.pointers[slot] = if bytes == 8 && at % 8 == 0 { word.to } else { To::Nothing };
        }
        Ok(())
    }

    /// A helper writes so many bytes at most.
    fn scribble(&mut self, pointer: Word, most: u64) -> Step<()> {
        let To::Stack(frame) = pointer.to else { return Ok(()) };
        let room = (FIRST_TOP * (frame as u64 + 1)).wrapping_sub(pointer.bits);
        if room > STACK {
            return Err(Refused);
        }
        let bytes = most.min(room);
        let bytes = if bytes == 0 { 0 } else { self.any() % (bytes + 1) };
        for at in 0..bytes {
            let any = self.any();
            self.store(pointer, at as i16, 1, number(any))?;
        }
        Ok(())
    }

    fn returned(&mut self) {
        for register in 0..=5 {
            let any = self.any();
            self.set(register, number(any));
        }
    }

    fn effect(&self, at: usize) -> Option<Effect> {
        self.made.effects.iter().find(|effect| effect.0 == at).map(|effect| effect.1)
    }

    fn step(&mut self, at: usize) -> Step<Option<usize>> {
        let one = self.made.instructions[at];
        let effect = self.effect(at);
        let imm = match effect {
            Some(Effect::Immediate(value)) => value as i32,
            Some(Effect::Unknown) => self.any() as i32,
            _ => one.imm,
        };
        let b = if one.code & 8 != 0 { self.get(one.src) } else { number(i64::from(imm) as u64) };
        let bytes = [4, 2, 1, 8][usize::from(one.code >> 3 & 3)];
        let next = Ok(Some(at + 1));
        match one.code & 7 {
            4 | 7 => {
                let word = calculate(one, self.get(one.dst), b);
                self.set(one.dst, word);
            }
            1 => {
                let word = self.load(self.get(one.src), one.offset, bytes)?;
                let unused = 64 - bytes * 8;
                let extended = number(((word.bits << unused) as i64 >> unused) as u64);
                self.set(one.dst, if one.code & 0xe0 == 0x80 { extended } else { word });
            }
            2 => self.store(self.get(one.dst), one.offset, bytes, number(i64::from(one.imm) as u64))?,
            3 if one.code & 0xe0 == 0xc0 => self.atomic(one, bytes)?,
            3 => self.store(self.get(one.dst), one.offset, bytes, self.get(one.src))?,
            5 | 6 => return self.jump(at, one, effect, b),
            _ if one.code == BPF_LD_IMM64 => {
                let high = self.made.instructions[at + 1].imm;
                let word = match effect {
                    Some(Effect::Immediate(value)) => number(value),
                    Some(Effect::Address) => number(self.any() | 1 << 63),
                    Some(Effect::Area { area, offset }) => {
                        let start = AREA_START + ((area as u64) << 16);
                        Word { bits: start.wrapping_add(offset as u64), to: To::Area }
                    }
                    Some(_) => number(self.any()),
                    None if one.src == 4 => {
                        let function = at + 1 + one.imm as usize;
                        Word { bits: self.any(), to: To::Function(function) }
                    }
                    None => number(u64::from(one.imm as u32) | (high as u64) << 32),
                };
                self.set(one.dst, word);
                return Ok(Some(at + 2));
            }
            _ => self.returned(),
        }
        next
    }

    fn atomic(&mut self, one: Instruction, bytes: usize) -> Step<()> {
        let pointer = self.get(one.dst);
        let old = self.load(pointer, one.offset, bytes)?;
        let src = self.get(one.src);
        let cut = |word: Word| if bytes == 8 { word } else { number(word.bits & 0xffff_ffff) };
        let new = match one.imm & 0xf0 {
            0x00 => number(old.bits.wrapping_add(src.bits)),
            0x40 => number(old.bits | src.bits),
            0x50 => number(old.bits & src.bits),
            0xa0 => number(old.bits ^ src.bits),
            0xf0 if cut(self.get(0)).bits != old.bits => old,
            _ => src,
        };
        self.store(pointer, one.offset, bytes, new)?;
        if one.imm == 0xf1 {
            self.set(0, cut(old));
        } else if one.imm & 1 != 0 {
            self.set(one.src, cut(old));
        }
        Ok(())
    }

    fn jump(&mut self, at: usize, one: Instruction, effect: Option<Effect>, b: Word) -> Step<Option<usize>> {
        let land =
            |distance: i64| usize::try_from(at as i64 + 1 + distance).map_or(Ok(None), |to| Ok(Some(to)));
        let a = self.get(one.dst);
        match one.code {
            0x95 => return self.leave(),
            0x85 if one.src == 1 => return self.call(at + 1, at + 1 + one.imm as usize),
            0x85 => return self.helper(at + 1, if effect.is_some() { 0 } else { one.imm }),
            0x05 => return land(one.offset.into()),
            0x06 => return land(one.imm.into()),
            0xe5 if self.any() & 1 != 0 => return land(one.offset.into()),
            0xe5 => return Ok(Some(at + 1)),
            _ => {}
        }
        let narrow = one.code & 7 == 6;
        let cut = |bits: u64| if narrow { bits & 0xffff_ffff } else { bits };
        let sign = |bits: u64| if narrow { i64::from(bits as u32 as i32) } else { bits as i64 };
        let (a, b) = (cut(a.bits), cut(b.bits));
        let (sa, sb) = (sign(a), sign(b));
        let jumps = match one.code & 0xf0 {
            0x10 => a == b,
            0x50 => a != b,
            0x20 => a > b,
            0x30 => a >= b,
            0x40 => a & b != 0,
            0x60 => sa > sb,
            0x70 => sa >= sb,
            0xa0 => a < b,
            0xb0 => a <= b,
            0xc0 => sa < sb,
            _ => sa <= sb,
        };
        land(if jumps { one.offset.into() } else { 0 })
    }

    fn leave(&mut self) -> Step<Option<usize>> {
        let result = self.get(0);
        let Some(frame) = self.frames.pop() else { return Ok(None) };
        self.told.extend((self.frames.is_empty() || frame.is_callback).then_some(result.bits));
        if self.frames.is_empty() {
            return Ok(None);
        }
        if matches!(result.to, To::Stack(_)) {
            return Err(Refused);
        }
        self.returned();
        if !frame.is_callback {
            self.set(0, result);
        }
        Ok(Some(frame.back))
    }

    fn arguments(&self) -> [Word; 5] {
        std::array::from_fn(|argument| self.get(argument as u8 + 1))
    }

    fn call(&mut self, back: usize, callee: usize) -> Step<Option<usize>> {
        if self.frames.len() == MOST_FRAMES {
            return Err(Refused);
        }
        let mut arguments = self.arguments();
        if self.made.entries.contains(&callee) {
            // of what they lead to it knows the size only
            for argument in &mut arguments {
                self.scribble(*argument, STACK)?;
                argument.to = To::Nothing;
            }
        }
        self.enter(back, false, arguments);
        Ok(Some(callee))
    }

    /// What a helper sees: its arguments, and the memory of the stack to which they lead.
    fn tell(&mut self, number: i32, arguments: [Word; 5]) {
        self.told.extend(arguments[..count(number)].iter().map(|argument| argument.bits));
        let bytes = |argument: usize| arguments[argument].bits;
        let most = match number {
            1 => [0, KEY_BYTES, 0, 0, 0],
            2 => [0, KEY_BYTES, STACK, 0, 0],
            4 | 113 => [0, 0, bytes(1), 0, 0],
            5 => [0; 5],
            130 => [0, bytes(2), 0, 0, 0],
            _ => [STACK; 5],
        };
        for (argument, most) in arguments.into_iter().zip(most) {
            let To::Stack(frame) = argument.to else { continue };
            let end = FIRST_TOP * (frame as u64 + 1);
            let room = end.wrapping_sub(argument.bits);
            if let (Some(frame), true) = (self.frames.get(frame), room <= STACK) {
                let start = (STACK - room) as usize;
                let seen = &frame.bytes[start..start + most.min(room) as usize];
                self.told.extend(seen.iter().map(|&byte| u64::from(byte)));
            }
        }
    }

    fn helper(&mut self, back: usize, number: i32) -> Step<Option<usize>> {
        let arguments = self.arguments();
        self.tell(number, arguments);
        match number {
            1 | 2 | 130 => {}
            4 | 113 => self.scribble(arguments[0], arguments[1].bits)?,
            _ => {
                for &argument in &arguments[..count(number)] {
                    self.scribble(argument, STACK)?;
                }
            }
        }
        let callback = arguments.iter().find_map(|argument| match argument.to {
            To::Function(callback) if count(number) == 5 => Some(callback),
            _ => None,
        });
        self.returned();
        match callback {
            Some(callback) if self.frames.len() < MOST_FRAMES && self.any() & 1 == 0 => {
                self.enter(back, true, arguments);
                Ok(Some(callback))
            }
            _ => Ok(Some(back)),
        }
    }
}

/// How many arguments a helper has.
fn count(helper: i32) -> usize {
    match helper {
        5 => 0,
        1 => 2,
        4 | 113 => 3,
        2 | 130 => 4,
        _ => 5,
    }
}

fn calculate(one: Instruction, a: Word, b: Word) -> Word {
    let narrow = one.code & 7 == 4;
    let cut = |bits: u64| if narrow { bits & 0xffff_ffff } else { bits };
    let (x, y) = (cut(a.bits), cut(b.bits));
    let by = (y % if narrow { 32 } else { 64 }) as u32;
    let bits = match one.code & 0xf0 {
        0x00 => x.wrapping_add(y),
        0x10 => x.wrapping_sub(y),
        0x20 => x.wrapping_mul(y),
        0x40 => x | y,
        0x50 => x & y,
        0x60 => x << by,
        0x70 => x >> by,
        0x80 => x.wrapping_neg(),
        0x90 => x.checked_rem(y).unwrap_or(x),
        0xa0 => x ^ y,
        0xb0 => {
            let unused = 64 - u32::from(one.offset.unsigned_abs());
            let extended = |bits: u64| ((bits << unused) as i64 >> unused) as u64;
            if one.offset == 0 {
                y
            } else {
                extended(b.bits)
            }
        }
        0xc0 if narrow => ((x as u32 as i32) >> by) as u64,
        0xc0 => ((x as i64) >> by) as u64,
        _ => return number(a.bits.swap_bytes()),
    };
    let to = match (one.code & 0xf0, a.to, b.to) {
        (0xb0, _, to) if !narrow && one.offset == 0 => to,
        (0x00 | 0x10, to, To::Nothing) | (0x00, To::Nothing, to) if !narrow => to,
        _ => To::Nothing,
    };
    Word { bits: cut(bits), to }
}
