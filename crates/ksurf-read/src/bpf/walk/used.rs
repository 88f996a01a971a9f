//! Whether what an instruction gives is used: a way that was taken leads to something that depends on it.
//!
//! The program is gone through backwards, along the ways that the walk has taken, with the registers and the slots of
//! the frame whose content still matters. A copy matters as far as that to which it is copied; whatever else reads a
//! value uses it. Where it is not known what is read, everything is.

use super::flow::{self, Flow, BPF_JCOND};
use super::frame::ARGUMENTS;
use super::state::{ALL_SLOTS, CALLER_SAVED};
use super::Program;
use crate::bpf::instruction::{
    Instruction, BPF_ALU, BPF_ALU64, BPF_CALL, BPF_EXIT, BPF_JMP, BPF_JMP32, BPF_LDX, BPF_LD_IMM64,
    BPF_MOV64_REG, BPF_ST, BPF_STX,
};

/// What the walk has seen of one instruction, over all states in which it was run.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Whether it has gone on, and whether it has jumped: of conditional jumps.
    pub ways: [bool; 2],
    /// The registers that what it calls may have read, as bits.
    pub arguments: u16,
    /// The slots of its frame that it may have read.
    pub reads: u64,
    /// The slots that it has overwritten each time.
    pub writes: u64,
}

impl Seen {
    /// Before it is run.
    pub const NEVER: Seen = Seen { ways: [false; 2], arguments: 0, reads: 0, writes: ALL_SLOTS };
}

/// What matters: registers and slots, as bits.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Live {
    registers: u16,
    slots: u64,
}

/// Of each instruction whether what it gives is used; of those that give nothing whether they are reached.
pub fn find(program: &Program<'_>, reached: &[bool], seen: &[Seen], flow: &Flow) -> Vec<bool> {
    let instructions = program.instructions;
    let mut live = vec![Live::default(); instructions.len()];
    let mut work: Vec<usize> = (0..instructions.len()).filter(|&at| reached[at]).collect();
    let mut waits = reached.to_vec();
    while let Some(at) = work.pop() {
        waits[at] = false;
        let mut own = seen[at];
        if instructions[at].code == BPF_CALL {
            // of one that is global the verifier looks at all arguments
            let callee = flow::function(instructions, at).filter(|callee| !program.entries.contains(callee));
            own.arguments = callee.map_or(own.arguments, |callee| live[callee].registers & ARGUMENTS);
        }
        let before = instructions[at].before(after(instructions, seen, &live, at), own);
        if std::mem::replace(&mut live[at], before) == before {
            continue;
        }
        for earlier in flow.before(at).filter(|&earlier| reached[earlier]) {
            if !std::mem::replace(&mut waits[earlier], true) {
                work.push(earlier);
            }
        }
    }
    let used = |at: usize| match instructions[at].result() {
        Some(register) => after(instructions, seen, &live, at).registers & 1 << register != 0,
        None => true,
    };
    (0..instructions.len()).map(|at| reached[at] && used(at)).collect()
}

/// What matters after an instruction.
fn after(instructions: &[Instruction], seen: &[Seen], live: &[Live], at: usize) -> Live {
    let one = instructions[at];
    let [goes_on, jumps] = match one.class() {
        BPF_JMP | BPF_JMP32 if one.is_conditional() => seen[at].ways,
        _ => [!one.ends(), true],
    };
    let next = goes_on.then(|| flow::next(instructions, at));
    let target = if jumps { flow::target(instructions, at) } else { None };
    let mut all = Live::default();
    for way in [next, target].into_iter().flatten() {
        let Some(one) = live.get(way) else { continue };
        all.registers |= one.registers;
        all.slots |= one.slots;
    }
    all
}

impl Instruction {
    fn is_conditional(self) -> bool {
        self.code != BPF_CALL && self.code != BPF_JCOND && !self.ends()
    }

    /// The register that it gives a value to, if it does nothing else.
    fn result(self) -> Option<u8> {
        let gives = matches!(self.class(), BPF_ALU | BPF_ALU64 | BPF_LDX) || self.code == BPF_LD_IMM64;
        (gives && self.dst < 10).then_some(self.dst)
    }

    /// What matters before it, by what matters after it.
    fn before(self, after: Live, seen: Seen) -> Live {
        let bit = |register: u8| if register < 10 { 1u16 << register } else { 0 };
        let (dst, src) = (bit(self.dst), bit(self.src));
        let (reads, writes) = flow::reads_and_writes(self);
        let Live { registers, slots } = after;
        let is_plain = self.memory_bytes().is_some();
        let matters = registers & dst != 0;
        match self.class() {
            BPF_ALU64 if self.code == BPF_MOV64_REG && self.offset == 0 => {
                Live { registers: registers & !dst | if matters { src } else { 0 }, slots }
            }
            BPF_LDX => {
                let of_frame = if matters { seen.reads } else { 0 };
                Live { registers: registers & !dst | src, slots: slots | of_frame }
            }
            // the same slot each time
            BPF_STX if is_plain && seen.writes.is_power_of_two() => {
                let stored = if slots & seen.writes != 0 { src } else { 0 };
                Live { registers: registers | dst | stored, slots: slots & !seen.writes }
            }
            BPF_ST => Live { registers: registers | dst, slots: slots & !seen.writes },
            _ if self.code == BPF_CALL => {
                Live { registers: registers & !CALLER_SAVED | seen.arguments, slots: slots | seen.reads }
            }
            _ if self.code == BPF_EXIT => Live { registers: reads, slots: 0 },
            _ => Live { registers: registers & !writes | reads, slots: slots | seen.reads },
        }
    }
}
