//! Writes small eBPF objects, as clang would.

// Each test that takes this file uses a part of it.
#![allow(dead_code)]

pub const PROGBITS: u32 = 1;
pub const NOBITS: u32 = 8;
pub const ALLOC: u64 = 2;
pub const CODE: u64 = 6;
pub const LOCAL: u8 = 0;
pub const GLOBAL: u8 = 1;
pub const WEAK: u8 = 2;
pub const NOTYPE: u8 = 0;
pub const OBJECT: u8 = 1;
pub const FUNC: u8 = 2;
pub const SECTION: u8 = 3;
/// `R_BPF_64_64`, `R_BPF_64_ABS64`, `R_BPF_64_32`.
pub const OF_ADDRESS: u32 = 1;
pub const OF_DATA: u32 = 2;
pub const OF_CALL: u32 = 10;

/// The bytes of integers in one order.
#[derive(Clone, Copy)]
pub struct Order(pub bool);

impl Order {
    pub fn half(self, value: u16) -> [u8; 2] {
        if self.0 {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    pub fn word(self, value: u32) -> [u8; 4] {
        if self.0 {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    pub fn long(self, value: u64) -> [u8; 8] {
        if self.0 {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    pub fn words(self, values: &[u32]) -> Vec<u8> {
        values.iter().flat_map(|&value| self.word(value)).collect()
    }

    /// An instruction; a wide one is followed by eight bytes more.
    pub fn instruction(self, code: u8, dst: u8, src: u8, offset: i16, imm: i32) -> Vec<u8> {
        let registers = if self.0 { dst << 4 | src } else { src << 4 | dst };
        let mut out = vec![code, registers];
        out.extend(self.half(offset as u16));
        out.extend(self.word(imm as u32));
        if code == 0x18 {
            out.extend([0; 8]);
        }
        out
    }

    pub fn code(self, instructions: &[(u8, u8, u8, i16, i32)]) -> Vec<u8> {
        let each = |&(code, dst, src, offset, imm): &_| self.instruction(code, dst, src, offset, imm);
        instructions.iter().flat_map(each).collect()
    }
}

struct Header {
    name: u32,
    kind: u32,
    flags: u64,
    link: u32,
    info: u32,
    entry: u64,
    data: Vec<u8>,
    /// Of a section without bytes in the file.
    size: Option<u64>,
}

/// An ELF file of 64 bits.
pub struct Elf {
    pub order: Order,
    pub machine: u16,
    pub kind: u16,
    sections: Vec<Header>,
    symbols: Vec<u8>,
    symbol_count: usize,
    strings: Vec<u8>,
}

impl Elf {
    pub fn new(big_endian: bool) -> Elf {
        let mut elf = Elf {
            order: Order(big_endian),
            machine: 247,
            kind: 1,
            sections: Vec::new(),
            symbols: Vec::new(),
            symbol_count: 0,
            strings: vec![0],
        };
        elf.add("", 0, 0, 0, 0, 0, Vec::new());
        elf.symbol("", 0, 0, 0, 0, 0);
        elf
    }

    fn string(&mut self, text: &str) -> u32 {
        let at = self.strings.len() as u32;
        self.strings.extend(text.bytes());
        self.strings.push(0);
        at
    }

    #[allow(clippy::too_many_arguments)]
    fn add(
        &mut self,
        name: &str,
        kind: u32,
        flags: u64,
        link: u32,
        info: u32,
        entry: u64,
        data: Vec<u8>,
    ) -> usize {
        let name = self.string(name);
        self.sections.push(Header { name, kind, flags, link, info, entry, data, size: None });
        self.sections.len() - 1
    }

    /// A section; gives its number.
    pub fn section(&mut self, name: &str, kind: u32, flags: u64, data: Vec<u8>) -> usize {
        self.add(name, kind, flags, 0, 0, 0, data)
    }

    /// A section of zeroes that are not in the file.
    pub fn empty_section(&mut self, name: &str, size: u64) -> usize {
        let at = self.section(name, NOBITS, ALLOC, Vec::new());
        self.sections[at].size = Some(size);
        at
    }

    /// A symbol; gives its number. Section 0 is none.
    pub fn symbol(&mut self, name: &str, bind: u8, kind: u8, section: usize, value: u64, size: u64) -> usize {
        let name = self.string(name);
        self.symbols.extend(self.order.word(name));
        self.symbols.extend([bind << 4 | kind, 0]);
        self.symbols.extend(self.order.half(section as u16));
        self.symbols.extend(self.order.long(value));
        self.symbols.extend(self.order.long(size));
        self.symbol_count += 1;
        self.symbol_count - 1
    }

    /// Relocations of a section: offset, symbol, kind. The symbol table comes two sections before the end.
    pub fn relocate(&mut self, section: usize, list: &[(u64, usize, u32)]) {
        let mut data = Vec::new();
        for &(offset, symbol, kind) in list {
            data.extend(self.order.long(offset));
            data.extend(self.order.long((symbol as u64) << 32 | u64::from(kind)));
        }
        self.add(".rel", 9, 0, 0, section as u32, 16, data);
    }

    pub fn finish(mut self) -> Vec<u8> {
        let order = self.order;
        let symbols = std::mem::take(&mut self.symbols);
        let strings_at = self.sections.len() as u32 + 1;
        self.add(".symtab", 2, 0, strings_at, 1, 24, symbols);
        self.add(".strtab", 3, 0, 0, 0, 0, Vec::new());
        self.sections[strings_at as usize].data = self.strings.clone();
        let mut body = Vec::new();
        let mut table = Vec::new();
        for section in &self.sections {
            body.resize(body.len().next_multiple_of(8), 0);
            table.extend(order.words(&[section.name, section.kind]));
            let size = section.size.unwrap_or(section.data.len() as u64);
            for value in [section.flags, 0, 64 + body.len() as u64, size] {
                table.extend(order.long(value));
            }
            table.extend(order.words(&[section.link, section.info]));
            table.extend([order.long(8), order.long(section.entry)].concat());
            body.extend(&section.data);
        }
        body.resize(body.len().next_multiple_of(8), 0);
        let mut out = b"\x7fELF\x02".to_vec();
        out.extend([if order.0 { 2 } else { 1 }, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        out.extend([order.half(self.kind), order.half(self.machine)].concat());
        out.extend(order.word(1));
        for value in [0, 0, 64 + body.len() as u64] {
            out.extend(order.long(value));
        }
        out.extend(order.word(0));
        for value in [64, 0, 0, 64, self.sections.len() as u16, strings_at as u16] {
            out.extend(order.half(value));
        }
        [out, body, table].concat()
    }
}

/// A `.BTF` section.
pub struct Types {
    order: Order,
    types: Vec<u8>,
    strings: Vec<u8>,
    next: u32,
}

impl Types {
    pub fn new(big_endian: bool) -> Types {
        Types { order: Order(big_endian), types: Vec::new(), strings: vec![0], next: 1 }
    }

    pub fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let at = self.strings.len() as u32;
        self.strings.extend(text.bytes());
        self.strings.push(0);
        at
    }

    /// A type of a kind, with what follows it; gives its id.
    pub fn add(&mut self, name: &str, kind: u32, vlen: u32, value: u32, rest: &[u32]) -> u32 {
        let name = self.string(name);
        self.types.extend(self.order.words(&[&[name, kind << 24 | vlen, value], rest].concat()));
        self.next += 1;
        self.next - 1
    }

    pub fn pointer(&mut self, to: u32) -> u32 {
        self.add("", 2, 0, to, &[])
    }

    /// `struct name`, members with their types and offsets in bytes.
    pub fn structure(&mut self, name: &str, size: u32, members: &[(&str, u32, u32)]) -> u32 {
        let rest: Vec<u32> =
            members.iter().flat_map(|&(name, id, offset)| [self.string(name), id, offset * 8]).collect();
        self.add(name, 4, members.len() as u32, size, &rest)
    }

    /// `__uint(name, number)` is a member of this type.
    pub fn number(&mut self, int: u32, number: u32) -> u32 {
        let array = self.add("", 3, 0, 0, &[int, int, number]);
        self.pointer(array)
    }

    pub fn variable(&mut self, name: &str, of: u32, linkage: u32) -> u32 {
        self.add(name, 14, 0, of, &[linkage])
    }

    pub fn function(&mut self, name: &str, linkage: u32, ret: u32, params: &[(&str, u32)]) -> u32 {
        let rest: Vec<u32> = params.iter().flat_map(|&(name, id)| [self.string(name), id]).collect();
        let prototype = self.add("", 13, params.len() as u32, ret, &rest);
        self.add(name, 12, linkage, prototype, &[])
    }

    pub fn data_section(&mut self, name: &str, variables: &[u32]) -> u32 {
        let rest: Vec<u32> = variables.iter().flat_map(|&id| [id, 0, 8]).collect();
        self.add(name, 15, variables.len() as u32, 0, &rest)
    }

    pub fn finish(&self) -> Vec<u8> {
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let mut out = self.order.half(0xeb9f).to_vec();
        out.extend([1, 0]);
        out.extend(self.order.words(&[24, 0, types, types, strings]));
        [out, self.types.clone(), self.strings.clone()].concat()
    }
}

/// `.BTF.ext` without functions: the words of its lines and relocations, each begins with the size of a record.
pub fn ext(order: Order, lines: &[u32], relocations: &[u32]) -> Vec<u8> {
    let (lines_size, relocations_size) = (lines.len() as u32 * 4, relocations.len() as u32 * 4);
    let mut out = order.half(0xeb9f).to_vec();
    out.extend([1, 0]);
    out.extend(order.words(&[32, 0, 0, 0, lines_size, lines_size, relocations_size]));
    [out, order.words(lines), order.words(relocations)].concat()
}

/// An object with something of everything.
pub fn sample(big_endian: bool) -> Vec<u8> {
    let mut elf = Elf::new(big_endian);
    let order = elf.order;
    let mut types = Types::new(big_endian);

    // int f(struct pt_regs *ctx) { return helper(ctx->di) ... }
    let int = types.add("int", 1, 0, 4, &[1 << 24 | 32]);
    let long = types.add("unsigned long", 1, 0, 8, &[64]);
    let registers = types.structure("pt_regs", 168, &[("r15", long, 0), ("di", long, 112)]);
    let context = types.pointer(registers);
    types.function("probe", 1, int, &[("ctx", context)]);

    let key = types.pointer(int);
    let [hash, entries] = [1, 64].map(|number| types.number(int, number));
    let shape = [("type", hash, 0), ("max_entries", entries, 8), ("key", key, 16), ("value", key, 24)];
    let shape = types.structure("", 32, &shape);
    let counts = types.variable("counts", shape, 1);
    let to_shape = types.pointer(shape);
    let values = types.add("", 3, 0, 0, &[to_shape, int, 0]);
    let of_maps = types.number(int, 13);
    let outer = types.structure("", 24, &[("type", of_maps, 0), ("key", key, 8), ("values", values, 16)]);
    let outer = types.variable("outer", outer, 1);
    types.data_section(".maps", &[counts, outer]);

    let kfunc = types.function("bpf_task_from_pid", 2, context, &[("pid", int)]);
    let typed = types.variable("runqueues", registers, 2);
    let nothing = types.add("", 10, 0, 0, &[]);
    let untyped = types.variable("bpf_prog_active", nothing, 2);
    let option = types.variable("CONFIG_HZ", int, 2);
    types.data_section(".ksyms", &[kfunc, typed, untyped]);
    types.data_section(".kconfig", &[option]);

    let prototype = types.add("", 13, 0, 0, &[]);
    let callback = types.pointer(prototype);
    let ops = [("init", callback, 0), ("release", callback, 8), ("flags", int, 16), ("unused", int, 20)];
    let ops = types.structure("tcp_congestion_ops___mine", 24, &ops);
    let ops = types.variable("mine", ops, 1);
    types.data_section(".struct_ops.link", &[ops]);

    elf.section("license", PROGBITS, ALLOC, b"GPL\0".to_vec());
    let version = order.word(0x0006_0c00).to_vec();
    elf.section("version", PROGBITS, ALLOC, version);
    let text = order.code(&[(0x79, 0, 1, 0, 0), (0x95, 0, 0, 0, 0)]);
    let text = elf.section(".text", PROGBITS, CODE, text);
    let probe = order.code(&[
        (0xbf, 6, 1, 0, 0),   // 0: r6 = ctx
        (0x7b, 10, 6, -8, 0), // 1: spilled
        (0x18, 1, 0, 0, 0),   // 2, 3: counts
        (0x85, 0, 0, 0, 1),   // 4: bpf_map_lookup_elem
        (0x79, 6, 10, -8, 0), // 5: and back
        (0x15, 0, 0, 1, 0),   // 6: if r0 == 0 goto 8
        (0x79, 7, 6, 112, 0), // 7: ctx->di
        (0xbf, 1, 6, 0, 0),   // 8
        (0x85, 0, 1, 0, -1),  // 9: helped(ctx)
        (0x18, 2, 0, 0, 16),  // 10, 11: 16 bytes into .rodata
        (0x18, 3, 0, 0, 0),   // 12, 13: CONFIG_HZ
        (0x85, 0, 1, 0, -1),  // 14: bpf_task_from_pid
        (0x18, 4, 0, 0, 0),   // 15, 16: bpf_prog_active
        (0x18, 5, 0, 0, 0),   // 17, 18: runqueues
        (0x95, 0, 0, 0, 0),   // 19
    ]);
    let probe_size = probe.len() as u64;
    let probe = elf.section("kprobe/vfs_read", PROGBITS, CODE, probe);
    let two = order.code(&[
        (0x79, 2, 1, 8, 0),    // 0: the second argument
        (0x85, 0, 1, 0, 1),    // 1: calls the function behind, which is in this section
        (0x95, 0, 0, 0, 0),    // 2
        (0x07, 1, 0, 0, 8),    // 3: r1 += 8
        (0x61, 0, 1, 8, 0),    // 4: half of the third
        (0x85, 0, 0, 0, 5000), // 5: a helper of the future
        (0x95, 0, 0, 0, 0),    // 6
    ]);
    let two = elf.section("?fentry.s/do_exit", PROGBITS, CODE, two);
    let init = order.code(&[(0x95, 0, 0, 0, 0)]);
    let init = elf.section("struct_ops/init", PROGBITS, CODE, init);
    let maps = elf.section(".maps", PROGBITS, ALLOC, vec![0; 56]);
    let rodata = elf.section(".rodata", PROGBITS, ALLOC, vec![7; 32]);
    elf.empty_section(".bss", 40);
    let mut value = vec![0; 24];
    value[16..20].copy_from_slice(&order.word(1));
    let ops = elf.section(".struct_ops.link", PROGBITS, ALLOC, value);

    let helped = elf.symbol("helped", LOCAL, FUNC, text, 0, 16);
    elf.symbol("probe", GLOBAL, FUNC, probe, 0, probe_size);
    elf.symbol("exit_entry", GLOBAL, FUNC, two, 0, 24);
    elf.symbol("exit_other", GLOBAL, FUNC, two, 24, 32);
    let mine_init = elf.symbol("mine_init", GLOBAL, FUNC, init, 0, 8);
    let counts = elf.symbol("counts", GLOBAL, OBJECT, maps, 0, 32);
    elf.symbol("outer", GLOBAL, OBJECT, maps, 32, 24);
    let rodata = elf.symbol("", LOCAL, SECTION, rodata, 0, 0);
    elf.symbol("mine", GLOBAL, OBJECT, ops, 0, 24);
    let option = elf.symbol("CONFIG_HZ", WEAK, NOTYPE, 0, 0, 0);
    let kfunc = elf.symbol("bpf_task_from_pid", WEAK, NOTYPE, 0, 0, 0);
    let untyped = elf.symbol("bpf_prog_active", GLOBAL, NOTYPE, 0, 0, 0);
    let typed = elf.symbol("runqueues", GLOBAL, NOTYPE, 0, 0, 0);
    elf.relocate(
        probe,
        &[
            (16, counts, OF_ADDRESS),
            (72, helped, OF_CALL),
            (80, rodata, OF_ADDRESS),
            (96, option, OF_ADDRESS),
            (112, kfunc, OF_CALL),
            (120, untyped, OF_ADDRESS),
            (136, typed, OF_ADDRESS),
        ],
    );
    elf.relocate(ops, &[(0, mine_init, OF_DATA)]);

    let [section, file, line, access] =
        ["kprobe/vfs_read", "probe.bpf.c", "  return ctx->di;", "0:1"].map(|text| types.string(text));
    let lines = [16, section, 2, 0, file, line, 7 << 10 | 3, 40, file, 0, 9 << 10];
    let relocations = [16, section, 1, 56, registers, access, 0];
    elf.section(".BTF", PROGBITS, 0, types.finish());
    elf.section(".BTF.ext", PROGBITS, 0, ext(order, &lines, &relocations));
    elf.finish()
}
