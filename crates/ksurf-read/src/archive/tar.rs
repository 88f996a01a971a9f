//! The files of a tar archive, as a stream: ustar, GNU long names, PAX headers.
//!
//! Sources: tar(5), POSIX.1-2017 pax "ustar Interchange Format", the GNU tar manual, "Basic Tar Format".

use std::io::BufRead;
use std::ops::Range;

use crate::error::{At, Error, Result};

const BLOCK: usize = 512;
/// The largest long name or PAX header that is kept; Linux paths end at 4 KiB.
const METADATA_LIMIT: u64 = 1 << 20;
/// The largest archive that is followed, so that what decompresses without end ends.
const ARCHIVE_LIMIT: u64 = 64 << 30;
/// What may follow the end mark: the rest of a record, which is 10 KiB unless someone asked for more.
const TRAILER_LIMIT: u64 = 1 << 20;
/// A buffer begins no larger than this and doubles as data comes, whatever size a header claims.
const FIRST_RESERVE: u64 = 64 << 20;

const NAME: Range<usize> = 0..100;
const SIZE: Range<usize> = 124..136;
const CHECKSUM: Range<usize> = 148..156;
const TYPE: usize = 156;
const LINK_NAME: Range<usize> = 157..257;
const MAGIC: Range<usize> = 257..262;
const PREFIX: Range<usize> = 345..500;
/// In a GNU sparse header, and in each block that continues it: whether another block follows.
const SPARSE_CONTINUES: usize = 482;
const SPARSE_BLOCK_CONTINUES: usize = 504;

/// An archive being read, member by member.
pub struct Tar<R> {
    input: R,
    /// What messages call the archive.
    name: String,
    /// Where `input` stands, in bytes of the archive.
    offset: u64,
    /// Bytes of the current member not yet read, then those that fill its last block.
    remaining: u64,
    padding: u64,
    path: Vec<u8>,
    link: Vec<u8>,
    ended: bool,
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'a> {
    File,
    Directory,
    /// To another member of the archive.
    HardLink(&'a [u8]),
    SymbolicLink(&'a [u8]),
    /// A device, a sparse file, or a type that this reader does not know.
    Other,
}

#[derive(Clone, Copy)]
enum Type {
    File,
    Directory,
    HardLink,
    SymbolicLink,
    Other,
}

/// One member. Its bytes may be taken; else the next call goes past them.
pub struct Entry<'a, R> {
    tar: &'a mut Tar<R>,
    kind: Type,
    size: u64,
}

/// What a PAX header says about the member after it.
#[derive(Default)]
struct Pax {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

impl<R: BufRead> Tar<R> {
    /// Takes an input that stands at the start of an archive. Errors name the archive `name`.
    pub fn new(name: impl Into<String>, input: R) -> Tar<R> {
        Tar {
            input,
            name: name.into(),
            offset: 0,
            remaining: 0,
            padding: 0,
            path: Vec::new(),
            link: Vec::new(),
            ended: false,
        }
    }

    /// The next member, or `None` after the last, when the input was read and checked to its very end.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'_, R>>> {
        match self.advance() {
            Ok(Some((kind, size))) => Ok(Some(Entry { tar: self, kind, size })),
            Ok(None) => Ok(None),
            Err(error) => Err(error.at(&self.name)),
        }
    }

