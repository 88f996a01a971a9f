//! The switch that x86 compiles of its table of system calls (`x64_sys_call` in arch/x86/entry/syscall_64.c):
//! a tree of comparisons, without a jump table, whose leaves jump to the entries. It is walked once per number.

use super::stem;
use crate::elf::Memory;
use crate::error::{Error, Result};
use iced_x86::{
    Code, ConditionCode, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register,
};

/// A tree over a thousand numbers is ten deep; a chain of comparisons has two steps for each of them.
const STEPS: usize = 4096;

/// What the comparison before a branch left.
#[derive(Clone, Copy)]
struct Flags {
    carry: bool,
    zero: bool,
    sign: bool,
    overflow: bool,
}

impl Flags {
    fn holds(self, condition: ConditionCode) -> Option<bool> {
        Some(match condition {
            ConditionCode::o => self.overflow,
            ConditionCode::no => !self.overflow,
            ConditionCode::b => self.carry,
            ConditionCode::ae => !self.carry,
            ConditionCode::e => self.zero,
            ConditionCode::ne => !self.zero,
            ConditionCode::be => self.carry || self.zero,
            ConditionCode::a => !self.carry && !self.zero,
            ConditionCode::s => self.sign,
            ConditionCode::ns => !self.sign,
            ConditionCode::l => self.sign != self.overflow,
            ConditionCode::ge => self.sign == self.overflow,
            ConditionCode::le => self.zero || self.sign != self.overflow,
            ConditionCode::g => !self.zero && self.sign == self.overflow,
            _ => return None,
        })
    }
}

/// The processor, as far as a switch needs it. `None` is a value that is not known.
struct Walk {
    registers: [Option<u64>; 16],
    flags: Option<Flags>,
}

/// Where the function at `start` goes for a number: the address of an entry, or `None` if it returns without.
pub(super) fn entry(memory: &Memory<'_>, start: u64, number: u32) -> Result<Option<u64>> {
    let bits = if memory.image().address_size() == 8 { 64 } else { 32 };
    let mut walk = Walk { registers: [None; 16], flags: None };
    // The second argument: esi, or edx where the first three are in registers (-mregparm=3).
    let argument = if bits == 64 { Register::RSI } else { Register::RDX };
    walk.registers[argument.number()] = Some(u64::from(number));
    let mut at = start;
    for _ in 0..STEPS {
        let Some(code) = memory.from(at) else {
            return Err(Error::corrupt("system call switch", at, "there is no code"));
        };
        let code = &code[..code.len().min(15)];
        let instruction = Decoder::with_ip(bits, code, at, DecoderOptions::NONE).decode();
        let place = at;
        let strange = || {
            let reason = format!("unexpected instruction {:?} for number {number}", instruction.code());
            Error::corrupt("system call switch", place, reason)
        };
        if instruction.code() == Code::INVALID {
            return Err(strange());
        }
        at = instruction.next_ip();
        match instruction.flow_control() {
            FlowControl::Next => walk.step(&instruction).ok_or_else(strange)?,
            FlowControl::Return => return Ok(None),
            FlowControl::UnconditionalBranch => at = instruction.near_branch_target(),
            FlowControl::ConditionalBranch => {
                let flags = walk.flags.ok_or_else(strange)?;
                if flags.holds(instruction.condition_code()).ok_or_else(strange)? {
                    at = instruction.near_branch_target();
                }
            }
            FlowControl::Call => {
                let target = instruction.near_branch_target();
                if is_entry(memory, target) {
                    return Ok(Some(target));
                }
                // The tracer's hook keeps everything as it is.
                if !memory.at(target).any(|mark| mark.name == b"__fentry__") {
                    walk = Walk { registers: [None; 16], flags: None };
                }
            }
            _ => return Err(strange()),
        }
        if at != instruction.next_ip() && is_entry(memory, at) {
            return Ok(Some(at));
        }
    }
    Err(Error::corrupt("system call switch", start, format!("it does not end for number {number}")))
}

fn is_entry(memory: &Memory<'_>, address: u64) -> bool {
    memory.at(address).any(|mark| stem(mark.name).is_some())
}

