//! Random eBPF programs: whatever an execution reaches was called reached.

#[path = "../fuzz/src/interpreter/mod.rs"]
mod interpreter;

#[test]
fn what_runs_was_reached() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for program in 0..4000 {
        let len = 4 * (5 + program % 60);
        let data: Vec<u8> = std::iter::repeat_with(|| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 24) as u8
        })
        .take(len)
        .collect();
        interpreter::check(&data);
    }
}
