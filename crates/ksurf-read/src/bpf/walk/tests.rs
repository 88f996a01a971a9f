//! Small programs by hand, in the shapes that clang gives to the guards of `bpf_core_read.h`.

mod used;

use super::*;
use crate::bpf::instruction::{
    BPF_ADD64_IMM, BPF_CALL, BPF_EXIT, BPF_JA, BPF_JA32, BPF_LD_IMM64, BPF_MOV64_REG, BPF_PSEUDO_CALL,
    BPF_PSEUDO_FUNC, BPF_PSEUDO_KFUNC_CALL,
};

const MOV64_IMM: u8 = 0xb7;
const MOV32_IMM: u8 = 0xb4;
const MOV32_REG: u8 = 0xbc;
const AND64_IMM: u8 = 0x57;
const ADD64_REG: u8 = 0x0f;
const JEQ_IMM: u8 = 0x15;
const JNE_IMM: u8 = 0x55;
const JGT_IMM: u8 = 0x25;
const JLT_IMM: u8 = 0xa5;
const JSLT_IMM: u8 = 0xc5;
const JEQ_REG: u8 = 0x1d;
const JSET_IMM: u8 = 0x45;
const JEQ32_IMM: u8 = 0x16;
const LDX_W: u8 = 0x61;
const LDX_B: u8 = 0x71;
const LDX_DW: u8 = 0x79;
const LDXSX_W: u8 = 0x81;
const STX_W: u8 = 0x63;
const STX_DW: u8 = 0x7b;
const ST_DW: u8 = 0x7a;
const ATOMIC_DW: u8 = 0xdb;

pub fn op(code: u8, dst: u8, src: u8, offset: i16, imm: i32) -> Instruction {
    Instruction { code, dst, src, offset, imm }
}

fn mov(dst: u8, imm: i32) -> Instruction {
    op(MOV64_IMM, dst, 0, 0, imm)
}

fn copy(dst: u8, src: u8) -> Instruction {
    op(BPF_MOV64_REG, dst, src, 0, 0)
}

fn load(code: u8, dst: u8, src: u8, offset: i16) -> Instruction {
    op(code, dst, src, offset, 0)
}

fn store(code: u8, dst: u8, offset: i16, src: u8) -> Instruction {
    op(code, dst, src, offset, 0)
}

fn jump(code: u8, dst: u8, imm: i32, offset: i16) -> Instruction {
    op(code, dst, 0, offset, imm)
}

fn goto(offset: i16) -> Instruction {
    op(BPF_JA, 0, 0, offset, 0)
}

fn helper(number: i32) -> Instruction {
    op(BPF_CALL, 0, 0, 0, number)
}

fn kfunc() -> Instruction {
    op(BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, -1)
}

fn call(distance: i32) -> Instruction {
    op(BPF_CALL, 0, BPF_PSEUDO_CALL, 0, distance)
}

fn wide(dst: u8, src: u8, imm: i32) -> [Instruction; 2] {
    [op(BPF_LD_IMM64, dst, src, 0, imm), op(0, 0, 0, 0, 0)]
}

const EXIT: Instruction = Instruction { code: BPF_EXIT, dst: 0, src: 0, offset: 0, imm: 0 };

fn run(instructions: &[Instruction], effects: &[(usize, Effect)]) -> Walk {
    walk(&Program { instructions, entries: &[0], effects, areas: &[], key_bytes: None, big_endian: false })
}

fn reached(instructions: &[Instruction], effects: &[(usize, Effect)]) -> Vec<usize> {
    numbers(&run(instructions, effects))
}

fn numbers(walk: &Walk) -> Vec<usize> {
    (0..walk.reached.len()).filter(|&at| walk.reached[at]).collect()
}

fn refused(walk: &Walk) -> Vec<usize> {
    walk.refused.iter().map(|refusal| refusal.instruction).collect()
}

fn decision(branch: usize, causes: &[usize]) -> Decision {
    Decision { branch, causes: causes.to_vec() }
}

