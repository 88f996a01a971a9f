//! Numbers of which some bits are known, as the verifier keeps them (`kernel/bpf/tnum.c`): what it can tell of a
//! branch by known bits is what may be told here, and not more.

use crate::bpf::instruction::{BPF_ALU, BPF_ALU64, BPF_JMP32};

const BPF_ADD: u8 = 0x00;
const BPF_SUB: u8 = 0x10;
const BPF_MUL: u8 = 0x20;
const BPF_OR: u8 = 0x40;
const BPF_AND: u8 = 0x50;
const BPF_LSH: u8 = 0x60;
const BPF_RSH: u8 = 0x70;
const BPF_XOR: u8 = 0xa0;
const BPF_ARSH: u8 = 0xc0;

pub const BPF_JEQ: u8 = 0x10;
const BPF_JGT: u8 = 0x20;
const BPF_JGE: u8 = 0x30;
pub const BPF_JSET: u8 = 0x40;
pub const BPF_JNE: u8 = 0x50;
const BPF_JSGT: u8 = 0x60;
const BPF_JSGE: u8 = 0x70;
const BPF_JLT: u8 = 0xa0;
const BPF_JLE: u8 = 0xb0;
const BPF_JSLT: u8 = 0xc0;
const BPF_JSLE: u8 = 0xd0;

/// The bits of `mask` are not known, and 0 in `value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tnum {
    pub value: u64,
    pub mask: u64,
}

impl Tnum {
    pub const UNKNOWN: Tnum = Tnum { value: 0, mask: u64::MAX };

    pub fn constant(value: u64) -> Tnum {
        Tnum { value, mask: 0 }
    }

    /// Any number of so many bytes, the others 0.
    pub fn of_bytes(bytes: u8) -> Tnum {
        Tnum::UNKNOWN.cut(bytes)
    }

    pub fn known(self) -> Option<u64> {
        (self.mask == 0).then_some(self.value)
    }

    /// The lower bytes, the others 0.
    pub fn cut(self, bytes: u8) -> Tnum {
        let keep = if bytes >= 8 { u64::MAX } else { (1 << (bytes * 8)) - 1 };
        Tnum { value: self.value & keep, mask: self.mask & keep }
    }

    /// Whether every number that the other may be is one that this may be.
    pub fn covers(self, other: Tnum) -> bool {
        other.mask & !self.mask == 0 && other.value & !self.mask == self.value
    }

    fn add(self, other: Tnum) -> Tnum {
        let mask = self.mask.wrapping_add(other.mask);
        let value = self.value.wrapping_add(other.value);
        let unsure = (mask.wrapping_add(value) ^ value) | self.mask | other.mask;
        Tnum { value: value & !unsure, mask: unsure }
    }

    fn sub(self, other: Tnum) -> Tnum {
        let value = self.value.wrapping_sub(other.value);
        let (high, low) = (value.wrapping_add(self.mask), value.wrapping_sub(other.mask));
        let unsure = (high ^ low) | self.mask | other.mask;
        Tnum { value: value & !unsure, mask: unsure }
    }

    fn and(self, other: Tnum) -> Tnum {
        let value = self.value & other.value;
        Tnum { value, mask: (self.value | self.mask) & (other.value | other.mask) & !value }
    }

    fn or(self, other: Tnum) -> Tnum {
        let value = self.value | other.value;
        Tnum { value, mask: (self.mask | other.mask) & !value }
    }

    fn xor(self, other: Tnum) -> Tnum {
        let mask = self.mask | other.mask;
        Tnum { value: (self.value ^ other.value) & !mask, mask }
    }

    /// `both` of value and mask.
    fn shifted(self, shift: impl Fn(u64) -> u64) -> Tnum {
        Tnum { value: shift(self.value), mask: shift(self.mask) }
    }

