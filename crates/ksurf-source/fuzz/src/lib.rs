//! What each fuzz target does with its input. `tests/mutations.rs` runs the same functions without a fuzzer.
//!
//! Any error is fine. A panic, a hang, memory without bound, or an answer that contradicts itself is not.

use ksurf_source::error::Result;
use ksurf_source::file::SourceFile;
use ksurf_source::index::{build, Index, Progress};
use ksurf_source::kernel_doc::{documentation, Wanted};
use ksurf_source::search::search;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A target, by the name of its file in `fuzz_targets`.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 3] = [("text", text), ("index", index), ("pattern", pattern)];

/// The parts of an index.
pub const PARTS: [&str; 4] = ["files", "names", "postings", "trigrams"];

/// A file's text, in each language.
pub fn text(data: &[u8]) {
    let lines = data.iter().filter(|&&byte| byte == b'\n').count() as u32 + 1;
    for path in ["a.c", "arch/x86/a.S", "arch/arm/a.S", "a.dts", "a.rs", "README"] {
        let file = SourceFile::of(path.as_bytes(), data.to_vec());
        let mut before = (0, 0);
        for identifier in file.identifiers() {
            assert!((identifier.line, identifier.column) > before && identifier.line <= lines);
            before = (identifier.line, identifier.column);
        }
        for found in file.definitions() {
            assert!(found.line >= 1 && found.line <= lines && found.column >= 1 && !found.name.is_empty());
            let owner = found.owner.as_ref().map(|owner| String::from_utf8_lossy(&owner.name));
            let name = String::from_utf8_lossy(&found.name);
            let wanted = Wanted {
                kind: found.kind,
                name: &name,
                path: None,
                owner: owner.as_deref(),
                start_line: found.start_line,
                line: found.line,
                via: None,
            };
            let _ = documentation(&file, &wanted);
        }
    }
}

/// A tree of the sample's files, which good indexes are made of.
pub fn sample() -> &'static Path {
    static SAMPLE: OnceLock<PathBuf> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("ksurf-source-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("tree/d")).unwrap();
        for (name, text) in [
            ("a.c", SAMPLE_TEXT),
            ("b.h", "#define A(x) x\n"),
            ("d/c.S", "f:\n\tret\n"),
            ("README", "kick\n"),
        ] {
            std::fs::write(folder.join("tree").join(name), text).unwrap();
        }
        build(&folder.join("tree"), &folder.join("names"), 1, &Progress::default()).unwrap();
        folder
    })
}

/// Code with something of everything.
pub const SAMPLE_TEXT: &str = include_str!("../sample.c");

/// An index one of whose parts, which the first byte chooses, is the rest of the input.
pub fn index(data: &[u8]) {
    let Some((&part, content)) = data.split_first() else { return };
    let good = sample().join("names");
    let folder = sample().join("damaged");
    std::fs::create_dir_all(&folder).unwrap();
    for (number, name) in PARTS.iter().enumerate() {
        let to = folder.join(name);
        let _ = std::fs::remove_file(&to);
        if number == usize::from(part) % PARTS.len() {
            std::fs::write(&to, content).unwrap();
        } else {
            std::fs::hard_link(good.join(name), &to).unwrap();
        }
    }
    let _ = ask(&folder);
}

fn ask(folder: &Path) -> Result<()> {
    let index = Index::open(folder, Some(&sample().join("tree")))?;
    let _ = index.check();
    for name in ["vcpu_kick", "vcpu", "A", "", "zzz"] {
        let _ = index.definitions(name.as_bytes());
        if let Ok(found) = index.references(name.as_bytes(), 100) {
            assert!(found.list.len() <= 100);
        }
        let _ = index.complete(name.as_bytes(), 10);
    }
    for pattern in ["vcpu_kick|ret", "."] {
        let _ = search(&index, pattern, Some("**/*.c"), 100, || false);
        let _ = search(&index, pattern, None, 100, || false);
    }
    Ok(())
}

/// A pattern for a search; what it finds is what reading all files finds.
pub fn pattern(data: &[u8]) {
    let Ok(pattern) = std::str::from_utf8(data) else { return };
    let Ok(index) = Index::open(&sample().join("names"), None) else { return };
    let Ok(found) = search(&index, pattern, None, 10_000, || false) else { return };
    let regex = regex::bytes::RegexBuilder::new(pattern).multi_line(true).unicode(false).build().unwrap();
    for file in 0..index.file_count() as u32 {
        let path = String::from_utf8(index.path(file).unwrap().to_vec()).unwrap();
        let text = std::fs::read(sample().join("tree").join(path)).unwrap();
        let is_found = found.list.iter().any(|line| line.file == file);
        let first = regex.find(&text).filter(|found| found.start() < text.len());
        assert_eq!(first.is_some(), is_found, "{pattern:?} in file {file}");
    }
}
