//! Runs into the files of the index.

use super::bytes::{common, put, put_bytes};
use super::run::Run;
use super::{DENSE, HEADER_SIZE, MAGIC, NAMES_PER_BLOCK, PARTS, VERSION};
use crate::error::{Error, Result};
use std::collections::binary_heap::PeekMut;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use xxhash_rust::xxh3::{xxh3_64, Xxh3};

/// A file of an index while it is written: its header is put in front at the end.
pub struct Part {
    path: PathBuf,
    number: u32,
    out: BufWriter<File>,
    hash: Xxh3,
    pub offset: u64,
}

impl Part {
    pub fn create(folder: &Path, number: u32) -> Result<Part> {
        let path = folder.join(PARTS[number as usize]);
        let file = File::create_new(&path).map_err(Error::io("write", &path))?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        out.write_all(&[0; HEADER_SIZE]).map_err(Error::io("write", &path))?;
        Ok(Part { path, number, out, hash: Xxh3::new(), offset: HEADER_SIZE as u64 })
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hash.update(bytes);
        self.offset += bytes.len() as u64;
        self.out.write_all(bytes).map_err(Error::io("write", &self.path))
    }

    pub fn finish(self) -> Result<()> {
        let failed = || Error::io("write", &self.path);
        let mut header = MAGIC.to_vec();
        header.extend(VERSION.to_le_bytes());
        header.extend(self.number.to_le_bytes());
        header.extend(self.offset.to_le_bytes());
        header.extend(self.hash.digest().to_le_bytes());
        let file = self.out.into_inner().map_err(|e| failed()(e.into_error()))?;
        file.write_all_at(&header, 0).map_err(failed())?;
        file.sync_all().map_err(failed())
    }
}

/// A stretch of a run's file, read from its front.
struct Input<'a> {
    file: &'a File,
    next: u64,
    end: u64,
    buffer: Vec<u8>,
    at: usize,
}

impl<'a> Input<'a> {
    fn new(file: &'a File, next: u64, end: u64) -> Input<'a> {
        Input { file, next, end, buffer: Vec::new(), at: 0 }
    }

    /// Makes `size` bytes available, or what is left.
    fn fill(&mut self, size: usize) -> io::Result<()> {
        if self.buffer.len() - self.at >= size || self.next >= self.end {
            return Ok(());
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        let have = self.buffer.len();
        let want = size.max(1 << 18).min(have + (self.end - self.next) as usize);
        self.buffer.resize(want, 0);
        self.file.read_exact_at(&mut self.buffer[have..], self.next)?;
        self.next += (want - have) as u64;
        Ok(())
    }

    fn number(&mut self) -> io::Result<u64> {
        self.fill(10)?;
        let mut cursor = super::bytes::Cursor { bytes: &self.buffer, at: self.at };
        let value = cursor.number().ok_or(io::ErrorKind::UnexpectedEof)?;
        self.at = cursor.at;
        Ok(value)
    }

    fn take(&mut self, size: usize, into: &mut Vec<u8>) -> io::Result<()> {
        self.fill(size)?;
        let taken = self.buffer.get(self.at..self.at + size).ok_or(io::ErrorKind::UnexpectedEof)?;
        into.extend_from_slice(taken);
        self.at += size;
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.at >= self.buffer.len() && self.next >= self.end
    }
}

/// The files of a name: how many places, the last file, and the bytes.
#[derive(Default)]
struct Postings {
    count: u64,
    last: u64,
    bytes: Vec<u8>,
}

impl Postings {
    /// Appends those of a later run, whose first file is written in full.
    fn append(&mut self, later: &Postings) {
        if later.bytes.is_empty() {
            return;
        }
        let mut cursor = super::bytes::Cursor::new(&later.bytes);
        let first = cursor.number().unwrap_or_default();
        put(&mut self.bytes, first - self.last);
        self.bytes.extend_from_slice(&later.bytes[cursor.at..]);
        self.count += later.count;
        self.last = later.last;
    }

    fn clear(&mut self) {
        self.count = 0;
        self.last = 0;
        self.bytes.clear();
    }
}

/// The name that a run has next. The heap's greatest is the first in order, and of the same name the earliest run.
struct Next<'a> {
    name: Vec<u8>,
    run: usize,
    defined: Postings,
    mentioned: Postings,
    input: Input<'a>,
}

impl Next<'_> {
    /// Goes to the next name; false if there is none.
    fn advance(&mut self) -> io::Result<bool> {
        if self.input.is_empty() {
            return Ok(false);
        }
        let shared = self.input.number()? as usize;
        let rest = self.input.number()? as usize;
        self.name.truncate(shared);
        self.input.take(rest, &mut self.name)?;
        let mut values = [0; 6];
        for value in &mut values {
            *value = self.input.number()?;
        }
        let [defined, last_defined, defined_size, mentioned, last_mentioned, mentioned_size] = values;
        self.defined.clear();
        self.mentioned.clear();
        (self.defined.count, self.defined.last) = (defined, last_defined);
        (self.mentioned.count, self.mentioned.last) = (mentioned, last_mentioned);
        self.input.take(defined_size as usize, &mut self.defined.bytes)?;
        self.input.take(mentioned_size as usize, &mut self.mentioned.bytes)?;
        Ok(true)
    }
}

impl PartialEq for Next<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Next<'_> {}
impl PartialOrd for Next<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Next<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.name.cmp(&self.name).then(other.run.cmp(&self.run))
    }
}

/// Writes names and postings.
struct Writer {
    names: Part,
    postings: Part,
    /// Where each block of names starts.
    blocks: Vec<u64>,
    block: Vec<u8>,
    in_block: usize,
    count: u64,
    last: Vec<u8>,
}