    /// An instruction of class `BPF_ALU` or `BPF_ALU64` that is no move, by its code. Division, negation and byte
    /// swaps are unknown, as most verifiers have them, constants too.
    pub fn operation(code: u8, a: Tnum, b: Tnum) -> Tnum {
        let narrow = code & 7 == BPF_ALU;
        debug_assert!(narrow || code & 7 == BPF_ALU64);
        let (a, b, bits) = if narrow { (a.cut(4), b.cut(4), 32) } else { (a, b, 64) };
        let by = b.known().filter(|&by| by < bits);
        let result = match (code & 0xf0, by) {
            (BPF_ADD, _) => a.add(b),
            (BPF_SUB, _) => a.sub(b),
            (BPF_AND, _) => a.and(b),
            (BPF_OR, _) => a.or(b),
            (BPF_XOR, _) => a.xor(b),
            (BPF_MUL, _) if a.mask == 0 && b.mask == 0 => Tnum::constant(a.value.wrapping_mul(b.value)),
            (BPF_LSH, Some(by)) => a.shifted(|word| word << by),
            (BPF_RSH, Some(by)) => a.shifted(|word| word >> by),
            (BPF_ARSH, Some(by)) if narrow => a.shifted(|word| ((word as u32 as i32) >> by) as u32 as u64),
            (BPF_ARSH, Some(by)) => a.shifted(|word| ((word as i64) >> by) as u64),
            _ => Tnum::UNKNOWN,
        };
        if narrow {
            result.cut(4)
        } else {
            result
        }
    }

    /// Which way a conditional jump goes, by its code: whether it jumps. It is told only where the second operand
    /// is constant, as the verifiers before v6.8 do.
    pub fn jumps(code: u8, a: Tnum, b: Tnum) -> Option<bool> {
        let narrow = code & 7 == BPF_JMP32;
        let (a, b) = if narrow { (a.cut(4), b.cut(4)) } else { (a, b) };
        let b = b.known()?;
        let (low, high) = (a.value, a.value | a.mask);
        let sign = if narrow { 1 << 31 } else { 1 << 63 };
        let signed = |word: u64| if narrow { i64::from(word as u32 as i32) } else { word as i64 };
        let (slow, shigh) = (signed(low | a.mask & sign), signed(high & !(a.mask & sign)));
        let sb = signed(b);
        let told = |yes: bool, no: bool| (yes || no).then_some(yes);
        match code & 0xf0 {
            BPF_JEQ => a.known().map(|a| a == b),
            BPF_JNE => a.known().map(|a| a != b),
            BPF_JSET => told(low & b != 0, high & b == 0),
            BPF_JGT => told(low > b, high <= b),
            BPF_JGE => told(low >= b, high < b),
            BPF_JLT => told(high < b, low >= b),
            BPF_JLE => told(high <= b, low > b),
            BPF_JSGT => told(slow > sb, shigh <= sb),
            BPF_JSGE => told(slow >= sb, shigh < sb),
            BPF_JSLT => told(shigh < sb, slow >= sb),
            BPF_JSLE => told(shigh <= sb, slow > sb),
            _ => None,
        }
    }

