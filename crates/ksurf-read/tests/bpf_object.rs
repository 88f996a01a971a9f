//! eBPF objects: found in files, and read.

mod bpf;

use bpf::{sample, Elf, Order, Types, ALLOC, CODE, FUNC, GLOBAL, LOCAL, OBJECT, OF_CALL, PROGBITS};
use ksurf_read::bpf::embedded::{find, Found};
use ksurf_read::bpf::externs::Sort;
use ksurf_read::bpf::maps::Declared;
use ksurf_read::bpf::object::{Call, Object, Target};

fn names<T>(list: &[T], name: impl Fn(&T) -> &String) -> Vec<&str> {
    list.iter().map(|one| name(one).as_str()).collect()
}

#[test]
fn everything_of_both_byte_orders() {
    for big_endian in [false, true] {
        let object = Object::read(&sample(big_endian)).unwrap();
        assert_eq!(object.incomplete, []);
        assert_eq!((object.license.as_deref(), object.kernel_version), (Some("GPL"), Some(0x0006_0c00)));
        programs(&object);
        maps(&object);
        externs(&object);
        references(&object);
        struct_ops(&object);
        contexts(&object);
        lines(&object);
    }
}

fn programs(object: &Object) {
    let expected = ["helped", "probe", "exit_entry", "exit_other", "mine_init"];
    assert_eq!(names(&object.programs, |program| &program.name), expected);
    let [helped, probe, entry, other, init] = &object.programs[..] else { panic!() };
    assert!(helped.subprogram && ![probe, entry, other, init].iter().any(|program| program.subprogram));
    assert_eq!((probe.section.as_str(), probe.instructions()), ("kprobe/vfs_read", 20));
    assert_eq!(probe.context.as_deref(), Some("pt_regs"));
    assert_eq!((other.byte_offset, other.byte_size), (24, 32));
    assert!(entry.attachment.optional && entry.attachment.sleepable);
    assert_eq!(entry.attachment.target.as_deref(), Some("do_exit"));
    let call = |program, instruction, callee| Call { program, instruction, callee, address: false };
    assert_eq!(object.calls, [call(1, 9, 0), call(2, 1, 3)]);
    let helpers: Vec<_> = object.helper_calls.iter().map(|c| (c.program, c.instruction, c.helper)).collect();
    assert_eq!(helpers, [(1, 4, 1), (3, 2, 5000)]);
    assert_eq!(object.helper_calls[0].name.as_deref(), Some("bpf_map_lookup_elem"));
    assert_eq!(object.helper_calls[1].name, None);
}

fn maps(object: &Object) {
    assert_eq!(names(&object.maps, |map| &map.name), ["counts", "outer", "outer.inner", ".rodata", ".bss"]);
    let [counts, outer, inner, rodata, bss] = &object.maps[..] else { panic!() };
    let sizes = |map: &ksurf_read::bpf::maps::Map| (map.key_size, map.value_size, map.max_entries);
    assert_eq!(counts.type_name.as_deref(), Some("BPF_MAP_TYPE_HASH"));
    assert_eq!(sizes(counts), (Some(4), Some(4), Some(64)));
    assert_eq!(outer.type_name.as_deref(), Some("BPF_MAP_TYPE_HASH_OF_MAPS"));
    assert_eq!((sizes(outer), outer.inner), ((Some(4), Some(4), None), Some(2)));
    assert_eq!((inner.declared, inner.kind), (Declared::Inner, Some(1)));
    assert!(rodata.is_data() && bss.is_data());
    assert_eq!((rodata.value_size, bss.value_size), (Some(32), Some(40)));
}

fn externs(object: &Object) {
    let found: Vec<_> =
        object.externs.iter().map(|e| (&*e.name, e.sort, e.type_text.as_deref(), e.weak)).collect();
    let kfunc = "struct pt_regs *bpf_task_from_pid(int pid);";
    assert_eq!(
        found,
        [
            ("CONFIG_HZ", Sort::Kconfig, Some("int"), true),
            ("bpf_task_from_pid", Sort::Function, Some(kfunc), true),
            ("bpf_prog_active", Sort::Variable, None, false),
            ("runqueues", Sort::Variable, Some("struct pt_regs"), false),
        ]
    );
}

fn references(object: &Object) {
    let found: Vec<_> =
        object.references.iter().map(|r| (r.program, r.instruction, r.target, r.byte_offset)).collect();
    assert_eq!(
        found,
        [
            (1, 2, Target::Map(0), None),
            (1, 9, Target::Program(0), None),
            (1, 10, Target::Map(3), Some(16)),
            (1, 12, Target::Extern(0), None),
            (1, 14, Target::Extern(1), None),
            (1, 15, Target::Extern(2), None),
            (1, 17, Target::Extern(3), None),
        ]
    );
}

