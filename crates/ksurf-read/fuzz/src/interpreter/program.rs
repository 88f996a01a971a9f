//! eBPF programs made of any bytes.

use ksurf_read::bpf::instruction::{Instruction, BPF_LD_IMM64};
use ksurf_read::bpf::walk::{Effect, Program};

/// Memory whose content the verifier knows.
pub const AREAS: [&[u8]; 2] = [&[0, 1, 2, 0xff, 0, 0, 0, 0, 9], &[1, 0, 0, 0, 0, 0, 0, 0]];
/// Bytes of the keys of all maps.
pub const KEY_BYTES: u64 = 8;
const BPF_EXIT: Instruction = Instruction { code: 0x95, dst: 0, src: 0, offset: 0, imm: 0 };

/// A program that a verifier might look at.
pub struct Made {
    pub instructions: Vec<Instruction>,
    pub entries: Vec<usize>,
    pub effects: Vec<(usize, Effect)>,
}

impl Made {
    pub fn new(data: &[u8]) -> Made {
        let mut made = Made { instructions: Vec::new(), entries: vec![0], effects: Vec::new() };
        for bytes in data.chunks_exact(4).take(200) {
            made.add([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        made.instructions.push(BPF_EXIT);
        made
    }

    pub fn program(&self) -> Program<'_> {
        Program {
            instructions: &self.instructions,
            entries: &self.entries,
            effects: &self.effects,
            areas: &AREAS,
            key_bytes: Some(KEY_BYTES as u32),
            big_endian: false,
        }
    }

    pub fn listing(&self) -> Vec<String> {
        let effect = |at| self.effects.iter().find(|effect| effect.0 == at).map(|effect| effect.1);
        let line = |(at, one): (usize, &Instruction)| {
            let Instruction { code, dst, src, offset, imm } = one;
            format!("{at}: {code:#04x} r{dst} r{src} {offset:+} {imm} {:?}", effect(at))
        };
        self.instructions.iter().enumerate().map(line).collect()
    }

    /// Four bytes make one instruction, of those that compilers like.
    fn add(&mut self, [kind, registers, a, b]: [u8; 4]) {
        const OPERATIONS: [u8; 12] = [0x00, 0x10, 0x20, 0x40, 0x50, 0x60, 0x70, 0x80, 0x90, 0xa0, 0xc0, 0xd0];
        const JUMPS: [u8; 12] = [0x10, 0x50, 0x10, 0x50, 0x20, 0x30, 0x40, 0x60, 0x70, 0xa0, 0xb0, 0xd0];
        const REGISTERS: [u8; 7] = [0, 1, 2, 3, 6, 7, 10];
        const SIZES: [u8; 7] = [0x18, 0x18, 0x18, 0x18, 0x00, 0x08, 0x10];
        const ATOMICS: [i32; 8] = [0x00, 0x01, 0x41, 0x51, 0xa1, 0xe1, 0xf1, 0x40];
        const HELPERS: [i32; 8] = [1, 5, 113, 4, 130, 181, 999, 2];
        let pick = |list: &[u8], by: u8| list[usize::from(by) % list.len()];
        let at = self.instructions.len();
        // few registers and slots, so that they meet again
        let (dst, src) = (pick(&REGISTERS, registers & 15), pick(&REGISTERS, registers >> 4));
        let imm = match b % 8 {
            0..=2 => 0,
            3 | 4 => 1,
            5 => -1,
            6 => i32::from(b / 8),
            _ => i32::from(b) << 24,
        };
        let size = pick(&SIZES, a);
        let slot = -8 * (1 + i16::from(b % 2)) + if b >= 240 { 3 } else { 0 };
        let forward = if b < 24 { -i16::from(b % 12) } else { i16::from(b % 9) };
        let of = |code: u8, src: u8, offset: i16, imm: i32| Instruction { code, dst, src, offset, imm };
        let one = match kind % 40 {
            31..=35 => {
                // a register or a slot decides whether the next instruction is reached
                let tested = if a & 32 != 0 {
                    self.instructions.push(of(size | 0x61, 10, slot, 0));
                    dst
                } else {
                    src
                };
                let jump = pick(&JUMPS, a) | if a & 128 != 0 { 0x06 } else { 0x05 };
                self.instructions.push(Instruction { dst: tested, ..of(jump, 0, 1, imm) });
                of(0xb7, 0, 0, if a & 64 != 0 { 1 } else { imm })
            }
            36 => {
                // one of two slots is overwritten, nobody knows which
                self.instructions.push(Instruction { dst: src, ..of(0x57, 0, 0, 8) });
                self.instructions.push(of(0xbf, 10, 0, 0));
                self.instructions.push(of(0x0f, src, 0, 0));
                self.instructions.push(of(0x07, 0, 0, -16));
                of(size | 0x63, pick(&REGISTERS, b), 0, 0)
            }
            38 => {
                // a number is kept, and changed or not
                self.instructions.push(of(0xb7, 0, 0, imm));
                self.instructions.push(Instruction { dst: 10, ..of(0x7b, dst, slot, 0) });
                Instruction {
                    dst: 10,
                    ..of(if a & 64 != 0 { 0xdb } else { 0xc3 }, src, slot, ATOMICS[usize::from(a) % 8])
                }
            }
            39 => {
                // a function that is called back, and gets a slot
                self.instructions.push(Instruction { dst: 2, ..of(BPF_LD_IMM64, 4, 0, i32::from(b % 24)) });
                self.instructions.push(of(0, 0, 0, 0));
                self.instructions.push(Instruction { dst: 1, ..of(0xbf, 10, 0, 0) });
                self.instructions.push(Instruction { dst: 1, ..of(0x07, 0, 0, -8) });
                of(0x85, 0, 0, 181)
            }
            37 => {
                // a pointer is kept, and comes back
                self.instructions.push(of(0xbf, 10, 0, 0));
                self.instructions.push(of(0x07, 0, 0, slot.into()));
                Instruction { dst: 10, ..of(0x7b, dst, slot, 0) }
            }
            0..=2 => of(0xb7, 0, 0, imm),
            3 => of(0xb4, 0, 0, imm),
            4 | 5 => {
                let effect = if a == 0 { Effect::Unknown } else { Effect::Immediate(imm as u64) };
                self.effects.push((at, effect));
                of(0xb7, 0, 0, 77)
            }
            6 => of(0xbf, src, 0, 0),
            7 => of(if a & 1 != 0 { 0xbc } else { 0xbf }, src, [0, 8, 16, 32][usize::from(a / 2 % 4)], 0),
            8 | 9 => of(pick(&OPERATIONS, a) | 0x07, 0, 0, imm),
            10 => of(pick(&OPERATIONS, a) | 0x04, 0, 0, imm),
            11 => of(pick(&OPERATIONS, a) | 0x0f, src, 0, 0),
            12 => of(pick(&OPERATIONS, a) | 0x0c, src, 0, 0),
            13 => {
                // the address of a slot
                self.instructions.push(of(0xbf, 10, 0, 0));
                of(0x07, 0, 0, slot.into())
            }
            14 | 15 => of(size | 0x61, 10, slot, 0),
            16 => of(size | if a & 64 != 0 { 0x61 } else { 0x81 }, src, i16::from(b as i8) / 8, 0),
            17 | 18 => Instruction { dst: 10, ..of(size | 0x63, src, slot, 0) },
            19 => of(size | 0x63, src, i16::from(b as i8) / 8, 0),
            20 => Instruction { dst: 10, ..of(size | 0x62, 0, slot, imm) },
            21 => {
                let code = if a & 64 != 0 { 0xdb } else { 0xc3 };
                Instruction {
                    dst: if b & 64 != 0 { 10 } else { dst },
                    ..of(code, src, slot, ATOMICS[usize::from(a) % 8])
                }
            }
            22..=24 => of(pick(&JUMPS, a) | 0x05, 0, forward, imm),
            25 => of(pick(&JUMPS, a) | if a & 128 != 0 { 0x0d } else { 0x0e }, src, forward, 0),
            26 => of(pick(&JUMPS, a) | 0x06, 0, forward, imm),
            27 => match a % 4 {
                0 => of(0x05, 0, forward, 0),
                1 => of(0x06, 0, 0, forward.into()),
                2 => of(0xe5, 0, forward, 0),
                _ => BPF_EXIT,
            },
            28 => {
                let distance = i32::from(b % 24);
                if a & 15 == 0 {
                    self.entries.push(at + 1 + distance as usize);
                }
                of(0x85, 1, 0, distance)
            }
            29 => {
                match a % 5 {
                    0 => self.effects.push((at, Effect::Refused)),
                    1 => self.effects.push((at, Effect::IteratorNext)),
                    _ => {}
                }
                of(0x85, if a % 5 < 2 { 2 } else { 0 }, 0, HELPERS[usize::from(b) % 8])
            }
            30 => {
                let effect = match a % 6 {
                    0 => Some(Effect::Address),
                    1 => Some(Effect::Unknown),
                    2 => Some(Effect::Immediate(imm as u64)),
                    3 => Some(Effect::Area { area: usize::from(b % 3), offset: i64::from(b % 16) - 2 }),
                    _ => None,
                };
                self.effects.extend(effect.map(|effect| (at, effect)));
                let (src, imm) = if a % 6 == 4 { (4, i32::from(b % 24)) } else { (0, imm) };
                self.instructions.push(of(BPF_LD_IMM64, src, 0, imm));
                Instruction { code: 0, dst: 0, src: 0, offset: 0, imm: 0 }
            }
            _ => of(size | 0x61, src, 0, 0),
        };
        self.instructions.push(one);
    }
}