impl Walk {
    /// Does what an instruction does; `None` if it is not understood.
    fn step(&mut self, instruction: &Instruction) -> Option<()> {
        let mnemonic = instruction.mnemonic();
        match mnemonic {
            Mnemonic::Nop | Mnemonic::Endbr64 | Mnemonic::Endbr32 | Mnemonic::Push => return Some(()),
            Mnemonic::Mov => {
                let value = self.operand(instruction, 1);
                return self.set(instruction, value);
            }
            Mnemonic::Lea => {
                let (base, index) = (instruction.memory_base(), instruction.memory_index());
                let base = if base == Register::None { Some(0) } else { self.register(base) };
                let index = if index == Register::None { Some(0) } else { self.register(index) };
                let scale = u64::from(instruction.memory_index_scale());
                let value = base.zip(index).map(|(base, index)| {
                    let sum = base.wrapping_add(index.wrapping_mul(scale));
                    sum.wrapping_add(instruction.memory_displacement64())
                });
                return self.set(instruction, value);
            }
            Mnemonic::Xor if instruction.op0_register() == instruction.op1_register() => {
                return self.set(instruction, Some(0));
            }
            _ => {}
        }
        let size = instruction.op0_register().size();
        if instruction.op0_kind() != OpKind::Register || size < 4 {
            return None;
        }
        let left = self.register(instruction.op0_register());
        let (Some(left), Some(right)) = (left, self.operand(instruction, 1)) else {
            // What comes of it is no more known than this.
            self.flags = None;
            return match mnemonic {
                Mnemonic::Cmp | Mnemonic::Test | Mnemonic::Bt => Some(()),
                Mnemonic::Add | Mnemonic::Sub | Mnemonic::And => self.set(instruction, None),
                _ => None,
            };
        };
        let bits = size as u32 * 8;
        let mask = u64::MAX >> (64 - bits);
        let (left, right) = (left & mask, right & mask);
        let result = match mnemonic {
            Mnemonic::Cmp | Mnemonic::Sub => left.wrapping_sub(right),
            Mnemonic::Add => left.wrapping_add(right),
            Mnemonic::Test | Mnemonic::And => left & right,
            Mnemonic::Bt => {
                let carry = left >> (right % u64::from(bits)) & 1 == 1;
                self.flags = Some(Flags { carry, zero: false, sign: false, overflow: false });
                return Some(());
            }
            _ => return None,
        } & mask;
        let top = |value: u64| value >> (bits - 1) & 1 == 1;
        let (carry, overflow) = match mnemonic {
            Mnemonic::Cmp | Mnemonic::Sub => (left < right, top((left ^ right) & (left ^ result))),
            Mnemonic::Add => (result < left, top((left ^ result) & (right ^ result))),
            _ => (false, false),
        };
        self.flags = Some(Flags { carry, zero: result == 0, sign: top(result), overflow });
        match mnemonic {
            Mnemonic::Cmp | Mnemonic::Test => Some(()),
            _ => self.set(instruction, Some(result)),
        }
    }

    fn register(&self, register: Register) -> Option<u64> {
        let mask = match register.size() {
            8 => u64::MAX,
            4 => 0xffff_ffff,
            _ => return None,
        };
        Some((*self.registers.get(register.number())?)? & mask)
    }

    fn operand(&self, instruction: &Instruction, index: u32) -> Option<u64> {
        match instruction.op_kind(index) {
            OpKind::Register => self.register(instruction.op_register(index)),
            OpKind::Memory | OpKind::NearBranch32 | OpKind::NearBranch64 => None,
            _ => instruction.try_immediate(index).ok(),
        }
    }

    /// Writes the first operand, which has to be a register.
    fn set(&mut self, instruction: &Instruction, value: Option<u64>) -> Option<()> {
        let register = instruction.op0_register();
        let mask = match register.size() {
            8 => u64::MAX,
            4 => 0xffff_ffff,
            _ => return None,
        };
        *self.registers.get_mut(register.number())? = value.map(|value| value & mask);
        Some(())
    }
}
