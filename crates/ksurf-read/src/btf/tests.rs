pub(crate) use super::types::*;
use super::*;

/// Writes BTF of either byte order.
pub struct Encoder {
    big_endian: bool,
    types: Vec<u8>,
    strings: Vec<u8>,
    first_string: u32,
    next_id: u32,
    layouts: Vec<u8>,
}

impl Encoder {
    pub fn new(big_endian: bool) -> Encoder {
        Encoder {
            big_endian,
            types: Vec::new(),
            strings: vec![0],
            first_string: 0,
            next_id: 1,
            layouts: Vec::new(),
        }
    }

    pub fn on(base: &Btf<'_>) -> Encoder {
        let mut encoder = Encoder::new(base.big_endian);
        encoder.first_string = base.strings.len() as u32;
        encoder.next_id = base.end_id();
        encoder
    }

    pub fn next_id(&self) -> u32 {
        self.next_id
    }

    pub fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let offset = self.first_string + self.strings.len() as u32;
        self.strings.extend(text.bytes());
        self.strings.push(0);
        offset
    }

    fn bytes(&self, words: &[u32]) -> Vec<u8> {
        let order = if self.big_endian { u32::to_be_bytes } else { u32::to_le_bytes };
        words.iter().flat_map(|&word| order(word)).collect()
    }

    /// A type of `kind` with `vlen`, and the words that follow it; gives its id.
    pub fn add(&mut self, name: &str, kind: u8, vlen: u32, value: u32, rest: &[u32]) -> u32 {
        self.flagged(name, kind, vlen, false, value, rest)
    }

    pub fn flagged(&mut self, name: &str, kind: u8, vlen: u32, flag: bool, value: u32, rest: &[u32]) -> u32 {
        let name = self.string(name);
        let info = u32::from(flag) << 31 | u32::from(kind) << 24 | vlen;
        let words = self.bytes(&[&[name, info, value], rest].concat());
        self.types.extend(words);
        self.next_id += 1;
        self.next_id - 1
    }

    pub fn int(&mut self, name: &str, bits: u32, encoding: u8) -> u32 {
        self.add(name, BTF_KIND_INT, 0, bits / 8, &[u32::from(encoding) << 24 | bits])
    }

    pub fn func(&mut self, name: &str, linkage: u32, ret: u32, params: &[(&str, u32)]) -> u32 {
        let words: Vec<u32> = params.iter().flat_map(|(name, id)| [self.string(name), *id]).collect();
        let prototype = self.add("", BTF_KIND_FUNC_PROTO, params.len() as u32, ret, &words);
        self.add(name, BTF_KIND_FUNC, linkage, prototype, &[])
    }

    pub fn finish(&self) -> Vec<u8> {
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let layouts = self.layouts.len() as u32;
        let mut out = match self.big_endian {
            true => vec![0xeb, 0x9f, 1, 0],
            false => vec![0x9f, 0xeb, 1, 0],
        };
        out.extend(match layouts {
            0 => self.bytes(&[24, 0, types, types, strings]),
            _ => self.bytes(&[32, 0, types, types, strings, types + strings, layouts]),
        });
        [out, self.types.clone(), self.strings.clone(), self.layouts.clone()].concat()
    }
}

fn prototypes(btf: &Btf<'_>) -> Vec<String> {
    btf.functions().map(|function| function.unwrap().prototype.unwrap()).collect()
}

fn small(big_endian: bool) -> Encoder {
    let mut e = Encoder::new(big_endian);
    let int = e.int("int", 32, 1);
    let vcpu = e.add("kvm_vcpu", BTF_KIND_STRUCT, 0, 8, &[]);
    let vcpu = e.add("", BTF_KIND_PTR, 0, vcpu, &[]);
    e.func("kvm_vcpu_kick", 1, 0, &[("vcpu", vcpu)]);
    e.func("printk", 2, int, &[("level", int), ("", 0)]);
    e
}

