//! Steps through the DIEs of a unit: to the next one, or over one with everything in it.

use super::abbrev::{Abbreviation, Abbreviations};
use super::cursor::Cursor;
use super::form::{self, Value};
use super::UnitHeader;
use crate::error::{Error, Result};
use gimli::constants as dw;

/// `DW_AT_abstract_origin` and `DW_AT_specification` links followed one after another.
pub const ORIGIN_LIMIT: usize = 16;

/// The next DIE's abbreviation, or `None` for the entry that ends a list of children.
#[inline(always)]
pub fn next<'r>(
    abbreviations: &'r Abbreviations,
    cursor: &mut Cursor<'_>,
) -> Result<Option<&'r Abbreviation>> {
    let at = cursor.at;
    match cursor.uleb()? {
        0 => Ok(None),
        code => match abbreviations.get(code) {
            Some(abbreviation) => Ok(Some(abbreviation)),
            None => Err(unknown_code(at, code)),
        },
    }
}

/// Steps over a DIE's attributes; its sibling, if it says.
#[inline(always)]
pub fn skip_attributes(
    header: &UnitHeader,
    abbreviations: &Abbreviations,
    cursor: &mut Cursor<'_>,
    abbreviation: &Abbreviation,
) -> Result<Option<usize>> {
    let encoding = header.encoding;
    let mut sibling = None;
    if abbreviation.has_children {
        if let Some((before, form)) = abbreviation.sibling {
            let mut ahead = cursor.clone();
            ahead.skip(before as usize)?;
            if let Value::Reference(at) = form::read(&mut ahead, form, 0, encoding, header.offset)? {
                sibling = forward(header, at, ahead.at);
                if sibling.is_some() {
                    return Ok(sibling);
                }
            }
        }
    }
    if let Some(size) = abbreviation.fixed_size {
        cursor.skip(size as usize)?;
        return Ok(None);
    }
    for attribute in abbreviations.attributes(abbreviation) {
        if attribute.name == dw::DW_AT_sibling.0 {
            if let Value::Reference(at) = form::read(cursor, attribute.form, 0, encoding, header.offset)? {
                sibling = forward(header, at, cursor.at);
            }
        } else {
            form::skip(cursor, attribute.form, encoding)?;
        }
    }
    Ok(sibling)
}

/// A sibling is believed only if it leads forward and stays inside the unit: else the walk could loop.
#[inline(always)]
pub fn forward(header: &UnitHeader, sibling: usize, from: usize) -> Option<usize> {
    (sibling > from && sibling <= header.end).then_some(sibling)
}

/// Steps over a DIE and everything in it. The cursor stands behind its abbreviation code.
#[inline(always)]
pub fn skip(
    header: &UnitHeader,
    abbreviations: &Abbreviations,
    cursor: &mut Cursor<'_>,
    abbreviation: &Abbreviation,
) -> Result<()> {
    let sibling = skip_attributes(header, abbreviations, cursor, abbreviation)?;
    if !abbreviation.has_children {
        return Ok(());
    }
    skip_children(header, abbreviations, cursor, sibling)
}

/// Steps over the children of a DIE, whose attributes the cursor stands behind.
pub fn skip_children(
    header: &UnitHeader,
    abbreviations: &Abbreviations,
    cursor: &mut Cursor<'_>,
    sibling: Option<usize>,
) -> Result<()> {
    if let Some(sibling) = sibling {
        cursor.at = sibling;
        return Ok(());
    }
    let mut depth = 1usize;
    while depth > 0 {
        match next(abbreviations, cursor)? {
            None => depth -= 1,
            Some(abbreviation) => match skip_attributes(header, abbreviations, cursor, abbreviation)? {
                Some(sibling) => cursor.at = sibling,
                None if abbreviation.has_children => depth += 1,
                None => {}
            },
        }
    }
    Ok(())
}

#[cold]
pub fn unknown_code(at: usize, code: u64) -> Error {
    Error::corrupt(".debug_info", at as u64, format!("abbreviation {code} is not declared"))
}
