//! What a small "kernel" compiled by gcc on the spot becomes: functions, instances, calls and symbols.

use ksurf_read::extract::{files, Extraction, Progress};
use ksurf_read::kernel::Kernel;
use std::path::{Path, PathBuf};
use std::process::Command;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");

/// A folder of this test's own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("ksurf-read-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn gcc(arguments: &[&str], out: &Path) {
    let outcome = Command::new("gcc").current_dir(DATA).args(arguments).arg("-o").arg(out).output().unwrap();
    assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
}

fn vmlinux(name: &str, options: &[&str]) -> Extraction {
    let folder = Folder::new(name);
    let image = folder.0.join("vmlinux");
    let mut arguments =
        vec!["-g", "-O2", "-ffreestanding", "-fno-ipa-icf", "-nostdlib", "-static", "-no-pie"];
    arguments.extend(options);
    arguments.extend(["core.c", "driver.c"]);
    gcc(&arguments, &image);
    files(Some(&image), &[], 2, &Progress::default()).unwrap()
}

fn rows<'k>(kernel: &'k Kernel, name: &'k str) -> impl Iterator<Item = usize> + 'k {
    (0..kernel.functions.name.len()).filter(move |&i| kernel.functions.name[i] == name)
}

fn only(kernel: &Kernel, name: &str) -> usize {
    let found: Vec<usize> = rows(kernel, name).collect();
    assert_eq!(found.len(), 1, "{name} in {:?}", kernel.functions.name);
    found[0]
}

fn instances(kernel: &Kernel, function: usize) -> Vec<usize> {
    (0..kernel.instances.function.len())
        .filter(|&i| kernel.instances.function[i] == function as i32)
        .collect()
}

fn prototype<'k>(kernel: &'k Kernel, name: &str) -> &'k str {
    kernel.functions.prototype[only(kernel, name)].as_deref().unwrap()
}

/// `caller -> callee` with the file and line that the call is written at, and whether it is inlined.
fn calls(kernel: &Kernel, caller: &str) -> Vec<(String, String, i32, bool, i32)> {
    let sites = &kernel.call_sites;
    (0..sites.caller.len())
        .filter(|&i| {
            let function = kernel.instances.function[sites.caller[i] as usize];
            kernel.functions.name[function as usize] == caller
        })
        .map(|i| {
            let file = sites.file[i].map_or(String::new(), |f| kernel.paths.get(f as u32).to_owned());
            let callee = kernel.functions.name[sites.callee[i] as usize].clone();
            (callee, file, sites.line[i].unwrap_or(0), sites.inline[i], sites.depth[i])
        })
        .collect()
}

fn line(file: &str, text: &str) -> i32 {
    let source = std::fs::read_to_string(Path::new(DATA).join(file)).unwrap();
    source.lines().position(|l| l.contains(text)).unwrap() as i32 + 1
}

