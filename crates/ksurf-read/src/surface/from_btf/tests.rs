use super::*;
use crate::btf::tests::*;
use crate::image::{Evidence, ImageRows, TypeSource};
use crate::kernel;
use crate::surface::layout::Layouts;

/// Definitions as a person would write them: `struct s 16: +0 a: int`.
fn shown(types: &Types) -> Vec<String> {
    (0..types.definitions.list.len() as u32).map(|number| show(types, number)).collect()
}

fn show(types: &Types, number: u32) -> String {
    let text = |number: u32| types.definitions.texts.get(number);
    let definition = &types.definitions.list[number as usize];
    let mut out = format!("{} {}", definition.kind.as_str(), text(definition.name));
    definition.byte_size.into_iter().for_each(|size| out += &format!(" {size}"));
    definition.signed.into_iter().for_each(|signed| out += if signed { " signed" } else { " unsigned" });
    definition.type_text.into_iter().for_each(|number| out += &format!(" = {}", text(number)));
    definition.tags.into_iter().for_each(|number| out += &format!(" [{}]", text(number)));
    for member in types.definitions.members(number) {
        out += &format!("\n{}", "  ".repeat(1 + usize::from(member.depth)));
        member.bit_offset.into_iter().for_each(|offset| out += &format!("@{offset} "));
        out += member.name.map_or("-", text);
        member.type_text.into_iter().for_each(|number| out += &format!(": {}", text(number)));
        member.byte_size.into_iter().for_each(|size| out += &format!(" ({size})"));
        member.bit_size.into_iter().for_each(|bits| out += &format!(" {bits} bits"));
        member.value.into_iter().for_each(|value| out += &format!(" = {value}"));
        member.tags.into_iter().for_each(|number| out += &format!(" [{}]", text(number)));
    }
    out
}

/// Who is mentioned, by its size, and by whom.
fn uses(types: &Types) -> Vec<(Option<u64>, &str)> {
    let definition = |number: u32| &types.definitions.list[number as usize];
    let name = |number: u32| types.definitions.texts.get(definition(number).name);
    types.uses.iter().map(|used| (definition(used.definition).byte_size, name(used.user))).collect()
}

fn of(encoder: &Encoder) -> Types {
    read(&Btf::parse(&encoder.finish(), None).unwrap()).unwrap()
}

/// `long unsigned int`, `int`, `struct list_head`.
fn begun(big_endian: bool) -> (Encoder, u32, u32) {
    let mut e = Encoder::new(big_endian);
    let long = e.int("long unsigned int", 64, 0);
    let int = e.int("int", 32, 1);
    (e, long, int)
}

#[test]
fn members_of_anonymous_ones_follow_them() {
    for big_endian in [false, true] {
        let (mut e, long, int) = begun(big_endian);
        let names = ["a", "b", "c", "d", "inner", "list", "flag"].map(|name| e.string(name));
        let [a, b, c, d, inner, list, flag] = names;
        let pair = e.add("", BTF_KIND_STRUCT, 2, 8, &[a, int, 0, b, int, 32]);
        let either = e.add("", BTF_KIND_UNION, 2, 8, &[0, pair, 0, c, long, 0]);
        let row = e.add("", BTF_KIND_ARRAY, 0, 0, &[pair, int, 2]);
        let ptr = e.add("", BTF_KIND_PTR, 0, pair, &[]);
        let fields = [d, long, 0, 0, either, 64, inner, row, 128, list, ptr, 256, flag, int, 3 << 24 | 320];
        e.flagged("s", BTF_KIND_STRUCT, 5, true, 48, &fields);
        let types = of(&e);
        assert_eq!(types.incomplete, None);
        let expected = [
            "struct s 48",
            "  @0 d: long unsigned int (8)",
            "  @64 -: union (anon) (8)",
            "    @64 -: struct (anon) (8)",
            "      @64 a: int (4)",
            "      @96 b: int (4)",
            "    @64 c: long unsigned int (8)",
            "  @128 inner: struct (anon) [2] (16)",
            "    @128 a: int (4)",
            "    @160 b: int (4)",
            "  @256 list: struct (anon) * (8)",
            "  @320 flag: int (4) 3 bits",
        ];
        assert_eq!(shown(&types), [expected.join("\n")]);
    }
}