    fn advance(&mut self) -> Result<Option<(Type, u64)>> {
        self.skip(self.remaining + self.padding)?;
        self.remaining = 0;
        self.padding = 0;
        if self.ended {
            return Ok(None);
        }
        let (mut long_name, mut long_link, mut pax) = (None, None, Pax::default());
        loop {
            let offset = self.offset;
            let header = self.block()?;
            if header.iter().all(|&byte| byte == 0) {
                self.ended = true;
                self.drain()?;
                return Ok(None);
            }
            check(&header, offset)?;
            let mut size = number(&header[SIZE])
                .ok_or_else(|| Error::corrupt("tar header", offset, "its size is not a number"))?;
            match header[TYPE] {
                b'L' => {
                    long_name = Some(until_zero(&self.metadata(size)?).to_vec());
                    continue;
                }
                b'K' => {
                    long_link = Some(until_zero(&self.metadata(size)?).to_vec());
                    continue;
                }
                b'x' => {
                    let start = self.offset;
                    pax = Pax::parse(&self.metadata(size)?, start)?;
                    continue;
                }
                // nothing that a global header can say sensibly is of use here
                b'g' => {
                    self.metadata(size)?;
                    continue;
                }
                _ => {}
            }
            if header[TYPE] == b'S' {
                self.skip_sparse_map(&header)?;
            }
            size = pax.size.unwrap_or(size);
            self.path = pax.path.or(long_name).unwrap_or_else(|| path(&header));
            self.link = pax.link.or(long_link).unwrap_or_else(|| until_zero(&header[LINK_NAME]).to_vec());
            let kind = match header[TYPE] {
                _ if pax.sparse => Type::Other,
                b'0' | b'7' => Type::File,
                // before POSIX, a directory was a file whose name ends so
                0 if self.path.ends_with(b"/") => Type::Directory,
                0 => Type::File,
                b'1' => {
                    size = 0; // as GNU tar reads it: the data is that of the member it links to
                    Type::HardLink
                }
                b'2' => Type::SymbolicLink,
                b'5' => Type::Directory,
                _ => Type::Other,
            };
            while let Some(rest) = self.path.strip_prefix(b"./") {
                self.path = rest.to_vec();
            }
            if size > ARCHIVE_LIMIT {
                return Err(Error::too_large("tar member", size, ARCHIVE_LIMIT).at(Lossy(&self.path)));
            }
            self.remaining = size;
            self.padding = padding(size);
            return Ok(Some((kind, size)));
        }
    }

    /// What stands next in the input, at most `bound` bytes of it; never empty.
    fn window(&mut self, what: &'static str, start: u64, needed: u64, bound: u64) -> Result<&[u8]> {
        if self.offset >= ARCHIVE_LIMIT {
            return Err(Error::too_large("tar archive", self.offset, ARCHIVE_LIMIT));
        }
        let window = self.input.fill_buf().map_err(Error::io("read"))?;
        if window.is_empty() {
            return Err(Error::truncated(what, start, needed, self.offset - start));
        }
        let bound = usize::try_from(bound).unwrap_or(usize::MAX);
        Ok(&window[..window.len().min(bound)])
    }

    fn consume(&mut self, amount: usize) {
        self.input.consume(amount);
        self.offset += amount as u64;
    }

    fn block(&mut self) -> Result<[u8; BLOCK]> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        let start = self.offset;
        while filled < BLOCK {
            let window = self.window("tar header", start, BLOCK as u64, (BLOCK - filled) as u64)?;
            let read = window.len();
            block[filled..filled + read].copy_from_slice(window);
            self.consume(read);
            filled += read;
        }
        Ok(block)
    }

    fn skip(&mut self, amount: u64) -> Result<()> {
        let start = self.offset;
        let mut left = amount;
        while left > 0 {
            let read = self.window("tar member", start, amount, left)?.len();
            self.consume(read);
            left -= read as u64;
        }
        Ok(())
    }

    /// The data of a header that describes the next one.
    fn metadata(&mut self, size: u64) -> Result<Vec<u8>> {
        if size > METADATA_LIMIT {
            return Err(Error::too_large("tar extended header", size, METADATA_LIMIT));
        }
        let mut data = Vec::new();
        let start = self.offset;
        while (data.len() as u64) < size {
            let window = self.window("tar extended header", start, size, size - data.len() as u64)?;
            let read = window.len();
            data.extend_from_slice(window);
            self.consume(read);
        }
        self.skip(padding(size))?;
        Ok(data)
    }

    fn skip_sparse_map(&mut self, header: &[u8; BLOCK]) -> Result<()> {
        let mut continues = header[SPARSE_CONTINUES] != 0;
        while continues {
            continues = self.block()?[SPARSE_BLOCK_CONTINUES] != 0;
        }
        Ok(())
    }

