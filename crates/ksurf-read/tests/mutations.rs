//! The fuzz targets without a fuzzer: deterministic damage to small, good inputs, so that every machine with a
//! stable compiler fuzzes a little. `KSURF_MUTATIONS` sets how many damaged inputs each seed gives; with
//! `KSURF_CORPUS=crates/ksurf-read/fuzz/corpus` (absolute) the seeds are left there, for `cargo fuzz` to begin with.

mod bpf;
#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// No seed is larger than 100 kB: what asks for more than this at once believed a number in the input.
const ALLOCATION_LIMIT: usize = 256 << 20;
/// One input takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// The system's allocator, which remembers the largest request.
struct Watching;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on as it is.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LARGEST.fetch_max(size, Ordering::Relaxed);
        unsafe { System.realloc(block, layout, size) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

/// A folder of one test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("ksurf-mutations-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn output(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What gcc makes of the sources of `tests/data`.
fn compiled(folder: &Path, options: &[&str]) -> Vec<u8> {
    let out = folder.join("image");
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");
    output(
        Command::new("gcc")
            .current_dir(data)
            .args(["-g", "-O2", "-ffreestanding"])
            .args(options)
            .arg("-o")
            .arg(&out),
    );
    std::fs::read(&out).unwrap()
}

/// Images with the tables of a kernel; the code of arm64 is told by the header alone.
fn offers(folder: &Path) -> Vec<Vec<u8>> {
    let linked = [
        "-nostdlib",
        "-static",
        "-no-pie",
        "-Wl,-e,_stext,--section-start=.calls=0x500000,--section-start=.data=0x510000",
        "offers.S",
    ];
    let mut arm64 = compiled(folder, &[&["-DARM64", "-DRESOLVED"][..], &linked].concat());
    arm64[18] = 183;
    let mut seeds = vec![arm64, compiled(folder, &["-DFLAGS", "-DMODULE", "-c", "offers.S"])];
    if cfg!(target_arch = "x86_64") {
        seeds.push(compiled(folder, &[&["-DPOINTERS"][..], &linked].concat()));
    }
    seeds
}

/// A kernel of trace events and system calls (x86-64), with the marks that the kernel's linker script defines.
const KERNEL: [&str; 9] = [
    "-fno-jump-tables",
    "-DSYSCALLS",
    "-DCOPIES",
    "-DSWITCH=1",
    "-Wl,-z,muldefs",
    "-Wl,--defsym=__start_ftrace_events=__start__ftrace_events",
    "-Wl,--defsym=__stop_ftrace_events=__stop__ftrace_events",
    "-Wl,--defsym=__start_ftrace_eval_maps=__start__ftrace_eval_map",
    "-Wl,--defsym=__stop_ftrace_eval_maps=__stop__ftrace_eval_map",
];

fn images(folder: &Path) -> Vec<Vec<u8>> {
    let linked = ["-nostdlib", "-static", "-no-pie", "core.c", "driver.c"];
    let mut images = vec![
        compiled(folder, &[&["-gdwarf-5"][..], &linked].concat()),
        compiled(folder, &[&["-gdwarf-4", "-gz"][..], &linked].concat()),
        compiled(folder, &["-gdwarf-5", "-c", "module.c"]),
        compiled(folder, &["-gdwarf-2", "-gstrict-dwarf", "-c", "module.c"]),
        compiled(folder, &["-gdwarf-5", "-gsplit-dwarf", "-c", "core.c"]),
        compiled(folder, &["-gdwarf-5", "-c", "types.c"]),
        compiled(folder, &["-gdwarf-3", "-gstrict-dwarf", "-c", "types.c"]),
        compiled(folder, &["-c", "events.c"]),
    ];
    if cfg!(target_arch = "x86_64") {
        images.push(compiled(folder, &[&linked[..3], &KERNEL, &["events.c", "syscalls.c"]].concat()));
    }
    images
}

fn tar(folder: &Path, format: &str) -> Vec<u8> {
    let long = "directory/".repeat(12);
    std::fs::create_dir_all(folder.join(&long)).unwrap();
    std::fs::write(folder.join(&long).join("kvm.ko"), [b'k'; 700]).unwrap();
    std::fs::write(folder.join("control"), "Package: linux-image-9-dbg\nVersion: 9-1\n").unwrap();
    let members = ["./control", "./directory"];
    output(Command::new("tar").args(["-cf-", "--format", format, "-C"]).arg(folder).args(members))
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let stream = liblzma::stream::MtStreamBuilder::new().threads(2).block_size(4096).encoder().unwrap();
    let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deb(control: &[u8], data: &[u8]) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, bytes) in [("debian-binary", &b"2.0\n"[..]), ("control.tar.xz", control), ("data.tar", data)] {
        writeln!(out, "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`", 0, 0, 0, 100_644, bytes.len()).unwrap();
        out.extend_from_slice(bytes);
        out.resize(out.len().next_multiple_of(2), b'\n');
    }
    out
}

