//! What each fuzz target does with its input. `tests/mutations.rs` runs the same functions without a fuzzer.
//!
//! Any error is fine. A panic, a hang, memory without bound, or an answer that contradicts itself is not.

mod interpreter;

use std::io::Read;
use std::sync::atomic::AtomicBool;

use ksurf_read::archive::compress::Decoder;
use ksurf_read::archive::tar::Tar;
use ksurf_read::archive::{decompress as decompress_file, Counters, Deb};
use ksurf_read::bpf::btf_ext::BtfExt;
use ksurf_read::bpf::core::{relocations, resolve, Status, Target as Kernel};
use ksurf_read::bpf::embedded;
use ksurf_read::bpf::object::{Object, Target as Referred};
use ksurf_read::btf::{thin, Btf, Kind, Thin};
use ksurf_read::ctype;
use ksurf_read::dwarf::Sections;
use ksurf_read::elf::{Buffer, Image, Memory};
use ksurf_read::error::Result;
use ksurf_read::image::{self, ImageRows, Outcome};
use ksurf_read::kernel;
use ksurf_read::surface::code::Code;
use ksurf_read::surface::definition;
use ksurf_read::surface::from_dwarf::{self, Known};
use ksurf_read::surface::layout::Layouts;
use ksurf_read::surface::{btf_ids, export, from_btf, Surface};

/// As much as is taken of any one file.
const LIMIT: u64 = 1 << 20;

/// A target, by the name of its file in `fuzz_targets`.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 12] = [
    ("deb", deb),
    ("tar", tar),
    ("decompress", decompress),
    ("elf", elf),
    ("dwarf", dwarf),
    ("offers", offers),
    ("btf", btf),
    ("kallsyms", kallsyms),
    ("ikconfig", ikconfig),
    ("walk", walk),
    ("bpf_object", bpf_object),
    ("core", core),
];

/// A Debian package: every file is taken.
pub fn deb(data: &[u8]) {
    let _ = read_deb(data);
}

fn read_deb(data: &[u8]) -> Result<()> {
    let counters = Counters::default();
    let mut deb = Deb::new(data, 1, &counters)?;
    while let Some(mut entry) = deb.next_entry()? {
        let size = entry.size();
        if let Ok(bytes) = entry.read(LIMIT) {
            assert!(bytes.len() as u64 <= size);
        }
    }
    assert!(counters.bytes_done.into_inner() <= data.len() as u64);
    Ok(())
}

/// A tar archive: every other file is taken. Checksums are made right, so that more than they is tested.
pub fn tar(data: &[u8]) {
    let mut data = data.to_vec();
    for header in data.chunks_exact_mut(512).filter(|block| &block[257..262] == b"ustar") {
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    let _ = read_tar(&data);
}

fn read_tar(data: &[u8]) -> Result<()> {
    let mut tar = Tar::new("data.tar", data);
    let mut number = 0;
    while let Some(mut entry) = tar.next_entry()? {
        number += 1;
        assert!(number <= data.len() / 512, "a member has a header");
        let (size, kind) = (entry.size(), format!("{:?}", entry.kind()));
        if number % 2 == 0 {
            let mut bytes = Vec::new();
            let outcome = entry.read_into(&mut bytes, LIMIT);
            assert!(outcome.is_err() || bytes.len() as u64 == size, "{kind}");
            outcome?;
        }
    }
    Ok(())
}

/// Compressed bytes: one thread and several give the same, and so does the reader of whole files.
pub fn decompress(data: &[u8]) {
    let read = |threads| -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let decoder = Decoder::new(data, threads)?;
        decoder.take(LIMIT + 1).read_to_end(&mut out).map_err(ksurf_read::error::Error::io("read"))?;
        Ok(out)
    };
    let (one, several) = (read(1), read(3));
    match (&one, &several) {
        (Ok(one), Ok(several)) => assert!(one == several),
        (Err(_), Err(_)) => {}
        _ => panic!("one thread: {:?}, several: {:?}", one.map(|o| o.len()), several.map(|o| o.len())),
    }
    match (one, decompress_file(data, LIMIT)) {
        (Ok(one), Ok(whole)) => assert!(one == *whole),
        (Ok(one), Err(error)) => assert!(one.len() as u64 > LIMIT, "{error}"),
        (Err(error), Ok(_)) => panic!("{error}"),
        (Err(_), Err(_)) => {}
    }
}