/// `if (bpf_core_field_exists(x)) use(x); else other();`
#[test]
fn a_field_that_exists_or_not() {
    let program = [
        mov(1, 1),              // 0: exists
        jump(JEQ_IMM, 1, 0, 2), // 1
        load(LDX_DW, 2, 6, 8),  // 2: the field
        goto(1),                // 3
        load(LDX_DW, 2, 6, 16), // 4: the older one
        EXIT,                   // 5
    ];
    let there = run(&program, &[(0, Effect::Immediate(1)), (4, Effect::Refused)]);
    assert_eq!(numbers(&there), [0, 1, 2, 3, 5]);
    assert_eq!(there.guards(4), [decision(1, &[0])]);
    assert!(there.refused.is_empty() && there.guards(2).is_empty());
    let absent = run(&program, &[(0, Effect::Immediate(0)), (2, Effect::Refused)]);
    assert_eq!(numbers(&absent), [0, 1, 4, 5]);
    assert_eq!(absent.guards(2), [decision(1, &[0])]);
    assert_eq!(absent.guards(3), [decision(1, &[0])]);
    // without the guard
    let unknown = run(&program, &[(0, Effect::Unknown), (2, Effect::Refused)]);
    assert_eq!(unknown.refused, [Refusal { instruction: 2, passed: Vec::new() }]);
    assert!(unknown.reached[4], "its own number means nothing");
}

#[test]
fn what_is_refused_behind_a_guard_that_lets_it_through() {
    let program = [
        mov(1, 0),              // 0: one exists
        jump(JEQ_IMM, 1, 0, 4), // 1
        mov(2, 0),              // 2: another does not
        jump(JNE_IMM, 2, 0, 1), // 3
        load(LDX_DW, 3, 6, 8),  // 4: a third that neither guards
        load(LDX_DW, 3, 6, 8),  // 5
        EXIT,                   // 6
    ];
    let effects = [(0, Effect::Immediate(1)), (2, Effect::Immediate(0)), (4, Effect::Refused)];
    let found = run(&program, &effects);
    let passed = vec![decision(3, &[2]), decision(1, &[0])];
    assert_eq!(found.refused, [Refusal { instruction: 4, passed }]);
}

/// The compiler keeps the answer as 32 bits and masks it.
#[test]
fn an_answer_that_is_copied_and_masked() {
    let program = [
        op(MOV32_IMM, 1, 0, 0, 7), // 0: exists
        op(MOV32_REG, 2, 1, 0, 0), // 1
        op(AND64_IMM, 2, 0, 0, 1), // 2
        jump(JEQ32_IMM, 2, 0, 1),  // 3
        kfunc(),                   // 4
        EXIT,
    ];
    assert_eq!(reached(&program, &[(0, Effect::Immediate(0))]), [0, 1, 2, 3, 5]);
    assert_eq!(reached(&program, &[(0, Effect::Immediate(1))]), [0, 1, 2, 3, 4, 5]);
}

/// `bpf_core_enum_value_exists`, `bpf_core_enum_value`, `bpf_core_type_exists` load 64 bits.
#[test]
fn values_of_enumerators_and_types() {
    let program = [&wide(1, 0, 9)[..], &[jump(JSLT_IMM, 1, 0, 1), kfunc(), EXIT]].concat();
    let of = |value: i64| run(&program, &[(0, Effect::Immediate(value as u64)), (3, Effect::Refused)]);
    assert!(refused(&of(-5)).is_empty());
    assert_eq!(of(-5).guards(3), [decision(2, &[0])]);
    assert_eq!(refused(&of(5)), [3]);
}

