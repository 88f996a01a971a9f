//! Checked reads at a position of `.debug_info` or `.debug_abbrev`.

use crate::error::{Error, Result};

/// A position in a section. Offsets are those of the section.
#[derive(Clone)]
pub struct Cursor<'a> {
    data: &'a [u8],
    /// Offset of the next byte.
    pub at: usize,
    big_endian: bool,
    section: &'static str,
}

impl<'a> Cursor<'a> {
    pub fn new(data: &'a [u8], at: usize, big_endian: bool, section: &'static str) -> Cursor<'a> {
        Cursor { data, at, big_endian, section }
    }

    #[cold]
    fn truncated(&self, needed: usize) -> Error {
        let available = self.data.len().saturating_sub(self.at);
        Error::truncated(self.section, self.at as u64, needed as u64, available as u64)
    }

    #[inline(always)]
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.data.get(self.at..).and_then(|rest| rest.first_chunk::<N>()) {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => Err(self.truncated(N)),
        }
    }

    #[inline(always)]
    pub fn u8(&mut self) -> Result<u64> {
        Ok(u64::from(self.take::<1>()?[0]))
    }

    #[inline(always)]
    pub fn u16(&mut self) -> Result<u64> {
        let bytes = self.take()?;
        Ok(u64::from(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }))
    }

    pub fn u24(&mut self) -> Result<u64> {
        let [a, b, c] = self.take()?;
        let bytes = if self.big_endian { [0, a, b, c] } else { [0, c, b, a] };
        Ok(u64::from(u32::from_be_bytes(bytes)))
    }

    #[inline(always)]
    pub fn u32(&mut self) -> Result<u64> {
        let bytes = self.take()?;
        Ok(u64::from(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }))
    }

    #[inline(always)]
    pub fn u64(&mut self) -> Result<u64> {
        let bytes = self.take()?;
        Ok(if self.big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }

    /// An integer of the size of an address or of an offset.
    #[inline(always)]
    pub fn word(&mut self, size: u8) -> Result<u64> {
        match size {
            8 => self.u64(),
            4 => self.u32(),
            2 => self.u16(),
            other => Err(Error::unsupported("address size", other)),
        }
    }

    /// DWARF 5, section 7.6: unsigned LEB128; bits past the 64th are dropped.
    #[inline(always)]
    pub fn uleb(&mut self) -> Result<u64> {
        match self.data.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(byte))
            }
            _ => self.long_uleb(),
        }
    }

    fn long_uleb(&mut self) -> Result<u64> {
        let (mut value, mut shift) = (0u64, 0u32);
        loop {
            let byte = self.take::<1>()?[0];
            if shift < 64 {
                value |= u64::from(byte & 0x7f) << shift;
            }
            shift = shift.saturating_add(7);
            if byte < 0x80 {
                return Ok(value);
            }
        }
    }

    /// DWARF 5, section 7.6: signed LEB128.
    pub fn sleb(&mut self) -> Result<i64> {
        let (mut value, mut shift) = (0i64, 0u32);
        loop {
            let byte = self.take::<1>()?[0];
            if shift < 64 {
                value |= i64::from(byte & 0x7f) << shift;
            }
            shift = shift.saturating_add(7);
            if byte < 0x80 {
                if shift < 64 && byte & 0x40 != 0 {
                    value |= -1i64 << shift;
                }
                return Ok(value);
            }
        }
    }

    #[inline(always)]
    pub fn skip(&mut self, count: usize) -> Result<()> {
        match self.at.checked_add(count) {
            Some(end) if end <= self.data.len() => {
                self.at = end;
                Ok(())
            }
            _ => Err(self.truncated(count)),
        }
    }

    /// The next bytes.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let start = self.at;
        self.skip(count)?;
        Ok(&self.data[start..self.at])
    }

    /// A NUL-terminated string, without its NUL.
    pub fn string(&mut self) -> Result<&'a [u8]> {
        let rest = self.data.get(self.at..).unwrap_or_default();
        let end = memchr::memchr(0, rest).ok_or_else(|| self.truncated(rest.len() + 1))?;
        self.at += end + 1;
        Ok(&rest[..end])
    }
}