/// An ELF file: everything that its headers say.
pub fn elf(data: &[u8]) {
    let Ok(image) = Image::parse(Buffer::Memory(data.to_vec())) else { return };
    for section in &image.sections {
        image.section_bytes(section);
        image.place(section.address);
    }
    for name in [".debug_info", ".debug_str", ".BTF", ".modinfo", ".comment"] {
        image.bytes(name);
    }
    let _ = image.code_symbols();
    let _ = (image.build_id(), image.release(), image.modinfo("name"), image.machine_name());
    let _ = (image.address_size(), image.is_big_endian(), image::kind_of(&image));
    // What the data says is not hidden behind damaged DWARF.
    if let Ok(memory) = Memory::of(&image) {
        Surface::read(&memory, &Events);
    }
}

/// Structs of trace events as they are in `tests/data/events.c`, with `-DCOPIES`.
struct Events;

impl Layouts for Events {
    fn member(&self, name: &str, member: &str) -> Option<(u64, u64)> {
        let at = |offset| Some((offset, 8));
        match (name, member) {
            ("trace_event_call", "class") => at(16),
            ("trace_event_call", "name") => at(24),
            ("trace_event_call", "print_fmt") | ("trace_event_fields", "len") => at(32),
            ("trace_event_call", "data") => at(40),
            ("trace_event_class" | "trace_eval_map", "system") => at(0),
            ("trace_event_class", "fields_array") => at(16),
            ("trace_event_fields", "type") | ("tracepoint" | "syscall_metadata", "name") => at(0),
            ("trace_event_fields", "name") | ("trace_eval_map", "eval_string") => at(8),
            ("trace_event_fields", "size") | ("trace_eval_map", "eval_value") => at(16),
            ("trace_event_fields", "align") => at(20),
            ("syscall_metadata", "syscall_nr") => at(8),
            ("syscall_metadata", "user_mask") => at(14),
            ("syscall_metadata", "types") => at(16),
            ("syscall_metadata", "args") => at(24),
            _ => None,
        }
    }

    fn size_of(&self, name: &str) -> Option<u64> {
        match name {
            "trace_entry" => Some(8),
            "trace_event_fields" => Some(40),
            _ => None,
        }
    }
}

/// An image, as a kernel's: DWARF or BTF, symbols, and the joining into tables.
pub fn dwarf(data: &[u8]) {
    let cancelled = AtomicBool::new(false);
    dwarf_types(data, &cancelled);
    let buffer = Buffer::Memory(data.to_vec());
    let rows = match image::read(buffer, "fuzz.ko", &Known::default(), &cancelled) {
        Ok(Outcome::Rows(rows)) => *rows,
        Ok(Outcome::NeedsBase(buffer)) => match image::read_with_base(buffer, "fuzz.ko", None) {
            Ok(rows) => rows,
            Err(_) => return,
        },
        Ok(Outcome::Other) | Err(_) => return,
    };
    check(&rows);
    let _ = kernel::join(vec![rows]);
}

/// An image's own tables: exports, facts of code, sets of BTF ids and the code that registers these.
pub fn offers(data: &[u8]) {
    let Ok(image) = Image::parse(Buffer::Memory(data.to_vec())) else { return };
    let Ok(memory) = Memory::of(&image) else { return };
    for export in export::read(&memory).unwrap_or_default() {
        assert!(!export.name.is_empty() && export.namespace != Some(String::new()));
    }
    let code = Code::of(&memory);
    let types = code.error_types(&memory);
    for symbol in image.code_symbols().unwrap_or_default() {
        let error = code.facts(symbol.address, symbol.size).error_injection;
        let _ = error.zip(types).map(|(number, types)| types.name(number));
    }
    let sets = btf_ids::read(&memory).unwrap_or_default();
    let mut size = 0;
    for set in sets {
        size += set.members(None).len();
        assert!(set.program_types.is_sorted());
        assert!(set.program_types.is_empty() || set.registered_as.is_some());
    }
    assert!(size <= data.len() / 4);
}

