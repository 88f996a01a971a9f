//! Abbreviations (DWARF 5, section 7.5.3), prepared so that a DIE that nobody asked for is skipped in one step.

use super::cursor::Cursor;
use super::form::{self, Encoding};
use crate::error::{Error, Result};
use rustc_hash::FxHashMap;

/// One attribute of an abbreviation.
#[derive(Clone, Copy)]
pub struct Attribute {
    pub name: u16,
    pub form: u16,
    /// The value, for `DW_FORM_implicit_const`.
    pub implicit: i64,
}

/// One abbreviation declaration.
pub struct Abbreviation {
    pub tag: u16,
    pub has_children: bool,
    first: u32,
    count: u32,
    /// Bytes of all attributes together, if every form has a fixed size.
    pub fixed_size: Option<u32>,
    /// Bytes before `DW_AT_sibling`, and its form, if all forms before it have a fixed size.
    pub sibling: Option<(u32, u16)>,
}

/// The abbreviations of one unit.
#[derive(Default)]
pub struct Abbreviations {
    attributes: Vec<Attribute>,
    list: Vec<Abbreviation>,
    /// Codes that are not the position in `list` plus one; producers number from one on.
    sparse: FxHashMap<u64, usize>,
}

const DW_AT_SIBLING: u16 = gimli::DW_AT_sibling.0;

impl Abbreviations {
    /// Reads the table at `offset` of `.debug_abbrev`.
    pub fn parse(section: &[u8], offset: usize, encoding: Encoding) -> Result<Abbreviations> {
        let mut cursor = Cursor::new(section, offset, false, ".debug_abbrev");
        let mut table = Abbreviations::default();
        loop {
            let code = cursor.uleb()?;
            if code == 0 {
                return Ok(table);
            }
            let tag = narrow(cursor.uleb()?);
            let has_children = cursor.u8()? != 0;
            let first = table.attributes.len();
            let (mut fixed, mut sibling) = (Some(0u32), None);
            loop {
                let at = cursor.at;
                let (name, form) = (cursor.uleb()?, cursor.uleb()?);
                if name == 0 && form == 0 {
                    break;
                }
                let (name, form) = (narrow(name), narrow(form));
                let implicit = if form == gimli::DW_FORM_implicit_const.0 { cursor.sleb()? } else { 0 };
                if name == DW_AT_SIBLING {
                    sibling = fixed.map(|before| (before, form));
                }
                let size = form::size(form, encoding).ok_or_else(|| {
                    Error::unsupported("DWARF form", format!("{form:#x} at {at:#x} of .debug_abbrev"))
                })?;
                fixed = fixed.zip(size).map(|(sum, size)| sum + u32::from(size));
                table.attributes.push(Attribute { name, form, implicit });
            }
            let position = table.list.len();
            if code != position as u64 + 1 {
                table.sparse.insert(code, position);
            }
            table.list.push(Abbreviation {
                tag,
                has_children,
                first: first as u32,
                count: (table.attributes.len() - first) as u32,
                fixed_size: fixed,
                sibling,
            });
        }
    }

    /// The abbreviation of a code.
    #[inline(always)]
    pub fn get(&self, code: u64) -> Option<&Abbreviation> {
        if self.sparse.is_empty() {
            return self.list.get((code as usize).wrapping_sub(1));
        }
        self.get_sparse(code)
    }

    fn get_sparse(&self, code: u64) -> Option<&Abbreviation> {
        let position = match self.sparse.get(&code) {
            Some(&position) => position,
            None => (code as usize).wrapping_sub(1),
        };
        self.list.get(position)
    }

    /// The attributes of an abbreviation, in order.
    #[inline(always)]
    pub fn attributes(&self, abbreviation: &Abbreviation) -> &[Attribute] {
        let first = abbreviation.first as usize;
        &self.attributes[first..first + abbreviation.count as usize]
    }
}

/// Names, forms and tags are 16 bits wide by the standard; anything larger is unknown, not another one.
fn narrow(value: u64) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}
