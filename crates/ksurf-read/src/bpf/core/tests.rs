use super::*;
use crate::btf::tests::{
    Encoder, BTF_KIND_ARRAY, BTF_KIND_ENUM, BTF_KIND_ENUM64, BTF_KIND_FLOAT, BTF_KIND_FUNC_PROTO,
    BTF_KIND_FWD, BTF_KIND_PTR, BTF_KIND_STRUCT, BTF_KIND_TYPEDEF, BTF_KIND_UNION,
};
use RelocationKind as K;

/// `r1 = imm`, `r1 = *(u64 *)(r1 + offset)`, `r1 = imm64`.
fn mov(imm: u32, big_endian: bool) -> Vec<u8> {
    let imm = if big_endian { imm.to_be_bytes() } else { imm.to_le_bytes() };
    [&[0xb7, 1, 0, 0], &imm[..]].concat()
}

fn load(code: u8, offset: u16) -> Vec<u8> {
    [&[code, 0x11], &offset.to_le_bytes()[..], &[0; 4]].concat()
}

fn wide(value: u64) -> Vec<u8> {
    let [low, high] = [value as u32, (value >> 32) as u32].map(u32::to_le_bytes);
    [&[0x18, 1, 0, 0], &low[..], &[0; 4], &high[..]].concat()
}

/// Members as (name, type, bit offset).
fn composite(e: &mut Encoder, kind: u8, name: &str, size: u32, members: &[(&str, u32, u32)]) -> u32 {
    let words: Vec<u32> = members.iter().flat_map(|&(name, id, at)| [e.string(name), id, at]).collect();
    e.add(name, kind, members.len() as u32, size, &words)
}

fn bit_fields(e: &mut Encoder, name: &str, size: u32, members: &[(&str, u32, u32, u32)]) -> u32 {
    let words: Vec<u32> =
        members.iter().flat_map(|&(name, id, at, bits)| [e.string(name), id, bits << 24 | at]).collect();
    e.flagged(name, BTF_KIND_STRUCT, members.len() as u32, true, size, &words)
}

fn structure(e: &mut Encoder, name: &str, size: u32, members: &[(&str, u32, u32)]) -> u32 {
    composite(e, BTF_KIND_STRUCT, name, size, members)
}

fn enumeration(e: &mut Encoder, name: &str, values: &[(&str, u32)]) -> u32 {
    let words: Vec<u32> = values.iter().flat_map(|&(name, value)| [e.string(name), value]).collect();
    e.add(name, BTF_KIND_ENUM, values.len() as u32, 4, &words)
}

fn integers(e: &mut Encoder) -> (u32, u32) {
    (e.int("unsigned int", 32, 0), e.int("unsigned long", 64, 0))
}

struct Case<'a> {
    local: &'a Encoder,
    target: &'a Encoder,
    modules: Vec<(&'a str, Vec<u8>)>,
}

impl Case<'_> {
    fn of(&self, list: &[(u32, &str, RelocationKind, Vec<u8>)]) -> Vec<Outcome> {
        let (local, target) = (self.local.finish(), self.target.finish());
        let (local, target) = (Btf::parse(&local, None).unwrap(), Btf::parse(&target, None).unwrap());
        let modules = self.modules.iter().map(|(name, data)| (*name, data.as_slice())).collect();
        let list: Vec<Relocation<'_>> = list
            .iter()
            .map(|(type_id, access, kind, code)| Relocation {
                section: b"kprobe/f",
                offset: 0,
                type_id: *type_id,
                access: access.as_bytes(),
                kind: *kind,
                code,
            })
            .collect();
        resolve(&local, &list, &Target::new(&target, modules))
    }

    fn one(&self, type_id: u32, access: &str, kind: RelocationKind, code: Vec<u8>) -> Outcome {
        self.of(&[(type_id, access, kind, code)]).remove(0)
    }
}

fn case<'a>(local: &'a Encoder, target: &'a Encoder) -> Case<'a> {
    Case { local, target, modules: Vec::new() }
}

fn encoders() -> (Encoder, Encoder) {
    (Encoder::new(false), Encoder::new(false))
}

