//! The files of any archive that this crate reads: a Debian package, or a tar archive, compressed or not.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::ar::Ar;
use super::compress::{Decoder, WINDOW};
use super::tar::{Kind, Tar};
use super::{data_member, READ_SIZE};
use crate::error::{Error, Result};

const AR_MAGIC: &[u8] = b"!<arch>\n";

/// As much as is kept of links, in bytes: no archive of files has more.
const LINKS_LIMIT: usize = 16 << 20;

/// An archive at one of its files. Nothing is unpacked to disk, and links are left out.
pub struct Files {
    tar: Tar<Box<dyn BufRead + Send>>,
    links: Vec<Link>,
    links_size: usize,
}

/// A link of an archive that leads to a name in it.
#[derive(Debug, PartialEq, Eq)]
pub struct Link {
    pub path: Vec<u8>,
    /// What it leads to, counted from the archive's root; nobody knows if that is there.
    pub target: Vec<u8>,
}

/// A regular file of an archive.
#[derive(Debug, PartialEq, Eq)]
pub struct Member {
    /// As the archive names it, without a leading `./`; it may be anything.
    pub path: Vec<u8>,
    /// The size that its header claims.
    pub size: u64,
    /// `None` if it is larger than what was asked for.
    pub content: Option<Vec<u8>>,
}

impl Files {
    /// Opens an archive and reads it up to its files. Errors do not name `path`.
    pub fn open(path: &Path) -> Result<Files> {
        let mut file = File::open(path).map_err(Error::io("open"))?;
        if !file.metadata().map_err(Error::io("read"))?.is_file() {
            return Err(Error::unsupported("archive", "not a regular file"));
        }
        let mut magic = Vec::new();
        file.by_ref().take(AR_MAGIC.len() as u64).read_to_end(&mut magic).map_err(Error::io("read"))?;
        file.seek(SeekFrom::Start(0)).map_err(Error::io("read"))?;
        Files::new(file, magic == AR_MAGIC)
    }

    fn new(input: impl Read + Send + 'static, is_package: bool) -> Result<Files> {
        let input = BufReader::with_capacity(READ_SIZE, input);
        let tar: Tar<Box<dyn BufRead + Send>> = match is_package {
            true => {
                let (_, member, data) = data_member(Ar::new(input)?, 1)?;
                Tar::new(member, Box::new(data))
            }
            false => {
                let decoder = Decoder::new(input, 1)?;
                Tar::new("archive", Box::new(BufReader::with_capacity(WINDOW, decoder)))
            }
        };
        Ok(Files { tar, links: Vec::new(), links_size: 0 })
    }

    /// The links that the reading has come past, but for those that lead out of the archive.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// The next regular file, with its bytes if they are at most `limit`. `None` means that the archive was
    /// read, and its checksums were checked, to the end.
    ///
    /// What was too large is gone past by the call after it, which may take long: sum up the sizes before.
    pub fn next_file(&mut self, limit: u64) -> Result<Option<Member>> {
        while let Some(mut entry) = self.tar.next_entry()? {
            let target = match entry.kind() {
                Kind::File => {
                    let (path, size) = (entry.path().to_vec(), entry.size());
                    let content = if size <= limit { Some(entry.read(limit)?) } else { None };
                    return Ok(Some(Member { path, size, content }));
                }
                Kind::SymbolicLink(target) => {
                    let parent = entry.path().iter().rposition(|&byte| byte == b'/').unwrap_or(0);
                    within(&entry.path()[..parent], target)
                }
                Kind::HardLink(target) => within(b"", target),
                Kind::Directory | Kind::Other => None,
            };
            if let Some(target) = target {
                let size = size_of::<Link>() + entry.path().len() + target.len();
                if self.links_size + size <= LINKS_LIMIT {
                    self.links.push(Link { path: entry.path().to_vec(), target });
                    self.links_size += size;
                }
            }
        }
        Ok(None)
    }
}

/// What a link in `folder` leads to, if that is below the archive's root.
fn within(folder: &[u8], target: &[u8]) -> Option<Vec<u8>> {
    if target.starts_with(b"/") {
        return None;
    }
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in folder.split(|&byte| byte == b'/').chain(target.split(|&byte| byte == b'/')) {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop()?;
            }
            _ => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join(&b'/'))
}

#[cfg(test)]
mod tests {
    use super::super::{ar, compress, tar};
    use super::*;

    type Read = Vec<(String, u64, Option<Vec<u8>>)>;

    fn all(bytes: Vec<u8>, limit: u64) -> Result<Read> {
        let is_package = bytes.starts_with(AR_MAGIC);
        let mut files = Files::new(std::io::Cursor::new(bytes), is_package)?;
        let mut out = Vec::new();
        while let Some(file) = files.next_file(limit)? {
            out.push((String::from_utf8_lossy(&file.path).into_owned(), file.size, file.content));
        }
        Ok(out)
    }

    fn sample() -> Vec<u8> {
        tar::tests::archive(&[("./usr/one", b"1"), ("../two", b"2222"), ("/three", b"")])
    }

    #[test]
    fn packages_and_tar_archives_read_the_same() {
        use compress::tests::{gz, xz, zst};
        let control = tar::tests::archive(&[("./control", b"Package: x\n")]);
        let package = ar::tests::archive(&[
            ("debian-binary", b"2.0\n"),
            ("control.tar.xz", &xz(&control)),
            ("data.tar.xz", &xz(&sample())),
        ]);
        for bytes in [sample(), gz(&sample()), xz(&sample()), zst(&sample()), package] {
            let expected = [
                ("usr/one".to_owned(), 1, Some(b"1".to_vec())),
                ("../two".to_owned(), 4, None),
                ("/three".to_owned(), 0, Some(Vec::new())),
            ];
            assert_eq!(all(bytes, 3).unwrap(), expected);
        }
    }

    #[test]
    fn links_lead_to_names_in_the_archive() {
        assert_eq!(within(b"a/b", b"../c/./d"), Some(b"a/c/d".to_vec()));
        assert_eq!(within(b"", b"./a//b"), Some(b"a/b".to_vec()));
        for (folder, target) in
            [("a", "/etc/passwd"), ("a", "../.."), ("a", "../../a/b"), ("a", ".."), ("", "")]
        {
            assert_eq!(within(folder.as_bytes(), target.as_bytes()), None, "{folder} {target}");
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = compress::tests::xz(&sample());
        for end in 6..bytes.len() {
            assert!(all(bytes[..end].to_vec(), 99).is_err(), "cut at {end}");
        }
        assert!(all(b"no archive at all, but rather long".repeat(20), 99).is_err());
    }
}
