//! What a batch of files holds, sorted, in a temporary file: names with their postings, then trigrams.
//!
//! Batches are neighbouring files in the tree's order, so that the postings of a name in one run come before those in
//! the next one.

use super::bytes::{common, put, put_bytes};
use super::{flag, LONGEST_NAME};
use crate::definitions::{self, Definition};
use crate::error::{Error, Result};
use crate::lexer::{Kind, Syntax, Tokens};
use crate::trigrams::{Collector, SPACE};
use hashbrown::HashTable;
use rustc_hash::FxHasher;
use std::fs::File;
use std::hash::Hasher;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Words of C that are mentioned everywhere and mean nothing.
const UNTOLD: [&str; 32] = [
    "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum",
    "extern", "float", "for", "goto", "if", "inline", "int", "long", "register", "return", "short", "signed",
    "sizeof", "static", "struct", "switch", "typedef", "union", "unsigned", "void", "while",
];

/// No real file's definitions take so many times the bytes of its text; one with long names could, repeated in each member.
const MOST_OF_TEXT: usize = 8;

/// Numbers for names.
#[derive(Default)]
struct Names {
    table: HashTable<u32>,
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

fn hash(name: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(name);
    hasher.finish()
}

impl Names {
    fn get(&self, id: u32) -> &[u8] {
        let start = if id == 0 { 0 } else { self.ends[id as usize - 1] };
        &self.bytes[start as usize..self.ends[id as usize] as usize]
    }

    fn id(&mut self, name: &[u8]) -> u32 {
        let name = &name[..name.len().min(LONGEST_NAME)];
        let Names { table, bytes, ends } = self;
        let slice = |id: u32| {
            let start = if id == 0 { 0 } else { ends[id as usize - 1] };
            &bytes[start as usize..ends[id as usize] as usize]
        };
        let own = hash(name);
        if let Some(&id) = table.find(own, |&id| slice(id) == name) {
            return id;
        }
        let id = ends.len() as u32;
        table.insert_unique(own, id, |&id| hash(slice(id)));
        bytes.extend_from_slice(name);
        ends.push(bytes.len() as u32);
        id
    }
}

/// A mention: a name, and a line of the file whose turn it is.
#[derive(Clone, Copy, Default)]
struct Mention {
    name: u32,
    line: u32,
}

struct Defined {
    name: u32,
    file: u32,
    start: u32,
    end: u32,
}

/// What was found in the files of a batch so far.
pub struct Batch {
    names: Names,
    mentions: Vec<Mention>,
    /// Each file's number, and where its mentions and its trigrams end.
    files: Vec<(u32, u32, u32)>,
    defined: Vec<Defined>,
    /// The definitions, as they will stand in the index.
    encoded: Vec<u8>,
    trigrams: Vec<u32>,
    collector: Collector,
    tokens: Tokens,
}

impl Default for Batch {
    fn default() -> Batch {
        let mut names = Names::default();
        for word in UNTOLD {
            names.id(word.as_bytes());
        }
        Batch {
            names,
            mentions: Vec::new(),
            files: Vec::new(),
            defined: Vec::new(),
            encoded: Vec::new(),
            trigrams: Vec::new(),
            collector: Collector::default(),
            tokens: Tokens::default(),
        }
    }
}

/// Where the parts of a run's file begin, and which trigrams there are.
pub struct Run {
    pub file: File,
    pub trigrams_offset: u64,
    pub end: u64,
}

impl Batch {
    /// Reads a file; files come in the order of their numbers. Returns how many lines it has.
    pub fn add(&mut self, number: u32, path: &[u8], text: &[u8]) -> u32 {
        self.collector.collect(text, &mut self.trigrams);
        let lines = match Syntax::of_path(path) {
            Some(syntax) => {
                self.tokens.read(text, syntax);
                self.read_names(number, text, syntax);
                self.tokens.lines
            }
            None => {
                self.tokens.count_lines(text);
                self.tokens.lines
            }
        };
        self.files.push((number, self.mentions.len() as u32, self.trigrams.len() as u32));
        lines
    }