#[test]
fn functions_of_both_byte_orders() {
    for big_endian in [false, true] {
        let data = small(big_endian).finish();
        let btf = Btf::parse(&data, None).unwrap();
        assert!(btf.incomplete().is_none());
        assert_eq!((btf.first_id(), btf.end_id()), (1, 8));
        let functions: Vec<_> = btf.functions().map(Result::unwrap).collect();
        assert_eq!(functions[0].name, b"kvm_vcpu_kick");
        assert_eq!((functions[0].id, functions[0].linkage), (5, Linkage::Global));
        assert_eq!(functions[1].linkage, Linkage::Extern);
        let expected = ["void kvm_vcpu_kick(struct kvm_vcpu *vcpu);", "int printk(int level, ...);"];
        assert_eq!(prototypes(&btf), expected);
    }
}

#[test]
fn a_module_continues_its_base() {
    for big_endian in [false, true] {
        let base_data = small(big_endian).finish();
        let base = Btf::parse(&base_data, None).unwrap();
        let mut e = Encoder::on(&base);
        let irq = e.add("irq", BTF_KIND_UNION, 0, 4, &[]);
        let irq = e.add("", BTF_KIND_PTR, 0, irq, &[]);
        e.func("vcpu_of", 0, 3, &[("irq", irq), ("number", 1)]);
        let data = e.finish();
        let module = Btf::parse(&data, Some(&base)).unwrap();
        assert_eq!((module.first_id(), module.end_id()), (8, 12));
        assert_eq!(prototypes(&module), ["struct kvm_vcpu *vcpu_of(union irq *irq, int number);"]);
        assert_eq!(module.get(5).unwrap().name, b"kvm_vcpu_kick");
        assert!(module.get(12).is_err());
        let alone = Btf::parse(&data, None).unwrap();
        assert!(alone.functions().any(|f| f.is_err() || f.unwrap().prototype.is_err()));
        let other = small(!big_endian).finish();
        let other = Btf::parse(&other, None).unwrap();
        assert!(Btf::parse(&data, Some(&other)).unwrap_err().to_string().contains("byte order"));
    }
}