/// Two answers, both needed.
#[test]
fn guards_that_are_combined() {
    let program = [
        mov(1, 0),              // 0
        mov(2, 0),              // 1
        op(0x5f, 1, 2, 0, 0),   // 2: r1 &= r2
        jump(JEQ_IMM, 1, 0, 1), // 3
        kfunc(),                // 4
        EXIT,
    ];
    let both = run(&program, &[(0, Effect::Immediate(1)), (1, Effect::Immediate(0)), (4, Effect::Refused)]);
    assert_eq!(both.guards(4), [decision(3, &[0, 1])]);
    // one is enough, where the other is not known
    let program =
        [helper(5), copy(1, 0), mov(2, 0), op(0x5f, 1, 2, 0, 0), jump(JEQ_IMM, 1, 0, 1), kfunc(), EXIT];
    assert_eq!(run(&program, &[(2, Effect::Immediate(0))]).guards(5), [decision(4, &[2])]);
}

/// `if (LINUX_KERNEL_VERSION >= KERNEL_VERSION(5, 8, 0))`
#[test]
fn kconfig_is_read_from_known_memory() {
    let program =
        [&wide(1, 0, 0)[..], &[load(LDX_W, 1, 1, 0), jump(JLT_IMM, 1, 0x50800, 1), kfunc(), EXIT]].concat();
    let version = |version: u32, big_endian: bool| {
        let bytes = if big_endian { version.to_be_bytes() } else { version.to_le_bytes() };
        let effects = [(0, Effect::Area { area: 0, offset: 0 }), (4, Effect::Refused)];
        walk(&Program {
            instructions: &program,
            entries: &[0],
            effects: &effects,
            areas: &[&bytes],
            key_bytes: None,
            big_endian,
        })
    };
    for big_endian in [false, true] {
        assert_eq!(version(0x50700, big_endian).guards(4), [decision(3, &[0])]);
        assert_eq!(refused(&version(0x60100, big_endian)), [4]);
    }
    // a value that is not known, and memory that ends before
    assert_eq!(refused(&run(&program, &[(0, Effect::Unknown), (4, Effect::Refused)])), [4]);
    let outside = [(0, Effect::Area { area: 7, offset: -1 }), (4, Effect::Refused)];
    assert_eq!(refused(&run(&program, &outside)), [4]);
}

#[test]
fn parts_of_known_memory() {
    let area: &[u8] = &[0xff, 0xfe, 3, 4, 5, 6, 7, 8, b'y'];
    let load_and_compare = |code, offset: i16, expected| {
        let program = [
            &wide(1, 0, 0)[..],
            &[op(BPF_ADD64_IMM, 1, 0, 0, 1), load(code, 1, 1, offset - 1), mov(2, expected)],
        ]
        .concat();
        let program = [&program[..], &[op(JEQ_REG, 1, 2, 1, 0), kfunc(), EXIT]].concat();
        let effects = [(0, Effect::Area { area: 0, offset: 0 })];
        let areas = &[area];
        numbers(&walk(&Program {
            instructions: &program,
            entries: &[0],
            effects: &effects,
            areas,
            key_bytes: None,
            big_endian: false,
        }))
        .contains(&6)
    };
    assert!(!load_and_compare(LDX_B, 8, i32::from(b'y')));
    assert!(!load_and_compare(LDX_W, 0, 0x0403_feff));
    assert!(!load_and_compare(0x91, 0, -1)); // one byte, its sign extended
    assert!(!load_and_compare(0x89, 0, -257)); // two bytes
    assert!(load_and_compare(LDXSX_W, 6, 0), "it ends before");
}

/// `if (bpf_ksym_exists(x))`: the address of a weak symbol.
#[test]
fn weak_symbols() {
    let program = [&wide(1, 0, 0)[..], &[jump(JEQ_IMM, 1, 0, 1), kfunc(), helper(5), EXIT]].concat();
    let absent = [(0, Effect::Immediate(0)), (3, Effect::Refused)];
    assert_eq!(reached(&program, &absent), [0, 1, 2, 4, 5]);
    assert_eq!(run(&program, &absent).guards(3), [decision(2, &[0])]);
    let program =
        [&wide(1, 0, 0)[..], &[store(STX_DW, 10, -8, 1), load(LDX_DW, 2, 10, -8), jump(JNE_IMM, 2, 0, 1)]]
            .concat();
    let program = [&program[..], &[kfunc(), EXIT]].concat();
    let there = run(&program, &[(0, Effect::Address)]);
    assert_eq!(there.guards(5), [decision(4, &[0])]);
    // of other addresses verifiers do not agree
    assert!(run(&program, &[(0, Effect::Unknown)]).reached[5]);
    // a relocated constant says nothing by itself, one of the program does
    assert_eq!(reached(&program, &[]), [0, 1, 2, 3, 4, 5, 6]);
}