/// The types of DWARF, even where there is BTF: the same again from an image of which all is known.
fn dwarf_types(data: &[u8], cancelled: &AtomicBool) {
    let Ok(image) = Image::parse(Buffer::Memory(data.to_vec())) else { return };
    let Some(sections) = Sections::of(&image) else { return };
    let known = Known::default();
    let Ok(types) = from_dwarf::read(&sections, &known, cancelled) else { return };
    let (all, texts) = (&types.definitions, &types.definitions.texts);
    for (number, definition) in (0..).zip(&all.list).filter(|(_, d)| d.kind == definition::Kind::Struct) {
        let name = texts.get(definition.name);
        sections.size_of(name);
        for member in all.members(number).filter_map(|member| member.name).take(4) {
            sections.member(name, texts.get(member));
        }
    }
    sections.member("request", "owner.head.next");
    let _ = from_dwarf::needs(&sections);
    if let (Ok(again), None) = (from_dwarf::read(&sections, &known, cancelled), types.incomplete) {
        let own = again.definitions.keys.iter().chain(&again.known);
        own.for_each(|key| assert!(types.definitions.number(*key).is_some()));
    }
}

/// Numbers of rows are those of rows.
fn check(rows: &ImageRows) {
    let is_row = |number: u32, len: usize| assert!((number as usize) < len, "{number} of {len}");
    for function in &rows.functions {
        function.decl_file.into_iter().for_each(|path| is_row(path, rows.paths.len()));
    }
    for instance in &rows.instances {
        is_row(instance.function, rows.functions.len());
        instance.unit.into_iter().for_each(|unit| is_row(unit, rows.units.len()));
    }
    for site in &rows.sites {
        is_row(site.caller, rows.instances.len());
        is_row(site.callee, rows.functions.len());
    }
}

/// BTF: every type and function, alone and as a module of itself.
pub fn btf(data: &[u8]) {
    let Ok(base) = Btf::parse(data, None) else { return };
    read_btf(&base);
    if let Ok(module) = Btf::parse(data, Some(&base)) {
        assert_eq!(module.first_id(), base.end_id());
        read_btf(&module);
    }
}

fn read_btf(btf: &Btf<'_>) {
    read_types(btf);
    let mut text = String::new();
    for (id, parsed) in btf.types() {
        let Ok(parsed) = parsed else { continue };
        match parsed.kind {
            Kind::Struct { members, .. } | Kind::Union { members, .. } => members.iter().for_each(drop),
            Kind::Enum { values, .. } => values.iter().for_each(drop),
            Kind::Datasec { variables, .. } => variables.iter().for_each(drop),
            _ => {}
        }
        text.clear();
        let _ = ctype::declare(btf, Some(id.into()), Some("x"), &mut text);
    }
    for function in btf.functions().flatten() {
        if let Ok(prototype) = function.prototype {
            assert!(prototype.ends_with(");") || prototype.ends_with("];"), "{prototype}");
        }
    }
}

/// Definitions: numbers are those of texts and definitions, and what is named can be looked up.
fn read_types(btf: &Btf<'_>) {
    let Ok(types) = from_btf::read(btf) else { return };
    let definitions = &types.definitions;
    let text = |number: u32| definitions.texts.get(number);
    let is_text = |number: Option<u32>| assert!(number.is_none_or(|number| !text(number).is_empty()));
    for (number, definition) in (0..).zip(&definitions.list) {
        [Some(definition.name), definition.type_text, definition.tags].into_iter().for_each(is_text);
        for member in definitions.members(number) {
            assert!(member.depth <= 32);
            [member.name, member.type_text, member.tags].into_iter().for_each(is_text);
            if let Some(name) = member.name {
                let _ = btf.member(text(definition.name), text(name));
            }
        }
        let _ = btf.size_of(text(definition.name));
    }
    for row in &types.rows {
        assert!(row.btf && (row.definition as usize) < definitions.list.len());
    }
    for used in &types.uses {
        assert!(used.definition != used.user);
        assert!((used.definition.max(used.user) as usize) < definitions.list.len());
    }
}