#[test]
fn every_kind_is_decoded() {
    for big_endian in [false, true] {
        let mut e = Encoder::new(big_endian);
        let a = e.string("a");
        let int = e.add("_Bool", BTF_KIND_INT, 0, 1, &[4 << 24 | 3 << 16 | 5]);
        let array = e.add("", BTF_KIND_ARRAY, 0, 0, &[int, int, 7]);
        let fields = [a, int, 9, 0, array, 16];
        let plain = e.add("s", BTF_KIND_STRUCT, 2, 64, &fields);
        let fields = [a, int, 5 << 24 | 9, 0, array, 16];
        let bits = e.flagged("u", BTF_KIND_UNION, 2, true, 64, &fields);
        let small_enum = e.flagged("e", BTF_KIND_ENUM, 2, true, 4, &[a, u32::MAX, a, 3]);
        let big_enum = e.add("f", BTF_KIND_ENUM64, 1, 8, &[a, 2, 1]);
        let fwd = e.flagged("g", BTF_KIND_FWD, 0, true, 0, &[]);
        let float = e.add("double", BTF_KIND_FLOAT, 0, 8, &[]);
        let var = e.add("v", BTF_KIND_VAR, 0, int, &[1]);
        let section = e.add(".data", BTF_KIND_DATASEC, 1, 12, &[var, 4, 8]);
        let decl_tag = e.add("bpf_kfunc", BTF_KIND_DECL_TAG, 0, int, &[u32::MAX]);
        let arg_tag = e.flagged("arg", BTF_KIND_DECL_TAG, 0, true, int, &[1]);
        let type_tag = e.add("user", BTF_KIND_TYPE_TAG, 0, int, &[]);
        let func = e.func("fn", 7, 0, &[]);
        let data = e.finish();
        let btf = Btf::parse(&data, None).unwrap();
        let kind = |id: u32| btf.get(id).unwrap().kind;
        assert!(matches!(
            kind(int),
            Kind::Int { byte_size: 1, bits: 5, bit_offset: 3, signed: false, char: false, bool: true }
        ));
        assert!(matches!(kind(array), Kind::Array { count: 7, .. }));
        let Kind::Struct { byte_size: 64, members } = kind(plain) else { panic!("{:?}", kind(plain)) };
        let members: Vec<_> = members.iter().map(Result::unwrap).collect();
        assert_eq!(members[0], Member { name: b"a", type_id: int, bit_offset: 9, bits: None });
        assert_eq!(members[1], Member { name: b"", type_id: array, bit_offset: 16, bits: None });
        let Kind::Union { members, .. } = kind(bits) else { panic!("{:?}", kind(bits)) };
        let members: Vec<_> = members.iter().map(Result::unwrap).collect();
        assert_eq!(members[0], Member { name: b"a", type_id: int, bit_offset: 9, bits: Some(5) });
        assert_eq!(members[1].bits, None);
        let Kind::Enum { signed: true, values, .. } = kind(small_enum) else { panic!() };
        let values: Vec<_> = values.iter().map(|value| value.unwrap().value as i64).collect();
        assert_eq!(values, [-1, 3]);
        let Kind::Enum { signed: false, byte_size: 8, values } = kind(big_enum) else { panic!() };
        assert_eq!(values.iter().next().unwrap().unwrap(), EnumValue { name: b"a", value: 1 << 32 | 2 });
        assert!(matches!(kind(fwd), Kind::Fwd { union: true }));
        assert!(matches!(kind(float), Kind::Float { byte_size: 8 }));
        assert!(matches!(kind(var), Kind::Var { linkage: Linkage::Global, .. }));
        let Kind::Datasec { variables, .. } = kind(section) else { panic!() };
        let expected = Variable { type_id: var, offset: 4, byte_size: 8 };
        assert_eq!((variables.len(), variables.iter().next().unwrap().unwrap()), (1, expected));
        assert!(matches!(kind(decl_tag), Kind::DeclTag { component: None, attribute: false, .. }));
        assert!(matches!(kind(arg_tag), Kind::DeclTag { component: Some(1), attribute: true, .. }));
        assert!(matches!(kind(type_tag), Kind::TypeTag { attribute: false, .. }));
        assert!(matches!(kind(func), Kind::Func { linkage: Linkage::Other(7), .. }));
        assert_eq!(btf.types().filter(|(_, t)| t.is_ok()).count(), func as usize);
        let text = |id: u32| {
            let mut out = String::new();
            ctype::declare(&btf, Some(id.into()), Some("x"), &mut out).map(|()| out)
        };
        assert_eq!(text(array).unwrap(), "_Bool x[7]");
        assert_eq!(text(fwd).unwrap(), "union g x");
        assert_eq!(text(big_enum).unwrap(), "enum f x");
        assert_eq!(text(type_tag).unwrap(), "_Bool x");
        assert!(text(section).is_err());
    }
}

#[test]
fn modifiers_and_function_pointers_as_c() {
    let mut e = Encoder::new(false);
    let char = e.int("char", 8, 1);
    let constant = e.add("", BTF_KIND_CONST, 0, char, &[]);
    let string = e.add("", BTF_KIND_PTR, 0, constant, &[]);
    let user = e.add("user", BTF_KIND_TYPE_TAG, 0, constant, &[]);
    let user = e.add("", BTF_KIND_PTR, 0, user, &[]);
    let anon = e.add("", BTF_KIND_STRUCT, 0, 0, &[]);
    let anon = e.add("", BTF_KIND_PTR, 0, anon, &[]);
    let size = e.add("size_t", BTF_KIND_TYPEDEF, 0, char, &[]);
    let proto = e.add("", BTF_KIND_FUNC_PROTO, 1, string, &[0, size]);
    let callback = e.add("", BTF_KIND_PTR, 0, proto, &[]);
    let volatile = e.add("", BTF_KIND_VOLATILE, 0, callback, &[]);
    let restrict = e.add("", BTF_KIND_RESTRICT, 0, string, &[]);
    let open = e.add("", BTF_KIND_ARRAY, 0, 0, &[size, size, 0]);
    let open = e.add("", BTF_KIND_PTR, 0, open, &[]);
    e.func("f", 0, string, &[("user", user), ("cb", volatile), ("s", anon), ("r", restrict), ("o", open)]);
    let data = e.finish();
    assert_eq!(
        prototypes(&Btf::parse(&data, None).unwrap()),
        ["const char *f(const char *user, const char * (* volatile cb)(size_t), struct (anon) *s, \
          const char * restrict r, size_t (*o)[]);"]
    );
}