#[test]
fn every_kind_of_definition() {
    let (mut e, long, int) = begun(false);
    let [a, b, x] = ["a", "b", "x"].map(|name| e.string(name));
    e.flagged("state", BTF_KIND_ENUM, 2, true, 4, &[a, u32::MAX, b, 3]);
    e.add("large", BTF_KIND_ENUM64, 1, 8, &[a, 2, 1]);
    e.add("only_declared", BTF_KIND_ENUM, 0, 4, &[]);
    e.add("", BTF_KIND_ENUM, 1, 4, &[a, 7]);
    let anonymous = e.add("", BTF_KIND_ENUM, 1, 4, &[b, 7]);
    e.add("mode_t", BTF_KIND_TYPEDEF, 0, anonymous, &[]);
    let counter = e.add("", BTF_KIND_STRUCT, 1, 4, &[x, int, 0]);
    e.add("atomic_t", BTF_KIND_TYPEDEF, 0, counter, &[]);
    e.add("size_t", BTF_KIND_TYPEDEF, 0, long, &[]);
    e.flagged("declared", BTF_KIND_FWD, 0, true, 0, &[]);
    e.add("double", BTF_KIND_FLOAT, 0, 8, &[]);
    let var = e.add("runqueues", BTF_KIND_VAR, 0, int, &[1]);
    e.add(".data", BTF_KIND_DATASEC, 1, 12, &[var, 4, 8]);
    e.func("printk", 1, int, &[("format", long), ("", 0)]);
    e.func("noop", 1, 0, &[]);
    e.func("odd", 1, 0, &[("", int), ("", long)]);
    e.add("empty", BTF_KIND_STRUCT, 0, 0, &[]);
    let types = of(&e);
    assert_eq!(types.incomplete, None);
    let expected = [
        "enum state 4 signed\n  a = -1\n  b = 3",
        "enum large 8 unsigned\n  a = 4294967298",
        "typedef mode_t 4 unsigned = enum (anon)\n  b = 7",
        "typedef atomic_t 4 = struct (anon)\n  @0 x: int (4)",
        "typedef size_t = long unsigned int",
        "var runqueues = int",
        "struct empty 0",
        // read at the same time, and put behind
        "func printk = int\n  format: long unsigned int\n  -: ...",
        "func noop = void",
        "func odd = void\n  -: int\n  -: long unsigned int",
    ];
    assert_eq!(shown(&types), expected);
    assert!(types.rows.iter().all(|row| row.btf));
}

#[test]
fn tags_of_definitions_members_and_their_types() {
    let (mut e, _, int) = begun(false);
    let [a, b, c] = ["a", "b", "c"].map(|name| e.string(name));
    let user = e.add("user", BTF_KIND_TYPE_TAG, 0, int, &[]);
    let rcu = e.add("rcu", BTF_KIND_TYPE_TAG, 0, user, &[]);
    let tagged = e.add("", BTF_KIND_PTR, 0, rcu, &[]);
    let hidden = e.add("hidden_t", BTF_KIND_TYPEDEF, 0, tagged, &[]);
    let s = e.add("s", BTF_KIND_STRUCT, 3, 24, &[a, tagged, 0, b, hidden, 64, c, tagged, 128]);
    let f = e.func("f", 1, 0, &[("a", tagged), ("b", int)]);
    for (tag, of, component) in [
        ("rcu", s, 2),
        ("counted", s, 2),
        ("last", s, u32::MAX),
        ("bpf_kfunc", f, u32::MAX),
        ("bpf_fastcall", f, u32::MAX),
        ("bpf_kfunc", f, u32::MAX),
        ("arg:ctx", f, 1),
    ] {
        e.add(tag, BTF_KIND_DECL_TAG, 0, of, &[component]);
    }
    let expected = [
        "typedef hidden_t = int *",
        "struct s 24 [last]\n  @0 a: int * (8) [rcu user]\n  @64 b: hidden_t (8)\n  \
         @128 c: int * (8) [counted rcu user]",
        "func f = void [bpf_fastcall bpf_kfunc]\n  a: int * [rcu user]\n  b: int [arg:ctx]",
    ];
    assert_eq!(shown(&of(&e)), expected);
}

