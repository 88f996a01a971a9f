//! A small object, written by hand: a program that calls a function, asks for an option and a weak symbol.

use super::*;
use crate::btf::tests::{Encoder, BTF_KIND_DATASEC, BTF_KIND_VAR};

/// `Elf64_Sym`: name, info, other, section, value, size.
type Symbol = (&'static str, u8, u8, u16, u64, u64);

/// Name, type, flags, link, info and bytes.
type Section = (&'static str, u32, u64, u32, u32, Vec<u8>);

/// Sections as a relocatable file of eBPF; `.strtab` is the last one and names
/// sections and symbols.
fn elf(sections: &[Section], symbols: &[Symbol]) -> Vec<u8> {
    let mut names = vec![0];
    let mut name = |text: &str| {
        let at = names.len() as u32;
        names.extend(text.bytes().chain([0]));
        at
    };
    let last = sections.len() as u32 + 2;
    let mut table = vec![0; 24];
    for &(text, info, other, section, value, size) in symbols {
        table.extend(name(text).to_le_bytes());
        table.extend([info, other]);
        table.extend(section.to_le_bytes());
        table.extend([value, size].into_iter().flat_map(u64::to_le_bytes));
    }
    let mut all: Vec<(u32, u32, u64, u32, u32, Vec<u8>)> = vec![(0, 0, 0, 0, 0, Vec::new())];
    for (text, kind, flags, link, info, bytes) in sections {
        all.push((name(text), *kind, *flags, *link, *info, bytes.clone()));
    }
    all.push((name(".symtab"), 2, 0, last, 1, table));
    let own = name(".strtab");
    all.push((own, 3, 0, 0, 0, names));
    let mut out = vec![0x7f, b'E', b'L', b'F', 2, 1, 1];
    out.resize(16, 0);
    out.extend([1u16, 247].into_iter().flat_map(u16::to_le_bytes));
    out.resize(64, 0);
    let mut headers = Vec::new();
    for (name, kind, flags, link, info, bytes) in &all {
        headers.extend([*name, *kind].into_iter().flat_map(u32::to_le_bytes));
        let words = [*flags, 0, out.len() as u64, bytes.len() as u64];
        headers.extend(words.into_iter().flat_map(u64::to_le_bytes));
        headers.extend([*link, *info].into_iter().flat_map(u32::to_le_bytes));
        headers.extend([8u64, if *kind == 9 { 16 } else { 24 }].into_iter().flat_map(u64::to_le_bytes));
        out.extend(bytes);
        out.resize(out.len().next_multiple_of(8), 0);
    }
    let start = out.len() as u64;
    out[40..48].copy_from_slice(&start.to_le_bytes());
    out[58..60].copy_from_slice(&64u16.to_le_bytes());
    out[60..62].copy_from_slice(&(all.len() as u16).to_le_bytes());
    out[62..64].copy_from_slice(&(last as u16).to_le_bytes());
    out.extend(headers);
    out
}

fn code(list: &[(u8, u8, u8, i16, i32)]) -> Vec<u8> {
    let bytes = |&(code, dst, src, offset, imm): &(u8, u8, u8, i16, i32)| {
        let [a, b] = offset.to_le_bytes();
        let [c, d, e, f] = imm.to_le_bytes();
        [code, dst | src << 4, a, b, c, d, e, f]
    };
    list.iter().flat_map(bytes).collect()
}

/// Program 0 is `f`, the section `kprobe/f`; function 1 is `g` of `.text`.
fn object(global: bool) -> Vec<u8> {
    let program = code(&[
        (0x18, 1, 0, 0, 0), // 0: the option
        (0, 0, 0, 0, 0),
        (0x71, 1, 1, 0, 0),  // 2: its value
        (0x15, 1, 0, 1, 0),  // 3: if it is off, not
        (0x85, 0, 0, 0, 14), // 4: a helper
        (0x18, 2, 0, 0, 0),  // 5: the weak function
        (0, 0, 0, 0, 0),
        (0x15, 2, 0, 1, 0),  // 7: if it is not there, not
        (0x85, 0, 1, 0, -1), // 8: a call of it
        (0xb7, 1, 0, 0, 1),  // 9: whether a field is there
        (0x85, 0, 1, 0, -1), // 10: a call of g
        (0x95, 0, 0, 0, 0),
    ]);
    let function = code(&[
        (0x15, 1, 0, 1, 0), // 0: if its argument is 0, not
        (0x79, 2, 1, 8, 0), // 1: the field
        (0x95, 0, 0, 0, 0),
    ]);
    let mut e = Encoder::new(false);
    let relocation = |offset: u64, symbol: u64| [offset, symbol << 32 | 10].map(u64::to_le_bytes).concat();
    let relocations =
        [(0, 3), (40, 4), (64, 4), (80, 2)].map(|(offset, symbol)| relocation(offset, symbol)).concat();
    let btf = kconfig(&mut e);
    elf(
        &[
            ("kprobe/f", 1, 6, 0, 0, program),
            (".text", 1, 6, 0, 0, function),
            (".relkprobe/f", 9, 0, 5, 1, relocations),
            (".BTF", 1, 0, 0, 0, btf),
        ],
        &[
            ("f", 0x12, 0, 1, 0, 96),
            ("g", if global { 0x12 } else { 0x02 }, 0, 2, 0, 24),
            ("CONFIG_X", 0x10, 0, 0, 0, 0),
            ("bpf_y", 0x20, 0, 0, 0, 0),
        ],
    )
}

/// `extern bool CONFIG_X __kconfig __weak; extern void bpf_y(void) __ksym __weak;`
fn kconfig(e: &mut Encoder) -> Vec<u8> {
    let bool = e.int("_Bool", 8, 4);
    let option = e.add("CONFIG_X", BTF_KIND_VAR, 0, bool, &[2]);
    e.add(".kconfig", BTF_KIND_DATASEC, 1, 1, &[option, 0, 1]);
    let y = e.func("bpf_y", 2, 0, &[]);
    e.add(".ksyms", BTF_KIND_DATASEC, 1, 0, &[y, 0, 0]);
    e.finish()
}

fn sites(data: &[u8], option: Option<&str>, y: Option<bool>, field: Option<bool>) -> Vec<Site> {
    let object = Object::read(data).unwrap();
    assert!(object.incomplete.is_empty(), "{:?}", object.incomplete);
    let exists = code(&[(0xb7, 1, 0, 0, i32::from(field == Some(true)))]);
    let load = code(&[(0x79, 2, 1, 24, 0)]);
    let relocated = [
        Relocated { section: b"kprobe/f", byte_offset: 72, patched: Some(&exists), poisoned: false },
        Relocated { section: b".text", byte_offset: 8, patched: Some(&load), poisoned: field != Some(true) },
    ];
    let facts = Facts {
        kconfig: option.map(|value| FxHashMap::from_iter([("CONFIG_X".to_owned(), Some(value.to_owned()))])),
        symbols: y.map(|there| ("bpf_y".to_owned(), there)).into_iter().collect(),
    };
    reach(data, &object, &relocated, &facts).unwrap()
}

fn place(program: u32, instruction: u32) -> Place {
    Place { program, instruction }
}

fn of(sites: &[Site], thing: Thing, instruction: u32) -> &Site {
    let here = |site: &&Site| site.thing == thing && site.place.instruction == instruction;
    sites.iter().find(here).unwrap()
}

#[test]
fn options_symbols_and_fields_guard() {
    let data = object(false);
    let nothing = sites(&data, Some("n"), Some(false), Some(false));
    let helper = of(&nothing, Thing::Helper(14), 4);
    let by = |branch, cause| vec![Guard { branch, causes: vec![cause] }];
    assert_eq!((helper.reached, &helper.guards), (false, &by(place(0, 3), Thing::Extern(0))));
    let call = of(&nothing, Thing::Extern(1), 8);
    assert_eq!((call.reached, &call.guards), (false, &by(place(0, 7), Thing::Extern(1))));
    let field = of(&nothing, Thing::Relocation(1), 1);
    assert_eq!((field.program, field.place), (0, place(1, 1)));
    assert_eq!((field.reached, field.refused), (false, false));
    assert_eq!(field.guards, by(place(1, 0), Thing::Relocation(0)));
    let all = sites(&data, Some("y"), Some(true), Some(true));
    assert!(all.iter().all(|site| site.reached && !site.refused));
    assert_eq!(all.len(), 6);
}

#[test]
fn what_is_not_known_is_reached() {
    let unknown = sites(&object(false), None, None, Some(false));
    assert!(of(&unknown, Thing::Helper(14), 4).reached && of(&unknown, Thing::Extern(1), 8).reached);
    // an option that the kernel does not have is off, and a value of another kind is refused
    let data = object(false);
    let other = sites(&data, Some("300"), None, None);
    assert!(of(&other, Thing::Helper(14), 4).reached);
}

#[test]
fn a_global_function_is_verified_for_any_argument() {
    let found = sites(&object(true), None, None, Some(false));
    let field = of(&found, Thing::Relocation(1), 1);
    assert!(field.reached && field.refused && field.guards.is_empty());
}

#[test]
fn values_of_options() {
    let bytes = |form: Form, value: &str| form.bytes(value, false);
    assert_eq!(bytes(Form::Bool, "y"), Some(vec![1]));
    assert_eq!(bytes(Form::Bool, "m"), None);
    assert_eq!(bytes(Form::Tristate(4), "m"), Some(vec![1, 0, 0, 0]));
    assert_eq!(bytes(Form::Tristate(4), "y"), Some(vec![2, 0, 0, 0]));
    assert_eq!(bytes(Form::Char, "m"), Some(vec![b'm']));
    assert_eq!(bytes(Form::Text(4), "shallow"), Some(b"sha\0".to_vec()));
    let integer = |byte_size, signed| Form::Integer { byte_size, signed };
    assert_eq!(bytes(integer(4, true), "-1"), Some(vec![0xff; 4]));
    assert_eq!(bytes(integer(2, false), "0x1234"), Some(vec![0x34, 0x12]));
    assert_eq!(integer(2, false).bytes("0x1234", true), Some(vec![0x12, 0x34]));
    assert_eq!(bytes(integer(2, false), "65536"), None);
    assert_eq!(bytes(integer(2, true), "32768"), None);
    assert_eq!(bytes(integer(8, false), "010"), Some(vec![8, 0, 0, 0, 0, 0, 0, 0]));
    assert_eq!(bytes(integer(8, false), "many"), None);
}