#[test]
fn a_field_is_found_by_its_name_through_nameless_members() {
    for big_endian in [false, true] {
        let (mut l, mut t) = (Encoder::new(big_endian), Encoder::new(big_endian));
        let (int, _) = integers(&mut l);
        let se = structure(&mut l, "sched_entity", 4, &[("vruntime", int, 0)]);
        let task = structure(&mut l, "task_struct___old", 8, &[("pid", int, 0), ("se", se, 32)]);
        let (int, long) = integers(&mut t);
        let se = structure(&mut t, "sched_entity", 16, &[("load", long, 0), ("vruntime", int, 64)]);
        let inner = structure(&mut t, "", 16, &[("se", se, 0)]);
        let inner = composite(&mut t, BTF_KIND_UNION, "", 16, &[("", inner, 0)]);
        structure(&mut t, "task_struct", 48, &[("flags", long, 0), ("", inner, 64), ("pid", int, 256)]);
        let case = case(&l, &t);
        let found = case.one(task, "0:1:0", K::FieldByteOffset, mov(4, big_endian));
        assert_eq!((found.status, found.value, found.original), (Status::Resolved, Some(16), Some(4)));
        assert_eq!(found.found, Some(("vmlinux".into(), "task_struct".into())));
        assert_eq!(found.patched.unwrap().bytes, mov(16, big_endian));
        let element = case.one(task, "1:0", K::FieldByteOffset, mov(8, big_endian));
        assert_eq!(element.value, Some(48 + 32));
    }
}

#[test]
fn what_is_missing_poisons_and_what_is_asked_for_is_zero() {
    let (mut l, mut t) = encoders();
    let (int, _) = integers(&mut l);
    let task = structure(&mut l, "task_struct", 8, &[("state", int, 0)]);
    let gone = structure(&mut l, "gone", 8, &[("state", int, 0)]);
    let values = enumeration(&mut l, "hook", &[("GONE", 7)]);
    integers(&mut t);
    let (int, _) = integers(&mut t);
    structure(&mut t, "task_struct", 8, &[("__state", int, 0)]);
    enumeration(&mut t, "hook", &[("HERE", 7)]);
    let case = case(&l, &t);
    let found = case.of(&[
        (task, "0:0", K::FieldByteOffset, mov(0, false)),
        (task, "0:0", K::FieldExists, mov(1, false)),
        (gone, "0", K::TypeExists, mov(1, false)),
        (gone, "0", K::TypeSize, mov(8, false)),
        (gone, "0", K::TypeMatches, mov(1, false)),
        (gone, "0", K::TypeIdTarget, wide(77)),
        (values, "0", K::EnumvalExists, mov(1, false)),
        (values, "0", K::EnumvalValue, wide(7)),
        (gone, "0:0", K::FieldSigned, mov(0, false)),
    ]);
    let summary: Vec<_> = found.iter().map(|o| (o.status.as_str(), o.value)).collect();
    let (missing, no) = (("missing", None), ("resolved", Some(0)));
    assert_eq!(summary, [missing, no, no, no, no, no, no, missing, missing]);
    let poison = [&[0x85, 0, 0, 0], &POISON.to_le_bytes()[..]].concat();
    let patched = |at: usize| found[at].patched.clone().unwrap();
    assert_eq!((patched(0).bytes, patched(0).poisoned), (poison.clone(), true));
    assert_eq!(patched(7).bytes, poison.repeat(2));
    assert_eq!((patched(1).bytes, patched(1).poisoned), (mov(0, false), false));
    assert_eq!(patched(5).bytes, wide(0));
    let reason = |at: usize| found[at].reason.clone().unwrap();
    assert_eq!(reason(0), "no struct task_struct in the kernel's BTF has state");
    assert_eq!(reason(2), "no struct gone in the kernel's BTF");
    assert_eq!(reason(7), "no enum hook in the kernel's BTF has GONE");
}

