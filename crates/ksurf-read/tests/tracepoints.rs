//! Trace events of small images that gcc makes.
#![cfg(target_arch = "x86_64")]

use ksurf_read::elf::Buffer;
use ksurf_read::image::{read, Outcome};
use ksurf_read::surface::from_dwarf::Known;
use ksurf_read::surface::tracepoint::{Field, Tracepoint};
use ksurf_read::surface::Surface;
use std::process::Command;
use std::sync::atomic::AtomicBool;

const MODULE: &[&str] = &["-c"];
/// The marks that the kernel's linker script defines, from those that every linker does for a section.
const LINKED: &[&str] = &[
    "-DSYSCALLS",
    "-nostdlib",
    "-static",
    "-no-pie",
    "-Wl,-e0",
    "-Wl,--defsym=__start_ftrace_events=__start__ftrace_events",
    "-Wl,--defsym=__stop_ftrace_events=__stop__ftrace_events",
    "-Wl,--defsym=__start_ftrace_eval_maps=__start__ftrace_eval_map",
    "-Wl,--defsym=__stop_ftrace_eval_maps=__stop__ftrace_eval_map",
];

fn surface(name: &str, options: &[&[&str]]) -> Surface {
    let out = std::env::temp_dir().join(format!("ksurf-events-{name}-{}", std::process::id()));
    let status = Command::new("gcc")
        .args(["-g", "-O1", "-ffreestanding", "-fno-toplevel-reorder"])
        .args(options.concat())
        .arg("-o")
        .arg(&out)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/events.c"))
        .status()
        .unwrap();
    assert!(status.success());
    let data = std::fs::read(&out).unwrap();
    std::fs::remove_file(&out).unwrap();
    match read(Buffer::Memory(data), "io.ko", &Known::default(), &AtomicBool::new(false)).unwrap() {
        Outcome::Rows(rows) => rows.surface,
        _ => panic!("no rows"),
    }
}

fn field(type_text: &str, name: &str, byte_offset: u32, byte_size: u32, signed: bool) -> Field {
    Field { type_text: type_text.to_owned(), name: name.to_owned(), byte_offset, byte_size, signed }
}

fn expected() -> [Tracepoint; 3] {
    let text = |text: &str| Some(text.to_owned());
    [
        Tracepoint {
            system: text("io"),
            name: "io_start".to_owned(),
            class: text("io"),
            tracepoint: text("io_start"),
            print_format: text("\"%s KIND %d %d\", __get_str(path), REC->kind == 7, 40"),
            fields: vec![
                field("u8", "kind", 8, 1, false),
                field("char", "comm[16]", 9, 16, true),
                field("long", "sector", 32, 8, true),
                field("__data_loc char[]", "path", 40, 4, false),
            ],
        },
        Tracepoint {
            system: text("ftrace"),
            name: "print".to_owned(),
            class: text("ftrace_print"),
            tracepoint: None,
            print_format: None,
            fields: Vec::new(),
        },
        Tracepoint {
            system: None,
            name: "io_bare_tp".to_owned(),
            class: None,
            tracepoint: text("io_bare_tp"),
            print_format: None,
            fields: Vec::new(),
        },
    ]
}

#[test]
fn a_module_has_events_and_bare_tracepoints() {
    let surface = surface("module", &[MODULE]);
    assert_eq!(surface.tracepoints, expected());
    assert_eq!(surface.incomplete, [""; 0]);
}

#[test]
fn vmlinux_has_those_of_system_calls_too() {
    let surface = surface("linked", &[LINKED]);
    let mut found = surface.tracepoints;
    let calls: Vec<Tracepoint> = found.extract_if(.., |t| t.system.as_deref() == Some("syscalls")).collect();
    assert_eq!(found, expected());
    assert_eq!(calls.len(), 2, "one has no number: {calls:?}");
    assert_eq!(
        (calls[0].name.as_str(), calls[0].class.as_deref()),
        ("sys_enter_write", Some("syscall_enter"))
    );
    assert_eq!(
        calls[0].fields,
        [
            field("int", "__syscall_nr", 8, 4, true),
            field("unsigned int", "fd", 16, 8, false),
            field("const char *", "buf", 24, 8, false),
            field("size_t", "count", 32, 8, false),
        ]
    );
    let format = "\"fd: 0x%08lx, buf: 0x%08lx, count: 0x%08lx\", ((unsigned long)(REC->fd)), \
                  ((unsigned long)(REC->buf)), ((unsigned long)(REC->count))";
    assert_eq!(calls[0].print_format.as_deref(), Some(format));
    assert_eq!(calls[1].print_format.as_deref(), Some("\"0x%lx\", REC->ret"));
}

#[test]
fn newer_kernels_copy_what_arguments_point_to() {
    let surface = surface("copies", &[LINKED, &["-DCOPIES"]]);
    let write = surface.tracepoints.iter().find(|t| t.name == "sys_enter_write").unwrap();
    assert_eq!(write.fields.len(), 5);
    assert_eq!(write.fields[4], field("__data_loc char[]", "__buf_val", 40, 4, false));
    let format = "\"fd: 0x%08lx, buf: 0x%08lx (%s), count: 0x%08lx\", ((unsigned long)(REC->fd)), \
                  ((unsigned long)(REC->buf)), __print_dynamic_array(__buf_val, 1), ((unsigned long)(REC->count))";
    assert_eq!(write.print_format.as_deref(), Some(format));
}

#[test]
fn what_cannot_be_read_is_left_out_and_told() {
    let surface = surface("damaged", &[MODULE, &["-DDAMAGED"]]);
    assert_eq!(surface.tracepoints, expected());
    assert_eq!(surface.incomplete.len(), 2, "{:?}", surface.incomplete);
    assert!(surface.incomplete[0].starts_with("enumerators of trace events: 1 left out, the first: corrupt"));
    assert!(surface.incomplete[1].starts_with("trace events: 5 left out, the first: corrupt: fields of a"));
    assert!(surface.incomplete[1].ends_with("there are more than 512"), "{:?}", surface.incomplete);
}