/// Everything that must hold whatever the version of DWARF and wherever its strings are.
fn check(extraction: &Extraction) {
    let kernel = &extraction.kernel;
    assert_eq!(extraction.unreadable, []);
    assert_eq!(extraction.release.as_deref(), Some("6.1.0-test-amd64"));
    assert_eq!(kernel.images.name, ["vmlinux"]);
    assert_eq!(kernel.images.evidence, ["dwarf"]);
    assert_eq!(kernel.units.path, ["core.c", "driver.c"]);

    assert_eq!(
        prototype(kernel, "submit"),
        "int submit(struct request *request, handler_t handler, const char * const *names);"
    );
    assert_eq!(prototype(kernel, "outside"), "int outside(const char *format, ...);");
    assert_eq!(prototype(kernel, "pick"), "void (*pick(int which))(void);");
    assert_eq!(prototype(kernel, "_start"), "void _start(void);");

    // A header's function is one function with an instance per unit, inlined and without code.
    let twice = only(kernel, "twice");
    assert_eq!(kernel.functions.declared_inline[twice], Some(true));
    assert_eq!(kernel.functions.external[twice], Some(false));
    assert_eq!(kernel.functions.decl_line[twice], Some(line("kernel.h", "inline int twice")));
    assert_eq!(kernel.paths.get(kernel.functions.decl_file[twice].unwrap() as u32), "kernel.h");
    let copies = instances(kernel, twice);
    assert_eq!(copies.iter().map(|&i| kernel.instances.unit[i].unwrap()).collect::<Vec<_>>(), [0, 1]);
    for copy in copies {
        assert_eq!(kernel.instances.inlined[copy], Some(true));
        assert!(!kernel.instances.out_of_line[copy]);
        assert_eq!(kernel.instances.address[copy], None);
        assert!(kernel.instances.inline_address[copy].is_some());
    }

    // Two static functions of one name are two functions.
    let locals: Vec<usize> = rows(kernel, "local").collect();
    assert_eq!(locals.len(), 2);
    assert_ne!(kernel.functions.prototype[locals[0]], kernel.functions.prototype[locals[1]]);

    // Inlined once and out of line once; the call in the out-of-line copy belongs to the function.
    let selective = instances(kernel, only(kernel, "selective"))[0];
    assert_eq!(kernel.instances.inlined[selective], Some(true));
    assert!(kernel.instances.out_of_line[selective]);
    let call = line("core.c", "return outside(\"selective\"");
    assert!(calls(kernel, "selective").iter().any(|c| (c.0.as_str(), c.2, c.3) == ("outside", call, false)));

    // The chain of inlined calls, and the direct call at its end.
    let submit = calls(kernel, "submit");
    let at = |name: &str| submit.iter().position(|c| c.0 == name).unwrap();
    assert_eq!((submit[at("chain")].2, submit[at("chain")].4), (line("core.c", "sink = chain("), 0));
    assert_eq!((submit[at("twice")].2, submit[at("twice")].4), (line("kernel.h", "return twice(value"), 1));
    assert!(submit[at("chain")].3 && submit[at("twice")].3);
    let outside = submit.iter().find(|c| c.0 == "outside" && c.4 == 2).unwrap();
    assert_eq!(
        (outside.1.as_str(), outside.2, outside.3),
        ("", line("kernel.h", "return outside(\"twice\""), false)
    );
    assert!(calls(kernel, "recursive").iter().any(|c| c.0 == "recursive" || c.0 == "local"));

    // The function that another unit defines is the one that is called, and is there once.
    let outside = only(kernel, "outside");
    assert_eq!(
        kernel.units.path[kernel.instances.unit[instances(kernel, outside)[0]].unwrap() as usize],
        "driver.c"
    );

    // Each symbol is the function's that it is named after, and the instance's whose code starts there.
    for (row, name) in kernel.symbols.name.iter().enumerate() {
        let function = kernel.symbols.function[row] as usize;
        assert_eq!(&kernel.functions.name[function], name.split('.').next().unwrap());
        if let Some(instance) = kernel.symbols.instance[row] {
            assert_eq!(kernel.instances.function[instance as usize], function as i32);
        }
    }
    assert!(kernel.symbols.name.iter().any(|n| n == "selective"));
    assert!(kernel.symbols.name.is_sorted());
    assert!(kernel.functions.name.is_sorted());
}

#[test]
fn dwarf_4_with_gnu_call_sites() {
    check(&vmlinux("dwarf4", &["-gdwarf-4"]));
}

#[test]
fn dwarf_5() {
    check(&vmlinux("dwarf5", &["-gdwarf-5"]));
}

#[test]
fn dwarf_64() {
    check(&vmlinux("dwarf64", &["-gdwarf-5", "-gdwarf64"]));
}

#[test]
fn compressed_sections() {
    check(&vmlinux("zlib", &["-gz=zlib"]));
    check(&vmlinux("zlib-gnu", &["-gz=zlib-gnu"]));
}