#[test]
fn sizes_where_they_are_known() {
    for (width, expected) in [(64, "(8)"), (32, "(4)")] {
        let mut e = Encoder::new(false);
        let char = e.int("char", 8, 1);
        e.int("long unsigned int", width, 0);
        let m = e.string("m");
        let pointer = e.add("", BTF_KIND_PTR, 0, char, &[]);
        let t = e.add("t", BTF_KIND_TYPEDEF, 0, pointer, &[]);
        let t = e.add("", BTF_KIND_CONST, 0, t, &[]);
        e.add("s", BTF_KIND_STRUCT, 1, 8, &[m, t, 0]);
        let types = of(&e);
        assert_eq!(shown(&types)[1], format!("struct s 8\n  @0 m: const t {expected}"));
    }
    let mut e = Encoder::new(false);
    let m = e.string("m");
    let fwd = e.add("hidden", BTF_KIND_FWD, 0, 0, &[]);
    let many = e.add("", BTF_KIND_ARRAY, 0, 0, &[fwd, fwd, 2]);
    let pointer = e.add("", BTF_KIND_PTR, 0, fwd, &[]);
    e.add("s", BTF_KIND_STRUCT, 2, 8, &[m, many, 0, m, pointer, 64]);
    let expected = "struct s 8\n  @0 m: struct hidden [2]\n  @64 m: struct hidden *";
    assert_eq!(shown(&of(&e)), [expected], "no integer tells how wide a pointer is");
}

#[test]
fn a_bit_field_of_before_linux_5_0_is_a_narrow_integer() {
    let mut e = Encoder::new(false);
    let narrow = e.add("unsigned int", BTF_KIND_INT, 0, 4, &[3 << 16 | 5]);
    let m = e.string("m");
    e.add("s", BTF_KIND_STRUCT, 1, 4, &[m, narrow, 32]);
    assert_eq!(shown(&of(&e)), ["struct s 4\n  @35 m: unsigned int (4) 5 bits"]);
}

#[test]
fn who_uses_which_of_two_definitions() {
    let (mut e, long, int) = begun(false);
    let [a, next] = ["a", "next"].map(|name| e.string(name));
    let id = e.next_id();
    let small = e.add("twice", BTF_KIND_STRUCT, 2, 16, &[a, int, 0, next, id + 1, 64]);
    let to_small = e.add("", BTF_KIND_PTR, 0, small, &[]);
    let large = e.add("twice", BTF_KIND_STRUCT, 1, 32, &[a, long, 0]);
    e.add("twice", BTF_KIND_UNION, 1, 4, &[a, int, 0]);
    let once = e.add("once", BTF_KIND_STRUCT, 1, 8, &[a, to_small, 0]);
    let many = e.add("", BTF_KIND_ARRAY, 0, 0, &[large, int, 4]);
    let anonymous = e.add("", BTF_KIND_STRUCT, 1, 128, &[a, many, 0]);
    e.add("holder", BTF_KIND_STRUCT, 2, 136, &[0, anonymous, 0, a, once, 1024]);
    let proto = e.add("", BTF_KIND_FUNC_PROTO, 1, 0, &[a, to_small]);
    let callback = e.add("", BTF_KIND_PTR, 0, proto, &[]);
    e.add("callback_t", BTF_KIND_TYPEDEF, 0, callback, &[]);
    let constant = e.add("", BTF_KIND_CONST, 0, to_small, &[]);
    e.func("f", 1, constant, &[("p", many)]);
    let mut types = of(&e);
    types.uses.sort_by_key(|used| (used.user, used.definition));
    let (small, large) = (Some(16), Some(32));
    assert_eq!(
        uses(&types),
        [(small, "once"), (large, "holder"), (small, "callback_t"), (small, "f"), (large, "f")]
    );
}

