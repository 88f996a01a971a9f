//! One eBPF instruction, decoded.
//!
//! Source: RFC 9669 (`Documentation/bpf/standardization/instruction-set.rst`), `include/uapi/linux/bpf.h` for the
//! pseudo registers that only an object has.

/// Bytes of an instruction; a wide one (`lddw`) is two.
pub const BYTES: usize = 8;

pub const BPF_LDX: u8 = 0x01;
pub const BPF_ST: u8 = 0x02;
pub const BPF_STX: u8 = 0x03;
pub const BPF_ALU: u8 = 0x04;
pub const BPF_JMP: u8 = 0x05;
pub const BPF_JMP32: u8 = 0x06;
pub const BPF_ALU64: u8 = 0x07;

pub const BPF_MEM: u8 = 0x60;
pub const BPF_MEMSX: u8 = 0x80;

/// `dst = imm64`, the only instruction of 16 bytes.
pub const BPF_LD_IMM64: u8 = 0x18;
pub const BPF_CALL: u8 = 0x85;
pub const BPF_EXIT: u8 = 0x95;
/// `dst = src`, `dst += imm`, all 64 bits.
pub const BPF_MOV64_REG: u8 = 0xbf;
pub const BPF_ADD64_IMM: u8 = 0x07;
/// `goto +offset`, and `goto +imm`.
pub const BPF_JA: u8 = 0x05;
pub const BPF_JA32: u8 = 0x06;

/// `src` of a call: of a function of the object, of a kernel function by its BTF id.
pub const BPF_PSEUDO_CALL: u8 = 1;
pub const BPF_PSEUDO_KFUNC_CALL: u8 = 2;
/// `src` of `lddw`: the address of a function of the object.
pub const BPF_PSEUDO_FUNC: u8 = 4;

/// `struct bpf_insn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    pub code: u8,
    pub dst: u8,
    pub src: u8,
    pub offset: i16,
    pub imm: i32,
}

impl Instruction {
    /// Decodes the first eight bytes; `None` if there are fewer.
    pub fn decode(data: &[u8], big_endian: bool) -> Option<Instruction> {
        let &[code, registers, o0, o1, i0, i1, i2, i3] = data.first_chunk::<BYTES>()?;
        let (low, high) = (registers & 15, registers >> 4);
        Some(match big_endian {
            false => Instruction {
                code,
                dst: low,
                src: high,
                offset: i16::from_le_bytes([o0, o1]),
                imm: i32::from_le_bytes([i0, i1, i2, i3]),
            },
            true => Instruction {
                code,
                dst: high,
                src: low,
                offset: i16::from_be_bytes([o0, o1]),
                imm: i32::from_be_bytes([i0, i1, i2, i3]),
            },
        })
    }

    /// The lowest three bits: `BPF_LDX` and so on.
    pub fn class(self) -> u8 {
        self.code & 7
    }

    /// Whether the next eight bytes belong to it.
    pub fn is_wide(self) -> bool {
        self.code == BPF_LD_IMM64
    }

    /// The number of the helper that it calls (`enum bpf_func_id`).
    pub fn helper(self) -> Option<i32> {
        (self.code == BPF_CALL && self.src == 0).then_some(self.imm)
    }

    /// Bytes that a load (`dst = *(src + offset)`) or a store takes; `None` of anything else, atomics too.
    pub fn memory_bytes(self) -> Option<u8> {
        let is_plain = match self.class() {
            BPF_LDX => matches!(self.code & 0xe0, BPF_MEM | BPF_MEMSX),
            BPF_ST | BPF_STX => self.code & 0xe0 == BPF_MEM,
            _ => false,
        };
        is_plain.then_some(match self.code & 0x18 {
            0x00 => 4,
            0x08 => 2,
            0x10 => 1,
            _ => 8,
        })
    }

    /// Where it may go on besides the next instruction, counted from that one. Calls come back.
    pub fn jump(self) -> Option<i64> {
        match (self.code, self.class()) {
            (BPF_CALL | BPF_EXIT, _) => None,
            (BPF_JA32, _) => Some(self.imm.into()),
            (_, BPF_JMP | BPF_JMP32) => Some(self.offset.into()),
            _ => None,
        }
    }

    /// Whether the next instruction is never reached from it alone.
    pub fn ends(self) -> bool {
        matches!(self.code, BPF_EXIT | BPF_JA | BPF_JA32)
    }
}

/// The instructions of a function and their numbers, which count a wide one twice. A wide one that is cut off, and
/// bytes that are no whole instruction, end it.
pub fn instructions(data: &[u8], big_endian: bool) -> impl Iterator<Item = (usize, Instruction)> + '_ {
    let mut number = 0;
    std::iter::from_fn(move || {
        let at = number;
        let found = Instruction::decode(data.get(at * BYTES..)?, big_endian)?;
        number += if found.is_wide() { 2 } else { 1 };
        (number * BYTES <= data.len()).then_some((at, found))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_byte_orders() {
        let expected = Instruction { code: 0x79, dst: 1, src: 6, offset: -8, imm: 0x0102_0304 };
        let little = [0x79, 0x61, 0xf8, 0xff, 4, 3, 2, 1];
        let big = [0x79, 0x16, 0xff, 0xf8, 1, 2, 3, 4];
        assert_eq!(Instruction::decode(&little, false), Some(expected));
        assert_eq!(Instruction::decode(&big, true), Some(expected));
        assert_eq!(Instruction::decode(&little[..7], false), None);
    }

    #[test]
    fn what_an_instruction_does() {
        let of = |code, src, imm| Instruction { code, dst: 0, src, offset: 3, imm };
        assert_eq!(of(BPF_CALL, 0, 14).helper(), Some(14));
        assert_eq!(of(BPF_CALL, BPF_PSEUDO_CALL, 14).helper(), None);
        assert_eq!(
            [0x61, 0x69, 0x71, 0x79].map(|code| of(code, 0, 0).memory_bytes()),
            [4, 2, 1, 8].map(Some)
        );
        assert_eq!([0x63, 0x72, 0x91].map(|code| of(code, 0, 0).memory_bytes()), [4, 1, 1].map(Some));
        // an atomic, an addition
        assert_eq!([0xdb, 0x07].map(|code| of(code, 0, 0).memory_bytes()), [None, None]);
        assert_eq!([BPF_JA, 0x15, 0x56].map(|code| of(code, 0, 9).jump()), [Some(3); 3]);
        assert_eq!(of(BPF_JA32, 0, 9).jump(), Some(9));
        assert_eq!([BPF_CALL, BPF_EXIT, 0x07].map(|code| of(code, 0, 9).jump()), [None; 3]);
        assert!(of(BPF_EXIT, 0, 0).ends() && of(BPF_JA, 0, 0).ends() && !of(0x15, 0, 0).ends());
    }

    #[test]
    fn wide_ones_count_twice() {
        let mut data = vec![0; 40];
        data[8] = BPF_LD_IMM64;
        data[24] = BPF_EXIT;
        let numbers = |data| instructions(data, false).map(|(number, _)| number).collect::<Vec<_>>();
        assert_eq!(numbers(&data), [0, 1, 3, 4]);
        assert_eq!(numbers(&data[..23]), [0]);
        assert_eq!(numbers(&data[..16]), [0]);
        assert_eq!(numbers(&[]), [0usize; 0]);
    }
}
