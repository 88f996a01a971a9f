//! Building an index: batches of files in parallel, then their runs merged.

use super::merge::{self, Part};
use super::run::{Batch, Run};
use crate::error::{Error, Result};
use crate::tree::{self, Entry, NoText};
use rayon::prelude::*;
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicU8, Ordering};

/// What is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Listing,
    Reading,
    Joining,
    Done,
}

/// Counters that a running build fills and another thread polls; also the way to stop it.
#[derive(Debug, Default)]
pub struct Progress {
    pub bytes_done: AtomicU64,
    pub bytes_total: AtomicU64,
    pub files_done: AtomicU64,
    pub cancelled: AtomicBool,
    stage: AtomicU8,
}

impl Progress {
    pub fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Listing,
            1 => Stage::Reading,
            2 => Stage::Joining,
            _ => Stage::Done,
        }
    }

    fn go_to(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }
}

/// What is known of a file besides its path.
#[derive(Clone, Copy, Default)]
pub(crate) struct FileFacts {
    pub size: u64,
    pub lines: u32,
    pub state: State,
}

/// Whether there is text to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub(crate) enum State {
    #[default]
    Text,
    Binary,
    TooLarge,
    Unreadable,
}

/// Bytes of source that all threads together have in hand: it is what bounds the memory.
const IN_HAND: u64 = 160 << 20;
/// More would only wait for each other, and each needs some memory of its own.
const MOST_THREADS: usize = 8;

/// Makes the index of the tree at `root` in the folder `target`, which takes the place of one that is there.
///
/// It is built beside `target` and renamed at the end; a build that fails or is stopped leaves nothing behind.
pub fn build(root: &Path, target: &Path, threads: usize, progress: &Progress) -> Result<()> {
    let name = target.file_name().ok_or_else(|| Error::NotATree {
        path: target.to_owned(),
        reason: "an index cannot be put there".into(),
    })?;
    let mut own = std::ffi::OsString::from(".");
    own.push(name);
    own.push(".new");
    remove_dead(target, &own);
    own.push(std::process::id().to_string());
    let unfinished = target.with_file_name(&own);
    let guard = Unfinished(&unfinished);
    std::fs::create_dir_all(&unfinished).map_err(Error::io("write", &unfinished))?;
    let threads = match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        some => some,
    };
    let threads = threads.min(MOST_THREADS);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|error| Error::io("start threads for", root)(std::io::Error::other(error)))?;
    pool.install(|| write(root, target, &unfinished, IN_HAND / threads as u64, progress))?;
    if target.exists() {
        exchange(&unfinished, target)?;
    } else {
        std::fs::rename(&unfinished, target).map_err(Error::io("write", target))?;
    }
    // The old index is where the new one was made.
    drop(guard);
    progress.go_to(Stage::Done);
    Ok(())
}

