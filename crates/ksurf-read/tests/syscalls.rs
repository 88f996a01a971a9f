//! System calls of small kernels that gcc makes.
#![cfg(target_arch = "x86_64")]

use ksurf_read::elf::{Buffer, Image, Memory};
use ksurf_read::surface::syscall::read;
use std::process::Command;

type Row = (&'static str, u32, String, String);

/// Number, name and entry of each call by table, and what could not be read.
fn syscalls(name: &str, options: &[&str]) -> (Vec<Row>, Vec<String>) {
    let out = std::env::temp_dir().join(format!("ksurf-syscalls-{name}-{}", std::process::id()));
    let status = Command::new("gcc")
        .args(["-O2", "-ffreestanding", "-fno-jump-tables", "-nostdlib", "-static", "-no-pie", "-Wl,-e0"])
        .args(options)
        .arg("-o")
        .arg(&out)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/syscalls.c"))
        .status()
        .unwrap();
    assert!(status.success());
    let data = std::fs::read(&out).unwrap();
    std::fs::remove_file(&out).unwrap();
    let image = Image::parse(Buffer::Memory(data)).unwrap();
    let mut incomplete = Vec::new();
    let rows = read(&Memory::of(&image).unwrap(), &mut incomplete).unwrap();
    (rows.into_iter().map(|row| (row.abi, row.number, row.name, row.entry)).collect(), incomplete)
}

fn row(abi: &'static str, number: u32, name: &str, entry: &str) -> Row {
    (abi, number, name.to_owned(), entry.to_owned())
}

#[test]
fn switches_are_walked() {
    for optimisation in ["-O2", "-Os", "-Og"] {
        let (rows, incomplete) = syscalls(&format!("switch{optimisation}"), &["-DSWITCH=1", optimisation]);
        let expected = [
            row("64", 0, "read", "__x64_sys_read"),
            row("64", 4, "stat", "__x64_sys_newstat"),
            row("64", 60, "exit", "__x64_sys_exit"),
            row("64", 462, "mseal", "__x64_sys_mseal"),
            row("32", 0, "restart_syscall", "__ia32_sys_restart_syscall"),
            row("32", 5, "open", "__ia32_compat_sys_open"),
            row("32", 7, "waitpid", "__ia32_sys_waitpid"),
            row("32", 22, "umount", "__ia32_sys_oldumount"),
        ];
        assert_eq!(rows, expected, "{optimisation}");
        assert_eq!(incomplete.len(), 1, "{incomplete:?}");
        assert!(incomplete[0].contains("it does not end for number 0"), "{incomplete:?}");
    }
}

#[test]
fn what_a_switch_does_with_unknown_values_is_not_guessed() {
    let (rows, incomplete) = syscalls("unknown", &["-DSWITCH=2"]);
    assert_eq!(rows.len(), 8);
    assert_eq!(incomplete.len(), 1);
    assert!(incomplete[0].starts_with("system calls of x32_sys_call: corrupt"), "{incomplete:?}");
    assert!(incomplete[0].ends_with("unexpected instruction Je_rel8_64 for number 0"), "{incomplete:?}");
}

#[test]
fn tables_are_read_to_their_ends() {
    let (rows, incomplete) = syscalls("tables", &[]);
    let expected = [
        row("64", 0, "read", "__x64_sys_read"),
        row("64", 4, "stat", "__x64_sys_newstat"),
        row("32", 0, "restart_syscall", "__ia32_sys_restart_syscall"),
    ];
    assert_eq!(rows, expected);
    assert_eq!(
        incomplete,
        [
            "system calls of 64: 1 without a symbol: 7 leads to 0x1234",
            "system calls of x32_sys_call_table: too large: table of system calls has 1099511627776 bytes, the limit is 8192",
        ]
    );
}
