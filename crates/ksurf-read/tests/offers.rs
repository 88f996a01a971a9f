//! The readers of an image's own tables, on images that the assembler makes of `tests/data/offers.S`.
#![cfg(target_arch = "x86_64")]

use ksurf_read::btf::Btf;
use ksurf_read::elf::{Buffer, Image, Memory};
use ksurf_read::surface::btf_ids::{self, BtfId, BtfSet, Role};
use ksurf_read::surface::code::Code;
use ksurf_read::surface::export::{self, Export};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

const EM_AARCH64: u8 = 183;

/// Sections lie where the numbers in the code of arm64 expect them.
const LINKED: &[&str] = &[
    "-nostdlib",
    "-static",
    "-no-pie",
    "-Wl,--build-id=none,-e,_stext,--section-start=.calls=0x500000,--section-start=.data=0x510000",
];

fn assembled(options: &[&str]) -> Vec<u8> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let out = std::env::temp_dir().join(format!("ksurf-offers-{}-{number}", std::process::id()));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/offers.S");
    let output = Command::new("gcc").args(options).arg(source).arg("-o").arg(&out).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bytes = std::fs::read(&out).unwrap();
    std::fs::remove_file(&out).unwrap();
    bytes
}

fn vmlinux(options: &[&str]) -> Image {
    Image::parse(Buffer::Memory(assembled(&[LINKED, options].concat()))).unwrap()
}

fn module(options: &[&str]) -> Image {
    Image::parse(Buffer::Memory(assembled(&[&["-c", "-DMODULE"], options].concat()))).unwrap()
}

fn export(name: &str, gpl: bool, namespace: Option<&str>, crc: Option<u32>) -> Export {
    Export { name: name.into(), gpl, namespace: namespace.map(str::to_owned), crc }
}

#[test]
fn exports_of_every_form_are_the_same() {
    for image in [vmlinux(&[]), vmlinux(&["-DPOINTERS"]), module(&[]), module(&["-DPOINTERS"])] {
        let memory = Memory::of(&image).unwrap();
        assert_eq!(
            export::read(&memory).unwrap(),
            [
                export("register", false, None, Some(0x1111_1111)),
                export("second", false, Some("module:kvm"), Some(0x2222_2222)),
                export("third", true, None, Some(0x3333_3333)),
            ]
        );
    }
}

#[test]
fn flags_beside_the_exports_say_who_may_use_them() {
    for image in [vmlinux(&["-DFLAGS"]), module(&["-DFLAGS"])] {
        let memory = Memory::of(&image).unwrap();
        assert_eq!(
            export::read(&memory).unwrap(),
            [
                export("register", false, None, None),
                export("second", true, Some("module:kvm"), None),
                export("third", true, None, None),
            ]
        );
    }
}

#[test]
fn facts_of_code() {
    for (image, in_module) in [(vmlinux(&[]), false), (module(&[]), true)] {
        let memory = Memory::of(&image).unwrap();
        let code = Code::of(&memory);
        let types = code.error_types(&memory).unwrap();
        let facts = |name: &str| {
            let facts = code.facts(memory.address_of(name).unwrap(), 8);
            let error = facts.error_injection.map(|number| types.name(number));
            (facts.ftrace.unwrap(), facts.kprobe_blacklist, error, facts.init)
        };
        assert_eq!(facts("plain"), (true, None, Some(Some("EI_ETYPE_ERRNO_NULL")), false));
        assert_eq!(facts("listed"), (false, Some("NOKPROBE_SYMBOL"), None, false));
        assert_eq!(facts("alone"), (true, None, Some(None), false));
        assert_eq!(facts("__x64_sys_read"), (false, None, Some(Some("EI_ETYPE_ERRNO")), false));
        assert_eq!(facts("quiet"), (false, Some(".noinstr.text"), None, false));
        // Where text ends, vmlinux has no list of what must not be probed.
        let listed = in_module.then_some("NOKPROBE_SYMBOL");
        assert_eq!(facts("early"), (false, listed, None, true));
        assert_eq!(facts("late"), (false, None, None, !in_module));
    }
}

#[test]
fn an_image_without_tables_has_no_facts() {
    let image = Image::parse(Buffer::Memory(assembled(&["-c", "-DMODULE"]))).unwrap();
    let memory = Memory::of(&image).unwrap();
    let facts = Code::of(&memory).facts(0xffff_ffff_0000_0000, 8);
    assert_eq!((facts.kprobe_blacklist, facts.error_injection, facts.init), (None, None, false));
}