    fn read_names(&mut self, number: u32, text: &[u8], syntax: Syntax) {
        let is_c = matches!(syntax, Syntax::C | Syntax::DeviceTree | Syntax::Rust);
        for token in &self.tokens.list {
            if token.kind == Kind::Identifier {
                let name = self.names.id(token.of(text));
                if name as usize >= UNTOLD.len() || !is_c {
                    self.mentions.push(Mention { name, line: token.line });
                }
            }
        }
        let limit = self.encoded.len() + text.len() * MOST_OF_TEXT + (1 << 16);
        for definition in definitions::definitions(text, syntax, &self.tokens) {
            if self.encoded.len() > limit {
                break;
            }
            let name = self.names.id(&definition.name);
            let start = self.encoded.len() as u32;
            encode(&definition, &mut self.encoded);
            self.defined.push(Defined { name, file: number, start, end: self.encoded.len() as u32 });
        }
    }

    /// Writes what was found to a file that has no name any more when the process ends.
    pub fn finish(self, path: &Path) -> Result<Run> {
        let failed = || Error::io("write", path);
        let file = File::options().read(true).write(true).create_new(true).open(path).map_err(failed())?;
        std::fs::remove_file(path).map_err(failed())?;
        let mut out = BufWriter::with_capacity(1 << 18, &file);
        let trigrams_offset = self.write_names(&mut out).map_err(failed())?;
        let size = self.write_trigrams(&mut out).map_err(failed())?;
        out.flush().map_err(failed())?;
        drop(out);
        Ok(Run { file, trigrams_offset, end: trigrams_offset + size })
    }

    fn write_names(&self, out: &mut impl Write) -> std::io::Result<u64> {
        let count = self.names.ends.len();
        let mut order: Vec<(u64, u32)> =
            (0..count as u32).map(|id| (first_bytes(self.names.get(id)), id)).collect();
        order.sort_unstable_by(|a, b| {
            a.0.cmp(&b.0).then_with(|| self.names.get(a.1).cmp(self.names.get(b.1)))
        });
        let (starts, mentions) = self.sorted_mentions();
        let mut defined: Vec<&Defined> = self.defined.iter().collect();
        defined.sort_by_key(|definition| definition.name);
        let mut defined_starts = vec![0u32; count + 1];
        for definition in &defined {
            defined_starts[definition.name as usize + 1] += 1;
        }
        for at in 0..count {
            defined_starts[at + 1] += defined_starts[at];
        }
        let (mut written, mut entry) = (0, Vec::new());
        let (mut own, mut others) = (Vec::new(), Vec::new());
        let mut before: &[u8] = &[];
        for (_, id) in order {
            let at = id as usize;
            let mine = &defined[defined_starts[at] as usize..defined_starts[at + 1] as usize];
            let told = &mentions[starts[at] as usize..starts[at + 1] as usize];
            if mine.is_empty() && told.is_empty() {
                continue;
            }
            own.clear();
            let mut last = 0;
            for definition in mine {
                put(&mut own, u64::from(definition.file - last));
                last = definition.file;
                own.extend_from_slice(&self.encoded[definition.start as usize..definition.end as usize]);
            }
            others.clear();
            let (count, last_told) = put_mentions(told, &mut others);
            let name = self.names.get(id);
            let shared = common(before, name);
            before = name;
            entry.clear();
            put(&mut entry, shared as u64);
            put_bytes(&mut entry, &name[shared..]);
            for value in [mine.len(), last as usize, own.len(), count, last_told as usize, others.len()] {
                put(&mut entry, value as u64);
            }
            out.write_all(&entry)?;
            out.write_all(&own)?;
            out.write_all(&others)?;
            written += (entry.len() + own.len() + others.len()) as u64;
        }
        Ok(written)
    }

