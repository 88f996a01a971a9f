//! The files of a tree: only what lies in it, never what a link leads to.

use crate::error::{Error, Result};
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A larger file is listed, but not read.
pub const LARGEST: u64 = 64 << 20;
/// No kernel has more files; an index numbers them with 32 bits.
const MOST_FILES: usize = 16 << 20;
/// A zero byte among the first ones tells that a file is no text.
const BINARY_WITHIN: usize = 8192;

/// A file, by its path relative to the tree's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub path: Vec<u8>,
    pub size: u64,
}

/// All plain files below a folder, sorted by the bytes of their paths. Links, devices, `.git` and what cannot be
/// listed are left out.
pub fn files(root: &Path) -> Result<Vec<Entry>> {
    let is_folder = fs::metadata(root).map_err(Error::io("open", root))?.is_dir();
    if !is_folder {
        return Err(Error::NotATree { path: root.to_owned(), reason: "it is no folder".into() });
    }
    let mut entries = Vec::new();
    let mut waiting = vec![Vec::new()];
    while let Some(folder) = waiting.pop() {
        let path = root.join(OsStr::from_bytes(&folder));
        let listing = match fs::read_dir(&path) {
            Ok(listing) => listing,
            Err(error) if folder.is_empty() => return Err(Error::io("open", &path)(error)),
            Err(_) => continue,
        };
        for entry in listing.flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            let name = entry.file_name().into_vec();
            let mut below = folder.clone();
            if !below.is_empty() {
                below.push(b'/');
            }
            below.extend_from_slice(&name);
            if kind.is_dir() && name != b".git" {
                waiting.push(below);
            } else if kind.is_file() {
                let Ok(metadata) = entry.metadata() else { continue };
                entries.push(Entry { path: below, size: metadata.len() });
            }
        }
        if entries.len() > MOST_FILES {
            let reason = format!("it has more than {MOST_FILES} files");
            return Err(Error::NotATree { path: root.to_owned(), reason: reason.into() });
        }
    }
    entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

/// Why there is no text to a file.
pub enum NoText {
    TooLarge,
    Binary,
    Unreadable(std::io::Error),
}

/// Reads a file of a tree into a buffer, whose content is of no use if that fails.
pub fn read(root: &Path, path: &[u8], buffer: &mut Vec<u8>) -> std::result::Result<(), NoText> {
    let whole = root.join(OsStr::from_bytes(path));
    // A link that took the file's place is not followed, and a pipe is not waited for.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(whole).map_err(NoText::Unreadable)?;
    let metadata = file.metadata().map_err(NoText::Unreadable)?;
    if !metadata.is_file() {
        return Err(NoText::Unreadable(std::io::Error::other("it is no plain file")));
    }
    read_open(file, metadata.len(), buffer)
}

fn read_open(mut file: File, size: u64, buffer: &mut Vec<u8>) -> std::result::Result<(), NoText> {
    if size > LARGEST {
        return Err(NoText::TooLarge);
    }
    // With one call of the system where `read_to_end` needs three: there are a hundred thousand files.
    buffer.resize(size as usize, 0);
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(NoText::Unreadable(error)),
        }
    }
    buffer.truncate(filled);
    if memchr::memchr(0, &buffer[..buffer.len().min(BINARY_WITHIN)]).is_some() {
        return Err(NoText::Binary);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_and_devices_are_no_files_of_the_tree() {
        let root = std::env::temp_dir().join(format!("ksurf-tree-{}", std::process::id()));
        fs::create_dir_all(root.join("b/.git")).unwrap();
        fs::write(root.join("b/x.c"), "int x;").unwrap();
        fs::write(root.join("b/.git/config"), "").unwrap();
        fs::write(root.join(OsStr::from_bytes(b"a\xff.c")), "\0").unwrap();
        symlink("/etc/passwd", root.join("out.c")).unwrap();
        symlink("..", root.join("b/up")).unwrap();
        let found = files(&root).unwrap();
        let mut buffer = Vec::new();
        assert_eq!(
            found.iter().map(|entry| &entry.path[..]).collect::<Vec<_>>(),
            [&b"a\xff.c"[..], b"b/x.c"]
        );
        assert!(matches!(read(&root, b"out.c", &mut buffer), Err(NoText::Unreadable(_))));
        assert!(matches!(read(&root, b"a\xff.c", &mut buffer), Err(NoText::Binary)));
        assert!(read(&root, b"b/x.c", &mut buffer).is_ok() && buffer == b"int x;");
        assert!(matches!(files(&root.join("b/x.c")), Err(Error::NotATree { .. })));
        fs::remove_dir_all(&root).unwrap();
    }
}
