//! The outer layer of a Debian package: an archive of ar(1), read as a stream. Source: ar(5), deb(5).

use std::io::{self, BufRead, Read};

use crate::error::{Error, Result};

const MAGIC: &[u8; 8] = b"!<arch>\n";
const HEADER_SIZE: usize = 60;
const HEADER_END: &[u8; 2] = b"`\n";

/// An archive at one of its members; reading it reads that member's bytes.
#[derive(Debug)]
pub struct Ar<R> {
    input: R,
    /// Where `input` stands.
    offset: u64,
    /// Where the current member's data starts.
    start: u64,
    /// Bytes of the current member not yet read.
    remaining: u64,
    /// Members start on even offsets.
    padded: bool,
}

/// What an archive says about a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name, without the padding of the field and the slash that some writers append.
    pub name: String,
    /// The size that its header claims.
    pub size: u64,
}

impl<R: BufRead> Ar<R> {
    /// Takes an input that stands at the start of an archive.
    pub fn new(input: R) -> Result<Ar<R>> {
        let mut ar = Ar { input, offset: 0, start: 0, remaining: 0, padded: false };
        let mut magic = [0; MAGIC.len()];
        let read = ar.read_raw(&mut magic)?;
        if read < magic.len() && magic[..read] == MAGIC[..read] {
            return Err(Error::truncated("ar archive", 0, MAGIC.len() as u64, read as u64));
        }
        if &magic != MAGIC {
            return Err(Error::corrupt("ar archive", 0, "it does not begin with \"!<arch>\""));
        }
        Ok(ar)
    }

    /// Goes to the next member, past what is unread of this one; `None` at the end.
    pub fn next_member(&mut self) -> Result<Option<Member>> {
        while self.remaining > 0 {
            let available = self.fill_buf().map_err(Error::io("read"))?.len();
            self.consume(available);
        }
        let mut pad = [0; 1];
        if self.padded && self.read_raw(&mut pad)? == 0 {
            return Ok(None); // some writers leave out the last member's padding
        }
        let offset = self.offset;
        let mut header = [0; HEADER_SIZE];
        match self.read_raw(&mut header)? {
            0 => return Ok(None),
            HEADER_SIZE => {}
            read => {
                return Err(Error::truncated("ar member header", offset, HEADER_SIZE as u64, read as u64))
            }
        }
        if &header[58..60] != HEADER_END {
            return Err(Error::corrupt("ar member header", offset, "its end mark is missing"));
        }
        let size = decimal(&header[48..58])
            .ok_or_else(|| Error::corrupt("ar member header", offset, "its size is not a decimal number"))?;
        let name = String::from_utf8_lossy(&header[..16]);
        let name = name.trim_end_matches(' ');
        let name = name.strip_suffix('/').unwrap_or(name).to_owned();
        self.start = self.offset;
        self.remaining = size;
        self.padded = size % 2 == 1;
        Ok(Some(Member { name, size }))
    }

    /// Reads outside of member bounds; less than asked for only at the end of the input.
    fn read_raw(&mut self, out: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < out.len() {
            match self.input.read(&mut out[filled..]).map_err(Error::io("read"))? {
                0 => break,
                read => filled += read,
            }
        }
        self.offset += filled as u64;
        Ok(filled)
    }
}

impl<R: BufRead> BufRead for Ar<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.remaining == 0 {
            return Ok(&[]);
        }
        let available = self.input.fill_buf()?;
        if available.is_empty() {
            let read = self.offset - self.start;
            return Err(Error::truncated("ar member", self.start, read + self.remaining, read).into());
        }
        let bound = usize::try_from(self.remaining).unwrap_or(usize::MAX);
        Ok(&available[..available.len().min(bound)])
    }

    fn consume(&mut self, amount: usize) {
        self.input.consume(amount);
        self.offset += amount as u64;
        self.remaining -= amount as u64;
    }
}

impl<R: BufRead> Read for Ar<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        super::read_buffered(self, out)
    }
}

/// A number in a field padded with blanks.
fn decimal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?.trim_end_matches(' ');
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An archive of these members, as `ar` writes it.
    pub fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for (name, data) in members {
            out.extend(
                format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100_644, data.len()).bytes(),
            );
            out.extend_from_slice(data);
            if data.len() % 2 == 1 {
                out.push(b'\n');
            }
        }
        out
    }

    fn contents(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
        let mut ar = Ar::new(bytes)?;
        let mut found = Vec::new();
        while let Some(member) = ar.next_member()? {
            let mut data = Vec::new();
            ar.read_to_end(&mut data).map_err(Error::io("read"))?;
            found.push((member.name, data));
        }
        Ok(found)
    }

    #[test]
    fn members_come_in_order_with_their_bytes() {
        let bytes = archive(&[("debian-binary", b"2.0\n"), ("odd/", b"abc"), ("empty", b""), ("last", b"x")]);
        let expected: Vec<(String, Vec<u8>)> = vec![
            ("debian-binary".into(), b"2.0\n".to_vec()),
            ("odd".into(), b"abc".to_vec()),
            ("empty".into(), vec![]),
            ("last".into(), b"x".to_vec()),
        ];
        assert_eq!(contents(&bytes).unwrap(), expected);
        assert_eq!(contents(&bytes[..bytes.len() - 1]).unwrap(), expected, "the last padding may be missing");
    }

    #[test]
    fn unread_members_are_passed_over() {
        let bytes = archive(&[("a", b"12345"), ("b", b"6")]);
        let mut ar = Ar::new(&bytes[..]).unwrap();
        assert_eq!(ar.next_member().unwrap().unwrap().size, 5);
        assert_eq!(ar.next_member().unwrap().unwrap().name, "b");
        assert_eq!(ar.next_member().unwrap(), None);
    }

    #[test]
    fn every_truncation_is_an_error_or_ends_between_members() {
        let bytes = archive(&[("a", b"1234"), ("b", b"56")]);
        let whole = [MAGIC.len(), MAGIC.len() + 64, bytes.len()];
        for end in 0..bytes.len() {
            match contents(&bytes[..end]) {
                Ok(_) => assert!(whole.contains(&end), "{end} of {}", bytes.len()),
                Err(error) => assert!(matches!(error, Error::Truncated { .. }), "{end}: {error}"),
            }
        }
    }

    #[test]
    fn a_bad_header_is_named_with_its_offset() {
        let mut bytes = archive(&[("a", b"1234")]);
        bytes[8 + 48] = b'-';
        assert_eq!(
            contents(&bytes).unwrap_err().to_string(),
            "corrupt: ar member header at offset 0x8: its size is not a decimal number"
        );
        bytes[8 + 58] = b'?';
        assert!(contents(&bytes).unwrap_err().to_string().contains("end mark"));
        assert!(contents(b"<!DOCTYPE html>").unwrap_err().to_string().contains("!<arch>"));
    }
}