/// `bool has = false; if (exists) has = true; ... if (has) use();`
#[test]
fn an_answer_that_is_remembered() {
    let program = [
        mov(6, 0),              // 0
        mov(1, 1),              // 1: exists
        jump(JEQ_IMM, 1, 0, 1), // 2
        mov(6, 1),              // 3
        helper(5),              // 4
        jump(JEQ_IMM, 6, 0, 1), // 5
        kfunc(),                // 6
        EXIT,                   // 7
    ];
    let absent = run(&program, &[(1, Effect::Immediate(0)), (6, Effect::Refused)]);
    assert_eq!(numbers(&absent), [0, 1, 2, 4, 5, 7]);
    assert_eq!(absent.guards(6), [decision(5, &[1])]);
    assert_eq!(reached(&program, &[(1, Effect::Immediate(1))]), [0, 1, 2, 3, 4, 5, 6, 7]);
    // on one way it is set, on the other not: both are followed
    assert!(run(&program, &[(1, Effect::Unknown)]).reached[6]);
}

#[test]
fn what_is_kept_on_the_stack() {
    let guarded = |before: &[Instruction]| {
        let tail = [load(LDX_DW, 1, 10, -8), jump(JEQ_IMM, 1, 0, 1), kfunc(), EXIT];
        let program = [&[mov(1, 1)], before, &tail].concat();
        let at = before.len() + 3;
        !run(&program, &[(0, Effect::Immediate(0))]).reached[at]
    };
    let spill = store(STX_DW, 10, -8, 1);
    assert!(guarded(&[spill]));
    assert!(guarded(&[copy(2, 10), op(BPF_ADD64_IMM, 2, 0, 0, -16), store(STX_DW, 2, 8, 1)]));
    assert!(guarded(&[store(STX_W, 10, -8, 1), store(STX_W, 10, -4, 1)]), "zeros in two parts");
    assert!(!guarded(&[store(STX_W, 10, -8, 1)]), "half of it");
    assert!(!guarded(&[spill, op(ST_DW, 10, 0, -8, 0)]), "older verifiers do not look at the constant");
    assert!(!guarded(&[spill, op(0x72, 10, 0, -3, 0)]));
    assert!(guarded(&[spill, op(0x72, 10, 0, -9, 0)]));
    assert!(!guarded(&[spill, mov(2, 1), op(ATOMIC_DW, 10, 2, -8, 0)]));
    // a helper that reads, one that writes before it, one that writes to it, one that nobody knows
    let with = |offset, number, bytes| {
        guarded(&[spill, copy(1, 10), op(BPF_ADD64_IMM, 1, 0, 0, offset), mov(2, bytes), helper(number)])
    };
    assert!(with(-16, 113, 8) && !with(-16, 113, 9) && !with(-8, 113, 1) && with(-8, 130, 8));
    assert!(!with(-16, 999, 8));
    // a pointer to who knows where on the stack
    let somewhere = [spill, helper(5), copy(2, 10), op(ADD64_REG, 2, 0, 0, 0)];
    assert!(guarded(&somewhere));
    assert!(!guarded(&[&somewhere[..], &[store(STX_DW, 2, 0, 6)]].concat()));
    assert!(!guarded(&[&somewhere[..], &[copy(1, 2), helper(113)]].concat()));
    // a pointer from a map is no pointer to the stack
    assert!(guarded(&[spill, helper(1), store(STX_DW, 0, 0, 6)]));
}