/// `int f(struct s *p, ...);`, by hand: gcc makes BTF only for BPF.
fn btf() -> Vec<u8> {
    let strings = b"\0int\0s\0f\0p\0unsigned long\0";
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let types = words(
        &[
            &[1, 1 << 24, 4, 1 << 24 | 32][..],         // 1: int
            &[5, 4 << 24 | 1, 8, 9, 3, 0],              // 2: struct s { struct s *p; }
            &[0, 2 << 24, 2],                           // 3: struct s *
            &[0, 13 << 24 | 2, 1, 9, 3, 0, 0],          // 4: int (struct s *p, ...)
            &[7, 12 << 24 | 1, 4],                      // 5: f
            &[0, 3 << 24, 0, 3, 1, 4],                  // 6: struct s *[4]
            &[5, 19 << 24 | 1, 8, 9, 1, 1],             // 7: enum s { p = 0x100000001 }
            &[5, 17 << 24, 5, u32::MAX],                // 8: a tag on f
            &[5, 18 << 24, 2],                          // 9: a tag on struct s
            &[11, 1 << 24, 8, 64],                      // 10: unsigned long
            &[0, 5 << 24 | 2, 8, 9, 10, 0, 0, 13, 0],   // 11: union { unsigned long p; struct { ... }; }
            &[5, 4 << 24 | 2, 16, 0, 11, 0, 9, 14, 64], // 12: struct s { union { ... }; typedef p; }
            &[0, 4 << 24 | 1, 8, 7, 10, 64],            // 13: struct { unsigned long f; }
            &[9, 8 << 24, 13],                          // 14: typedef struct { ... } p
            &[9, 14 << 24, 10, 1],                      // 15: unsigned long p
        ]
        .concat(),
    );
    let (types_len, strings_len) = (types.len() as u32, strings.len() as u32);
    let header = words(&[0x0001_eb9f, 24, 0, types_len, types_len, strings_len]);
    [header, types, strings.to_vec()].concat()
}