fn struct_ops(object: &Object) {
    let [ops] = &object.struct_ops[..] else { panic!() };
    assert_eq!((&*ops.name, &*ops.type_name), ("mine", "tcp_congestion_ops___mine"));
    assert!(ops.link && !ops.optional);
    let members: Vec<_> = ops.members.iter().map(|member| (&*member.name, member.program)).collect();
    assert_eq!(members, [("init", Some(4)), ("flags", None)]);
}

fn contexts(object: &Object) {
    let found: Vec<_> = object
        .context_loads
        .iter()
        .map(|load| (load.program, load.function, load.instruction, load.byte_offset, load.byte_size))
        .collect();
    // the function behind is a program too: it is called with a context, and then has one itself
    assert_eq!(
        found,
        [(1, 0, 0, 0, 8), (1, 1, 7, 112, 8), (2, 2, 0, 8, 8), (2, 3, 1, 16, 4), (3, 3, 1, 16, 4)]
    );
    let [helped, di, ..] = &object.context_loads[..] else { panic!() };
    assert_eq!((helped.field.as_deref(), helped.relocated), (Some("r15"), false));
    assert_eq!((di.field.as_deref(), di.relocated), (Some("di"), true));
    assert_eq!(di.field_type.as_deref(), Some("unsigned long"));
}

fn lines(object: &Object) {
    let found: Vec<_> = object
        .lines
        .iter()
        .map(|line| (line.program, line.instruction, line.file.as_deref(), line.line, line.text.as_deref()))
        .collect();
    let file = Some("probe.bpf.c");
    assert_eq!(found, [(1, 0, file, Some(7), Some("  return ctx->di;")), (1, 5, file, Some(9), None)]);
}

#[test]
fn objects_are_found_wherever_they_are() {
    let (little, big) = (sample(false), sample(true));
    let plain = |range| Found { section: None, range };
    assert_eq!(find(&little).unwrap(), [plain(0..little.len())]);
    assert_eq!(find(b"").unwrap(), []);
    assert_eq!(find(&b"\x7fELF\x02".repeat(40)).unwrap(), []);

    let data = [&[1; 11][..], &little, &[0; 5], &big, b"\x7fELF\x02\x01\x01"].concat();
    let second = 11 + little.len() + 5;
    assert_eq!(find(&data).unwrap(), [plain(11..11 + little.len()), plain(second..second + big.len())]);

    let mut holder = Elf::new(false);
    holder.machine = 62;
    holder.section(".text", PROGBITS, CODE, vec![0xc3; 100]);
    holder.section(".rodata", PROGBITS, ALLOC, data);
    let file = holder.finish();
    let found = find(&file).unwrap();
    assert_eq!(found.len(), 2);
    for (found, expected) in found.iter().zip([little, big]) {
        assert_eq!(found.section.as_deref(), Some(".rodata"));
        assert!(file[found.range.clone()] == expected);
    }
}

#[test]
fn an_object_that_is_cut_off_is_told_and_does_not_hide_the_next() {
    let whole = sample(false);
    let data = [&whole[..600], &whole].concat();
    let found = find(&data).unwrap();
    assert_eq!(found.iter().map(|f| f.range.clone()).collect::<Vec<_>>(), [0..600, 600..600 + whole.len()]);
    let error = Object::read(&data[found[0].range.clone()]).unwrap_err().to_string();
    assert!(error.contains("section header table"), "{error}");
    assert!(find(&vec![whole[..64].to_vec(); 1025].concat()).is_err());
}

#[test]
fn what_is_no_object() {
    let mut other = Elf::new(false);
    other.machine = 62;
    let other = other.finish();
    for data in [&b""[..], b"\x7fELF", &other, &sample(false)[..60]] {
        assert!(Object::read(data).is_err());
    }
}

#[test]
fn old_objects_have_their_maps_in_a_section_of_their_own() {
    let mut elf = Elf::new(false);
    let order = elf.order;
    let code = elf.section("socket", PROGBITS, CODE, order.code(&[(0x95, 0, 0, 0, 0)]));
    let maps = elf.section("maps", PROGBITS, ALLOC, order.words(&[1, 4, 8, 100, 0, 2, 4, 4]));
    elf.symbol("main", GLOBAL, FUNC, code, 0, 8);
    elf.symbol("hash", GLOBAL, OBJECT, maps, 0, 20);
    elf.symbol("cut", GLOBAL, OBJECT, maps, 20, 12);
    let object = Object::read(&elf.finish()).unwrap();
    let [hash, cut] = &object.maps[..] else { panic!() };
    assert_eq!((hash.kind, hash.key_size, hash.value_size), (Some(1), Some(4), Some(8)));
    assert_eq!((hash.max_entries, hash.flags), (Some(100), Some(0)));
    assert_eq!((cut.kind, cut.declared), (None, Declared::Old));
    assert_eq!(object.incomplete, [("map cut".to_owned(), "its declaration is cut off".to_owned())]);
}