#[test]
fn pointers_to_the_stack_on_the_stack() {
    let program = [
        mov(1, 1),                 // 0: exists
        store(STX_DW, 10, -8, 1),  // 1
        copy(2, 10),               // 2
        store(STX_DW, 10, -16, 2), // 3
        load(LDX_DW, 3, 10, -16),  // 4
        store(STX_DW, 3, -8, 6),   // 5: over the answer
        load(LDX_DW, 1, 10, -8),   // 6
        jump(JEQ_IMM, 1, 0, 1),    // 7
        kfunc(),                   // 8
        EXIT,
    ];
    assert!(run(&program, &[(0, Effect::Immediate(0))]).reached[8]);
}

/// A pointer to the stack is written to who knows where on the stack, found again and written to.
#[test]
fn pointers_that_may_be_anywhere() {
    let program = |stored: u8| {
        [
            mov(6, 1),                   // 0: exists
            helper(5),                   // 1
            copy(3, 10),                 // 2
            op(ADD64_REG, 3, 0, 0, 0),   // 3
            store(STX_DW, 3, 0, stored), // 4
            store(STX_DW, 10, -8, 6),    // 5
            load(LDX_DW, 4, 10, -16),    // 6
            store(STX_DW, 4, -8, 7),     // 7
            load(LDX_DW, 1, 10, -8),     // 8
            jump(JEQ_IMM, 1, 0, 1),      // 9
            kfunc(),                     // 10
            EXIT,
        ]
    };
    assert!(run(&program(10), &[(0, Effect::Immediate(0))]).reached[10]);
    assert!(!run(&program(7), &[(0, Effect::Immediate(0))]).reached[10]);
}

/// Moves that extend a sign, of both widths.
#[test]
fn signs() {
    let moved = |code, bits, expected| {
        let program = [mov(1, 0x80), op(code, 2, 1, bits, 0), jump(JEQ_IMM, 2, expected, 1), kfunc(), EXIT];
        !run(&program, &[]).reached[3]
    };
    assert!(moved(BPF_MOV64_REG, 8, -128) && moved(BPF_MOV64_REG, 16, 0x80));
    assert!(!moved(MOV32_REG, 8, -128), "the upper half is 0");
    assert!(!moved(BPF_MOV64_REG, 1, 0x80), "a cast between address spaces");
}

/// `for (i = 0; i < 10; i++)`, with a guard before it and one that depends on the loop.
#[test]
fn loops() {
    let program = |most: i32| {
        [
            mov(6, 0),                     // 0
            mov(7, 1),                     // 1: exists
            jump(JEQ_IMM, 7, 0, 1),        // 2
            kfunc(),                       // 3
            op(BPF_ADD64_IMM, 6, 0, 0, 1), // 4
            jump(JLT_IMM, 6, most, -4),    // 5
            jump(JEQ_IMM, 6, most, 1),     // 6
            kfunc(),                       // 7
            EXIT,
        ]
    };
    // as many times round as are told apart: what follows is known
    assert_eq!(reached(&program(10), &[(1, Effect::Immediate(0))]), [0, 1, 2, 4, 5, 6, 8]);
    // more often: only what does not change is
    assert_eq!(reached(&program(1_000_000), &[(1, Effect::Immediate(0))]), [0, 1, 2, 4, 5, 6, 7, 8]);
    // without an end
    assert_eq!(reached(&[goto(-1), EXIT], &[]), [0]);
    assert_eq!(reached(&[op(BPF_JA32, 0, 0, 0, 1), kfunc(), EXIT], &[]), [0, 2]);
    // may_goto
    let program =
        [mov(6, 0), op(BPF_JCOND, 0, 0, 2, 0), mov(6, 1), goto(-3), jump(JEQ_IMM, 6, 2, 1), kfunc(), EXIT];
    assert_eq!(reached(&program, &[]), [0, 1, 2, 3, 4, 5, 6]);
}

