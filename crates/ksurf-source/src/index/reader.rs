//! Asking an index. Its files are mapped; whatever they hold, an answer is right or an error.

use super::bytes::Cursor;
use super::writer::State;
use super::{
    flag, DENSE, FILES, HEADER_SIZE, MAGIC, NAMES, NAMES_PER_BLOCK, PARTS, POSTINGS, TRIGRAMS, VERSION,
};
use crate::definitions::{self, Kind};
use crate::error::{Error, Result};
use crate::trigrams::{Query, Trigram};
use memmap2::Mmap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

/// An index, open.
#[derive(Debug)]
pub struct Index {
    parts: [Part; 4],
    root: PathBuf,
    file_count: usize,
    /// Where the table of files ends and their paths begin.
    paths: usize,
    blocks: Table,
    name_count: u64,
    trigrams: Table,
}

/// One of its files.
#[derive(Debug)]
struct Part {
    path: PathBuf,
    map: Mmap,
}

/// Entries of the same size within a part.
#[derive(Debug, Clone, Copy)]
struct Table {
    start: usize,
    count: usize,
}

/// What a member or an enumerator belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub kind: Kind,
    pub name: Vec<u8>,
}

/// A definition, as [`crate::definitions::Definition`] describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    pub file: u32,
    pub kind: Kind,
    pub line: u32,
    pub column: u32,
    pub start_line: u32,
    pub end_line: u32,
    pub is_static: bool,
    pub is_declaration: bool,
    pub owner: Option<Owner>,
    pub path: Option<Vec<u8>>,
    pub via: Option<Vec<u8>>,
    pub parameters: Option<Vec<u8>>,
}

/// A line that mentions a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference {
    pub file: u32,
    pub line: u32,
}

impl Definition {
    /// One that was found just now, in a file with a number.
    pub fn found(file: u32, found: &definitions::Definition<'_>) -> Definition {
        let own = |text: &Option<std::borrow::Cow<'_, [u8]>>| text.as_ref().map(|text| text.to_vec());
        Definition {
            file,
            kind: found.kind,
            line: found.line,
            column: found.column,
            start_line: found.start_line,
            end_line: found.end_line,
            is_static: found.is_static,
            is_declaration: found.is_declaration,
            owner: found.owner.as_ref().map(|owner| Owner { kind: owner.kind, name: owner.name.to_vec() }),
            path: own(&found.path),
            via: own(&found.via),
            parameters: own(&found.parameters),
        }
    }
}

/// The first lines that mention a name, and how many there are in all.
#[derive(Debug, Default)]
pub struct References {
    pub list: Vec<Reference>,
    pub total: u64,
}

/// A name that goes on from a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    pub name: Vec<u8>,
    pub definitions: u64,
    pub references: u64,
}

/// Where a name's postings are, and how many places they have.
#[derive(Debug, Clone, Copy)]
struct Found {
    offset: u64,
    definitions: u64,
    definitions_size: u64,
    references: u64,
    references_size: u64,
}

impl Part {
    fn open(folder: &Path, number: u32) -> Result<Part> {
        let path = folder.join(PARTS[number as usize]);
        let file = File::open(&path).map_err(Error::io("open", &path))?;
        // SAFETY: nobody changes an index's files; a new one takes the old one's place by its name.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io("map", &path))?;
        let part = Part { path, map };
        let header = part.bytes("header", 0, HEADER_SIZE)?;
        if &header[..8] != MAGIC {
            return Err(part.corrupt(0, "this is no file of an index"));
        }
        let version = part.u32(8)?;
        if version != VERSION {
            return Err(Error::Unsupported { file: part.path, version, known: VERSION });
        }
        if part.u32(12)? != number {
            return Err(part.corrupt(12, "this is another file of an index"));
        }
        let (size, there) = (part.u64(16)?, part.map.len() as u64);
        if size > there {
            let what = "what the header announces".into();
            return Err(Error::Truncated {
                file: part.path,
                what,
                offset: 0,
                needed: size,
                available: there,
            });
        }
        if size < there {
            return Err(part.corrupt(size as usize, "something follows the end"));
        }
        Ok(part)
    }

    fn corrupt(&self, offset: usize, reason: &'static str) -> Error {
        Error::Corrupt { file: self.path.clone(), offset: offset as u64, reason: reason.into() }
    }

    fn bytes(&self, what: &'static str, offset: usize, size: usize) -> Result<&[u8]> {
        offset.checked_add(size).and_then(|end| self.map.get(offset..end)).ok_or_else(|| Error::Truncated {
            file: self.path.clone(),
            what: what.into(),
            offset: offset as u64,
            needed: size as u64,
            available: self.map.len().saturating_sub(offset) as u64,
        })
    }