    /// The mentions as (file, line), those of a name together, in order; and where each name's begin.
    fn sorted_mentions(&self) -> (Vec<u32>, Vec<(u32, u32)>) {
        let mut starts = vec![0u32; self.names.ends.len() + 1];
        for mention in &self.mentions {
            starts[mention.name as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut next = starts.clone();
        let mut sorted = vec![(0, 0); self.mentions.len()];
        let mut from = 0;
        for &(file, end, _) in &self.files {
            for mention in &self.mentions[from as usize..end as usize] {
                let slot = &mut next[mention.name as usize];
                sorted[*slot as usize] = (file, mention.line);
                *slot += 1;
            }
            from = end;
        }
        (starts, sorted)
    }

    fn write_trigrams(&self, out: &mut impl Write) -> std::io::Result<u64> {
        let mut next = vec![0u32; SPACE + 1];
        for &trigram in &self.trigrams {
            next[trigram as usize + 1] += 1;
        }
        let mut total = 0;
        for slot in &mut next {
            total += *slot;
            *slot = total;
        }
        // `next[t]` is now where the files of `t` start, and, once they are filled in, where they end.
        let mut sorted = vec![0u32; self.trigrams.len()];
        let mut from = 0;
        for &(file, _, end) in &self.files {
            for &trigram in &self.trigrams[from as usize..end as usize] {
                let slot = &mut next[trigram as usize];
                sorted[*slot as usize] = file;
                *slot += 1;
            }
            from = end;
        }
        let (mut written, mut buffer, mut last) = (0, Vec::new(), 0);
        let mut start = 0;
        for (trigram, &end) in next[..SPACE].iter().enumerate() {
            if end == start {
                continue;
            }
            put(&mut buffer, (trigram - last) as u64);
            last = trigram;
            put(&mut buffer, u64::from(end - start));
            let mut before = 0;
            for &file in &sorted[start as usize..end as usize] {
                put(&mut buffer, u64::from(file - before));
                before = file;
            }
            start = end;
            if buffer.len() > 1 << 16 {
                out.write_all(&buffer)?;
                written += buffer.len() as u64;
                buffer.clear();
            }
        }
        out.write_all(&buffer)?;
        Ok(written + buffer.len() as u64)
    }
}

/// Eight bytes that sort as their name does, as far as they go.
fn first_bytes(name: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let size = name.len().min(8);
    bytes[..size].copy_from_slice(&name[..size]);
    u64::from_be_bytes(bytes)
}

/// Writes the lines of each file, each once; returns how many there are, and the last file.
fn put_mentions(mentions: &[(u32, u32)], out: &mut Vec<u8>) -> (usize, u32) {
    let (mut count, mut before) = (0, 0);
    for of_file in mentions.chunk_by(|a, b| a.0 == b.0) {
        let file = of_file[0].0;
        put(out, u64::from(file - before));
        before = file;
        let lines = of_file.chunk_by(|a, b| a.1 == b.1);
        put(out, lines.clone().count() as u64);
        let mut line_before = 0;
        for line in lines.map(|same| same[0].1) {
            put(out, u64::from(line - line_before));
            line_before = line;
            count += 1;
        }
    }
    (count, before)
}

/// A definition without its name and its file.
fn encode(definition: &Definition<'_>, out: &mut Vec<u8>) {
    let optional = |is_there: bool, flag: u8| if is_there { flag } else { 0 };
    out.push(definition.kind as u8);
    out.push(
        optional(definition.is_static, flag::STATIC)
            | optional(definition.is_declaration, flag::DECLARATION)
            | optional(definition.owner.is_some(), flag::OWNER)
            | optional(definition.path.is_some(), flag::PATH)
            | optional(definition.via.is_some(), flag::VIA)
            | optional(definition.parameters.is_some(), flag::PARAMETERS),
    );
    put(out, u64::from(definition.line));
    put(out, u64::from(definition.column));
    put(out, u64::from(definition.line.saturating_sub(definition.start_line)));
    put(out, u64::from(definition.end_line.saturating_sub(definition.line)));
    if let Some(owner) = &definition.owner {
        out.push(owner.kind as u8);
        put_bytes(out, &owner.name[..owner.name.len().min(LONGEST_NAME)]);
    }
    for text in [&definition.path, &definition.via, &definition.parameters].into_iter().flatten() {
        put_bytes(out, &text[..text.len().min(LONGEST_NAME)]);
    }
}
