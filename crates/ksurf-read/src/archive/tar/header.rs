//! A member's header: its fields, and the records of the PAX header before it.

use crate::error::{Error, Result};
use std::ops::Range;

/// What headers and data come in, in bytes.
pub const BLOCK: usize = 512;

pub const NAME: Range<usize> = 0..100;
pub const SIZE: Range<usize> = 124..136;
pub const CHECKSUM: Range<usize> = 148..156;
pub const TYPE: usize = 156;
pub const LINK_NAME: Range<usize> = 157..257;
pub const MAGIC: Range<usize> = 257..262;
pub const PREFIX: Range<usize> = 345..500;
/// In a GNU sparse header, and in each block that continues it: whether another block follows.
pub const SPARSE_CONTINUES: usize = 482;
pub const SPARSE_BLOCK_CONTINUES: usize = 504;

/// What a PAX header says about the member after it.
#[derive(Default)]
pub struct Pax {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub sparse: bool,
}

impl Pax {
    /// Records of the form `LENGTH KEY=VALUE\n`, where the length counts the whole record.
    pub fn parse(data: &[u8], start: u64) -> Result<Pax> {
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
pub fn check(header: &[u8; BLOCK], offset: u64) -> Result<()> {
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
pub fn number(field: &[u8]) -> Option<u64> {
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
pub fn path(header: &[u8; BLOCK]) -> Vec<u8> {
    let name = until_zero(&header[NAME]);
    let prefix = until_zero(&header[PREFIX]);
    // GNU's own format, whose magic ends in a blank, has other things in the place of the prefix
    if &header[MAGIC] != b"ustar" || header[MAGIC.end] != 0 || prefix.is_empty() {
        return name.to_vec();
    }
    [prefix, b"/", name].concat()
}

pub fn until_zero(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// What fills the last block of so many bytes.
pub fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}
