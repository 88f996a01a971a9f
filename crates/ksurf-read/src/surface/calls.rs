//! The constants that functions are called with, told from machine code: x86-64 and arm64.
//!
//! The code of each caller is read once, from its start. Registers that are known to hold a constant are followed
//! along: both ways of a forward branch are brought together where they meet, and nothing is known where a branch
//! leads back to. Sources: Intel's and ARM's manuals of the instruction sets, and the psABIs for the registers that
//! carry arguments and those that a call leaves alone.

use crate::elf::Memory;
use crate::error::Result;
use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind,
};
use rustc_hash::{FxHashMap, FxHashSet};

/// No function that calls what is looked for is longer, in bytes.
const FUNCTION_LIMIT: u64 = 1 << 20;
const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;

/// A call of one of the functions that were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Number of the function that is called.
    pub callee: usize,
    /// The first two arguments, where they are constants.
    pub arguments: [Option<u64>; 2],
}

/// All calls, tail calls too, of functions by name. Empty for processors that are not understood.
pub fn find(memory: &Memory<'_>, callees: &[&str]) -> Result<Vec<Call>> {
    let machine = memory.image().machine;
    if !matches!(machine, EM_X86_64 | EM_AARCH64) {
        return Ok(Vec::new());
    }
    let mut code =
        Code { memory, x86: machine == EM_X86_64, calls: Vec::new(), relocated: FxHashMap::default() };
    if memory.is_module() {
        code.relocations(callees)?;
    } else {
        code.search(callees);
    }
    code.calls.sort_unstable();
    let mut found = Vec::new();
    let calls = std::mem::take(&mut code.calls);
    let start = |site: u64| memory.nearest(site).map(|mark| mark.address);
    for group in calls.chunk_by(|a, b| start(a.0) == start(b.0)) {
        let (Some(start), last) = (start(group[0].0), group[group.len() - 1].0) else { continue };
        if last - start <= FUNCTION_LIMIT {
            code.function(start, last, group, &mut found);
        }
    }
    Ok(found)
}

/// Where instructions are, and what is known of them.
struct Code<'m, 'a> {
    memory: &'m Memory<'a>,
    x86: bool,
    /// Addresses of the instructions that call, and the numbers of what they call.
    calls: Vec<(u64, usize)>,
    /// A module's relocations, by the address that is patched.
    relocated: FxHashMap<u64, Option<u64>>,
}

impl Code<'_, '_> {
    fn relocations(&mut self, callees: &[&str]) -> Result<()> {
        let all = self.memory.image().code_relocations()?;
        let number = |symbol: &[u8]| callees.iter().position(|callee| callee.as_bytes() == symbol);
        self.calls = all
            .iter()
            // On x86 the opcode is one byte, and the distance follows it.
            .filter_map(|r| Some((r.place.wrapping_sub(u64::from(self.x86)), number(r.symbol)?)))
            .collect();
        if !self.calls.is_empty() {
            self.relocated = all.iter().map(|r| (r.place, r.target)).collect();
        }
        Ok(())
    }

    /// Looks through all code for instructions that call or jump to the functions.
    fn search(&mut self, callees: &[&str]) {
        let wanted: Vec<(u64, usize)> = (0..callees.len())
            .filter_map(|number| Some((self.memory.address_of(callees[number])?, number)))
            .collect();
        if wanted.is_empty() {
            return;
        }
        let mut check = |place: u64, target: u64| {
            if let Some((_, number)) = wanted.iter().find(|(address, _)| *address == target) {
                self.calls.push((place, *number));
            }
        };
        let image = self.memory.image();
        for section in image.sections.iter().filter(|section| section.is_code()) {
            let bytes = image.section_bytes(section);
            if self.x86 {
                for at in memchr::memchr2_iter(0xe8, 0xe9, bytes) {
                    let Some(distance) = bytes.get(at + 1..at + 5) else { break };
                    let distance = i32::from_le_bytes(distance.try_into().expect("4 bytes"));
                    let place = section.address.wrapping_add(at as u64);
                    check(place, place.wrapping_add(5).wrapping_add_signed(distance.into()));
                }
            } else {
                for (place, word) in (section.address..).step_by(4).zip(bytes.chunks_exact(4)) {
                    let word = u32::from_le_bytes(word.try_into().expect("4 bytes"));
                    if word & 0x7c00_0000 == 0x1400_0000 {
                        check(place, branch(word, 0, 26, place));
                    }
                }
            }
        }
    }

