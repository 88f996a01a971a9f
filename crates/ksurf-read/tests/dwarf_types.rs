//! The types of a small unit compiled by gcc on the spot, whatever the version of DWARF, and the places of members.

use ksurf_read::dwarf::Sections;
use ksurf_read::elf::{Buffer, Image};
use ksurf_read::extract::dwarf_types;
use ksurf_read::kernel::{Kernel, Nullable};
use ksurf_read::surface::from_dwarf::{self, Known};
use ksurf_read::surface::layout::Layouts;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");

/// A folder of one test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("ksurf-dwarf-types-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn gcc(&self, folder: &Path, arguments: &[&str]) -> PathBuf {
        let out = self.0.join("out.o");
        let mut command = Command::new("gcc");
        command.current_dir(folder).args(["-g", "-O2", "-ffreestanding"]).args(arguments).arg("-o").arg(&out);
        let outcome = command.output().unwrap();
        assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
        out
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn value<T: Copy>(column: &Nullable<T>, at: usize) -> Option<T> {
    column.valid[at].then_some(column.values[at])
}

/// All definitions with their members, in the order of the tables.
fn listed(kernel: &Kernel) -> String {
    let definitions = &kernel.definitions;
    let text = |number: Option<i32>| number.map(|number| definitions.texts.get(number as u32));
    let mut out = String::new();
    for (row, &key) in definitions.key.iter().enumerate() {
        let name = text(Some(definitions.name[row])).unwrap();
        let _ = write!(out, "{} {name}", definitions.kind[row]);
        if let Some(type_text) = text(definitions.type_text[row]) {
            let _ = write!(out, " = {type_text}");
        }
        if let Some(size) = definitions.byte_size[row] {
            let _ = write!(out, ", {size} bytes");
        }
        if let Some(signed) = definitions.signed[row] {
            out.push_str(if signed { ", signed" } else { ", unsigned" });
        }
        out.push('\n');
        let members = &definitions.members;
        for at in (0..members.definition.len()).filter(|&at| members.definition[at] == key) {
            out.push_str(&"  ".repeat(members.depth[at] as usize + 1));
            if let Some(offset) = value(&members.bit_offset, at) {
                let _ = write!(out, "{}.{}: ", offset / 8, offset % 8);
            }
            let _ = write!(out, "{}", text(value(&members.name, at)).unwrap_or("-"));
            if let Some(bits) = value(&members.bit_size, at) {
                let _ = write!(out, ":{bits}");
            }
            if let Some(type_text) = text(value(&members.type_text, at)) {
                let _ = write!(out, " is {type_text}");
            }
            if let Some(size) = value(&members.byte_size, at) {
                let _ = write!(out, ", {size} bytes");
            }
            if let Some(number) = value(&members.value, at) {
                let _ = write!(out, " = {number}");
            }
            out.push('\n');
        }
    }
    out
}

#[test]
fn every_version_of_dwarf_says_the_same() {
    let expected = std::fs::read_to_string(Path::new(DATA).join("types.txt")).unwrap();
    for (name, options) in [
        ("3", &["-gdwarf-3", "-gstrict-dwarf"][..]),
        ("4", &["-gdwarf-4"]),
        ("5", &["-gdwarf-5"]),
        ("64", &["-gdwarf-5", "-gdwarf64"]),
    ] {
        let folder = Folder::new(name);
        let image = folder.gcc(Path::new(DATA), &[options, &["-c", "types.c"]].concat());
        let extraction = dwarf_types(&image).unwrap();
        assert_eq!(extraction.incomplete, []);
        assert_eq!(listed(&extraction.kernel), expected, "{options:?}");
    }
}

#[test]
fn members_have_places() {
    let folder = Folder::new("places");
    let data = std::fs::read(folder.gcc(Path::new(DATA), &["-c", "types.c"])).unwrap();
    let image = Image::parse(Buffer::Memory(data)).unwrap();
    let sections = Sections::of(&image).unwrap();
    for (name, member, expected) in [
        ("list_head", "prev", Some((8, 8))),
        ("nested", "link.prev", Some((16, 8))),
        ("nested", "owner", Some((16, 8))),
        ("nested", "kind", None), // a bit field
        ("nested", "range", Some((24, 32))),
        ("nested", "inner.deep", Some((56, 4))),
        ("everything", "value.high", Some((188, 4))),
        ("everything", "count.counter", Some((0, 4))),
        ("everything", "count.missing", None),
        ("everything", "get.first", None), // a pointer leads out of the struct
        ("local", "everything", None),     // local to a function
        ("opaque", "x", None),
        ("missing", "x", None),
    ] {
        assert_eq!(sections.member(name, member), expected, "{name} {member}");
    }
    assert_eq!(sections.size_of("bits"), Some(16));
    assert_eq!((sections.size_of("opaque"), sections.size_of("value")), (None, None));
}

/// What is declared once may be defined in several ways: by macros, and by a source that others include.
#[test]
fn definitions_behind_one_declaration() {
    let folder = Folder::new("several");
    let write = |name: &str, text: &str| std::fs::write(folder.0.join(name), text).unwrap();
    write("a.h", "struct same { int x; };\nstruct other { int x;\n#ifdef MORE\n int y;\n#endif\n};\nstruct header { ID id; };\n");
    write("a.c", "#include \"a.h\"\nstruct note { ID id; };\nstruct same s; struct other o; struct note n; struct header h;\n");
    write("one.c", "#define ID int\n#include \"a.c\"\n");
    write("two.c", "#define ID unsigned\n#define MORE\n#define s s2\n#define o o2\n#define n n2\n#define h h2\n#include \"a.c\"\n");
    let image = folder.gcc(&folder.0, &["-nostdlib", "-r", "one.c", "two.c"]);
    let expected = "\
struct header, 4 bytes
  0.0: id is int, 4 bytes
struct header, 4 bytes
  0.0: id is unsigned int, 4 bytes
struct note, 4 bytes
  0.0: id is int, 4 bytes
struct note, 4 bytes
  0.0: id is unsigned int, 4 bytes
struct other, 4 bytes
  0.0: x is int, 4 bytes
struct other, 8 bytes
  0.0: x is int, 4 bytes
  4.0: y is int, 4 bytes
struct same, 4 bytes
  0.0: x is int, 4 bytes
";
    let mut found: Vec<String> = listed(&dwarf_types(&image).unwrap().kernel)
        .split_inclusive('\n')
        .collect::<String>()
        .replace("\nstruct", "\0struct")
        .split('\0')
        .map(|definition| format!("{}\n", definition.trim_end()))
        .collect();
    found.sort();
    assert_eq!(found.concat(), expected);

    // A second image of the same kernel need not read again what the first one had, unless a `.c` declares it.
    let image = Image::parse(Buffer::Memory(std::fs::read(&image).unwrap())).unwrap();
    let sections = Sections::of(&image).unwrap();
    let (known, cancelled) = (Known::default(), AtomicBool::new(false));
    let first = from_dwarf::read(&sections, &known, &cancelled).unwrap();
    let second = from_dwarf::read(&sections, &known, &cancelled).unwrap();
    assert_eq!((first.rows.len(), first.known.len()), (7, 0));
    assert_eq!((second.rows.len(), second.known.len()), (2, 5));
    assert!(second.known.iter().all(|&key| first.definitions.number(key).is_some()));
    cancelled.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(from_dwarf::read(&sections, &known, &cancelled).unwrap_err().is_cancelled());
}