#[test]
fn a_module_has_only_what_its_base_has_not() {
    let (mut e, _, int) = begun(false);
    let [a, b] = ["a", "b"].map(|name| e.string(name));
    let foo = e.add("foo", BTF_KIND_STRUCT, 1, 4, &[a, int, 0]);
    let data = e.finish();
    let base = Btf::parse(&data, None).unwrap();
    let mut e = Encoder::on(&base);
    let to_foo = e.add("", BTF_KIND_PTR, 0, foo, &[]);
    let own = e.add("foo", BTF_KIND_STRUCT, 2, 16, &[a, int, 0, b, to_foo, 64]);
    e.func("f", 1, 0, &[("foo", own)]);
    e.func("g", 1, 0, &[("foo", foo)]);
    let data = e.finish();
    let types = read(&Btf::parse(&data, Some(&base)).unwrap()).unwrap();
    let expected = [
        "struct foo 16\n  @0 a: int (4)\n  @64 b: struct foo * (8)",
        "func f = void\n  foo: struct foo",
        "func g = void\n  foo: struct foo",
    ];
    assert_eq!(shown(&types), expected);
    assert_eq!(uses(&types), [(Some(16), "f")], "g uses that of the base, whose definition is not here");
}

#[test]
fn images_are_joined_on_the_base_that_each_has() {
    let (mut e, _, int) = begun(false);
    let [a, b] = ["a", "b"].map(|name| e.string(name));
    let foo = e.add("foo", BTF_KIND_STRUCT, 1, 4, &[a, int, 0]);
    e.func("f", 1, 0, &[("foo", foo)]);
    let vmlinux = e.finish();
    let base = Btf::parse(&vmlinux, None).unwrap();
    let mut e = Encoder::on(&base);
    // what vmlinux has too, and something else of that name
    e.add("foo", BTF_KIND_STRUCT, 1, 4, &[a, int, 0]);
    let own = e.add("foo", BTF_KIND_STRUCT, 1, 8, &[b, int, 32]);
    e.func("g", 1, 0, &[("foo", own)]);
    let inside = TypeSource::Btf(e.finish());
    let mut e = Encoder::new(false);
    e.int("int", 32, 1);
    let distilled = e.finish();
    let mut e = Encoder::on(&Btf::parse(&distilled, None).unwrap());
    e.func("h", 1, int - 1, &[]);
    let outside = TypeSource::Distilled { base: distilled, own: e.finish() };
    let sources = [("inside", inside), ("outside", outside), ("vmlinux", TypeSource::Btf(vmlinux.clone()))];
    let images = sources.map(|(name, types)| {
        let mut image = ImageRows::empty(name, name, Evidence::Btf);
        image.types = types;
        image
    });
    let (kernel, incomplete) = kernel::join(images.into());
    assert!(incomplete.is_empty(), "{incomplete:?}");
    let text = |number: i32| kernel.definitions.texts.get(number as u32);
    let types: Vec<_> = (0..kernel.types.name.len())
        .map(|row| (text(kernel.types.name[row]), kernel.types.image[row]))
        .collect();
    assert_eq!(types, [("f", 0), ("foo", 0), ("foo", 1), ("g", 1), ("h", 2)]);
    let users: Vec<_> = kernel.type_uses.user.iter().map(|&user| text(user)).collect();
    assert_eq!(users, ["g"]);
    let returned = kernel.definitions.type_text[kernel.definitions.key.len() - 1];
    assert_eq!(returned.map(text), Some("int"));
}

#[test]
fn what_cannot_be_decoded_costs_itself() {
    let (mut e, _, int) = begun(false);
    let a = e.string("a");
    e.add("bad", BTF_KIND_STRUCT, 2, 4, &[a, int, 0, a, 77, 32]);
    e.add("worse", BTF_KIND_TYPEDEF, 0, 77, &[]);
    e.add("headless", BTF_KIND_FUNC, 0, int, &[]);
    e.add("good", BTF_KIND_STRUCT, 1, 4, &[a, int, 0]);
    let types = of(&e);
    assert_eq!(shown(&types), ["struct good 4\n  @0 a: int (4)"]);
    let reason = types.incomplete.unwrap();
    assert_eq!(reason, "corrupt: BTF at offset 0x0: type 77 does not exist (3 types are missing)");

    e.add("strange", 21, 0, 0, &[]);
    e.add("after", BTF_KIND_STRUCT, 0, 0, &[]);
    let reason = of(&e).incomplete.unwrap();
    assert_eq!(reason, "unsupported BTF kind: 21, and what follows is missing (3 types are missing)");
}