#[test]
fn an_unknown_kind_costs_what_depends_on_it() {
    let mut e = small(false);
    let strange = e.add("strange", 21, 2, 0, &[1, 2, 3, 4, 5]);
    e.func("uses", 0, strange, &[]);
    e.func("later", 0, 1, &[]);
    let data = e.finish();
    let btf = Btf::parse(&data, None).unwrap();
    assert_eq!(btf.incomplete().unwrap().to_string(), "unsupported BTF kind: 21");
    assert_eq!(prototypes(&btf).len(), 2, "what stands before it is there");
    assert!(btf.get(strange).is_err());

    // the section itself may say how large that kind is
    e.layouts = vec![0; 4 * 22];
    e.layouts[4 * 21] = 4;
    e.layouts[4 * 21 + 1] = 8;
    let data = e.finish();
    let btf = Btf::parse(&data, None).unwrap();
    assert!(btf.incomplete().is_none());
    let functions: Vec<_> = btf.functions().map(Result::unwrap).collect();
    assert_eq!(functions.len(), 4);
    assert_eq!(functions[2].prototype.as_ref().unwrap_err().to_string(), "unsupported BTF kind: 21");
    assert_eq!(functions[3].prototype.as_ref().unwrap(), "int later(void);");
}

#[test]
fn a_cycle_is_an_error() {
    let mut e = Encoder::new(false);
    e.add("", BTF_KIND_PTR, 0, 2, &[]);
    e.add("", BTF_KIND_CONST, 0, 1, &[]);
    e.add("tag", BTF_KIND_TYPE_TAG, 0, 3, &[]);
    e.func("pointer", 0, 1, &[]);
    e.func("tag", 0, 3, &[]);
    let own = e.next_id;
    e.func("own", 0, own, &[]);
    e.add("no_prototype", BTF_KIND_FUNC, 0, 1, &[]);
    let data = e.finish();
    let btf = Btf::parse(&data, None).unwrap();
    let functions: Vec<_> = btf.functions().map(Result::unwrap).collect();
    assert_eq!(functions.len(), 4);
    for function in functions {
        assert!(function.prototype.is_err(), "{:?}", function.prototype);
    }
}

#[test]
fn every_truncation_is_an_error() {
    let data = small(true).finish();
    for end in 0..data.len() {
        let error = Btf::parse(&data[..end], None).unwrap_err();
        assert!(matches!(error, Error::Truncated { .. }), "{end}: {error}");
    }
}

#[test]
fn hostile_sizes_and_offsets() {
    let mut e = Encoder::new(false);
    e.add("huge", BTF_KIND_STRUCT, 0xff_ffff, 4, &[]);
    let data = e.finish();
    let error = Btf::parse(&data, None).unwrap_err().to_string();
    assert_eq!(error, "truncated: BTF type at offset 0x18 needs 201326592 bytes, 12 are there");

    let mut e = small(false);
    e.strings.pop();
    let data = e.finish();
    let btf = Btf::parse(&data, None).unwrap();
    assert!(btf.types().any(|(_, t)| t.is_err()), "the last name has no end");

    let good = small(false).finish();
    let with = |at: usize, bytes: [u8; 4]| {
        let mut data = good.clone();
        data[at..at + 4].copy_from_slice(&bytes);
        Btf::parse(&data, None).map(|_| ()).unwrap_err().to_string()
    };
    assert!(with(0, [0xeb, 0x9e, 1, 0]).contains("magic number"));
    assert_eq!(with(0, [0x9f, 0xeb, 2, 0]), "unsupported BTF version: 2");
    assert!(with(4, [8, 0, 0, 0]).contains("it has 8 bytes"));
    assert!(with(4, [255; 4]).contains("truncated: BTF header"));
    assert!(with(8, [255; 4]).contains("truncated: BTF types"));
    assert!(with(16, [255; 4]).contains("truncated: BTF strings"));
    assert!(with(12, [13, 0, 0, 0]).contains("truncated: BTF type"));
}
