//! Attribute values by form: DWARF 5, section 7.5.6, and the GNU forms before it.

use super::cursor::Cursor;
use crate::error::{Error, Result};
use gimli::constants as dw;

/// What the size of a form depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    pub version: u16,
    /// Bytes of an address of the target.
    pub address_size: u8,
    /// 4 in 32-bit DWARF, 8 in 64-bit DWARF.
    pub offset_size: u8,
}

/// The value of an attribute, as its form says; what it means is up to the attribute.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    Address(u64),
    /// Index into `.debug_addr`.
    AddressIndex(u64),
    Constant(u64),
    Signed(i64),
    Flag(bool),
    /// A DIE, as an offset of `.debug_info`.
    Reference(usize),
    Text(&'a [u8]),
    /// Offset in `.debug_str`.
    StringOffset(u64),
    /// Offset in `.debug_line_str`.
    LineStringOffset(u64),
    /// Index into `.debug_str_offsets`.
    StringIndex(u64),
    /// Offset in the section that the attribute is about.
    SectionOffset(u64),
    /// Index into the unit's list of range lists.
    RangesIndex(u64),
    /// A block of bytes, or an expression.
    Block(&'a [u8]),
    /// Something this reader has no use for.
    Other,
}

impl Value<'_> {
    /// The value as an unsigned number, if it is one.
    pub fn number(self) -> Option<u64> {
        match self {
            Value::Constant(value) | Value::SectionOffset(value) => Some(value),
            Value::Signed(value) => u64::try_from(value).ok(),
            Value::Flag(value) => Some(value.into()),
            _ => None,
        }
    }
}

/// Bytes of a form: `None` if unknown, `Some(None)` if it varies.
pub fn size(form: u16, encoding: Encoding) -> Option<Option<u8>> {
    Some(match gimli::DwForm(form) {
        dw::DW_FORM_flag_present | dw::DW_FORM_implicit_const => Some(0),
        dw::DW_FORM_data1 | dw::DW_FORM_ref1 | dw::DW_FORM_flag | dw::DW_FORM_strx1 | dw::DW_FORM_addrx1 => {
            Some(1)
        }
        dw::DW_FORM_data2 | dw::DW_FORM_ref2 | dw::DW_FORM_strx2 | dw::DW_FORM_addrx2 => Some(2),
        dw::DW_FORM_strx3 | dw::DW_FORM_addrx3 => Some(3),
        dw::DW_FORM_data4
        | dw::DW_FORM_ref4
        | dw::DW_FORM_strx4
        | dw::DW_FORM_addrx4
        | dw::DW_FORM_ref_sup4 => Some(4),
        dw::DW_FORM_data8 | dw::DW_FORM_ref8 | dw::DW_FORM_ref_sig8 | dw::DW_FORM_ref_sup8 => Some(8),
        dw::DW_FORM_data16 => Some(16),
        dw::DW_FORM_addr => Some(encoding.address_size),
        // DWARF 2 gave it the size of an address.
        dw::DW_FORM_ref_addr if encoding.version <= 2 => Some(encoding.address_size),
        dw::DW_FORM_ref_addr
        | dw::DW_FORM_strp
        | dw::DW_FORM_line_strp
        | dw::DW_FORM_sec_offset
        | dw::DW_FORM_strp_sup
        | dw::DW_FORM_GNU_ref_alt
        | dw::DW_FORM_GNU_strp_alt => Some(encoding.offset_size),
        dw::DW_FORM_block1
        | dw::DW_FORM_block2
        | dw::DW_FORM_block4
        | dw::DW_FORM_block
        | dw::DW_FORM_exprloc
        | dw::DW_FORM_string
        | dw::DW_FORM_sdata
        | dw::DW_FORM_udata
        | dw::DW_FORM_ref_udata
        | dw::DW_FORM_strx
        | dw::DW_FORM_addrx
        | dw::DW_FORM_loclistx
        | dw::DW_FORM_rnglistx
        | dw::DW_FORM_indirect
        | dw::DW_FORM_GNU_addr_index
        | dw::DW_FORM_GNU_str_index => None,
        _ => return None,
    })
}

/// Steps over a value.
#[inline(always)]
pub fn skip(cursor: &mut Cursor<'_>, form: u16, encoding: Encoding) -> Result<()> {
    match size(form, encoding) {
        Some(Some(size)) => cursor.skip(size.into()),
        _ => read(cursor, form, 0, encoding, 0).map(|_| ()),
    }
}