/// An eBPF object with a relocation of each kind.
fn core_object(big_endian: bool) -> Vec<u8> {
    let order = bpf::Order(big_endian);
    let mut types = bpf::Types::new(big_endian);
    let [section, file, text] = ["kprobe/f", "f.c", "x = s->y;"].map(|text| types.string(text));
    let [a, b, c, value] = ["a", "b", "c", "ON"].map(|text| types.string(text));
    let int = types.add("unsigned int", 1, 0, 4, &[32]);
    let pointer = types.pointer(int);
    let array = types.add("", 3, 0, 0, &[int, int, 4]);
    let union = types.add("", 5, 2, 16, &[b, array, 0, c, pointer, 0]);
    let bits = types.add("bits___x", 4, 1 << 31 | 2, 4, &[a, int, 3, b, int, 5 << 24 | 3]);
    let of = types.add("s", 4, 2, 24, &[a, int, 0, 0, union, 64]);
    let mode = types.add("mode", 6, 1, 4, &[value, 7]);
    let mode64 = types.add("mode64", 19, 1, 8, &[value, 7, 1]);
    let alias = types.add("alias", 8, 0, of, &[]);
    let access = ["0", "0:0", "0:1:0:2", "0:1:1", "0:1"].map(|text| types.string(text));
    let [whole, first, element, inner, second] = access;
    let list = [
        (0, of, first, 0),
        (0, of, element, 8),
        (0, alias, inner, 8),
        (1, of, element, 4),
        (2, of, first, 1),
        (3, bits, second, 0),
        (4, bits, second, 0),
        (5, bits, second, 0),
        (6, of, whole, 0),
        (7, alias, whole, 0),
        (8, of, whole, 1),
        (9, alias, whole, 24),
        (10, mode, whole, 1),
        (11, mode, whole, 7),
        (11, mode64, whole, 7),
        (12, of, whole, 1),
        (0, of, first, 4096),
    ];
    let mut relocations = vec![16, section, list.len() as u32];
    let mut code = Vec::new();
    for (number, &(kind, type_id, access, imm)) in list.iter().enumerate() {
        relocations.extend([number as u32 * 8, type_id, access, kind]);
        code.push((if kind == 0 && imm == 0 { 0x61 } else { 0xb7 }, 1, 1, 0, imm));
    }
    let lines = [16, section, 1, 0, file, text, 7 << 10 | 3];
    let mut elf = bpf::Elf::new(big_endian);
    elf.section("kprobe/f", 1, 6, order.code(&code));
    elf.section(".BTF", 1, 0, types.finish());
    elf.section(".BTF.ext", 1, 0, bpf::ext(order, &lines, &relocations));
    elf.finish()
}