#[test]
fn modules_are_searched_for_what_vmlinux_does_not_have() {
    let (mut l, mut t) = encoders();
    let (int, _) = integers(&mut l);
    let conn = structure(&mut l, "nf_conn", 8, &[("mark", int, 0)]);
    let task = structure(&mut l, "task_struct", 8, &[("mark", int, 0)]);
    integers(&mut t);
    structure(&mut t, "task_struct", 8, &[]);
    let data = t.finish();
    let base = Btf::parse(&data, None).unwrap();
    let mut module = Encoder::on(&base);
    structure(&mut module, "nf_conn", 8, &[("mark", 1, 32)]);
    structure(&mut module, "task_struct", 8, &[("mark", 1, 32)]);
    let mut other = Encoder::on(&base);
    structure(&mut other, "nf_conn", 8, &[("mark", 1, 0)]);
    let module = module.finish();
    let mut case = case(&l, &t);
    case.modules = vec![("broken", b"junk".to_vec()), ("nf_conntrack", module)];
    let field = |type_id| (type_id, "0:0", K::FieldByteOffset, mov(0, false));
    let found = case.of(&[field(conn), field(task)]);
    assert_eq!(found[0].value, Some(4));
    assert_eq!(found[0].found, Some(("nf_conntrack".into(), "nf_conn".into())));
    assert_eq!(found[1].status, Status::Missing);
    assert!(found[1].reason.as_ref().unwrap().contains("broken: truncated: BTF header"));
    case.modules.push(("other", other.finish()));
    let found = case.of(&[field(conn)]);
    assert_eq!(found[0].status, Status::Ambiguous);
    let reason = found[0].reason.as_ref().unwrap();
    assert!(reason.contains("of nf_conntrack) has it at bit 32"), "{reason}");
}

#[test]
fn candidates_that_do_not_fit_are_not_asked_again() {
    let (mut l, mut t) = encoders();
    let (int, _) = integers(&mut l);
    let local = structure(&mut l, "s", 8, &[("a", int, 0), ("b", int, 32)]);
    let (int, _) = integers(&mut t);
    structure(&mut t, "s___1", 8, &[("b", int, 0)]);
    structure(&mut t, "s___2", 8, &[("a", int, 0), ("b", int, 32)]);
    let (a, b) = (
        (local, "0:0", K::FieldByteOffset, mov(0, false)),
        (local, "0:1", K::FieldByteOffset, mov(4, false)),
    );
    let case = case(&l, &t);
    let statuses = |list: &[_]| case.of(list).iter().map(|o| o.status).collect::<Vec<_>>();
    assert_eq!(statuses(&[b.clone(), a.clone()]), [Status::Ambiguous, Status::Resolved]);
    assert_eq!(statuses(&[a, b]), [Status::Resolved, Status::Resolved]);
}

#[test]
fn arrays_have_bounds_unless_they_end_their_struct() {
    let (mut l, mut t) = encoders();
    let (int, _) = integers(&mut l);
    let eight = l.add("", BTF_KIND_ARRAY, 0, 0, &[int, int, 8]);
    let open = l.add("", BTF_KIND_ARRAY, 0, 0, &[int, int, 0]);
    let local = structure(&mut l, "s", 36, &[("a", eight, 0), ("tail", open, 256)]);
    let (int, _) = integers(&mut t);
    let four = t.add("", BTF_KIND_ARRAY, 0, 0, &[int, int, 4]);
    let open = t.add("", BTF_KIND_ARRAY, 0, 0, &[int, int, 0]);
    structure(&mut t, "s", 24, &[("a", four, 64), ("tail", open, 192)]);
    let case = case(&l, &t);
    let value = |access, original| case.one(local, access, K::FieldByteOffset, mov(original, false));
    assert_eq!(value("0:0:3", 12).value, Some(8 + 12));
    assert_eq!(value("0:1:9", 32 + 36).value, Some(24 + 36));
    let beyond = value("0:0:4", 16);
    let reason = "struct s in the kernel's BTF: a has 4 elements there, none of number 4";
    assert_eq!((beyond.status, beyond.reason.as_deref()), (Status::Missing, Some(reason)));
    assert_eq!(value("0:0:8", 32).status, Status::Refused);
    assert_eq!(case.one(local, "0:0", K::FieldByteSize, mov(32, false)).value, Some(16));
    assert_eq!(case.one(local, "0:0:1", K::FieldByteSize, mov(4, false)).value, Some(4));
    assert_eq!(case.one(local, "0:0:1", K::FieldSigned, mov(0, false)).status, Status::Refused);
}

