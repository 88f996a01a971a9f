//! The fuzz targets without a fuzzer: deterministic damage to small, good inputs, so that every machine with a stable
//! compiler fuzzes a little. `KSURF_MUTATIONS` sets how many damaged inputs each seed gives.

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::time::{Duration, Instant};

/// One input takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// Good inputs for a target.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "text" => {
            let rust = "/* a */ pub fn f<'a>(b: &'a str) -> u32 { r#\"c\"# }\nmacro_rules! m { () => {} }\n";
            let assembly =
                "#define A 1\nSYM_FUNC_START(f)\n1:\tmov $'a, %rax # it's\n.macro m\nEXPORT_SYMBOL(f)\n";
            [targets::SAMPLE_TEXT, rust, assembly].map(|text| text.as_bytes().to_vec()).to_vec()
        }
        "index" => {
            let part = |(number, name): (usize, &&str)| {
                let content = std::fs::read(targets::sample().join("names").join(name)).unwrap();
                [&[number as u8], &content[..]].concat()
            };
            targets::PARTS.iter().enumerate().map(part).collect()
        }
        "pattern" => [
            "vcpu_(kick|event)",
            "(?i)KICK.*\\(",
            "vcpu(_.*)k\\(",
            "^struct\\s+\\w{3,}",
            "[A-Z]+_B|x{2}$",
            "re[ts]|a?b+c*",
        ]
        .map(|pattern| pattern.as_bytes().to_vec())
        .to_vec(),
        other => panic!("no seeds for {other}"),
    }
}

/// A sequence of numbers that is the same on every machine (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// What readers of code stumble over.
const PIECES: [&str; 16] = [
    "{",
    "}",
    "(",
    ")",
    "\n#if 0\n",
    "\n#else\n",
    "\n#endif\n",
    "/*",
    "*/",
    "\"",
    "'",
    "##",
    ";",
    "struct {",
    "\\\n",
    "\0\u{ff}",
];

/// One to four damages.
fn damage(seed: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut data = seed.to_vec();
    for _ in 0..1 + numbers.below(4) {
        if data.is_empty() {
            data.push(0);
        }
        let at = numbers.below(data.len());
        let size = (1 + numbers.below(64)).min(data.len() - at);
        match numbers.below(8) {
            0 => data[at] ^= 1 << numbers.below(8),
            1 => data[at] = [0, 1, 0x7f, 0x80, 0xff][numbers.below(5)],
            2 => {
                let value =
                    [0, u64::MAX, 1 << 31, 1 << 62, data.len() as u64, numbers.next()][numbers.below(6)];
                let width = [2, 4, 8][numbers.below(3)].min(data.len() - at);
                data[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
            }
            3 => data.truncate(at.max(1)),
            4 => drop(data.drain(at..at + size)),
            5 => {
                let copy = data[at..at + size].to_vec();
                let to = numbers.below(data.len());
                data.splice(to..to, copy);
            }
            _ => drop(data.splice(at..at, PIECES[numbers.below(PIECES.len())].bytes())),
        }
    }
    data
}

#[test]
fn every_target_survives_damage() {
    let rounds: usize = match std::env::var("KSURF_MUTATIONS") {
        Ok(text) => text.parse().expect("KSURF_MUTATIONS is a number"),
        Err(_) => 1500,
    };
    for (name, read) in targets::TARGETS {
        let file = format!("{}/fuzz/fuzz_targets/{name}.rs", env!("CARGO_MANIFEST_DIR"));
        assert!(std::path::Path::new(&file).exists(), "{file}");
        for (number, seed) in seeds(name).into_iter().enumerate() {
            read(&seed);
            let mut numbers = Numbers(number as u64);
            for round in 0..rounds {
                let data = damage(&seed, &mut numbers);
                let started = Instant::now();
                let outcome = catch_unwind(AssertUnwindSafe(|| read(&data)));
                if outcome.is_err() || started.elapsed() > PATIENCE {
                    let kept = std::env::temp_dir().join(format!("ksurf-source-{name}-{number}-{round}"));
                    std::fs::write(&kept, &data).unwrap();
                    panic!("{name}: seed {number}, round {round}: {}", kept.display());
                }
            }
        }
    }
    std::fs::remove_dir_all(targets::sample()).unwrap();
}
