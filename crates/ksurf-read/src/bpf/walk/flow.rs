//! Where each instruction can go on, whatever is known, and which registers are still read after it.

use super::frame::ARGUMENTS;
use super::state::CALLER_SAVED;
use crate::bpf::instruction::{
    Instruction, BPF_ALU, BPF_ALU64, BPF_CALL, BPF_EXIT, BPF_JA, BPF_JA32, BPF_JMP, BPF_JMP32, BPF_LDX,
    BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC, BPF_ST, BPF_STX,
};

const BPF_MOV: u8 = 0xb0;
/// The second operand is a register.
const BPF_X: u8 = 0x08;
/// `may_goto`: it jumps when the kernel has had enough.
pub const BPF_JCOND: u8 = 0xe5;
/// `gotox`: to an address in a register.
const BPF_JA_REG: u8 = 0x0d;
const ALL: u16 = 0x3ff;

/// The ways of a program.
pub struct Flow {
    /// The registers that are read at or after each instruction before they are written, as bits.
    pub live: Vec<u16>,
    /// Where ways meet, or a function begins or goes on after a call.
    pub joins: Vec<bool>,
    /// Sorted: (instruction, one that may come right before it). Functions come after their calls.
    before: Vec<(u32, u32)>,
}

/// The number of the instruction that comes next in the text.
pub fn next(instructions: &[Instruction], at: usize) -> usize {
    at + if instructions[at].is_wide() { 2 } else { 1 }
}

/// Where a jump leads, if it leads anywhere.
pub fn target(instructions: &[Instruction], at: usize) -> Option<usize> {
    land(instructions, at, instructions[at].jump()?)
}

/// The function of the object that is called, or whose address is taken.
pub fn function(instructions: &[Instruction], at: usize) -> Option<usize> {
    let one = instructions[at];
    let is_function =
        one.code == BPF_CALL && one.src == BPF_PSEUDO_CALL || one.is_wide() && one.src == BPF_PSEUDO_FUNC;
    is_function.then(|| land(instructions, at, one.imm.into()))?
}

fn land(instructions: &[Instruction], at: usize, distance: i64) -> Option<usize> {
    let target = usize::try_from(at as i64 + 1 + distance).ok()?;
    (target < instructions.len()).then_some(target)
}

/// Whether it goes to where only the kernel knows.
pub fn is_indirect(one: Instruction) -> bool {
    one.code == BPF_JA_REG
}

impl Flow {
    pub fn new(instructions: &[Instruction], entries: &[usize]) -> Flow {
        let len = instructions.len();
        let mut before = Vec::with_capacity(len * 2);
        let mut joins = vec![false; len];
        for at in 0..len {
            let next = next(instructions, at);
            if !instructions[at].ends() && next < len {
                before.push((next as u32, at as u32));
            }
            if let Some(target) = target(instructions, at).or_else(|| function(instructions, at)) {
                before.push((target as u32, at as u32));
                joins[target] = true;
            }
            if function(instructions, at).is_some() && next < len {
                joins[next] = true;
            }
            joins[at] |= instructions[at].code == BPF_JCOND;
        }
        entries.iter().filter(|&&at| at < len).for_each(|&at| joins[at] = true);
        before.sort_unstable();
        let mut flow = Flow { live: vec![0; len], joins, before };
        flow.find_live(instructions);
        flow
    }

    /// The instructions after which this one may come.
    pub fn before(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        let first = self.before.partition_point(|pair| (pair.0 as usize) < at);
        self.before[first..].iter().take_while(move |pair| pair.0 as usize == at).map(|pair| pair.1 as usize)
    }

    fn find_live(&mut self, instructions: &[Instruction]) {
        let mut work: Vec<usize> = (0..instructions.len()).collect();
        let mut waits = vec![true; instructions.len()];
        while let Some(at) = work.pop() {
            waits[at] = false;
            let one = instructions[at];
            let after = |at: usize| self.live.get(at).copied().unwrap_or(0);
            let mut out = if one.ends() { 0 } else { after(next(instructions, at)) };
            out |= target(instructions, at).map_or(0, after);
            let (reads, writes) = reads_and_writes(one);
            let live = reads | out & !writes;
            if live == self.live[at] {
                continue;
            }
            self.live[at] = live;
            let first = self.before.partition_point(|pair| (pair.0 as usize) < at);
            for pair in self.before[first..].iter().take_while(|pair| pair.0 as usize == at) {
                let earlier = pair.1 as usize;
                if !std::mem::replace(&mut waits[earlier], true) {
                    work.push(earlier);
                }
            }
        }
    }
}

/// Registers, as bits. What is read may be too much, what is written must not.
pub fn reads_and_writes(one: Instruction) -> (u16, u16) {
    let bit = |register: u8| if register < 10 { 1u16 << register } else { 0 };
    let (dst, src) = (bit(one.dst), bit(one.src));
    let of_register = if one.code & BPF_X != 0 { src } else { 0 };
    match one.class() {
        _ if is_indirect(one) => (ALL, 0),
        BPF_ALU | BPF_ALU64 if one.code & 0xf0 == BPF_MOV => (of_register, dst),
        BPF_ALU | BPF_ALU64 => (of_register | dst, 0),
        BPF_LDX => (src, dst),
        BPF_ST => (dst, 0),
        // a comparing exchange reads and writes r0
        BPF_STX => (dst | src | 1, 0),
        BPF_JMP | BPF_JMP32 => match one.code {
            BPF_CALL => (ARGUMENTS, CALLER_SAVED),
            BPF_EXIT => (1, 0),
            BPF_JA | BPF_JA32 | BPF_JCOND => (0, 0),
            _ => (dst | of_register, 0),
        },
        _ if one.is_wide() => (0, dst),
        // BPF_ABS and BPF_IND take the packet from r6
        _ => (src | 1 << 6, 1),
    }
}