/// Reads a value; `unit` is the unit's offset, which local references count from.
#[inline]
pub fn read<'a>(
    cursor: &mut Cursor<'a>,
    form: u16,
    implicit: i64,
    encoding: Encoding,
    unit: usize,
) -> Result<Value<'a>> {
    let local = |offset: u64| Value::Reference(unit.wrapping_add(offset as usize));
    Ok(match gimli::DwForm(form) {
        dw::DW_FORM_flag_present => Value::Flag(true),
        dw::DW_FORM_implicit_const => Value::Signed(implicit),
        dw::DW_FORM_data1 => Value::Constant(cursor.u8()?),
        dw::DW_FORM_data2 => Value::Constant(cursor.u16()?),
        // Before DWARF 4 these were the forms of section offsets too; `number` takes either.
        dw::DW_FORM_data4 => Value::Constant(cursor.u32()?),
        dw::DW_FORM_data8 => Value::Constant(cursor.u64()?),
        dw::DW_FORM_ref4 => local(cursor.u32()?),
        dw::DW_FORM_strp => Value::StringOffset(cursor.word(encoding.offset_size)?),
        dw::DW_FORM_addr => Value::Address(cursor.word(encoding.address_size)?),
        dw::DW_FORM_sec_offset => Value::SectionOffset(cursor.word(encoding.offset_size)?),
        dw::DW_FORM_line_strp => Value::LineStringOffset(cursor.word(encoding.offset_size)?),
        dw::DW_FORM_string => Value::Text(cursor.string()?),
        dw::DW_FORM_flag => Value::Flag(cursor.u8()? != 0),
        dw::DW_FORM_udata => Value::Constant(cursor.uleb()?),
        dw::DW_FORM_sdata => Value::Signed(cursor.sleb()?),
        dw::DW_FORM_exprloc | dw::DW_FORM_block => {
            let length = cursor.uleb()?;
            block(cursor, length)?
        }
        dw::DW_FORM_block1 => {
            let length = cursor.u8()?;
            block(cursor, length)?
        }
        dw::DW_FORM_block2 => {
            let length = cursor.u16()?;
            block(cursor, length)?
        }
        dw::DW_FORM_block4 => {
            let length = cursor.u32()?;
            block(cursor, length)?
        }
        dw::DW_FORM_ref1 => local(cursor.u8()?),
        dw::DW_FORM_ref2 => local(cursor.u16()?),
        dw::DW_FORM_ref8 => local(cursor.u64()?),
        dw::DW_FORM_ref_udata => local(cursor.uleb()?),
        dw::DW_FORM_ref_addr => {
            let size = if encoding.version <= 2 { encoding.address_size } else { encoding.offset_size };
            Value::Reference(cursor.word(size)? as usize)
        }
        dw::DW_FORM_strx | dw::DW_FORM_GNU_str_index => Value::StringIndex(cursor.uleb()?),
        dw::DW_FORM_strx1 => Value::StringIndex(cursor.u8()?),
        dw::DW_FORM_strx2 => Value::StringIndex(cursor.u16()?),
        dw::DW_FORM_strx3 => Value::StringIndex(cursor.u24()?),
        dw::DW_FORM_strx4 => Value::StringIndex(cursor.u32()?),
        dw::DW_FORM_addrx | dw::DW_FORM_GNU_addr_index => Value::AddressIndex(cursor.uleb()?),
        dw::DW_FORM_addrx1 => Value::AddressIndex(cursor.u8()?),
        dw::DW_FORM_addrx2 => Value::AddressIndex(cursor.u16()?),
        dw::DW_FORM_addrx3 => Value::AddressIndex(cursor.u24()?),
        dw::DW_FORM_addrx4 => Value::AddressIndex(cursor.u32()?),
        dw::DW_FORM_rnglistx => Value::RangesIndex(cursor.uleb()?),
        dw::DW_FORM_loclistx => {
            cursor.uleb()?;
            Value::Other
        }
        dw::DW_FORM_indirect => {
            let at = cursor.at;
            let actual = u16::try_from(cursor.uleb()?).unwrap_or(u16::MAX);
            if actual == dw::DW_FORM_indirect.0 || actual == dw::DW_FORM_implicit_const.0 {
                return Err(Error::corrupt(".debug_info", at as u64, "an indirect form names no plain form"));
            }
            return read(cursor, actual, 0, encoding, unit);
        }
        _ => match size(form, encoding) {
            Some(Some(size)) => {
                cursor.skip(size.into())?;
                Value::Other
            }
            _ => {
                return Err(Error::unsupported(
                    "DWARF form",
                    format!("{form:#x} at {:#x} of .debug_info", cursor.at),
                ))
            }
        },
    })
}

fn block<'a>(cursor: &mut Cursor<'a>, length: u64) -> Result<Value<'a>> {
    cursor.bytes(usize::try_from(length).unwrap_or(usize::MAX)).map(Value::Block)
}