impl Writer {
    fn add(&mut self, name: &[u8], defined: &Postings, mentioned: &Postings) -> Result<()> {
        if self.in_block == NAMES_PER_BLOCK {
            self.end_block()?;
        }
        let shared = if self.in_block == 0 {
            self.block.clear();
            self.block.extend(self.postings.offset.to_le_bytes());
            0
        } else {
            common(&self.last, name)
        };
        put(&mut self.block, shared as u64);
        put_bytes(&mut self.block, &name[shared..]);
        for value in
            [defined.count, defined.bytes.len() as u64, mentioned.count, mentioned.bytes.len() as u64]
        {
            put(&mut self.block, value);
        }
        self.postings.write(&defined.bytes)?;
        self.postings.write(&mentioned.bytes)?;
        self.last.clear();
        self.last.extend_from_slice(name);
        self.in_block += 1;
        self.count += 1;
        Ok(())
    }

    fn end_block(&mut self) -> Result<()> {
        if self.in_block > 0 {
            self.blocks.push(self.names.offset);
            let hash = xxh3_64(&self.block) as u32;
            self.names.write(&hash.to_le_bytes())?;
            self.names.write(&self.block)?;
            self.in_block = 0;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        self.end_block()?;
        let index = self.names.offset;
        for block in std::mem::take(&mut self.blocks) {
            self.names.write(&block.to_le_bytes())?;
        }
        // Last, since only now they are known.
        self.names.write(&index.to_le_bytes())?;
        self.names.write(&self.count.to_le_bytes())?;
        self.names.finish()?;
        self.postings.finish()
    }
}

fn checked(cancelled: &AtomicBool) -> Result<()> {
    if cancelled.load(Ordering::Relaxed) {
        return Err(Error::Cancelled);
    }
    Ok(())
}

/// Merges the names of all runs.
pub fn names(folder: &Path, runs: &[Run], cancelled: &AtomicBool) -> Result<()> {
    let failed = || Error::io("read", folder);
    let mut heap = BinaryHeap::new();
    for (run, input) in runs.iter().enumerate() {
        let input = Input::new(&input.file, 0, input.trigrams_offset);
        let (defined, mentioned) = Default::default();
        let mut next = Next { name: Vec::new(), run, defined, mentioned, input };
        if next.advance().map_err(failed())? {
            heap.push(next);
        }
    }
    let mut writer = Writer {
        names: Part::create(folder, super::NAMES)?,
        postings: Part::create(folder, super::POSTINGS)?,
        blocks: Vec::new(),
        block: Vec::new(),
        in_block: 0,
        count: 0,
        last: Vec::new(),
    };
    let mut name = Vec::new();
    let (mut defined, mut mentioned) = (Postings::default(), Postings::default());
    while let Some(mut next) = heap.peek_mut() {
        if next.name != name {
            if defined.count + mentioned.count > 0 {
                writer.add(&name, &defined, &mentioned)?;
                if writer.count.is_multiple_of(4096) {
                    checked(cancelled)?;
                }
            }
            name.clear();
            name.extend_from_slice(&next.name);
            defined.clear();
            mentioned.clear();
        }
        defined.append(&next.defined);
        mentioned.append(&next.mentioned);
        if !next.advance().map_err(failed())? {
            PeekMut::pop(next);
        }
    }
    if defined.count + mentioned.count > 0 {
        writer.add(&name, &defined, &mentioned)?;
    }
    writer.finish()
}

/// Merges the trigrams of all runs.
pub fn trigrams(folder: &Path, runs: &[Run], file_count: usize, cancelled: &AtomicBool) -> Result<()> {
    let failed = || Error::io("read", folder);
    let mut inputs: Vec<_> =
        runs.iter().map(|run| Input::new(&run.file, run.trigrams_offset, run.end)).collect();
    // The trigram that each run has next; none at its end.
    let mut next = Vec::new();
    for input in &mut inputs {
        next.push(if input.is_empty() { None } else { Some(input.number().map_err(failed())?) });
    }
    let mut part = Part::create(folder, super::TRIGRAMS)?;
    let (mut table, mut count) = (Vec::new(), 0u64);
    let (mut files, mut out) = (Vec::new(), Vec::new());
    while let Some(trigram) = next.iter().flatten().min().copied() {
        files.clear();
        for (input, next) in inputs.iter_mut().zip(&mut next) {
            if *next != Some(trigram) {
                continue;
            }
            let many = input.number().map_err(failed())?;
            let mut file = 0;
            for _ in 0..many {
                file += input.number().map_err(failed())?;
                files.push(file as u32);
            }
            *next = if input.is_empty() { None } else { Some(trigram + input.number().map_err(failed())?) };
        }
        let is_dense = files.len() * 8 > file_count;
        out.clear();
        if is_dense {
            out.resize(file_count.div_ceil(8), 0);
            for &file in &files {
                out[file as usize / 8] |= 1 << (file % 8);
            }
        } else {
            let mut before = 0;
            for &file in &files {
                put(&mut out, u64::from(file - before));
                before = file;
            }
        }
        table.extend((trigram as u32 | if is_dense { DENSE } else { 0 }).to_le_bytes());
        table.extend((files.len() as u32).to_le_bytes());
        table.extend(part.offset.to_le_bytes());
        part.write(&out)?;
        count += 1;
        if count.is_multiple_of(4096) {
            checked(cancelled)?;
        }
    }
    let at = part.offset;
    part.write(&table)?;
    part.write(&at.to_le_bytes())?;
    part.write(&count.to_le_bytes())?;
    part.finish()
}
