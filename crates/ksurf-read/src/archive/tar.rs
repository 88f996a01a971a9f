//! The files of a tar archive, as a stream: ustar, GNU long names, PAX headers.
//!
//! Sources: tar(5), POSIX.1-2017 pax "ustar Interchange Format", the GNU tar manual, "Basic Tar Format".

mod header;

use std::io::BufRead;

use crate::error::{At, Error, Result};
use header::{
    check, number, padding, path, until_zero, Pax, BLOCK, LINK_NAME, SIZE, SPARSE_BLOCK_CONTINUES,
    SPARSE_CONTINUES, TYPE,
};

/// The largest long name or PAX header that is kept; Linux paths end at 4 KiB.
const METADATA_LIMIT: u64 = 1 << 20;
/// The largest archive that is followed, so that what decompresses without end ends.
const ARCHIVE_LIMIT: u64 = 64 << 30;
/// What may follow the end mark: the rest of a record, which is 10 KiB unless someone asked for more.
const TRAILER_LIMIT: u64 = 1 << 20;
/// A buffer begins no larger than this and doubles as data comes, whatever size a header claims.
const FIRST_RESERVE: u64 = 64 << 20;

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

/// A path for a message.
struct Lossy<'a>(&'a [u8]);

impl std::fmt::Display for Lossy<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        String::from_utf8_lossy(self.0).fmt(f)
    }
}

#[cfg(test)]
pub(super) mod tests;
