//! The names layer without Python: `names build TREE INDEX [THREADS]`, `names definitions FILE...` (for comparisons
//! with other programs), `names show INDEX NAME`, `names refs INDEX NAME`, `names search INDEX PATTERN`.

use ksurf_source::definitions::definitions;
use ksurf_source::index::{build, Index, Progress};
use ksurf_source::lexer::{Syntax, Tokens};
use ksurf_source::search::search;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let start = Instant::now();
    match words[..] {
        ["build", tree, index] => build(Path::new(tree), Path::new(index), 0, &Progress::default())?,
        ["build", tree, index, threads] => {
            build(Path::new(tree), Path::new(index), threads.parse()?, &Progress::default())?;
        }
        ["definitions", ref files @ ..] => list(files)?,
        ["show", folder, name] => {
            let index = Index::open(Path::new(folder), None)?;
            for definition in index.definitions(name.as_bytes())? {
                println!("{}: {definition:?}", String::from_utf8_lossy(index.path(definition.file)?));
            }
        }
        ["refs", folder, name] => {
            let index = Index::open(Path::new(folder), None)?;
            let found = index.references(name.as_bytes(), 20)?;
            for place in &found.list {
                println!("{}:{}", String::from_utf8_lossy(index.path(place.file)?), place.line);
            }
            println!("{} in all", found.total);
        }
        ["search", folder, pattern] => {
            let index = Index::open(Path::new(folder), None)?;
            for _ in 0..3 {
                let start = Instant::now();
                let found = search(&index, pattern, None, 1000, || false)?;
                eprintln!("{} matches, {} files, {:?}", found.list.len(), found.files_read, start.elapsed());
            }
        }
        _ => return Err("names build|definitions|show|refs|search ...".into()),
    }
    eprintln!("{:?}", start.elapsed());
    Ok(())
}

/// A line for each definition of each file: name, kind, file, line, whether it is only declared, the macro that made it.
fn list(files: &[&str]) -> Result<(), Failure> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut tokens = Tokens::default();
    let listed = match files {
        ["-"] => std::io::read_to_string(std::io::stdin())?,
        files => files.join("\n"),
    };
    for file in listed.lines() {
        let Some(syntax) = Syntax::of_path(file.as_bytes()) else { continue };
        let text = std::fs::read(file)?;
        tokens.read(&text, syntax);
        for found in definitions(&text, syntax, &tokens) {
            let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let owner = found.owner.as_ref().map_or(String::new(), |owner| shown(&owner.name));
            let via = found.via.as_ref().map_or(String::new(), |via| shown(via));
            let declared = if found.is_declaration { "declaration" } else { "" };
            let (name, kind) = (shown(&found.name), found.kind.name());
            let (start, line, end) = (found.start_line, found.line, found.end_line);
            writeln!(out, "{name}\t{kind}\t{file}\t{line}\t{declared}\t{via}\t{owner}\t{end}\t{start}")?;
        }
    }
    Ok(())
}