    /// Reads a function from its start to the last of its calls.
    fn function(&self, start: u64, last: u64, calls: &[(u64, usize)], found: &mut Vec<Call>) {
        let Some(bytes) = self.memory.from(start) else { return };
        let end = ((last - start) as usize).saturating_add(16).min(bytes.len());
        let steps = if self.x86 { self.x86(start, &bytes[..end]) } else { self.arm64(start, &bytes[..end]) };
        // System V: rdi, rsi; all but rbx, rsp, rbp and r12 to r15 may change. AAPCS64: x0, x1; x0 to x18.
        let (first, second, lost) = if self.x86 { (7, 6, 0x0fc7) } else { (0, 1, 0x7_ffff) };
        let back: FxHashSet<u64> = steps
            .iter()
            .filter_map(|&(place, step)| match step {
                Step::Branch(Some(to)) | Step::BranchUnlessZero(_, Some(to)) | Step::Jump(Some(to))
                    if to <= place =>
                {
                    Some(to)
                }
                _ => None,
            })
            .collect();
        let mut ahead: FxHashMap<u64, Registers> = FxHashMap::default();
        // `None` where nothing leads to.
        let mut now = Some(Registers::default());
        for (place, step) in steps {
            if let Some(other) = ahead.remove(&place) {
                now = Some(now.map_or(other, |now| now.meet(other)));
            }
            if back.contains(&place) {
                now = Some(Registers::default());
            }
            let Some(registers) = &mut now else { continue };
            if let (Step::Call | Step::Jump(_), Ok(at)) = (step, calls.binary_search_by_key(&place, |c| c.0))
            {
                let arguments = [registers.0[first], registers.0[second]];
                found.push(Call { callee: calls[at].1, arguments });
            }
            match step {
                Step::Set(register, value) => registers.0[register as usize & 31] = value,
                Step::Add(register, from, number) => {
                    let value = registers.0[from as usize & 31];
                    registers.0[register as usize & 31] = value.map(|value| value.wrapping_add(number));
                }
                Step::Keep(register, mask, bits) => {
                    let value = &mut registers.0[register as usize & 31];
                    *value = value.map(|value| value & mask | bits);
                }
                Step::Forget(mask) => registers.forget(mask),
                Step::Call => registers.forget(lost),
                Step::Branch(to) | Step::BranchUnlessZero(_, to) | Step::Jump(to) => {
                    if let Some(to) = to.filter(|&to| to > place) {
                        let meeting = ahead.get(&to).map_or(*registers, |other| other.meet(*registers));
                        ahead.insert(to, meeting);
                    }
                    match step {
                        Step::Jump(_) => now = None,
                        Step::BranchUnlessZero(register, _) => registers.0[register as usize & 31] = Some(0),
                        _ => {}
                    }
                }
            }
        }
    }

    /// What a relocation puts at a place; outside `None` where there is none, inside where it is in another image.
    fn relocated(&self, place: u64) -> Option<Option<u64>> {
        self.relocated.get(&place).copied()
    }