    fn u32(&self, offset: usize) -> Result<u32> {
        let bytes = self.bytes("number", offset, 4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn u64(&self, offset: usize) -> Result<u64> {
        Ok(u64::from(self.u32(offset)?) | u64::from(self.u32(offset + 4)?) << 32)
    }

    /// A table whose place and another number stand at the end of the file.
    fn table(&self, entry_size: usize) -> Result<(Table, u64)> {
        let end = self.map.len().saturating_sub(16).max(HEADER_SIZE);
        let (start, number) = (self.u64(end)?, self.u64(end + 8)?);
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        if start < HEADER_SIZE || start > end || !(end - start).is_multiple_of(entry_size) {
            return Err(self.corrupt(end, "the table is not where it should be"));
        }
        Ok((Table { start, count: (end - start) / entry_size }, number))
    }
}

impl Index {
    /// Opens the index in a folder; `tree` says where its files are, if that is no longer where they were.
    pub fn open(folder: &Path, tree: Option<&Path>) -> Result<Index> {
        let parts = [FILES, NAMES, POSTINGS, TRIGRAMS].map(|number| Part::open(folder, number));
        let [files, names, postings, trigrams] = parts;
        let (files, names, postings, trigrams) = (files?, names?, postings?, trigrams?);
        let file_count = files.u32(HEADER_SIZE)? as usize;
        let tree_size = files.u32(HEADER_SIZE + 4)? as usize;
        let tree_at = HEADER_SIZE + 8 + 16 * file_count;
        let way = files.bytes("the way to the tree", tree_at, tree_size)?;
        let root = match tree {
            Some(tree) => tree.to_owned(),
            None => folder.join(OsStr::from_bytes(way)),
        };
        let (blocks, name_count) = names.table(8)?;
        let (table, count) = trigrams.table(16)?;
        if count != table.count as u64 {
            return Err(trigrams.corrupt(table.start, "the table has another size"));
        }
        let paths = tree_at + tree_size;
        let index = Index {
            parts: [files, names, postings, trigrams],
            root,
            file_count,
            paths,
            blocks,
            name_count,
            trigrams: table,
        };
        Ok(index)
    }

    /// The folder of the tree.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// How many files the tree has.
    pub fn file_count(&self) -> usize {
        self.file_count
    }

    /// How many names there are.
    pub fn name_count(&self) -> u64 {
        self.name_count
    }

    /// Reads all of it and compares with what was written.
    pub fn check(&self) -> Result<()> {
        for part in &self.parts {
            if part.u64(24)? != xxh3_64(&part.map[HEADER_SIZE..]) {
                return Err(part.corrupt(24, "the content is not what was written"));
            }
        }
        Ok(())
    }

    fn part(&self, number: u32) -> &Part {
        &self.parts[number as usize]
    }

    /// The path of a file, relative to the tree's root.
    pub fn path(&self, file: u32) -> Result<&[u8]> {
        let part = self.part(FILES);
        let at = HEADER_SIZE + 8 + 16 * file as usize;
        if file as usize >= self.file_count {
            return Err(part.corrupt(HEADER_SIZE, "a place is in a file that is not there"));
        }
        let start = if file == 0 { 0 } else { part.u32(at - 16)? as usize };
        let end = part.u32(at)? as usize;
        if end < start {
            return Err(part.corrupt(at, "a path ends before it begins"));
        }
        part.bytes("a path", self.paths + start, end - start)
    }

    /// How many lines a file has; 0 if it is no text.
    pub fn line_count(&self, file: u32) -> Result<u32> {
        self.part(FILES).u32(HEADER_SIZE + 8 + 16 * file as usize + 4)
    }

    /// A file's size in bytes, when it was read.
    pub fn byte_size(&self, file: u32) -> Result<u64> {
        Ok(self.part(FILES).u64(HEADER_SIZE + 8 + 16 * file as usize + 8)? & (u64::MAX >> 8))
    }

    /// Whether a file is text.
    pub fn is_text(&self, file: u32) -> Result<bool> {
        let state = self.part(FILES).u64(HEADER_SIZE + 8 + 16 * file as usize + 8)? >> 56;
        Ok(state == State::Text as u64)
    }

    /// The number of the file with a path.
    pub fn file(&self, path: &[u8]) -> Result<Option<u32>> {
        let (mut low, mut high) = (0, self.file_count as u32);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.path(middle)?.cmp(path) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(Some(middle)),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }

    /// A block of names: where the postings of its first one are, and the names.
    fn block(&self, number: usize) -> Result<(u64, Cursor<'_>)> {
        let part = self.part(NAMES);
        let at = self.blocks.start + 8 * number;
        let start = part.u64(at)? as usize;
        let end =
            if number + 1 == self.blocks.count { self.blocks.start } else { part.u64(at + 8)? as usize };
        if start < HEADER_SIZE || end > self.blocks.start || start > end || end - start < 12 {
            return Err(part.corrupt(at, "a block of names is not where it should be"));
        }
        let bytes = &part.map[start..end];
        let content = &bytes[4..];
        if bytes[..4] != (xxh3_64(content) as u32).to_le_bytes() {
            return Err(part.corrupt(start, "a block of names is not what was written"));
        }
        let offset = part.u64(start + 4)?;
        Ok((offset, Cursor { bytes: content, at: 8 }))
    }

    fn bad_block(&self, number: usize) -> Error {
        self.part(NAMES).corrupt(self.blocks.start + 8 * number, "a name in this block makes no sense")
    }

    /// The last block whose first name is not after a name.
    fn block_of(&self, name: &[u8]) -> Result<usize> {
        let (mut low, mut high) = (0, self.blocks.count);
        while low < high {
            let middle = low + (high - low) / 2;
            let (_, mut block) = self.block(middle)?;
            let first = block.number().and_then(|_| block.counted()).ok_or_else(|| self.bad_block(middle))?;
            if first <= name {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low.saturating_sub(1))
    }

    /// Goes through the names from the block of `start` on, for as long as `each` wants.
    fn names_from(&self, start: &[u8], mut each: impl FnMut(&[u8], Found) -> bool) -> Result<()> {
        if self.blocks.count == 0 {
            return Ok(());
        }
        let mut name = Vec::new();
        for number in self.block_of(start)?..self.blocks.count {
            let (mut offset, mut block) = self.block(number)?;
            let bad = || self.bad_block(number);
            name.clear();
            for _ in 0..NAMES_PER_BLOCK {
                if block.is_empty() {
                    break;
                }
                let shared = block.number().ok_or_else(bad)? as usize;
                if shared > name.len() {
                    return Err(bad());
                }
                name.truncate(shared);
                name.extend_from_slice(block.counted().ok_or_else(bad)?);
                let mut values = [0; 4];
                for value in &mut values {
                    *value = block.number().ok_or_else(bad)?;
                }
                let [definitions, definitions_size, references, references_size] = values;
                let found = Found { offset, definitions, definitions_size, references, references_size };
                let size = definitions_size.checked_add(references_size).ok_or_else(bad)?;
                offset = offset.checked_add(size).ok_or_else(bad)?;
                if !each(&name, found) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn find(&self, name: &[u8]) -> Result<Option<Found>> {
        let mut result = None;
        self.names_from(name, |here, found| {
            if here == name {
                result = Some(found);
            }
            here < name
        })?;
        Ok(result)
    }

    fn postings(&self, offset: u64, size: u64) -> Result<Cursor<'_>> {
        let (offset, size) = (usize::try_from(offset), usize::try_from(size));
        let (offset, size) = (offset.unwrap_or(usize::MAX), size.unwrap_or(usize::MAX));
        Ok(Cursor::new(self.part(POSTINGS).bytes("the places of a name", offset, size)?))
    }

    /// Where a name is defined or declared, in the order of the files.
    pub fn definitions(&self, name: &[u8]) -> Result<Vec<Definition>> {
        let Some(found) = self.find(name)? else { return Ok(Vec::new()) };
        let mut cursor = self.postings(found.offset, found.definitions_size)?;
        let mut list = Vec::new();
        let mut file = 0;
        for _ in 0..found.definitions {
            let definition = decode(&mut cursor, file).filter(|d| (d.file as usize) < self.file_count);
            let definition = definition.ok_or_else(|| {
                self.part(POSTINGS).corrupt(found.offset as usize + cursor.at, "a definition makes no sense")
            })?;
            file = definition.file;
            list.push(definition);
        }
        Ok(list)
    }

    /// Which lines mention a name.
    pub fn references(&self, name: &[u8], limit: usize) -> Result<References> {
        let Some(found) = self.find(name)? else { return Ok(References::default()) };
        let mut cursor = self.postings(found.offset + found.definitions_size, found.references_size)?;
        let mut list = Vec::new();
        let mut file = 0u32;
        while !cursor.is_empty() && list.len() < limit {
            let at = cursor.at as u64 + found.offset + found.definitions_size;
            let bad = || self.part(POSTINGS).corrupt(at as usize, "a reference makes no sense");
            file = cursor.number32().and_then(|delta| file.checked_add(delta)).ok_or_else(bad)?;
            if file as usize >= self.file_count {
                return Err(bad());
            }
            let count = cursor.number().ok_or_else(bad)?;
            let mut line = 0u32;
            for _ in 0..count {
                line = cursor.number32().and_then(|delta| line.checked_add(delta)).ok_or_else(bad)?;
                if list.len() < limit {
                    list.push(Reference { file, line });
                }
            }
        }
        Ok(References { list, total: found.references })
    }

    /// Names that begin with a prefix and are defined somewhere, those that are mentioned most first.
    pub fn complete(&self, prefix: &[u8], limit: usize) -> Result<Vec<Completion>> {
        /// Short prefixes have more; the first ones must do.
        const MOST_LOOKED_AT: usize = 50_000;
        let mut list = Vec::new();
        let mut count = 0;
        self.names_from(prefix, |name, found| {
            if name.starts_with(prefix) && found.definitions > 0 {
                let (definitions, references) = (found.definitions, found.references);
                list.push(Completion { name: name.to_vec(), definitions, references });
            }
            count += 1;
            count < MOST_LOOKED_AT && (name < prefix || name.starts_with(prefix))
        })?;
        list.sort_by(|a, b| b.references.cmp(&a.references).then_with(|| a.name.cmp(&b.name)));
        list.truncate(limit);
        Ok(list)
    }

    /// The files that a text search must look at, as a bitmap.
    pub(crate) fn candidates(&self, query: &Query) -> Result<Vec<u64>> {
        let words = self.file_count.div_ceil(64);
        match query {
            Query::Any => Ok(vec![u64::MAX; words]),
            Query::Has(trigram) => self.files_with(*trigram),
            Query::All(all) => {
                let mut result = vec![u64::MAX; words];
                for one in all {
                    let files = self.candidates(one)?;
                    result.iter_mut().zip(files).for_each(|(a, b)| *a &= b);
                }
                Ok(result)
            }
            Query::OneOf(some) => {
                let mut result = vec![0; words];
                for one in some {
                    let files = self.candidates(one)?;
                    result.iter_mut().zip(files).for_each(|(a, b)| *a |= b);
                }
                Ok(result)
            }
        }
    }

    fn files_with(&self, trigram: Trigram) -> Result<Vec<u64>> {
        let part = self.part(TRIGRAMS);
        let mut result = vec![0u64; self.file_count.div_ceil(64)];
        let (mut low, mut high) = (0, self.trigrams.count);
        while low < high {
            let middle = low + (high - low) / 2;
            let at = self.trigrams.start + 16 * middle;
            let own = part.u32(at)?;
            match (own & !DENSE).cmp(&trigram) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    let (count, offset) = (part.u32(at + 4)? as usize, part.u64(at + 8)? as usize);
                    let bad = || part.corrupt(at, "the files of a trigram make no sense");
                    if own & DENSE != 0 {
                        let bits = part.bytes("a bitmap of files", offset, self.file_count.div_ceil(8))?;
                        for (word, bytes) in result.iter_mut().zip(bits.chunks(8)) {
                            let mut whole = [0; 8];
                            whole[..bytes.len()].copy_from_slice(bytes);
                            *word = u64::from_le_bytes(whole);
                        }
                        return Ok(result);
                    }
                    let rest = part.map.get(offset..self.trigrams.start).ok_or_else(bad)?;
                    let mut cursor = Cursor::new(rest);
                    let mut file = 0u32;
                    for _ in 0..count {
                        let delta = cursor.number32().ok_or_else(bad)?;
                        file = file
                            .checked_add(delta)
                            .filter(|&f| (f as usize) < self.file_count)
                            .ok_or_else(bad)?;
                        result[file as usize / 64] |= 1 << (file % 64);
                    }
                    return Ok(result);
                }
            }
        }
        Ok(result)
    }
}

fn decode(cursor: &mut Cursor<'_>, file_before: u32) -> Option<Definition> {
    let file = file_before.checked_add(cursor.number32()?)?;
    let kind = Kind::from_number(cursor.byte()?)?;
    let flags = cursor.byte()?;
    let line = cursor.number32()?;
    let column = cursor.number32()?;
    let start_line = line.checked_sub(cursor.number32()?)?;
    let end_line = line.checked_add(cursor.number32()?)?;
    let owner = if flags & flag::OWNER != 0 {
        Some(Owner { kind: Kind::from_number(cursor.byte()?)?, name: cursor.counted()?.to_vec() })
    } else {
        None
    };
    let mut text =
        |flag: u8| if flags & flag != 0 { cursor.counted().map(|t| Some(t.to_vec())) } else { Some(None) };
    Some(Definition {
        file,
        kind,
        line,
        column,
        start_line,
        end_line,
        is_static: flags & flag::STATIC != 0,
        is_declaration: flags & flag::DECLARATION != 0,
        owner,
        path: text(flag::PATH)?,
        via: text(flag::VIA)?,
        parameters: text(flag::PARAMETERS)?,
    })
}
