//! What is used of the values that instructions give.

use super::*;

/// Of what is reached and gives something to a register, what is not used.
fn unused(instructions: &[Instruction], effects: &[(usize, Effect)], key_bytes: Option<u32>) -> Vec<usize> {
    let found =
        walk(&Program { instructions, entries: &[0], effects, areas: &[], key_bytes, big_endian: false });
    assert!((0..instructions.len()).all(|at| found.reached[at] || !found.used[at]));
    (0..instructions.len()).filter(|&at| found.reached[at] && !found.used[at]).collect()
}

/// `x = has ? arg2 : arg1`
#[test]
fn of_two_arguments_one_is_used() {
    let program = [
        load(LDX_DW, 2, 1, 96),         // 0
        load(LDX_DW, 3, 1, 104),        // 1
        mov(4, 1),                      // 2: exists
        jump(JEQ_IMM, 4, 0, 1),         // 3
        copy(3, 2),                     // 4
        store(STX_DW, 10, -8, 3),       // 5
        copy(1, 10),                    // 6
        op(BPF_ADD64_IMM, 1, 0, 0, -8), // 7
        mov(2, 8),                      // 8
        helper(6),                      // 9
        EXIT,
    ];
    assert_eq!(unused(&program, &[(2, Effect::Immediate(1))], None), [1]);
    assert_eq!(unused(&program, &[(2, Effect::Immediate(0))], None), [0]);
    assert_eq!(unused(&program, &[(2, Effect::Unknown)], None), [0usize; 0]);
    // which of the two is copied, or stored, for nobody
    let mut without = program;
    without[9] = helper(5);
    assert_eq!(unused(&without, &[(2, Effect::Unknown)], None), [0, 1, 4, 7, 8]);
}

/// Both are kept, and one of two pointers is chosen.
#[test]
fn of_two_slots_one_is_used() {
    let program = [
        load(LDX_DW, 1, 6, 96),          // 0
        load(LDX_DW, 2, 6, 104),         // 1
        store(STX_DW, 10, -8, 2),        // 2
        store(STX_DW, 10, -16, 1),       // 3
        helper(14),                      // 4
        mov(7, 1),                       // 5: exists
        copy(1, 10),                     // 6
        op(BPF_ADD64_IMM, 1, 0, 0, -16), // 7
        copy(2, 10),                     // 8
        op(BPF_ADD64_IMM, 2, 0, 0, -8),  // 9
        jump(JEQ_IMM, 7, 0, 1),          // 10
        copy(2, 1),                      // 11
        mov(1, 0),                       // 12: the map
        helper(1),                       // 13
        EXIT,
    ];
    let of = |exists, key_bytes| {
        let found = unused(&program, &[(5, Effect::Immediate(exists)), (12, Effect::Unknown)], key_bytes);
        found.into_iter().filter(|&at| at < 2).collect::<Vec<_>>()
    };
    assert_eq!((of(1, Some(8)), of(0, Some(8))), (vec![1], vec![0]));
    // a key that may be longer has both
    assert_eq!((of(1, Some(12)), of(1, None), of(0, None)), (vec![], vec![], vec![0]));
}

#[test]
fn what_uses_a_value() {
    let of = |tail: &[Instruction]| {
        let program = [&[load(LDX_DW, 7, 1, 8)], tail, &[mov(0, 0), EXIT]].concat();
        !unused(&program, &[], None).contains(&0)
    };
    assert!(!of(&[]) && !of(&[copy(8, 7)]) && !of(&[copy(2, 7), helper(5)]));
    assert!(of(&[copy(2, 7), helper(999)]) && of(&[copy(2, 7), helper(1)]) && !of(&[copy(3, 7), helper(1)]));
    assert!(of(&[jump(JEQ_IMM, 7, 0, 0)]) && of(&[load(LDX_DW, 2, 7, 0)]) && of(&[store(STX_DW, 6, 0, 7)]));
    assert!(of(&[op(AND64_IMM, 7, 0, 0, 1)]), "the verifier may refuse to calculate with a pointer");
    assert!(!of(&[mov(7, 1), jump(JEQ_IMM, 7, 0, 0)]));
    let spill = store(STX_DW, 10, -8, 7);
    let fill = load(LDX_DW, 2, 10, -8);
    assert!(!of(&[spill]) && !of(&[spill, fill]) && of(&[spill, fill, jump(JEQ_IMM, 2, 0, 0)]));
    assert!(!of(&[spill, op(ST_DW, 10, 0, -8, 0), fill, jump(JEQ_IMM, 2, 0, 0)]), "overwritten");
    assert!(of(&[spill, op(0x62, 10, 0, -8, 0), fill, jump(JEQ_IMM, 2, 0, 0)]), "half of it");
    assert!(of(&[spill, load(LDX_B, 2, 10, -5), jump(JEQ_IMM, 2, 0, 0)]));
    assert!(
        of(&[spill, copy(2, 10), op(BPF_ADD64_IMM, 2, 0, 0, -16), helper(999)]),
        "nobody knows how far it reads"
    );
    assert!(!of(&[spill, copy(3, 10), op(BPF_ADD64_IMM, 3, 0, 0, -16), helper(1)]), "not its argument");
    for argument in 3..=5 {
        let text = [spill, copy(argument, 10), op(BPF_ADD64_IMM, argument, 0, 0, -16), helper(6)];
        assert!(of(&text), "printed by %s");
    }
    assert!(of(&[spill, op(ATOMIC_DW, 10, 6, -8, 0)]));
    // somewhere on the stack
    let somewhere = [spill, copy(2, 10), op(ADD64_REG, 2, 0, 0, 0), load(LDX_DW, 3, 2, 0)];
    assert!(!of(&somewhere) && of(&[&somewhere[..], &[jump(JEQ_IMM, 3, 0, 0)]].concat()));
    assert!(of(&[&somewhere[..], &[store(STX_DW, 2, 0, 6), fill, jump(JEQ_IMM, 2, 0, 0)]].concat()));
}

#[test]
fn what_functions_use() {
    let program = |callee: Instruction, argument: u8| {
        [
            load(LDX_DW, 2, 1, 8),    // 0
            store(STX_DW, 10, -8, 2), // 1
            copy(argument, 10),       // 2
            call(2),                  // 3
            mov(0, 0),                // 4
            EXIT,                     // 5
            callee,                   // 6
            jump(JEQ_IMM, 3, 0, 0),   // 7
            EXIT,                     // 8
        ]
    };
    let used = |program: &[Instruction]| !unused(program, &[], None).contains(&0);
    assert!(used(&program(copy(3, 2), 6)), "its argument");
    assert!(!used(&program(copy(3, 4), 6)));
    assert!(used(&program(copy(3, 4), 1)), "it is given the frame");
}