    /// What is known of the first operand where a conditional jump was, or was not, taken.
    pub fn refined(self, code: u8, b: u64, taken: bool) -> Tnum {
        let narrow = code & 7 == BPF_JMP32;
        let bits = if narrow { 0xffff_ffff } else { u64::MAX };
        let b = b & bits;
        match (code & 0xf0, taken) {
            (BPF_JEQ, true) | (BPF_JNE, false) => {
                Tnum { value: self.value & !bits | b, mask: self.mask & !bits }
            }
            (BPF_JSET, false) => Tnum { value: self.value & !b, mask: self.mask & !b },
            (BPF_JSET, true) if b.is_power_of_two() => Tnum { value: self.value | b, mask: self.mask & !b },
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every number of three bits that a tnum may be.
    fn numbers(tnum: Tnum) -> impl Iterator<Item = u64> {
        (0..8).filter(move |&number| tnum.covers(Tnum::constant(number)))
    }

    fn tnums() -> impl Iterator<Item = Tnum> {
        (0..8)
            .flat_map(|mask| (0..8).map(move |value| Tnum { value, mask }))
            .filter(|t| t.value & t.mask == 0)
    }

    /// `value` of an operation on constants, as the instruction set has it.
    fn exactly(code: u8, a: u64, b: u64) -> u64 {
        let wide = match code & 0xf0 {
            BPF_ADD => a.wrapping_add(b),
            BPF_SUB => a.wrapping_sub(b),
            BPF_AND => a & b,
            BPF_OR => a | b,
            BPF_XOR => a ^ b,
            BPF_LSH => a << b,
            BPF_RSH => a >> b,
            BPF_ARSH => a >> b,
            _ => a.wrapping_mul(b),
        };
        if code & 7 == BPF_ALU {
            wide & 0xffff_ffff
        } else {
            wide
        }
    }

    #[test]
    fn operations_cover_what_can_come_out() {
        for op in [BPF_ADD, BPF_SUB, BPF_AND, BPF_OR, BPF_XOR, BPF_MUL, BPF_LSH, BPF_RSH, BPF_ARSH] {
            for class in [BPF_ALU, BPF_ALU64] {
                for (a, b) in tnums().flat_map(|a| tnums().map(move |b| (a, b))) {
                    let result = Tnum::operation(op | class, a, b);
                    for (x, y) in numbers(a).flat_map(|x| numbers(b).map(move |y| (x, y))) {
                        assert!(
                            result.covers(Tnum::constant(exactly(op | class, x, y))),
                            "{op:#x} {a:?} {b:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn constants_of_both_widths() {
        let of = |code, a: i64, b: i64| {
            Tnum::operation(code, Tnum::constant(a as u64), Tnum::constant(b as u64)).known()
        };
        assert_eq!(of(BPF_ADD | BPF_ALU, -1, 1), Some(0));
        assert_eq!(of(BPF_ADD | BPF_ALU64, -1, 2), Some(1));
        assert_eq!(of(BPF_ARSH | BPF_ALU, 0x8000_0000, 31), Some(0xffff_ffff));
        assert_eq!(of(BPF_ARSH | BPF_ALU64, -8, 1), Some(-4i64 as u64));
        assert_eq!(of(BPF_LSH | BPF_ALU, 1, 31), Some(1 << 31));
        assert_eq!(of(BPF_LSH | BPF_ALU, 1, 32), None);
        assert_eq!(of(BPF_MUL | BPF_ALU, 1 << 31, 2), Some(0));
        // BPF_DIV, BPF_NEG
        assert_eq!([of(0x30 | BPF_ALU64, 4, 2), of(0x80 | BPF_ALU64, 4, 2)], [None; 2]);
    }

    #[test]
    fn jumps_are_told_only_where_all_numbers_agree() {
        let codes = [
            BPF_JEQ, BPF_JNE, BPF_JSET, BPF_JGT, BPF_JGE, BPF_JLT, BPF_JLE, BPF_JSGT, BPF_JSGE, BPF_JSLT,
            BPF_JSLE,
        ];
        let exactly = |op, a: i64, b: i64| match op {
            BPF_JEQ => a == b,
            BPF_JNE => a != b,
            BPF_JSET => a & b != 0,
            BPF_JGT => a as u64 > b as u64,
            BPF_JGE => a as u64 >= b as u64,
            BPF_JLT => (a as u64) < b as u64,
            BPF_JLE => a as u64 <= b as u64,
            BPF_JSGT => a > b,
            BPF_JSGE => a >= b,
            BPF_JSLT => a < b,
            _ => a <= b,
        };
        // the third bit stands for the sign
        let spread = |word: u64, sign: u64| if word & 4 != 0 { word | sign } else { word };
        for (class, sign) in [(0x05, !7), (BPF_JMP32, 0xffff_fff8)] {
            for (op, a) in codes.into_iter().flat_map(|op| tnums().map(move |a| (op, a))) {
                let wide = Tnum { value: spread(a.value, sign), mask: spread(a.mask, sign) };
                for b in 0..8 {
                    let of = |word: u64| if word & 4 != 0 { word as i64 - 8 } else { word as i64 };
                    let ways: Vec<bool> = numbers(a).map(|x| exactly(op, of(x), of(b))).collect();
                    if let Some(jumps) = Tnum::jumps(op | class, wide, Tnum::constant(spread(b, sign))) {
                        assert!(ways.iter().all(|&way| way == jumps), "{op:#x} {a:?} {b}");
                    } else {
                        assert!(a.mask != 0, "{op:#x} {a:?} {b}");
                    }
                    for taken in [false, true] {
                        let refined = wide.refined(op | class, spread(b, sign), taken);
                        for x in numbers(a).filter(|&x| exactly(op, of(x), of(b)) == taken) {
                            assert!(refined.covers(Tnum::constant(spread(x, sign))));
                        }
                    }
                }
            }
        }
    }
}