#[test]
fn the_only_function_of_text_is_a_program() {
    for count in [1, 2] {
        let mut elf = Elf::new(false);
        let exit = elf.order.code(&[(0x95, 0, 0, 0, 0), (0x95, 0, 0, 0, 0)]);
        let text = elf.section(".text", PROGBITS, CODE, exit);
        for number in 0..count {
            elf.symbol(["one", "two"][number], GLOBAL, FUNC, text, number as u64 * 8, 8);
        }
        let object = Object::read(&elf.finish()).unwrap();
        assert!(object.programs.iter().all(|program| program.subprogram == (count == 2)));
    }
}

#[test]
fn what_cannot_be_is_noted() {
    let mut elf = Elf::new(false);
    let order = elf.order;
    let code = order.code(&[(0x85, 0, 1, 0, 40), (0x85, 0, 1, 0, -1), (0x95, 0, 0, 0, 0)]);
    let code = elf.section("xdp", PROGBITS, CODE, code);
    elf.section("tc", PROGBITS, CODE, order.code(&[(0x95, 0, 0, 0, 0)]));
    elf.section(".maps", PROGBITS, ALLOC, vec![0; 8]);
    elf.symbol("main", GLOBAL, FUNC, code, 0, 24);
    elf.symbol("main_again", GLOBAL, FUNC, code, 8, 8);
    elf.symbol("beyond", GLOBAL, FUNC, code, 16, 16);
    elf.symbol("crooked", GLOBAL, FUNC, code, 4, 8);
    elf.symbol("small", LOCAL, FUNC, code, 24, 0);
    let unknown = elf.symbol("unknown", GLOBAL, 0, 0, 0, 0);
    let lost = elf.symbol("lost", GLOBAL, OBJECT, 3, 4, 4);
    elf.relocate(code, &[(8, 999, OF_CALL), (8, lost, OF_CALL), (8, unknown, OF_CALL)]);
    let object = Object::read(&elf.finish()).unwrap();
    let noted: Vec<String> = object.incomplete.iter().map(|(place, why)| format!("{place}: {why}")).collect();
    assert_eq!(
        noted,
        [
            "section xdp: beyond is no range of instructions",
            "section xdp: crooked is no range of instructions",
            "section xdp: main_again overlaps",
            "section xdp: small is static, which no loader takes for a program",
            "section tc: it has instructions, and no function",
            ".maps: there is no BTF that tells its maps",
            "extern unknown: BTF does not tell what it is",
            "section xdp+0x8: its relocation is of symbol 999",
            "section xdp+0x8: it refers to lost, which is not there",
            "program main, instruction 0: it calls what is no function",
        ]
    );
    assert_eq!(object.externs[0].sort, Sort::Unknown);
}

/// Reads a program of a section, with a context of an unknown struct; gives the offsets that it loads from.
fn loads(instructions: &[(u8, u8, u8, i16, i32)]) -> Vec<(u32, u32)> {
    let mut elf = Elf::new(false);
    let code = Order(false).code(instructions);
    let size = code.len() as u64;
    let code = elf.section("raw_tp/x", PROGBITS, CODE, code);
    elf.symbol("main", GLOBAL, FUNC, code, 0, size);
    let object = Object::read(&elf.finish()).unwrap();
    object.context_loads.iter().map(|load| (load.instruction, load.byte_offset)).collect()
}