    /// Reads what follows the end mark, so that the layers below see and check their own ends.
    fn drain(&mut self) -> Result<()> {
        let start = self.offset;
        loop {
            let read = self.input.fill_buf().map_err(Error::io("read"))?.len();
            if read == 0 {
                return Ok(());
            }
            self.consume(read);
            if self.offset - start > TRAILER_LIMIT {
                return Err(Error::corrupt("tar archive", start, "data follows its end mark"));
            }
        }
    }
}

impl<R: BufRead> Entry<'_, R> {
    /// The path inside the archive, as bytes, without a leading `./`.
    pub fn path(&self) -> &[u8] {
        &self.tar.path
    }

    /// The size that the header claims.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What the member is; only files and unknown kinds have data.
    pub fn kind(&self) -> Kind<'_> {
        match self.kind {
            Type::File => Kind::File,
            Type::Directory => Kind::Directory,
            Type::HardLink => Kind::HardLink(&self.tar.link),
            Type::SymbolicLink => Kind::SymbolicLink(&self.tar.link),
            Type::Other => Kind::Other,
        }
    }

    /// The member's data in a new buffer; see [`Entry::read_into`].
    pub fn read(&mut self, limit: u64) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.read_into(&mut out, limit)?;
        Ok(out)
    }

    /// Appends the member's data, or what of it was not taken yet. A member of more than `limit` bytes is
    /// refused before it is read. The buffer grows with the data and ends at the size that the header claims.
    pub fn read_into(&mut self, out: &mut Vec<u8>, limit: u64) -> Result<()> {
        let copied = match self.size > limit {
            true => Err(Error::too_large("tar member", self.size, limit)),
            false => self.copy_into(out),
        };
        copied.at(Lossy(self.path())).at(&self.tar.name)
    }

    fn copy_into(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let size = self.size;
        let start = self.tar.offset - (size - self.tar.remaining);
        while self.tar.remaining > 0 {
            let remaining = self.tar.remaining;
            let window = self.tar.window("tar member", start, size, remaining)?;
            let read = window.len();
            if out.capacity() - out.len() < read {
                let step = remaining.min(FIRST_RESERVE.max(out.len() as u64));
                let step = usize::try_from(step).unwrap_or(usize::MAX).max(read);
                out.try_reserve_exact(step)
                    .map_err(|_| Error::too_large("tar member", size, out.len() as u64))?;
            }
            out.extend_from_slice(window);
            self.tar.consume(read);
            self.tar.remaining -= read as u64;
        }
        Ok(())
    }
}

impl Pax {
    /// Records of the form `LENGTH KEY=VALUE\n`, where the length counts the whole record.
    fn parse(data: &[u8], start: u64) -> Result<Pax> {
        let mut pax = Pax::default();
        let mut rest = data;
        while !rest.is_empty() && rest[0] != 0 {
            let offset = start + (data.len() - rest.len()) as u64;
            let (key, value, after) = record(rest)
                .ok_or_else(|| Error::corrupt("tar extended header", offset, "a record is malformed"))?;
            rest = after;
            match key {
                b"path" => pax.path = Some(value.to_vec()),
                b"linkpath" => pax.link = Some(value.to_vec()),
                b"size" => {
                    let size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                    pax.size = Some(size.ok_or_else(|| {
                        Error::corrupt("tar extended header", offset, "its size is not a number")
                    })?);
                }
                _ if key.starts_with(b"GNU.sparse.") => pax.sparse = true,
                _ => {}
            }
        }
        Ok(pax)
    }
}

/// The key and value of the first record of `data`, and what follows it.
fn record(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = data.iter().take(20).position(|&byte| byte == b' ')?;
    let length: usize = std::str::from_utf8(&data[..space]).ok()?.parse().ok()?;
    let body = data.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|&byte| byte == b'=')?;
    Some((&body[..equals], &body[equals + 1..], &data[length..]))
}