/// `int f(struct s *p);`
fn btf() -> Vec<u8> {
    let strings = b"\0int\0s\0f\0p\0";
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let types = words(
        &[
            &[1, 1 << 24, 4, 1 << 24 | 32][..], // 1: int
            &[5, 4 << 24 | 1, 8, 9, 3, 0],      // 2: struct s { struct s *p; }
            &[0, 2 << 24, 2],                   // 3: struct s *
            &[0, 13 << 24 | 1, 1, 9, 3],        // 4: int (struct s *p)
            &[7, 12 << 24 | 1, 4],              // 5: f
        ]
        .concat(),
    );
    let (types_len, strings_len) = (types.len() as u32, strings.len() as u32);
    let header = words(&[0x0001_eb9f, 24, 0, types_len, types_len, strings_len]);
    [header, types, strings.to_vec()].concat()
}

fn id(kind: &str, name: &str, flags: Option<u32>) -> BtfId {
    BtfId { name: name.into(), kind: kind.into(), flags }
}

fn sets(image: &Image) -> Vec<BtfSet> {
    btf_ids::read(&Memory::of(image).unwrap()).unwrap()
}

#[test]
fn ids_that_were_not_written_are_known_by_their_symbols() {
    for image in [vmlinux(&[]), module(&[])] {
        let sets = sets(&image);
        let names: Vec<_> = sets.iter().map(|set| (set.name.as_str(), set.flags)).collect();
        assert_eq!(names, [("hooks", None), ("kfuncs", Some(1)), ("replaced", Some(0))]);
        assert_eq!(sets[0].members(None), [id("func", "bpf_lsm__first", None), id("struct", "s", None)]);
        assert_eq!(sets[1].members(None), [id("func", "get", Some(5)), id("func", "f", Some(2))]);
    }
}

#[test]
fn ids_that_were_written_are_named_by_btf() {
    let image = vmlinux(&["-DRESOLVED"]);
    let bytes = btf();
    let btf = Btf::parse(&bytes, None).unwrap();
    let sets = sets(&image);
    // Sorting has moved the entries away from the symbols; one is not in this kernel.
    assert_eq!(sets[0].members(Some(&btf)), [id("func", "f", None)]);
    assert_eq!(sets[1].members(Some(&btf)), [id("struct", "s", Some(5)), id("func", "f", Some(2))]);
    assert_eq!(sets[1].members(None), [id("func", "get", None), id("func", "f", None)]);
}

#[test]
fn registered_sets_of_x86() {
    for image in [vmlinux(&[]), module(&[])] {
        let sets = sets(&image);
        assert_eq!((sets[0].registered_as, &sets[0].program_types[..]), (None, &[][..]));
        assert_eq!((sets[1].registered_as, &sets[1].program_types[..]), (Some(Role::Kfunc), &[0, 3, 26][..]));
        assert_eq!((sets[2].registered_as, &sets[2].program_types[..]), (Some(Role::FmodRet), &[][..]));
    }
}

#[test]
fn registered_sets_of_arm64() {
    let mut bytes = assembled(&[LINKED, &["-DARM64"]].concat());
    bytes[18] = EM_AARCH64;
    let image = Image::parse(Buffer::Memory(bytes)).unwrap();
    let sets = sets(&image);
    assert_eq!((sets[1].registered_as, &sets[1].program_types[..]), (Some(Role::Kfunc), &[0, 3, 26][..]));
    assert_eq!((sets[2].registered_as, &sets[2].program_types[..]), (Some(Role::FmodRet), &[][..]));
}

#[test]
fn what_cannot_be_is_refused() {
    let good = assembled(&[LINKED, &["-DRESOLVED"]].concat());
    let image = Image::parse(Buffer::Memory(good.clone())).unwrap();
    let memory = Memory::of(&image).unwrap();
    let offset = |needle: &[u8]| good.windows(needle.len()).position(|bytes| bytes == needle).unwrap();
    drop(memory);
    // More entries than the section holds.
    let mut bad = good.clone();
    let at = offset(&[2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0]);
    bad[at + 3] = 0xff;
    let image = Image::parse(Buffer::Memory(bad)).unwrap();
    let error = btf_ids::read(&Memory::of(&image).unwrap()).unwrap_err().to_string();
    assert!(error.contains("kfuncs: it lies outside of .BTF_ids"), "{error}");
    // A set that reaches into the next one.
    let mut bad = good.clone();
    bad[at - 12] = 4;
    let image = Image::parse(Buffer::Memory(bad)).unwrap();
    let error = btf_ids::read(&Memory::of(&image).unwrap()).unwrap_err().to_string();
    assert!(error.contains("kfuncs: it lies in another"), "{error}");
    // Names that are nowhere.
    let mut bad = good.clone();
    let section = Image::parse(Buffer::Memory(good.clone())).unwrap();
    let table = section.bytes("__ksymtab").to_vec();
    let at = offset(&table);
    bad[at + 6] ^= 0x40;
    let image = Image::parse(Buffer::Memory(bad)).unwrap();
    let error = export::read(&Memory::of(&image).unwrap()).unwrap_err().to_string();
    assert!(error.contains("__ksymtab are not in __ksymtab_strings"), "{error}");
}