/// Verifiers widen what changes from one `bpf_iter_num_next` to the next.
#[test]
fn iterators() {
    let program = [
        mov(6, 0),               // 0
        mov(7, 0),               // 1
        kfunc(),                 // 2: next
        jump(JEQ_IMM, 0, 0, 2),  // 3
        mov(6, 1),               // 4
        goto(-4),                // 5
        jump(JGT_IMM, 6, 1, 1),  // 6
        goto(1),                 // 7
        kfunc(),                 // 8
        jump(JNE_IMM, 7, 0, -2), // 9
        EXIT,
    ];
    assert!(!run(&program, &[]).reached[8]);
    assert!(run(&program, &[(2, Effect::IteratorNext)]).reached[8]);
    let program = [mov(7, 0), kfunc(), jump(JNE_IMM, 0, 0, -2), jump(JEQ_IMM, 7, 0, 1), kfunc(), EXIT];
    assert!(!run(&program, &[(1, Effect::IteratorNext)]).reached[4], "what does not change is known");
}

#[test]
fn functions_with_arguments() {
    let program = [
        mov(1, 1),              // 0: exists
        mov(6, 3),              // 1
        call(3),                // 2
        jump(JEQ_IMM, 0, 7, 1), // 3
        kfunc(),                // 4
        EXIT,                   // 5
        mov(0, 7),              // 6: the function
        mov(6, 0),              // 7
        jump(JEQ_IMM, 1, 0, 1), // 8
        kfunc(),                // 9
        EXIT,
    ];
    let absent = [(0, Effect::Immediate(0))];
    assert_eq!(reached(&program, &absent), [0, 1, 2, 3, 5, 6, 7, 8, 10]);
    let found = run(&program, &absent);
    assert_eq!(found.guards(9), [decision(8, &[0])]);
    // if it is global, it is verified for any arguments, and nobody knows what it returns
    let entries = &[0, 6];
    let global = walk(&Program {
        instructions: &program,
        entries,
        effects: &absent,
        areas: &[],
        key_bytes: None,
        big_endian: false,
    });
    assert_eq!(numbers(&global).len(), program.len());
    // two calls
    let program = [mov(1, 1), call(3), mov(1, 1), call(1), EXIT, jump(JEQ_IMM, 1, 0, 1), kfunc(), EXIT];
    let both = |a, b| run(&program, &[(0, Effect::Immediate(a)), (2, Effect::Immediate(b))]).reached[6];
    assert!(both(0, 1) && both(1, 0) && !both(0, 0));
}

#[test]
fn a_function_that_writes_to_its_callers_stack() {
    let program = |offset| {
        [
            mov(6, 1),                   // 0: exists
            store(STX_DW, 10, -8, 6),    // 1
            copy(1, 10),                 // 2
            call(4),                     // 3
            load(LDX_DW, 1, 10, -8),     // 4
            jump(JEQ_IMM, 1, 0, 1),      // 5
            kfunc(),                     // 6
            EXIT,                        // 7
            mov(2, 1),                   // 8
            store(STX_DW, 1, offset, 2), // 9
            store(STX_DW, 10, -8, 2),    // 10: its own
            EXIT,
        ]
    };
    assert!(run(&program(-8), &[(0, Effect::Immediate(0))]).reached[6]);
    assert!(!run(&program(-16), &[(0, Effect::Immediate(0))]).reached[6]);
}

#[test]
fn functions_that_are_called_back() {
    let program = [
        &[mov(6, 1), store(STX_DW, 10, -8, 6), mov(1, 3)][..], // 0: exists
        &wide(2, BPF_PSEUDO_FUNC, 6),                          // 3
        &[copy(3, 10), helper(181)],                           // 5
        &[load(LDX_DW, 1, 10, -8), jump(JEQ_IMM, 1, 0, 1), kfunc(), EXIT], // 7
        &[jump(JEQ_IMM, 1, 0, 1), kfunc(), EXIT],              // 11? see below
    ]
    .concat();
    let mut program = program;
    // the distance from the instruction after the first half to the function
    program[3].imm = 11 - 4;
    let found = run(&program, &[(0, Effect::Immediate(0))]);
    assert_eq!(
        numbers(&found),
        (0..14).collect::<Vec<_>>(),
        "any arguments, and it may have changed the answer"
    );
    // the guard in a register is not touched
    let mut program = [&[mov(6, 1)][..], &wide(2, BPF_PSEUDO_FUNC, 4), &[helper(181)]].concat();
    program.extend([jump(JEQ_IMM, 6, 0, 1), kfunc(), EXIT, EXIT]);
    program[1].imm = 7 - 2;
    assert_eq!(reached(&program, &[(0, Effect::Immediate(0))]), [0, 1, 2, 3, 4, 6, 7]);
}

