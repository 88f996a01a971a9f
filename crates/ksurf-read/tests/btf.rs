//! The BTF of a real kernel, against what others say of the same file. `KSURF_TEST_VMLINUX` names one that has
//! DWARF too, such as that of a distribution's debug package; without it there is nothing to compare.

use ksurf_read::btf::Btf;
use ksurf_read::elf::{Buffer, Image};
use ksurf_read::extract::{files, Progress};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn vmlinux() -> Option<PathBuf> {
    let path = std::env::var_os("KSURF_TEST_VMLINUX").map(PathBuf::from);
    if path.is_none() {
        eprintln!("KSURF_TEST_VMLINUX is not set: not compared");
    }
    path
}

fn image(path: &Path) -> Image {
    Image::parse(Buffer::Memory(std::fs::read(path).unwrap())).unwrap()
}

#[test]
fn a_real_kernel_is_read_whole() {
    let Some(path) = vmlinux() else { return };
    let image = image(&path);
    let btf = Btf::parse(image.bytes(".BTF"), None).unwrap();
    assert!(btf.incomplete().is_none(), "{:?}", btf.incomplete());
    let mut names = Vec::new();
    for (id, parsed) in btf.types() {
        parsed.unwrap_or_else(|error| panic!("type {id}: {error}"));
    }
    for function in btf.functions() {
        let function = function.unwrap();
        function.prototype.unwrap();
        names.push(String::from_utf8(function.name.to_vec()).unwrap());
    }
    // bpftool lists types as `[7] FUNC 'vfs_read' type_id=6 linkage=static`
    let Ok(output) = Command::new("bpftool").args(["btf", "dump", "file"]).arg(&path).output() else {
        return eprintln!("bpftool is not installed: not compared");
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let theirs: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once("] FUNC '")?.1.split_once('\''))
        .map(|(name, _)| name)
        .collect();
    assert!(names == theirs, "{} functions, bpftool finds {}", names.len(), theirs.len());
}

#[test]
fn prototypes_agree_with_dwarf() {
    let Some(path) = vmlinux() else { return };
    let extraction = files(Some(&path), &[], 0, &Progress::default()).unwrap();
    let functions = &extraction.kernel.functions;
    let mut dwarf: HashMap<&str, Vec<&str>> = HashMap::new();
    for (name, prototype) in functions.name.iter().zip(&functions.prototype) {
        dwarf.entry(name).or_default().extend(prototype.as_deref());
    }
    let image = image(&path);
    let btf = Btf::parse(image.bytes(".BTF"), None).unwrap();
    let (mut compared, mut different) = (0, Vec::new());
    for function in btf.functions().map(Result::unwrap) {
        let prototype = function.prototype.unwrap();
        let Some(theirs) = dwarf.get(std::str::from_utf8(function.name).unwrap()) else { continue };
        compared += 1;
        if !theirs.contains(&&*prototype) {
            different.push(format!("BTF {prototype} DWARF {theirs:?}"));
        }
    }
    // assembler has no types, and a kfunc may hide parameters (`KF_IMPLICIT_ARGS`) from the programs that call it
    assert!(compared > 30_000, "{compared}");
    assert!(different.len() * 200 < compared, "{} of {compared}: {:#?}", different.len(), &different[..20]);
}
