//! The first DIE of a unit: what it says of the whole unit, and where the unit's indexes count from.

use super::abbrev::Abbreviations;
use super::cursor::Cursor;
use super::{form, walk, Sections, UnitHeader};
use crate::error::Result;
use gimli::constants as dw;

pub struct Root<'a> {
    pub name: Option<&'a [u8]>,
    pub comp_dir: Option<&'a [u8]>,
    pub producer: Option<&'a [u8]>,
    pub language: Option<gimli::DwLang>,
    /// Of its line table in `.debug_line`.
    pub stmt_list: Option<u64>,
    pub low_pc: Option<u64>,
    /// These count from behind the header of their section if the unit does not say.
    pub str_offsets_base: u64,
    pub addr_base: u64,
    pub rnglists_base: u64,
    /// A position at its first child, if it has any.
    pub children: Option<Cursor<'a>>,
}

impl<'a> Root<'a> {
    /// `None` for a unit of nothing.
    pub fn read(
        sections: &Sections<'a>,
        header: &UnitHeader,
        abbreviations: &Abbreviations,
    ) -> Result<Option<Root<'a>>> {
        let encoding = header.encoding;
        let mut cursor = sections.cursor(header.first);
        let Some(root) = walk::next(abbreviations, &mut cursor)? else { return Ok(None) };
        let header_size = if encoding.offset_size == 8 { 16 } else { 8 };
        let (mut str_offsets_base, mut addr_base) = (header_size, header_size);
        let mut rnglists_base = if encoding.offset_size == 8 { 20 } else { 12 };
        let (mut name, mut comp_dir, mut producer, mut low_pc) = (None, None, None, None);
        let (mut language, mut stmt_list) = (None, None);
        for attribute in abbreviations.attributes(root) {
            let value = form::read(&mut cursor, attribute.form, attribute.implicit, encoding, header.offset)?;
            match gimli::DwAt(attribute.name) {
                dw::DW_AT_name => name = Some(value),
                dw::DW_AT_comp_dir => comp_dir = Some(value),
                dw::DW_AT_producer => producer = Some(value),
                dw::DW_AT_language => language = value.number(),
                dw::DW_AT_stmt_list => stmt_list = value.number(),
                dw::DW_AT_low_pc => low_pc = Some(value),
                dw::DW_AT_str_offsets_base => str_offsets_base = value.number().unwrap_or(header_size),
                dw::DW_AT_addr_base | dw::DW_AT_GNU_addr_base => {
                    addr_base = value.number().unwrap_or(header_size)
                }
                dw::DW_AT_rnglists_base => rnglists_base = value.number().unwrap_or(rnglists_base),
                _ => {}
            }
        }
        let string = |value| sections.string(value, encoding, str_offsets_base);
        Ok(Some(Root {
            name: name.and_then(string),
            comp_dir: comp_dir.and_then(string),
            producer: producer.and_then(string),
            language: language.and_then(|language| u16::try_from(language).ok()).map(gimli::DwLang),
            stmt_list,
            low_pc: low_pc.and_then(|value| sections.address(value, encoding, addr_base)),
            str_offsets_base,
            addr_base,
            rnglists_base,
            children: root.has_children.then_some(cursor),
        }))
    }

    /// Whether the unit is in C; `None` if it does not say.
    pub fn is_c(&self) -> Option<bool> {
        // DWARF 5's list has grown since: https://dwarfstd.org/languages.html
        const DW_LANG_C23: gimli::DwLang = gimli::DwLang(0x3e);
        let is_c = |language| {
            matches!(
                language,
                dw::DW_LANG_C
                    | dw::DW_LANG_C89
                    | dw::DW_LANG_C99
                    | dw::DW_LANG_C11
                    | dw::DW_LANG_C17
                    | DW_LANG_C23
            )
        };
        self.language.map(is_c)
    }

    pub fn is_assembly(&self) -> bool {
        self.language == Some(dw::DW_LANG_Mips_Assembler)
    }
}