#[test]
fn bit_fields_of_both_byte_orders() {
    for (big_endian, left) in [(false, 64 - 13), (true, 32 + 8)] {
        let (mut l, mut t) = (Encoder::new(big_endian), Encoder::new(big_endian));
        let (int, _) = integers(&mut l);
        let local = bit_fields(&mut l, "s", 4, &[("flag", int, 0, 1)]);
        let signed = t.int("int", 32, 1);
        t.int("unsigned long", 64, 0);
        bit_fields(&mut t, "s", 8, &[("flag", signed, 40, 5)]);
        let case = case(&l, &t);
        // what the instruction held is not checked
        let value = |kind| case.one(local, "0:0", kind, mov(99, big_endian)).value;
        assert_eq!(value(K::FieldByteOffset), Some(4));
        assert_eq!(value(K::FieldByteSize), Some(4));
        assert_eq!(value(K::FieldLshiftU64), Some(left));
        assert_eq!(case.one(local, "0:0", K::FieldRshiftU64, mov(63, big_endian)).value, Some(59));
        assert_eq!(case.one(local, "0:0", K::FieldSigned, mov(0, big_endian)).value, Some(1));
    }
    // five bits that lie in two ints need a long, and sixty that lie in two longs have nothing
    let (mut l, mut t) = encoders();
    let (int, long) = integers(&mut l);
    let local = bit_fields(&mut l, "s", 8, &[("a", int, 0, 5), ("b", long, 0, 60)]);
    let (int, long) = integers(&mut t);
    bit_fields(&mut t, "s", 16, &[("a", int, 30, 5), ("b", long, 35, 60)]);
    let case = case(&l, &t);
    assert_eq!(case.one(local, "0:0", K::FieldByteSize, mov(4, false)).value, Some(8));
    assert_eq!(case.one(local, "0:1", K::FieldByteSize, mov(8, false)).status, Status::Refused);
}

#[test]
fn loads_take_the_kernels_size_where_that_is_safe() {
    let (mut l, mut t) = encoders();
    let (int, long) = integers(&mut l);
    let signed = l.int("int", 32, 1);
    let pointer = l.add("", BTF_KIND_PTR, 0, 0, &[]);
    let fields = [("u", int, 0), ("s", signed, 32), ("p", pointer, 64), ("l", long, 128)];
    let local = structure(&mut l, "s", 24, &fields);
    let (_, long) = integers(&mut t);
    let signed = t.int("long int", 64, 1);
    let pointer = t.add("", BTF_KIND_PTR, 0, 0, &[]);
    let fields = [("u", long, 0), ("s", signed, 64), ("p", pointer, 128), ("l", long, 1 << 19)];
    structure(&mut t, "s", 1 << 17, &fields);
    let case = case(&l, &t);
    let value = |access, code| case.one(local, access, K::FieldByteOffset, code);
    // u32 becomes u64
    assert_eq!(value("0:0", load(0x61, 0)).patched.unwrap().bytes, load(0x79, 0));
    let unsuitable = value("0:1", load(0x61, 4));
    assert_eq!((unsuitable.status, unsuitable.value), (Status::Unsuitable, Some(8)));
    assert!(unsuitable.patched.unwrap().poisoned);
    // an addition takes any
    assert_eq!(value("0:1", mov(4, false)).status, Status::Resolved);
    assert_eq!(value("0:2", load(0x79, 8)).patched.unwrap().bytes, load(0x79, 16));
    let refused = |access, code, expected: &str| {
        let outcome = value(access, code);
        assert_eq!((outcome.status, outcome.patched), (Status::Refused, None));
        let reason = outcome.reason.unwrap();
        assert!(reason.contains(expected), "{reason}");
    };
    refused("0:0", load(0x71, 0), "accesses 1 bytes, not 4");
    refused("0:3", load(0x79, 16), "offset 65536 is too large");
    refused("0:2", load(0x79, 9), "the offset of the instruction is 9, not 8");
    refused("0:2", mov(9, false), "the operand of the instruction is 9, not 8");
    refused("0:2", wide(9), "the operand of the instruction is 9, not 8");
    refused("0:2", wide(8)[..8].to_vec(), "cut off");
    refused("0:2", Vec::new(), "no instruction");
    refused("0:2", [0xbf; 8].to_vec(), "no immediate operand");
    refused("0:2", [0x85; 8].to_vec(), "cannot hold a number");
    let mut odd = wide(8);
    odd[1] = 0x11;
    refused("0:2", odd, "no plain number");
}