#[test]
fn a_context_is_followed_only_where_it_surely_is() {
    let exit = (0x95, 0, 0, 0, 0);
    // after a call it is gone from r1, and still in r6
    let call = (0x85, 0, 0, 0, 5);
    let kept = [(0xbf, 6, 1, 0, 0), call, (0x79, 0, 1, 0, 0), (0x79, 0, 6, 8, 0), exit];
    assert_eq!(loads(&kept), [(3, 8)]);
    // one way sets r6 to something else: 0: r6 = r1; 1: if r2 == 0 goto 3; 2: r6 = 0; 3: load
    let branch =
        |offset| [(0xbf, 6, 1, 0, 0), (0x15, 2, 0, offset, 0), (0xb7, 6, 0, 0, 0), (0x79, 0, 6, 0, 0), exit];
    assert_eq!(loads(&branch(1)), []);
    let same = [(0xbf, 6, 1, 0, 0), (0x15, 2, 0, 1, 0), (0xbf, 6, 1, 0, 0), (0x79, 0, 6, 0, 0), exit];
    assert_eq!(loads(&same), [(3, 0)]);
    // a loop that moves it: 0: load; 1: r1 += 8; 2: if r2 != 0 goto 0
    assert_eq!(loads(&[(0x79, 0, 1, 0, 0), (0x07, 1, 0, 0, 8), (0x55, 2, 0, -3, 0), exit]), []);
    assert_eq!(loads(&[(0x79, 0, 1, 0, 0), (0x07, 2, 0, 0, 8), (0x55, 2, 0, -3, 0), exit]), [(0, 0)]);
    // what is spilled is overwritten in part
    let spill = |byte: (u8, u8, u8, i16, i32)| {
        [(0x7b, 10, 1, -16, 0), byte, (0x79, 3, 10, -16, 0), (0x79, 0, 3, 24, 0), exit]
    };
    assert_eq!(loads(&spill((0xb7, 0, 0, 0, 0))), [(3, 24)]);
    assert_eq!(loads(&spill((0x72, 10, 0, -9, 1))), []);
    assert_eq!(loads(&spill((0x72, 10, 0, -8, 1))), [(3, 24)]);
    // unreachable code, code that runs out of its end, and jumps to nowhere
    assert_eq!(loads(&[exit, (0x79, 0, 1, 0, 0), exit]), []);
    assert_eq!(loads(&[(0x05, 0, 0, 100, 0), (0x79, 0, 1, 0, 0)]), []);
    assert_eq!(loads(&[(0x79, 0, 1, -8, 0), (0x05, 0, 0, -2, 0)]), []);
    // 32 bits of it are no pointer; stores and atomics are no loads
    assert_eq!(loads(&[(0xbc, 1, 1, 0, 0), (0x79, 0, 1, 0, 0), exit]), []);
    assert_eq!(loads(&[(0x7b, 1, 2, 0, 0), (0xdb, 1, 2, 8, 1), (0x61, 0, 1, 4, 0), exit]), [(2, 4)]);
}

#[test]
fn functions_that_call_each_other_end() {
    let mut elf = Elf::new(false);
    let order = elf.order;
    let code = order.code(&[
        (0x79, 0, 1, 0, 0),
        (0x07, 1, 0, 0, 8),
        (0x85, 0, 1, 0, 0),
        (0x79, 0, 1, 0, 0),
        (0x85, 0, 1, 0, -5),
    ]);
    let code = elf.section("xdp", PROGBITS, CODE, code);
    elf.symbol("a", GLOBAL, FUNC, code, 0, 24);
    elf.symbol("b", GLOBAL, FUNC, code, 24, 16);
    let object = Object::read(&elf.finish()).unwrap();
    // `a` has its context in its first call only, so nothing is sure
    assert_eq!(object.calls.len(), 2);
    assert!(object.context_loads.iter().all(|load| load.program == load.function || load.byte_offset <= 8));
}

#[test]
fn hostile_sizes_cost_nothing() {
    // many functions over the same code, many relocations, sections that overlap
    let mut elf = Elf::new(false);
    let exit = elf.order.code(&[(0x95, 0, 0, 0, 0); 1000]);
    let code = elf.section("xdp", PROGBITS, CODE, exit);
    let name = "n".repeat(60_000);
    let long = elf.symbol(&name, GLOBAL, FUNC, code, 0, 8000);
    for _ in 0..2000 {
        elf.symbol("again", GLOBAL, FUNC, code, 0, 8000);
    }
    elf.relocate(code, &vec![(0, long, OF_CALL); 5000]);
    let mut types = Types::new(false);
    types.string("x");
    elf.section(".BTF", PROGBITS, 0, types.finish());
    let data = elf.finish();
    let object = Object::read(&data).unwrap();
    assert_eq!(object.programs.len(), 1);
    assert_eq!((object.programs[0].name.len(), object.incomplete.len()), (1024, 20));

    let mut overlapping = sample(false);
    let table = u64::from_le_bytes(overlapping[40..48].try_into().unwrap()) as usize;
    // a section's size becomes that of the whole file, from its start
    let len = overlapping.len() as u64;
    overlapping[table + 3 * 64 + 24..table + 3 * 64 + 40]
        .copy_from_slice(&[0u64.to_le_bytes(), len.to_le_bytes()].concat());
    let error = Object::read(&overlapping).unwrap_err().to_string();
    assert!(error.contains("its sections overlap"), "{error}");
}