#[test]
fn anonymous_structs_without_end() {
    let mut e = Encoder::new(false);
    let id = e.next_id();
    e.add("", BTF_KIND_STRUCT, 2, 8, &[0, id, 0, 0, id, 32]);
    e.add("of_itself", BTF_KIND_STRUCT, 1, 8, &[0, id, 0]);
    // each level has four of the next
    let mut inner = e.int("int", 32, 1);
    for _ in 0..20 {
        inner = e.add("", BTF_KIND_UNION, 4, 4, &[0, inner, 0, 0, inner, 0, 0, inner, 0, 0, inner, 0]);
    }
    for number in 0..50 {
        e.add(&format!("huge{number}"), BTF_KIND_STRUCT, 1, 4, &[0, inner, 0]);
    }
    let data = e.finish();
    let btf = Btf::parse(&data, None).unwrap();
    let types = read(&btf).unwrap();
    assert!(types.definitions.list.is_empty());
    let reason = types.incomplete.unwrap();
    assert!(
        reason.contains("too large: members of a BTF type") && reason.contains("what follows"),
        "{reason}"
    );
    assert_eq!(btf.member("of_itself", "x"), None);
    assert_eq!(btf.member("huge7", "x"), None);
}

#[test]
fn texts_without_end() {
    let mut e = Encoder::new(false);
    let mut inner = e.add(&"x".repeat(100_000), BTF_KIND_STRUCT, 0, 4, &[]);
    for _ in 0..10 {
        let params: Vec<u32> = (0..40).flat_map(|_| [0, inner]).collect();
        inner = e.add("", BTF_KIND_FUNC_PROTO, 40, 0, &params);
    }
    let a = e.string("a");
    for number in 0..200 {
        let constant = e.add("", BTF_KIND_CONST, 0, inner, &[]);
        e.add(&format!("s{number}"), BTF_KIND_STRUCT, 1, 4, &[a, constant, 0]);
    }
    let types = of(&e);
    let size: usize = types.definitions.texts.iter().map(str::len).sum();
    assert!(size < 8 << 20, "{size}");
    assert!(types.incomplete.is_some());
}

#[test]
fn layouts_by_path() {
    let (mut e, long, int) = begun(false);
    let names = ["event", "type", "class", "flags", "name", "bit"].map(|name| e.string(name));
    let [event, kind, class, flags, name, bit] = names;
    let inner = e.add("", BTF_KIND_STRUCT, 2, 16, &[kind, int, 0, name, long, 64]);
    let named = e.add("trace_event", BTF_KIND_STRUCT, 2, 24, &[0, inner, 64, flags, int, 0]);
    let alias = e.add("trace_event_t", BTF_KIND_TYPEDEF, 0, named, &[]);
    e.add("call", BTF_KIND_UNION, 0, 4, &[]);
    e.add("call", BTF_KIND_STRUCT, 0, 4, &[]);
    let array = e.add("", BTF_KIND_ARRAY, 0, 0, &[int, int, 3]);
    let fields = [class, array, 0, event, alias, 128, bit, int, 3 << 24 | 320];
    e.flagged("call", BTF_KIND_STRUCT, 3, true, 48, &fields);
    let data = e.finish();
    let btf = Btf::parse(&data, None).unwrap();
    assert_eq!(btf.member("call", "class"), Some((0, 12)));
    assert_eq!(btf.member("call", "event"), Some((16, 24)));
    assert_eq!(btf.member("call", "event.type"), Some((24, 4)), "the second struct of that name has it");
    assert_eq!(btf.member("call", "event.name"), Some((32, 8)));
    assert_eq!(btf.member("call", "event.flags"), Some((16, 4)));
    assert_eq!(btf.member("trace_event", "name"), Some((16, 8)));
    for (of, member) in
        [("call", "bit"), ("call", "class.type"), ("call", "no"), ("no", "class"), ("call", "")]
    {
        assert_eq!(btf.member(of, member), None, "{of}::{member}");
    }
    assert_eq!(btf.size_of("trace_event"), Some(24));
    assert_eq!(btf.size_of("trace_event_t"), None);

    let mut e = Encoder::on(&btf);
    e.add("own", BTF_KIND_STRUCT, 1, 24, &[event, alias, 0]);
    let data = e.finish();
    let module = Btf::parse(&data, Some(&btf)).unwrap();
    assert_eq!(module.member("own", "event.name"), Some((16, 8)));
    assert_eq!(module.member("call", "event.name"), Some((32, 8)));
    assert_eq!(btf.member("own", "event"), None);
}