#[test]
fn enumerators_of_both_widths() {
    let (mut l, mut t) = encoders();
    let local = enumeration(&mut l, "hook", &[("A", 1), ("B___old", 2), ("NEGATIVE", u32::MAX)]);
    integers(&mut t);
    let words =
        [("B", 5, 1), ("NEGATIVE", 0, 1), ("A", 1, 0)].map(|(name, low, high)| [t.string(name), low, high]);
    t.add("hook", BTF_KIND_ENUM64, 3, 8, &words.concat());
    let case = case(&l, &t);
    let value = |access, original| case.one(local, access, K::EnumvalValue, wide(original));
    assert_eq!(value("0", 1).value, Some(1));
    let found = value("1", 2);
    assert_eq!((found.value, found.patched.unwrap().bytes), (Some(5 | 1 << 32), wide(5 | 1 << 32)));
    // libbpf takes 32 bits for signed whatever the enum says
    assert_eq!(value("2", u64::MAX).value, Some(1 << 32));
    assert_eq!(case.one(local, "1", K::EnumvalExists, mov(1, false)).value, Some(1));
    assert_eq!(case.one(local, "9", K::EnumvalExists, mov(1, false)).status, Status::Refused);
    assert_eq!(case.one(local, "0:1", K::EnumvalExists, mov(1, false)).status, Status::Refused);
}

#[test]
fn members_are_compatible_by_kind() {
    // types of a member in the object and in the kernel, and whether one is taken for the other
    type Make = fn(&mut Encoder) -> u32;
    let int: Make = |e| e.int("int", 32, 1);
    let long: Make = |e| e.int("long", 64, 1);
    let old_bits: Make = |e| e.add("int", 1, 0, 4, &[1 << 24 | 4 << 16 | 3]);
    let pointer: Make = |e| e.add("", BTF_KIND_PTR, 0, 0, &[]);
    let float: Make = |e| e.add("float", BTF_KIND_FLOAT, 0, 4, &[]);
    let a: Make = |e| enumeration(e, "a___x", &[]);
    let a64: Make = |e| e.add("a", BTF_KIND_ENUM64, 0, 8, &[]);
    let b: Make = |e| enumeration(e, "b", &[]);
    let nameless: Make = |e| enumeration(e, "", &[]);
    let of_structs: Make = |e| structure(e, "x", 4, &[]);
    let of_unions: Make = |e| composite(e, BTF_KIND_UNION, "y", 8, &[]);
    let array: Make = |e| {
        let id = e.int("int", 32, 1);
        e.add("", BTF_KIND_ARRAY, 0, 0, &[id, id, 3])
    };
    let alias: Make = |e| {
        let id = e.int("long", 64, 1);
        e.add("alias", BTF_KIND_TYPEDEF, 0, id, &[])
    };
    for (own, other, expected) in [
        (int, long, true),
        (int, alias, true),
        (int, old_bits, false),
        (int, pointer, false),
        (int, array, false),
        (float, float, true),
        (float, int, false),
        (a, a64, true),
        (a, b, false),
        (b, nameless, true),
        (of_structs, of_unions, true),
        (pointer, pointer, true),
        (array, array, true),
    ] {
        let (mut l, mut t) = encoders();
        let id = own(&mut l);
        let local = structure(&mut l, "s", 64, &[("m", id, 0)]);
        let id = other(&mut t);
        structure(&mut t, "s", 64, &[("m", id, 64)]);
        let found = case(&l, &t).one(local, "0:0", K::FieldExists, mov(1, false));
        assert_eq!(found.value, Some(expected.into()), "{:?}", found.reason);
        if !expected {
            assert!(found.reason.unwrap().contains("m is "));
        }
    }
}

