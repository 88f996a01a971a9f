//! What relocation makes of an instruction. Source: `bpf_core_patch_insn` of libbpf.

use super::value::Value;
use crate::bpf::instruction::{
    Instruction, BPF_ALU, BPF_ALU64, BPF_CALL, BPF_LDX, BPF_LD_IMM64, BPF_ST, BPF_STX, BYTES,
};

/// The helper that libbpf lets an instruction call which must not be reached.
pub const POISON: i32 = 195_896_080;
/// `BPF_K` or `BPF_X`: whether the operand is a register.
const BPF_X: u8 = 0x08;
const BPF_SIZE_MASK: u8 = 0x18;

/// The instruction as it is loaded, one of eight bytes or two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patched {
    pub bytes: Vec<u8>,
    /// It is one that the verifier refuses if it can be reached.
    pub poisoned: bool,
}

/// Why it is poisoned although there is a value; or why the whole object is refused.
pub(super) enum Problem {
    Unsuitable(String),
    Refused(String),
}

/// Puts a value into the instruction at the start of `code`.
pub(super) fn patch(code: &[u8], big_endian: bool, value: &Value) -> (Option<Patched>, Option<Problem>) {
    let refused = |reason: String| (None, Some(Problem::Refused(reason)));
    let Some(found) = Instruction::decode(code, big_endian) else {
        return refused("there is no instruction".into());
    };
    let second = found.is_wide().then(|| Instruction::decode(&code[BYTES..], big_endian));
    if second == Some(None) {
        return refused("its instruction is cut off".into());
    }
    let second = second.flatten();
    let mut bytes = code[..if second.is_some() { 2 * BYTES } else { BYTES }].to_vec();
    let Some(new) = value.new else { return (Some(poisoned(&bytes, big_endian)), None) };
    let unexpected = |place: &str, got: u64| {
        refused(format!("{place} of the instruction is {}, not {}", got as i64, value.original as i64))
    };
    match found.class() {
        BPF_ALU | BPF_ALU64 => {
            if found.code & BPF_X != 0 {
                return refused("its instruction has no immediate operand".into());
            }
            let got = i64::from(found.imm) as u64;
            if value.validate && got != value.original {
                return unexpected("the operand", got);
            }
            put(&mut bytes[4..8], new as u32, big_endian);
        }
        BPF_LDX | BPF_ST | BPF_STX => {
            let got = i64::from(found.offset) as u64;
            if value.validate && got != value.original {
                return unexpected("the offset", got);
            }
            if new > i16::MAX as u64 {
                return refused(format!("offset {new} is too large for its instruction"));
            }
            let (original_size, new_size) = value.sizes;
            if value.unsuitable {
                let reason = format!(
                    "{original_size} bytes are accessed there and {new_size} are it in the kernel, which only \
                     pointers and unsigned integers may be"
                );
                return (Some(poisoned(&bytes, big_endian)), Some(Problem::Unsuitable(reason)));
            }
            put(&mut bytes[2..4], new as u32, big_endian);
            if original_size != new_size {
                let got = access_bytes(found.code);
                if got != original_size {
                    return refused(format!("its instruction accesses {got} bytes, not {original_size}"));
                }
                let Some(size) = size_bits(new_size) else {
                    return refused(format!("no instruction accesses {new_size} bytes, in place of {got}"));
                };
                bytes[0] = found.code & !BPF_SIZE_MASK | size;
            }
        }
        _ if found.code == BPF_LD_IMM64 => {
            let is_plain = |i: Instruction| i.src == 0 && i.offset == 0;
            let Some(second) =
                second.filter(|&s| is_plain(found) && is_plain(s) && s.code == 0 && s.dst == 0)
            else {
                return refused("its instruction is no plain number of 64 bits".into());
            };
            let got = u64::from(found.imm as u32) | u64::from(second.imm as u32) << 32;
            if value.validate && got != value.original {
                return unexpected("the operand", got);
            }
            put(&mut bytes[4..8], new as u32, big_endian);
            put(&mut bytes[12..16], (new >> 32) as u32, big_endian);
        }
        _ => return refused(format!("its instruction ({:#04x}) cannot hold a number", found.code)),
    }
    (Some(Patched { bytes, poisoned: false }), None)
}

fn access_bytes(code: u8) -> u32 {
    match code & BPF_SIZE_MASK {
        0x00 => 4,
        0x08 => 2,
        0x10 => 1,
        _ => 8,
    }
}

fn size_bits(bytes: u32) -> Option<u8> {
    Some(match bytes {
        4 => 0x00,
        2 => 0x08,
        1 => 0x10,
        8 => 0x18,
        _ => return None,
    })
}

/// A call of a helper that does not exist, once for each eight bytes.
fn poisoned(bytes: &[u8], big_endian: bool) -> Patched {
    let mut call = [BPF_CALL, 0, 0, 0, 0, 0, 0, 0];
    put(&mut call[4..], POISON as u32, big_endian);
    Patched { bytes: call.repeat(bytes.len() / BYTES), poisoned: true }
}

fn put(place: &mut [u8], number: u32, big_endian: bool) {
    let size = place.len();
    match big_endian {
        true => place.copy_from_slice(&number.to_be_bytes()[4 - size..]),
        false => place.copy_from_slice(&number.to_le_bytes()[..size]),
    }
}