/// Good inputs for a target.
fn seeds(target: &str, folder: &Path) -> Vec<Vec<u8>> {
    match target {
        "elf" | "dwarf" => images(folder),
        "offers" => offers(folder),
        "tar" => ["gnu", "pax", "ustar"].map(|format| tar(folder, format)).to_vec(),
        "deb" => {
            let (control, data) = (tar(folder, "gnu"), tar(folder, "pax"));
            let packed = [data.clone(), xz(&data), gz(&data), zstd::encode_all(&data[..], 3).unwrap()];
            packed.iter().map(|data| deb(&xz(&control), data)).collect()
        }
        "decompress" => {
            let plain = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap().repeat(20);
            let zstd = zstd::encode_all(&plain[..], 3).unwrap();
            vec![xz(&plain), [xz(&plain[..99]), vec![0; 4], xz(&plain[..9])].concat(), zstd, gz(&plain)]
        }
        "btf" => vec![btf()],
        "kallsyms" => vec![b"ffffffff81000000 T _stext\n0000000000000000 t vcpu_kick\t[kvm]\n".to_vec()],
        "bpf_object" => vec![bpf::sample(false), bpf::sample(true)],
        "core" => vec![core_object(false), core_object(true)],
        "ikconfig" => vec![[b"IKCFG_ST", &gz(b"CONFIG_BPF_SYSCALL=y\n")[..], b"IKCFG_ED"].concat()],
        "walk" => vec![(0..=255).cycle().step_by(7).take(400).collect()],
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

/// One to four damages of the kinds that readers stumble over.
fn damage(seed: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut data = seed.to_vec();
    for _ in 0..1 + numbers.below(4) {
        let at = numbers.below(data.len());
        let size = (1 + numbers.below(64)).min(data.len() - at);
        match numbers.below(8) {
            0 => data[at] ^= 1 << numbers.below(8),
            1 => data[at] = numbers.next() as u8,
            2 => data[at] = [0, 1, 0x7f, 0x80, 0xff][numbers.below(5)],
            3 => {
                // a number too large, too small or just beyond the end
                let value =
                    [0, u64::MAX, 1 << 31, 1 << 62, data.len() as u64, numbers.next()][numbers.below(6)];
                let width = [2, 4, 8][numbers.below(3)].min(data.len() - at);
                data[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
            }
            4 => data.truncate(at.max(1)),
            5 => drop(data.drain(at..at + size)),
            6 => {
                let copy = data[at..at + size].to_vec();
                let to = numbers.below(data.len());
                data.splice(to..to, copy);
            }
            _ => data[at..at + size].fill(0),
        }
        if data.is_empty() {
            data.push(0);
        }
    }
    data
}

fn run(target: &str) {
    let (name, read) = *targets::TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    let rounds: usize = match std::env::var("KSURF_MUTATIONS") {
        Ok(text) => text.parse().expect("KSURF_MUTATIONS is a number"),
        Err(_) => 1500,
    };
    let folder = Folder::new(name);
    for (number, seed) in seeds(name, &folder.0).into_iter().enumerate() {
        read(&seed);
        let mut numbers = Numbers(number as u64);
        for round in 0..rounds {
            let data = damage(&seed, &mut numbers);
            let guard = watch(name, data.clone());
            let outcome = catch_unwind(AssertUnwindSafe(|| read(&data)));
            drop(guard);
            let largest = LARGEST.swap(0, Ordering::Relaxed);
            if outcome.is_err() || largest > ALLOCATION_LIMIT {
                let kept = keep(name, &data);
                panic!("{name}: seed {number}, round {round}, {largest} bytes at once: {}", kept.display());
            }
        }
    }
}

/// Ends the process if the guard that it gives is not dropped in time.
fn watch(name: &'static str, data: Vec<u8>) -> mpsc::Sender<()> {
    let (guard, ended) = mpsc::channel();
    std::thread::spawn(move || {
        if ended.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("{name} does not end: {}", keep(name, &data).display());
            std::process::exit(1);
        }
    });
    guard
}

/// Leaves an input behind for `cargo fuzz run`.
fn keep(name: &str, data: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("ksurf-{name}-{:08x}", crc(data)));
    std::fs::write(&path, data).unwrap();
    path
}

fn crc(data: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(data);
    crc.sum()
}

#[test]
fn every_target_has_its_seeds_and_its_file() {
    let folder = Folder::new("all");
    let corpus = std::env::var_os("KSURF_CORPUS").map(PathBuf::from);
    for (name, _) in targets::TARGETS {
        let file = format!("{}/fuzz/fuzz_targets/{name}.rs", env!("CARGO_MANIFEST_DIR"));
        assert!(Path::new(&file).exists(), "{file}");
        for (number, seed) in seeds(name, &folder.0).iter().enumerate() {
            assert!(seed.len() < 100_000, "{name} {number}");
            if let Some(corpus) = &corpus {
                std::fs::create_dir_all(corpus.join(name)).unwrap();
                std::fs::write(corpus.join(name).join(format!("seed-{number}")), seed).unwrap();
            }
        }
    }
}

#[test]
fn deb_survives_damage() {
    run("deb");
}

#[test]
fn tar_survives_damage() {
    run("tar");
}

#[test]
fn decompress_survives_damage() {
    run("decompress");
}

#[test]
fn elf_survives_damage() {
    run("elf");
}

#[test]
fn dwarf_survives_damage() {
    run("dwarf");
}

#[test]
fn offers_survives_damage() {
    run("offers");
}

#[test]
fn btf_survives_damage() {
    run("btf");
}

#[test]
fn kallsyms_survives_damage() {
    run("kallsyms");
}

#[test]
fn ikconfig_survives_damage() {
    run("ikconfig");
}

#[test]
fn walk_survives_damage() {
    run("walk");
}

#[test]
fn core_survives_damage() {
    run("core");
}

#[test]
fn bpf_object_survives_damage() {
    run("bpf_object");
}