/// The kernel's list of symbols.
pub fn kallsyms(data: &[u8]) {
    for symbol in ksurf_read::kallsyms::parse(data).flatten() {
        assert!(symbol.address != Some(0) && !symbol.name.is_empty());
        symbol.code_bind();
    }
}

/// A kernel's own configuration.
pub fn ikconfig(data: &[u8]) {
    if let Some(Ok(text)) = ksurf_read::ikconfig::find(data) {
        assert!(text.len() as u64 <= 16 << 20);
    }
}

/// An eBPF program that is made of the bytes: what it reaches when it runs was called reached.
pub fn walk(data: &[u8]) {
    interpreter::check(data);
}

/// eBPF objects, found in any bytes: numbers are those of rows, and places are in the object.
pub fn bpf_object(data: &[u8]) {
    let mut end = 0;
    for found in embedded::find(data).unwrap_or_default() {
        assert!(found.range.start >= end && found.range.end <= data.len());
        end = found.range.end;
        if let Ok(object) = Object::read(&data[found.range]) {
            check_object(&object);
        }
    }
    // also what its header hides
    let _ = Object::read(data);
}

fn check_object(object: &Object) {
    let instruction = |program: u32, instruction: u32| {
        assert!(u64::from(instruction) < object.programs[program as usize].instructions());
    };
    for call in &object.calls {
        instruction(call.program, call.instruction);
        assert!((call.callee as usize) < object.programs.len());
    }
    for call in &object.helper_calls {
        instruction(call.program, call.instruction);
    }
    for found in &object.references {
        instruction(found.program, found.instruction);
        let (number, len) = match found.target {
            Referred::Map(number) => (number, object.maps.len()),
            Referred::Extern(number) => (number, object.externs.len()),
            Referred::Program(number) => (number, object.programs.len()),
        };
        assert!((number as usize) < len);
    }
    for load in &object.context_loads {
        assert!(!object.programs[load.program as usize].subprogram);
        instruction(load.function, load.instruction);
    }
    for line in &object.lines {
        instruction(line.program, line.instruction);
    }
    for inner in object.maps.iter().filter_map(|map| map.inner) {
        assert!((inner as usize) < object.maps.len());
    }
    for program in object.struct_ops.iter().flat_map(|ops| &ops.members).filter_map(|member| member.program) {
        assert!((program as usize) < object.programs.len());
    }
    assert!(object.incomplete.len() <= 20);
}

/// An eBPF object's relocations, resolved against its own types, as vmlinux and as a module.
pub fn core(data: &[u8]) {
    let Ok(image) = Image::parse(Buffer::Memory(data.to_vec())) else { return };
    let Some(own) = image.section(".BTF").map(|section| image.section_bytes(section)) else { return };
    let Ok(btf) = Btf::parse(own, None) else { return };
    for base in [None, Some(&btf)] {
        if let Ok(Thin { bytes, of_base }) = thin(own, base, &[0, 7, u32::MAX]) {
            assert!(bytes.len() == own.len() && Btf::parse(&bytes, base).is_ok());
            assert!(base.is_some() || of_base.is_empty());
        }
    }
    let ext = image.section(".BTF.ext").map(|section| BtfExt::parse(image.section_bytes(section), &btf));
    if let Some(Ok(ext)) = ext {
        let _ = ext.functions();
        if let Ok(lines) = ext.lines() {
            for records in lines.sections() {
                assert!(records.list.iter().all(|line| lines.at(records.section, line.offset).is_some()));
            }
        }
    }
    let Ok(list) = relocations(&image, &btf) else { return };
    for relocation in &list {
        let _ = relocation.subject(&btf);
    }
    let outcomes = resolve(&btf, &list, &Kernel::new(&btf, vec![("module", own)]));
    assert_eq!(outcomes.len(), list.len());
    for outcome in outcomes {
        let poisoned = matches!(outcome.status, Status::Missing | Status::Unsuitable);
        match outcome.patched {
            Some(patched) => {
                assert!(poisoned == patched.poisoned && matches!(patched.bytes.len(), 8 | 16));
            }
            None => assert!(!poisoned && outcome.status != Status::Resolved),
        }
        assert!(outcome.status == Status::Resolved || outcome.reason.is_some());
    }
}