#[test]
fn types_are_compatible_by_kind_and_match_by_content() {
    let (mut l, mut t) = encoders();
    let (int, long) = integers(&mut l);
    let fwd = l.add("peer", BTF_KIND_FWD, 0, 0, &[]);
    let peer = l.add("", BTF_KIND_PTR, 0, fwd, &[]);
    let same = structure(&mut l, "same___mine", 8, &[("peer", peer, 0)]);
    let wider = structure(&mut l, "wider", 8, &[("a", long, 0)]);
    let params = [0, int, 0, long];
    let proto = l.add("", BTF_KIND_FUNC_PROTO, 2, int, &params);
    let call = l.add("", BTF_KIND_PTR, 0, proto, &[]);
    let call = l.add("call_t", BTF_KIND_TYPEDEF, 0, call, &[]);
    let other = l.add("", BTF_KIND_FUNC_PROTO, 1, int, &params[..2]);
    let other = l.add("", BTF_KIND_PTR, 0, other, &[]);
    let other = l.add("other_t", BTF_KIND_TYPEDEF, 0, other, &[]);
    let mode = enumeration(&mut l, "mode", &[("ON", 1)]);
    let more = enumeration(&mut l, "more", &[("ON", 1), ("OFF", 0)]);

    let (int, long) = integers(&mut t);
    let own = structure(&mut t, "peer", 16, &[("x", long, 0)]);
    let peer = t.add("", BTF_KIND_PTR, 0, own, &[]);
    structure(&mut t, "same", 24, &[("new", long, 0), ("peer", peer, 64)]);
    structure(&mut t, "wider", 8, &[("a", int, 0)]);
    let proto = t.add("", BTF_KIND_FUNC_PROTO, 2, int, &[0, int, 0, long]);
    let pointer = t.add("", BTF_KIND_PTR, 0, proto, &[]);
    t.add("call_t", BTF_KIND_TYPEDEF, 0, pointer, &[]);
    t.add("other_t", BTF_KIND_TYPEDEF, 0, pointer, &[]);
    enumeration(&mut t, "mode", &[("OFF", 0), ("ON", 9)]);
    enumeration(&mut t, "more", &[("ON", 1)]);
    let case = case(&l, &t);
    let answers = |id| {
        let answer = |kind| case.one(id, "0", kind, mov(1, false)).value.unwrap();
        (answer(K::TypeExists), answer(K::TypeMatches))
    };
    assert_eq!(answers(same), (1, 1));
    assert_eq!(answers(wider), (1, 0));
    assert_eq!(answers(call), (1, 1));
    assert_eq!(answers(other), (0, 0));
    assert_eq!(answers(mode), (1, 1));
    assert_eq!(answers(more), (1, 0));
    assert_eq!(case.one(same, "0", K::TypeSize, mov(8, false)).value, Some(24));
    assert_eq!(case.one(same, "0", K::TypeIdLocal, wide(1)).value, Some(same.into()));
    let found = case.one(same, "0", K::TypeIdTarget, wide(1));
    assert_eq!(found.patched.unwrap().bytes, wide(found.value.unwrap()));
    assert_eq!(case.one(same, "0:0", K::TypeExists, mov(1, false)).status, Status::Refused);
}

#[test]
fn nonsense_is_refused_with_its_reason() {
    let (mut l, mut t) = encoders();
    let (int, _) = integers(&mut l);
    let local = structure(&mut l, "s", 4, &[("a", int, 0)]);
    let nameless = structure(&mut l, "", 4, &[("a", int, 0)]);
    let fwd = l.add("fwd", BTF_KIND_FWD, 0, 0, &[]);
    integers(&mut t);
    let case = case(&l, &t);
    let long = ["0"; 65].join(":");
    for (id, access, kind, expected) in [
        (local, "", K::FieldExists, "\"\" is none"),
        (local, "0:", K::FieldExists, "is none"),
        (local, "0:-1", K::FieldExists, "is none"),
        (local, "0:x", K::FieldExists, "is none"),
        (local, "0:99999999999", K::FieldExists, "is none"),
        (local, "0:7", K::FieldExists, "has no member 7"),
        (local, "0:0:0", K::FieldExists, "has no parts"),
        (local, &long, K::FieldExists, "more than 64"),
        (local, "0", K::EnumvalValue, "is no enum"),
        (local, "0", K::Other(40), "unsupported relocation: 40"),
        (nameless, "0:0", K::FieldExists, "has no name"),
        (0, "0", K::TypeExists, "has no name"),
        (9999, "0:0", K::FieldExists, "type 9999 does not exist"),
        (fwd, "0", K::FieldExists, "has no size"),
    ] {
        let outcome = case.one(id, access, kind, mov(1, false));
        let reason = outcome.reason.unwrap_or_default();
        assert!(outcome.status == Status::Refused && reason.contains(expected), "{access}: {reason}");
    }
    let other = Encoder::new(true);
    let case = Case { local: &l, target: &other, modules: Vec::new() };
    let reason = case.one(local, "0:0", K::FieldExists, mov(1, false)).reason.unwrap();
    assert_eq!(reason, "the object is little-endian, the kernel big-endian");
}