/// Puts a folder in another one's place, in one step where the file system can.
fn exchange(new: &Path, old: &Path) -> Result<()> {
    let path = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(std::io::Error::from);
    let swap = || -> std::io::Result<()> {
        let (new, old) = (path(new)?, path(old)?);
        let (here, swap) = (libc::AT_FDCWD, libc::RENAME_EXCHANGE);
        // SAFETY: both are strings that end with a zero byte, and live until the call has ended.
        match unsafe { libc::syscall(libc::SYS_renameat2, here, new.as_ptr(), here, old.as_ptr(), swap) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    if swap().is_ok() {
        return Ok(());
    }
    std::fs::remove_dir_all(old).map_err(Error::io("replace", old))?;
    std::fs::rename(new, old).map_err(Error::io("write", old))
}

/// Removes what builds have left whose processes were killed.
fn remove_dead(target: &Path, prefix: &OsStr) {
    let folder = target.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process =
            name.as_bytes().strip_prefix(prefix.as_bytes()).and_then(|rest| std::str::from_utf8(rest).ok());
        if let Some(process) = process.and_then(|process| process.parse::<u32>().ok()) {
            // In a container the numbers start anew: what has this process's own was left by an earlier one.
            let is_alive = Path::new("/proc").join(process.to_string()).exists();
            if !is_alive || process == std::process::id() {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// Removes what a build that did not end well has left.
struct Unfinished<'a>(&'a Path);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0);
    }
}

fn write(root: &Path, target: &Path, folder: &Path, batch_size: u64, progress: &Progress) -> Result<()> {
    progress.go_to(Stage::Listing);
    let entries = tree::files(root)?;
    progress.bytes_total.store(entries.iter().map(|entry| entry.size).sum(), Ordering::Relaxed);
    progress.go_to(Stage::Reading);
    let mut facts: Vec<FileFacts> =
        entries.iter().map(|entry| FileFacts { size: entry.size, ..FileFacts::default() }).collect();
    let batches = batches(&entries, &mut facts, batch_size);
    let runs: Result<Vec<Run>> = batches
        .into_par_iter()
        .enumerate()
        .map(|(number, (first, entries, facts))| {
            let path = folder.join(format!("run{number}"));
            read_batch(root, first, entries, facts, &path, progress)
        })
        .collect();
    let runs = runs?;
    progress.go_to(Stage::Joining);
    let cancelled = &progress.cancelled;
    let (names, trigrams) = rayon::join(
        || merge::names(folder, &runs, cancelled),
        || merge::trigrams(folder, &runs, entries.len(), cancelled),
    );
    names?;
    trigrams?;
    write_files(folder, &entries, &facts, &relative(root, target)?)
}

/// Neighbouring files, as many as make a batch, with the number of the first one.
type Work<'a> = (u32, &'a [Entry], &'a mut [FileFacts]);

fn batches<'a>(mut entries: &'a [Entry], mut facts: &'a mut [FileFacts], batch_size: u64) -> Vec<Work<'a>> {
    let mut batches = Vec::new();
    let mut first = 0;
    while !entries.is_empty() {
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            bytes += entry.size.min(tree::LARGEST);
            bytes <= batch_size
        };
        let count = entries.iter().take_while(fits).count().max(1);
        let (own, rest) = entries.split_at(count);
        let (own_facts, rest_facts) = facts.split_at_mut(count);
        batches.push((first, own, own_facts));
        (entries, facts) = (rest, rest_facts);
        first += count as u32;
    }
    batches
}

fn read_batch(
    root: &Path,
    first: u32,
    entries: &[Entry],
    facts: &mut [FileFacts],
    path: &Path,
    progress: &Progress,
) -> Result<Run> {
    let mut batch = Batch::default();
    let mut text = Vec::new();
    for (number, (entry, facts)) in (first..).zip(entries.iter().zip(facts)) {
        if progress.cancelled.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        match tree::read(root, &entry.path, &mut text) {
            Ok(()) => facts.lines = batch.add(number, &entry.path, &text),
            Err(NoText::Binary) => facts.state = State::Binary,
            Err(NoText::TooLarge) => facts.state = State::TooLarge,
            Err(NoText::Unreadable(_)) => facts.state = State::Unreadable,
        }
        progress.bytes_done.fetch_add(entry.size, Ordering::Relaxed);
        progress.files_done.fetch_add(1, Ordering::Relaxed);
    }
    drop(text);
    batch.finish(path)
}

fn write_files(folder: &Path, entries: &[Entry], facts: &[FileFacts], tree: &[u8]) -> Result<()> {
    let mut part = Part::create(folder, super::FILES)?;
    part.write(&(entries.len() as u32).to_le_bytes())?;
    part.write(&(tree.len() as u32).to_le_bytes())?;
    let mut end = 0u32;
    for (entry, facts) in entries.iter().zip(facts) {
        end += entry.path.len() as u32;
        part.write(&end.to_le_bytes())?;
        part.write(&facts.lines.to_le_bytes())?;
        part.write(&(facts.size | u64::from(facts.state as u8) << 56).to_le_bytes())?;
    }
    part.write(tree)?;
    for entry in entries {
        part.write(&entry.path)?;
    }
    part.finish()
}

/// The way from an index to its tree: both may be moved together.
fn relative(root: &Path, target: &Path) -> Result<Vec<u8>> {
    let root = root.canonicalize().map_err(Error::io("open", root))?;
    let parent = match target.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let parent = parent.canonicalize().map_err(Error::io("open", parent))?;
    let target = parent.join(target.file_name().unwrap_or_default());
    let shared = root.components().zip(target.components()).take_while(|(a, b)| a == b).count();
    let mut way = PathBuf::new();
    for _ in target.components().skip(shared) {
        way.push(Component::ParentDir);
    }
    way.extend(root.components().skip(shared));
    Ok(way.as_os_str().as_bytes().to_vec())
}