/// A header's checksum is what tells it from data; some old writers summed signed bytes.
fn check(header: &[u8; BLOCK], offset: u64) -> Result<()> {
    let blank = |at: usize| {
        if CHECKSUM.contains(&at) {
            b' '
        } else {
            header[at]
        }
    };
    let unsigned: u64 = (0..BLOCK).map(|at| u64::from(blank(at))).sum();
    let signed: i64 = (0..BLOCK).map(|at| i64::from(blank(at) as i8)).sum();
    match number(&header[CHECKSUM]) {
        Some(sum) if sum == unsigned || i64::try_from(sum) == Ok(signed) => Ok(()),
        _ => Err(Error::corrupt("tar header", offset, "its checksum is wrong")),
    }
}

/// Octal digits among blanks and zeros, or GNU's big-endian binary for what does not fit.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        // the first bit is the mark, the second the sign, the rest the number
        let mut digits = field.iter().enumerate().map(|(at, &byte)| if at == 0 { byte & 0x7f } else { byte });
        return digits
            .try_fold(0u64, |value, byte| (value >> 56 == 0).then_some(value << 8 | u64::from(byte)));
    }
    let digits = until_zero(field).trim_ascii();
    digits.iter().try_fold(0u64, |value, &digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

/// The name of a member without extended headers.
fn path(header: &[u8; BLOCK]) -> Vec<u8> {
    let name = until_zero(&header[NAME]);
    let prefix = until_zero(&header[PREFIX]);
    // GNU's own format, whose magic ends in a blank, has other things in the place of the prefix
    if &header[MAGIC] != b"ustar" || header[MAGIC.end] != 0 || prefix.is_empty() {
        return name.to_vec();
    }
    [prefix, b"/", name].concat()
}

fn until_zero(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// What fills the last block of so many bytes.
fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

/// A path for a message.
struct Lossy<'a>(&'a [u8]);

impl std::fmt::Display for Lossy<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        String::from_utf8_lossy(self.0).fmt(f)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// One member's header, as POSIX has it.
    pub fn header(path: &str, kind: u8, size: u64, link: &str) -> [u8; BLOCK] {
        let mut header = [0; BLOCK];
        header[..path.len()].copy_from_slice(path.as_bytes());
        header[100..108].copy_from_slice(b"0000644\0");
        header[SIZE].copy_from_slice(format!("{size:011o}\0").as_bytes());
        header[TYPE] = kind;
        header[LINK_NAME][..link.len()].copy_from_slice(link.as_bytes());
        header[MAGIC].copy_from_slice(b"ustar");
        header[263..265].copy_from_slice(b"00");
        sum(&mut header);
        header
    }

    fn sum(header: &mut [u8; BLOCK]) {
        header[CHECKSUM].fill(b' ');
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }

    fn padded(data: &[u8]) -> Vec<u8> {
        let mut out = data.to_vec();
        out.resize(data.len() + padding(data.len() as u64) as usize, 0);
        out
    }

    fn member(path: &str, kind: u8, data: &[u8]) -> Vec<u8> {
        [&header(path, kind, data.len() as u64, "")[..], &padded(data)].concat()
    }

    /// An archive of these files.
    pub fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let members = files.iter().map(|(path, data)| member(path, b'0', data));
        ended(members.collect())
    }

    fn ended(members: Vec<Vec<u8>>) -> Vec<u8> {
        [members.concat(), vec![0; 2 * BLOCK]].concat()
    }

    fn pax(records: &[(&str, &str)]) -> Vec<u8> {
        let mut data = String::new();
        for (key, value) in records {
            let body = key.len() + value.len() + 3;
            let length = (body..).find(|&n| n == body + n.to_string().len()).unwrap();
            data += &format!("{length} {key}={value}\n");
        }
        member("PaxHeaders/x", b'x', data.as_bytes())
    }

    fn list(bytes: &[u8]) -> Result<Vec<String>> {
        let mut tar = Tar::new("data.tar", bytes);
        let mut out = Vec::new();
        while let Some(mut entry) = tar.next_entry()? {
            let path = String::from_utf8_lossy(entry.path()).into_owned();
            let line = match entry.kind() {
                Kind::File => {
                    let data = entry.read(1 << 20)?;
                    format!("{path}: {}", String::from_utf8_lossy(&data))
                }
                Kind::Directory => format!("{path} dir"),
                Kind::HardLink(to) => format!("{path} = {}", String::from_utf8_lossy(to)),
                Kind::SymbolicLink(to) => format!("{path} -> {}", String::from_utf8_lossy(to)),
                Kind::Other => format!("{path}?"),
            };
            out.push(line);
        }
        Ok(out)
    }

    #[test]
    fn files_links_and_directories() {
        let bytes = ended(vec![
            header("./", b'5', 0, "").to_vec(),
            header("./usr/", b'5', 0, "").to_vec(),
            member("./usr/a", b'0', b"A"),
            member("./usr/old", 0, &[b'o'; 600]),
            header("old/", 0, 0, "").to_vec(),
            header("hard", b'1', 3, "usr/a").to_vec(),
            header("soft", b'2', 0, "usr/a").to_vec(),
            header("null", b'3', 0, "").to_vec(),
            member("weird", b'Z', b"skipped"),
            member("empty", b'0', b""),
        ]);
        let expected = [
            " dir",
            "usr/ dir",
            "usr/a: A",
            &format!("usr/old: {}", "o".repeat(600)),
            "old/ dir",
            "hard = usr/a",
            "soft -> usr/a",
            "null?",
            "weird?",
            "empty: ",
        ];
        assert_eq!(list(&bytes).unwrap(), expected);
    }

    #[test]
    fn long_names_of_every_dialect() {
        let long = "d/".repeat(150);
        let mut prefixed = header("tail", b'0', 2, "");
        prefixed[PREFIX][..3].copy_from_slice(b"a/b");
        sum(&mut prefixed);
        let mut gnu = prefixed;
        gnu[257..265].copy_from_slice(b"ustar  \0");
        sum(&mut gnu);
        let mut big = header("big", b'0', 0, "");
        big[SIZE].fill(0);
        big[SIZE.start] = 0x80;
        big[SIZE.end - 1] = 2;
        sum(&mut big);
        let bytes = ended(vec![
            [&prefixed[..], &padded(b"p1")].concat(),
            [&gnu[..], &padded(b"p2")].concat(),
            [&big[..], &padded(b"p3")].concat(),
            member("././@LongLink", b'L', format!("{long}g\0").as_bytes()),
            member("././@LongLink", b'K', format!("{long}k\0").as_bytes()),
            header("cut", b'2', 0, "cut").to_vec(),
            member("pax_global_header", b'g', b"13 path=nono\n"),
            pax(&[("mtime", "1.5"), ("path", &format!("./{long}p")), ("size", "2")]),
            [&header("cut", b'0', 0, "")[..], &padded(b"p4")].concat(),
            pax(&[("linkpath", "to\u{e9}")]),
            header("soft", b'2', 0, "cut").to_vec(),
            pax(&[("GNU.sparse.major", "1")]),
            member("sparse", b'0', b"map"),
            member("after", b'0', b"end"),
        ]);
        let expected = [
            "a/b/tail: p1".to_owned(),
            "tail: p2".into(),
            "big: p3".into(),
            format!("{long}g -> {long}k"),
            format!("{long}p: p4"),
            "soft -> to\u{e9}".into(),
            "sparse?".into(),
            "after: end".into(),
        ];
        assert_eq!(list(&bytes).unwrap(), expected);
    }

    #[test]
    fn a_sparse_map_is_no_member() {
        let mut sparse = header("holes", b'S', 4, "");
        sparse[SPARSE_CONTINUES] = 1;
        sum(&mut sparse);
        let mut map = [7; BLOCK];
        let more = map;
        map[SPARSE_BLOCK_CONTINUES] = 0;
        let bytes =
            ended(vec![[&sparse[..], &more, &map, &padded(b"data")].concat(), member("after", b'0', b"x")]);
        assert_eq!(list(&bytes).unwrap(), ["holes?", "after: x"]);
    }

    #[test]
    fn agrees_with_gnu_tar() {
        let dir = std::env::temp_dir().join(format!("ksurf-tar-{}", std::process::id()));
        let deep = format!("{}/{}", "x".repeat(90), "y".repeat(90));
        std::fs::create_dir_all(dir.join(&deep)).unwrap();
        std::fs::write(dir.join(&deep).join("file"), "long").unwrap();
        std::fs::write(dir.join("short"), "s").unwrap();
        std::os::unix::fs::symlink("short", dir.join("soft")).unwrap();
        for format in ["ustar", "gnu", "pax", "v7"] {
            let members: &[&str] = if format == "v7" { &["./short"] } else { &["./short", &deep, "soft"] };
            let output = std::process::Command::new("tar")
                .args(["-c", "-f-", "--format", format, "-C"])
                .arg(&dir)
                .args(members)
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let expected = [
                "short: s".to_owned(),
                format!("{deep}/ dir"),
                format!("{deep}/file: long"),
                "soft -> short".into(),
            ];
            let count = if format == "v7" { 1 } else { 4 };
            assert_eq!(list(&output.stdout).unwrap(), expected[..count], "{format}");
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = archive(&[("a", b"12345"), ("b", b"")]);
        for end in 0..bytes.len() - BLOCK {
            let error = list(&bytes[..end]).unwrap_err();
            assert!(matches!(error.root(), Error::Truncated { .. }), "{end}: {error}");
        }
        let error = list(&bytes[..BLOCK + 3]).unwrap_err().to_string();
        assert_eq!(error, "data.tar: a: truncated: tar member at offset 0x200 needs 5 bytes, 3 are there");
    }

    #[test]
    fn a_claimed_size_is_not_allocated() {
        let bytes = header("vast", b'0', 0o77_777_777_777, "");
        let mut tar = Tar::new("data.tar", &bytes[..]);
        let mut entry = tar.next_entry().unwrap().unwrap();
        assert!(matches!(entry.read(1 << 20).unwrap_err().root(), Error::TooLarge { limit: 1_048_576, .. }));
        let mut out = Vec::new();
        let error = entry.read_into(&mut out, u64::MAX).unwrap_err();
        assert!(matches!(error.root(), Error::Truncated { available: 0, .. }), "{error}");
        assert_eq!(out.capacity(), 0);
    }

    #[test]
    fn a_buffer_ends_at_the_members_size() {
        let data = vec![7; 5_000_000];
        let mut tar = archive(&[("a", &data)]);
        tar.truncate(tar.len() - 1);
        let mut tar = Tar::new("data.tar", std::io::BufReader::new(&tar[..]));
        let out = tar.next_entry().unwrap().unwrap().read(1 << 30).unwrap();
        assert!(out == data);
        assert_eq!(out.capacity(), data.len());
    }

    #[test]
    fn numbers_in_octal_and_in_binary() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"     17 "), Some(0o17));
        assert_eq!(number(b"\0\0"), Some(0));
        assert_eq!(number(b"12a4\0"), None);
        assert_eq!(number(&[0x80, 0, 1, 2]), Some(258));
        assert_eq!(number(&[0x80, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 0, 1]), Some(0xff << 56 | 1));
        assert_eq!(number(&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]), None, "too large");
        assert_eq!(number(&[0xff; 12]), None, "negative");
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 0, 9]), Some(9), "a checksum's field is short");
    }

    #[test]
    fn damage_is_named_with_its_offset() {
        let bytes = archive(&[("a", b"1"), ("b", b"2")]);
        let mut damaged = bytes.clone();
        damaged[2 * BLOCK] = b'c';
        let error = list(&damaged).unwrap_err().to_string();
        assert_eq!(error, "data.tar: corrupt: tar header at offset 0x400: its checksum is wrong");
        let mut bad = header("a", b'0', 0, "");
        bad[SIZE.start] = b'9';
        sum(&mut bad);
        assert!(list(&bad).unwrap_err().to_string().contains("size is not a number"));
        let bad = ended(vec![member("x", b'x', b"99 path=a\n")]);
        assert!(list(&bad).unwrap_err().to_string().contains("a record is malformed"));
        let bad = header("x", b'x', METADATA_LIMIT + 1, "");
        assert!(matches!(list(&bad).unwrap_err().root(), Error::TooLarge { .. }));
        let bad = [bytes, vec![1; 2 << 20]].concat();
        assert!(list(&bad).unwrap_err().to_string().contains("data follows its end mark"));
    }
}