    fn x86(&self, start: u64, bytes: &[u8]) -> Vec<(u64, Step)> {
        let mut decoder = Decoder::with_ip(64, bytes, start, DecoderOptions::NONE);
        let mut factory = InstructionInfoFactory::new();
        let mut steps = Vec::new();
        let mut instruction = Instruction::default();
        while decoder.can_decode() {
            decoder.decode_out(&mut instruction);
            let offsets = decoder.get_constant_offsets(&instruction);
            let place = instruction.ip();
            let in_immediate = self.relocated(place.wrapping_add(offsets.immediate_offset() as u64));
            let in_immediate = in_immediate.filter(|_| offsets.has_immediate());
            let own = || in_immediate.is_none().then(|| instruction.near_branch_target());
            match instruction.flow_control() {
                FlowControl::Call | FlowControl::IndirectCall => {
                    steps.push((place, Step::Call));
                    continue;
                }
                FlowControl::ConditionalBranch => {
                    steps.push((place, Step::Branch(own())));
                    continue;
                }
                FlowControl::UnconditionalBranch => {
                    steps.push((place, Step::Jump(own())));
                    continue;
                }
                FlowControl::Return | FlowControl::IndirectBranch => {
                    steps.push((place, Step::Jump(None)));
                    continue;
                }
                _ => {}
            }
            let register = instruction.op0_register();
            let number = register.number() as u8;
            let plain =
                instruction.op0_kind() == OpKind::Register && (register.is_gpr32() || register.is_gpr64());
            let second = instruction.op1_kind();
            let step = match instruction.mnemonic() {
                Mnemonic::Mov if plain && second == OpKind::Register => {
                    let from = instruction.op1_register();
                    from.is_gpr64().then(|| Step::Add(number, from.number() as u8, 0))
                }
                Mnemonic::Mov if plain && offsets.has_immediate() => {
                    let value = instruction.immediate(1);
                    Some(Step::Set(number, in_immediate.unwrap_or(Some(value))))
                }
                Mnemonic::Xor | Mnemonic::Sub
                    if plain && second == OpKind::Register && instruction.op1_register() == register =>
                {
                    Some(Step::Set(number, Some(0)))
                }
                Mnemonic::Lea if plain && instruction.is_ip_rel_memory_operand() => {
                    let field = place.wrapping_add(offsets.displacement_offset() as u64);
                    let value = match self.relocated(field) {
                        // Such an addend counts from the end of the instruction.
                        Some(target) => target
                            .map(|target| target.wrapping_add(instruction.next_ip().wrapping_sub(field))),
                        None => Some(instruction.ip_rel_memory_address()),
                    };
                    Some(Step::Set(number, value))
                }
                _ => None,
            };
            let step = step.unwrap_or_else(|| {
                let mut mask = 0u32;
                for used in factory.info(&instruction).used_registers() {
                    let read = matches!(used.access(), OpAccess::Read | OpAccess::CondRead | OpAccess::None);
                    if !read && used.register().is_gpr() {
                        mask |= 1 << (used.register().full_register().number() & 31);
                    }
                }
                Step::Forget(mask)
            });
            steps.push((place, step));
        }
        steps
    }