/// Link-time optimisation puts code and the functions it is of into different units.
#[test]
fn link_time_optimisation() {
    let extraction = vmlinux("lto", &["-flto", "-fno-inline", "-gdwarf-5"]);
    let kernel = &extraction.kernel;
    let drive = instances(kernel, only(kernel, "drive"))[0];
    assert!(kernel.instances.out_of_line[drive]);
    assert_eq!(kernel.units.path[kernel.instances.unit[drive].unwrap() as usize], "driver.c");
    let found = calls(kernel, "drive");
    assert!(found.iter().any(|c| c.0 == "twice" && c.3));
    assert!(found.iter().any(|c| c.0 == "submit" && !c.3 && c.2 == line("driver.c", "return submit(")));
    assert_eq!(rows(kernel, "twice").count(), 1);
}

#[test]
fn clones_keep_their_suffixes_and_their_function() {
    let extraction = vmlinux("clones", &["-fno-inline"]);
    let kernel = &extraction.kernel;
    let suffixed: Vec<&String> = kernel.symbols.name.iter().filter(|n| n.contains('.')).collect();
    for name in suffixed {
        let row = kernel.symbols.name.iter().position(|n| n == name).unwrap();
        let function = kernel.symbols.function[row] as usize;
        assert_eq!(kernel.functions.name[function], name.split('.').next().unwrap());
    }
}

/// A module is relocatable: its debug sections mean nothing before its relocations are applied.
#[test]
fn a_module_beside_its_kernel() {
    let folder = Folder::new("module");
    let image = folder.0.join("vmlinux");
    let options = ["-g", "-O2", "-ffreestanding", "-nostdlib", "-static", "-no-pie"];
    gcc(&[&options[..], &["core.c", "driver.c"]].concat(), &image);
    let module = folder.0.join("my-module.ko");
    gcc(&["-g", "-O2", "-ffreestanding", "-c", "module.c"], &module);
    let extraction = files(Some(&image), std::slice::from_ref(&module), 2, &Progress::default()).unwrap();
    let kernel = &extraction.kernel;
    assert_eq!(kernel.images.name, ["vmlinux", "my_module"]);
    let entry = instances(kernel, only(kernel, "my_init"))[0];
    assert_eq!(kernel.images.name[kernel.instances.image[entry] as usize], "my_module");
    let section = kernel.instances.section[entry].map(|s| kernel.sections.get(s as u32));
    assert_eq!(section, Some(".init.text"));
    assert_eq!(kernel.instances.address[entry], Some(0));
    // A call from the module into vmlinux is a call of vmlinux's function, not of a second one.
    assert!(calls(kernel, "my_init")
        .iter()
        .any(|c| c.0 == "submit" && c.2 == line("module.c", "return submit(")));
    assert_eq!(instances(kernel, only(kernel, "submit")).len(), 1);

    // A broken module costs itself, not the kernel.
    let bytes = std::fs::read(&module).unwrap();
    std::fs::write(&module, &bytes[..bytes.len() / 2]).unwrap();
    let extraction = files(Some(&image), &[module], 2, &Progress::default()).unwrap();
    assert_eq!(extraction.kernel.images.name, ["vmlinux"]);
    assert_eq!(extraction.unreadable.len(), 1);
    assert_eq!(extraction.unreadable[0].name, "my_module");
    assert!(extraction.unreadable[0].reason.contains("truncated"), "{}", extraction.unreadable[0].reason);
}

#[test]
fn what_is_no_kernel_says_so() {
    let folder = Folder::new("other");
    let text = folder.0.join("vmlinux");
    std::fs::write(&text, "not an image").unwrap();
    let error = files(Some(&text), &[], 1, &Progress::default()).unwrap_err().to_string();
    assert!(error.starts_with("not a kernel"), "{error}");
    let stripped = folder.0.join("stripped");
    gcc(&["-s", "-nostdlib", "-static", "-no-pie", "-ffreestanding", "core.c", "driver.c"], &stripped);
    let error = files(Some(&stripped), &[], 1, &Progress::default()).unwrap_err().to_string();
    assert!(error.contains("no DWARF, no BTF and no symbols"), "{error}");
}