#[test]
fn types_without_an_end_are_refused() {
    let (mut l, mut t) = encoders();
    let (int, _) = integers(&mut l);
    let local = structure(&mut l, "s", 4, &[("a", int, 0)]);
    let next = l.next_id();
    let cycle = l.add("cycle", BTF_KIND_TYPEDEF, 0, next, &[]);
    let array = l.add("arrays", BTF_KIND_TYPEDEF, 0, cycle + 2, &[]);
    l.add("", BTF_KIND_ARRAY, 0, 0, &[cycle + 2, int, 2]);
    integers(&mut t);
    // a struct that has itself three times, without a name
    let next = t.next_id();
    structure(&mut t, "s", 4, &[("", next, 0), ("", next, 0), ("", next, 0)]);
    let next = t.next_id();
    t.add("cycle", BTF_KIND_TYPEDEF, 0, next, &[]);
    let next = t.next_id();
    t.add("arrays", BTF_KIND_TYPEDEF, 0, next + 1, &[]);
    t.add("", BTF_KIND_ARRAY, 0, 0, &[next + 1, 1, 2]);
    let case = case(&l, &t);
    for (id, access, kind) in [
        (local, "0:0", K::FieldExists),
        (cycle, "0", K::FieldExists),
        (cycle, "0", K::TypeExists),
        (cycle, "0", K::TypeMatches),
        (array, "0:0", K::FieldByteOffset),
        (array, "0", K::TypeExists),
        (array, "0", K::TypeMatches),
        (array, "0", K::TypeSize),
    ] {
        let outcome = case.one(id, access, kind, mov(1, false));
        assert_eq!(outcome.status, Status::Refused, "{id} {kind:?}: {outcome:?}");
    }
}

#[test]
fn structs_that_nest_in_many_ways_do_not_take_for_ever() {
    let build = |e: &mut Encoder| {
        let (int, _) = integers(e);
        let mut id = structure(e, "leaf", 4, &[("x", int, 0)]);
        let mut nameless = structure(e, "", 4, &[("x", int, 0)]);
        for level in 0..30 {
            let members: Vec<_> = ["a", "b", "c", "d"].map(|name| (name, id, 0)).to_vec();
            id = structure(e, &format!("level{level}"), 4, &members);
            nameless = structure(e, "", 4, &[("", nameless, 0), ("", nameless, 0), ("", nameless, 0)]);
        }
        (id, structure(e, "deep", 4, &[("", nameless, 0)]))
    };
    let (mut l, mut t) = encoders();
    let (wide_one, _) = build(&mut l);
    let (int, _) = integers(&mut l);
    let deep = structure(&mut l, "deep", 4, &[("absent", int, 0)]);
    build(&mut t);
    let case = case(&l, &t);
    for (id, access, kind) in [(wide_one, "0", K::TypeMatches), (deep, "0:0", K::FieldExists)] {
        let outcome = case.one(id, access, kind, mov(1, false));
        assert!(outcome.reason.unwrap().contains("too large: nesting of types"));
    }
}

#[test]
fn subjects_are_what_a_person_would_write() {
    let mut l = Encoder::new(false);
    let (int, _) = integers(&mut l);
    let array = l.add("", BTF_KIND_ARRAY, 0, 0, &[int, int, 16]);
    let inner = structure(&mut l, "", 64, &[("comm", array, 0)]);
    let task = structure(&mut l, "task_struct___x", 64, &[("", inner, 0)]);
    let hook = enumeration(&mut l, "hook", &[("A___y", 3)]);
    let data = l.finish();
    let btf = Btf::parse(&data, None).unwrap();
    let subject = |type_id, access: &'static str, kind| {
        let access = access.as_bytes();
        Relocation { section: b"s", offset: 0, type_id, access, kind, code: &[] }.subject(&btf)
    };
    let field = subject(task, "2:0:0:5", K::FieldByteSize).unwrap();
    assert_eq!((field.root_kind, field.root.as_str()), ("struct", "task_struct"));
    assert_eq!(field.flavor.as_deref(), Some("x"));
    assert_eq!(field.path.as_deref(), Some("[2].comm[5]"));
    assert_eq!(field.type_text.as_deref(), Some("unsigned int"));
    let enumerator = subject(hook, "0", K::EnumvalValue).unwrap();
    assert_eq!((enumerator.path.as_deref(), enumerator.value), (Some("A"), Some(3)));
    assert_eq!(subject(task, "0", K::TypeExists).unwrap().path, None);
    assert!(subject(task, "0:9", K::FieldByteSize).is_err());
}