#[test]
fn equality_tells_what_a_number_is() {
    let program = |code: u8, again: u8| {
        [
            load(LDX_B, 1, 6, 0), // 0
            jump(code, 1, 3, 1),  // 1
            EXIT,                 // 2
            jump(again, 1, 3, 1), // 3
            kfunc(),              // 4
            EXIT,
        ]
    };
    assert!(!run(&program(JEQ_IMM, JEQ_IMM), &[]).reached[4]);
    assert!(!run(&program(JEQ32_IMM, JEQ_IMM), &[]).reached[4]);
    assert!(run(&program(JNE_IMM, JEQ_IMM), &[]).reached[4]);
    assert!(run(&program(JGT_IMM, JEQ_IMM), &[]).reached[4]);
    // a pointer stays one, whatever it is compared with
    let mut pointer = program(JEQ_IMM, JEQ_IMM);
    pointer[0] = load(LDX_DW, 1, 6, 0);
    assert!(run(&pointer, &[]).reached[4]);
    let bits = [load(LDX_B, 1, 6, 0), jump(JSET_IMM, 1, 4, 3), jump(JSET_IMM, 1, 4, 1), EXIT, kfunc(), EXIT];
    assert!(!run(&bits[..], &[]).reached[4] || run(&bits[..], &[]).reached[1]);
}

/// Every way that `count` branches can go leaves another number in r6.
#[test]
fn more_ways_than_are_told_apart() {
    let mut program = vec![mov(6, 0), mov(7, 1)];
    for bit in 0..12 {
        program.extend([helper(5), jump(JEQ_IMM, 0, 0, 1), op(BPF_ADD64_IMM, 6, 0, 0, 1 << bit)]);
    }
    let at = program.len();
    program.extend([jump(JEQ_IMM, 6, 1 << 13, 3), jump(JEQ_IMM, 7, 0, 1), kfunc(), EXIT, kfunc(), EXIT]);
    let found = run(&program, &[(1, Effect::Immediate(0))]);
    assert!(!found.reached[at + 2] && found.reached[at + 3]);
    assert!(found.reached[at + 4], "what differs is not known");
}

/// Each function calls the next one twice.
#[test]
fn more_calls_than_are_told_apart() {
    let mut program = Vec::new();
    for _ in 0..40 {
        program.extend([call(2), call(1), EXIT]);
    }
    program.push(EXIT);
    assert!(run(&program, &[]).reached.iter().all(|&reached| reached));
    // itself
    assert_eq!(reached(&[call(-1), EXIT], &[]), [0, 1]);
}

#[test]
fn programs_that_no_verifier_takes() {
    assert_eq!(reached(&[], &[]), [0usize; 0]);
    assert_eq!(reached(&[goto(100), EXIT], &[]), [0]);
    assert_eq!(reached(&[jump(JEQ_IMM, 1, 0, -100), EXIT], &[(7, Effect::Refused)]), [0, 1]);
    assert_eq!(reached(&[call(i32::MAX), EXIT], &[]), [0]);
    assert_eq!(reached(&wide(1, 0, 0)[..1], &[]), [0]);
    assert_eq!(reached(&[op(0xff, 15, 15, 0, 0), op(0x0d, 15, 0, 0, 0), EXIT], &[]), [0, 1, 2]);
    let long = vec![mov(0, 0); PROGRAM_LIMIT + 1];
    assert_eq!(refused(&run(&long, &[(7, Effect::Refused)])), [7]);
}