    fn arm64(&self, start: u64, bytes: &[u8]) -> Vec<(u64, Step)> {
        let words = bytes.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().expect("4 bytes")));
        (start..).step_by(4).zip(words).map(|(place, word)| (place, self.arm64_step(place, word))).collect()
    }

    fn arm64_step(&self, place: u64, word: u32) -> Step {
        let relocated = self.relocated(place);
        let (rd, rn, rm) = ((word & 31) as u8, (word >> 5 & 31) as u8, (word >> 16 & 31) as u8);
        let own = |target: u64| relocated.is_none().then_some(target);
        let wide = word >> 31 == 1;
        // Register 31 is the stack pointer or zero: what it holds is never of use.
        if word & 0xfc00_0000 == 0x9400_0000 || word & 0xffff_fc1f == 0xd63f_0000 {
            return Step::Call;
        }
        if word & 0xfc00_0000 == 0x1400_0000 {
            return Step::Jump(own(branch(word, 0, 26, place)));
        }
        if word & 0xfe00_0000 == 0xd600_0000 {
            return Step::Jump(None); // br, ret, eret
        }
        if word & 0xff00_0000 == 0x5400_0000 || word & 0x7f00_0000 == 0x3400_0000 {
            return Step::Branch(own(branch(word, 5, 19, place))); // b.cond, cbz
        }
        if word & 0x7f00_0000 == 0x3500_0000 {
            return Step::BranchUnlessZero(rd, own(branch(word, 5, 19, place))); // cbnz
        }
        if word & 0x7e00_0000 == 0x3600_0000 {
            return Step::Branch(own(branch(word, 5, 14, place))); // tbz, tbnz
        }
        if word & 0x1f00_0000 == 0x1000_0000 {
            let distance = i64::from((word >> 5 & 0x7ffff) << 2 | word >> 29 & 3) << 43 >> 43;
            let value = match (relocated, wide) {
                (Some(target), true) => target.map(|target| target & !0xfff),
                (Some(target), false) => target,
                (None, true) => Some((place & !0xfff).wrapping_add_signed(distance << 12)), // adrp
                (None, false) => Some(place.wrapping_add_signed(distance)),                 // adr
            };
            return Step::Set(rd, value);
        }
        if word & 0xff80_0000 == 0x9100_0000 {
            let number = u64::from(word >> 10 & 0xfff) << if word >> 22 & 1 == 1 { 12 } else { 0 };
            return match relocated {
                // The low bits of an address; its page is in the other register.
                Some(Some(target)) => Step::Add(rd, rn, target & 0xfff),
                Some(None) => Step::Set(rd, None),
                None if rn == 31 => Step::Set(rd, None),
                None => Step::Add(rd, rn, number),
            };
        }
        if word & 0x1f80_0000 == 0x1280_0000 {
            let shift = (word >> 21 & 3) * 16;
            let number = u64::from(word >> 5 & 0xffff) << shift;
            let all = if wide { u64::MAX } else { u64::from(u32::MAX) };
            return match word >> 29 & 3 {
                0 => Step::Set(rd, Some(!number & all)),                     // movn
                2 => Step::Set(rd, Some(number & all)),                      // movz
                3 => Step::Keep(rd, !(0xffff << shift) & all, number & all), // movk
                _ => Step::Forget(1 << rd),
            };
        }
        if word & 0xffe0_ffe0 == 0xaa00_03e0 {
            let zero = rm == 31;
            return if zero { Step::Set(rd, Some(0)) } else { Step::Add(rd, rm, 0) };
            // mov
        }
        if word & 0xffe0_ffe0 == 0x2a00_03e0 && rm == 31 {
            return Step::Set(rd, Some(0));
        }
        // Loads and stores; what a vector register gets counts as a load too.
        let bit = |number: u32| word >> number & 1 == 1;
        let mask = match word >> 27 & 7 {
            // Pairs: two registers, and the base where it moves.
            5 => (if bit(22) { 1 << rd | 1 << (word >> 10 & 31) } else { 0 }) | u32::from(bit(23)) << rn,
            // One register, of which the base moves only without an unsigned offset.
            7 if !bit(25) => {
                let moves = !bit(24) && !bit(21) && bit(10);
                u32::from(word >> 22 & 3 != 0) << rd | u32::from(moves) << rn
            }
            // Exclusive ones also write whether it went well.
            1 if !bit(25) => 1 << rd | 1 << rm | 1 << (word >> 10 & 31),
            _ => 1 << rd,
        };
        // An atomic operation gives back what was there.
        let atomic = word & 0x3b20_0c00 == 0x3820_0000;
        Step::Forget(if atomic { mask | 1 << rd | 1 << rm } else { mask })
    }
}

/// Where a branch of arm64 leads, whose distance in words stands in some bits.
fn branch(word: u32, first: u32, bits: u32, place: u64) -> u64 {
    let distance = (word >> first) << (32 - bits);
    place.wrapping_add_signed(i64::from(distance as i32 >> (32 - bits)) << 2)
}

/// What an instruction does to what is known.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A register gets a value, or one that is not known.
    Set(u8, Option<u64>),
    /// A register gets the value of another and a number.
    Add(u8, u8, u64),
    /// A register keeps some bits and gets others.
    Keep(u8, u64, u64),
    /// Registers, one bit each, get something.
    Forget(u32),
    Call,
    /// It may go on elsewhere; `None` is anywhere.
    Branch(Option<u64>),
    /// It goes on elsewhere unless a register holds 0: after `if (ret) return ret;` that is passed on.
    BranchUnlessZero(u8, Option<u64>),
    /// It goes on elsewhere.
    Jump(Option<u64>),
}

/// What registers are known to hold.
#[derive(Debug, Clone, Copy, Default)]
struct Registers([Option<u64>; 32]);

impl Registers {
    fn forget(&mut self, mask: u32) {
        for (number, value) in self.0.iter_mut().enumerate() {
            if mask >> number & 1 == 1 {
                *value = None;
            }
        }
    }

    /// What both know.
    fn meet(mut self, other: Registers) -> Registers {
        for (value, other) in self.0.iter_mut().zip(other.0) {
            *value = value.filter(|_| *value == other);
        }
        self
    }
}
