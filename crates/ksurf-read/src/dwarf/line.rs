//! `.debug_line`: the files of a unit, and the line of an address.

use super::path::SourceRoot;
use super::{gimli_error, Sections, Slice};
use crate::elf::text;
use crate::error::Result;
use gimli::{AttributeValue, IncompleteLineProgram};

/// Marks "no file" among path numbers.
pub const NO_FILE: u32 = u32::MAX;

/// The line table of one unit: its files are named when asked for, its rows decoded when needed.
pub struct LineTable<'a> {
    program: Option<IncompleteLineProgram<Slice<'a>>>,
    offset: u64,
    root: SourceRoot,
    comp_dir: String,
    /// File number of the table -> number in `paths`.
    known: Vec<Option<u32>>,
    /// Paths relative to the source root, each once.
    pub paths: Vec<String>,
}

/// One row, kept small: vmlinux has ten million.
#[derive(Clone, Copy)]
struct Row {
    address: u64,
    file: u32,
    line: u32,
}

/// The rows of a unit by address.
pub struct Rows {
    /// Sorted by address; a row of line 0 and file `NO_FILE` ends a sequence.
    rows: Vec<Row>,
}

impl<'a> LineTable<'a> {
    pub fn new(
        sections: &Sections<'a>,
        offset: Option<u64>,
        address_size: u8,
        comp_dir: &str,
    ) -> Result<LineTable<'a>> {
        let program = match offset {
            None => None,
            Some(at) => {
                let at = gimli::DebugLineOffset(at as usize);
                Some(
                    sections
                        .line
                        .program(at, address_size, None, None)
                        .map_err(gimli_error("line table", at.0 as u64))?,
                )
            }
        };
        Ok(LineTable {
            program,
            offset: offset.unwrap_or(0),
            root: SourceRoot::of(comp_dir),
            comp_dir: comp_dir.to_owned(),
            known: Vec::new(),
            paths: Vec::new(),
        })
    }

    /// The path of the unit itself.
    pub fn unit_path(&self, name: &str) -> String {
        // rustc names a unit after its crate's root and the piece of it: `lib.rs/@/core.1b61-cgu.0`.
        let file = name.split("/@/").next().unwrap_or(name);
        self.root.relative(&self.comp_dir, "", file)
    }

    /// The number in `paths` of a file number of the table; [`NO_FILE`] if the table does not have it.
    pub fn file(&mut self, sections: &Sections<'a>, number: u64) -> u32 {
        let slot = number as usize;
        if let Some(Some(known)) = self.known.get(slot) {
            return *known;
        }
        let Some(path) = self.name(sections, number) else { return NO_FILE };
        let index = match self.paths.iter().position(|p| *p == path) {
            Some(index) => index as u32,
            None => {
                self.paths.push(path);
                self.paths.len() as u32 - 1
            }
        };
        if self.known.len() <= slot {
            self.known.resize(slot + 1, None);
        }
        self.known[slot] = Some(index);
        index
    }

    /// Directory and name of a file number, as they stand in the table.
    pub fn raw(&self, sections: &Sections<'a>, number: u64) -> Option<(&'a [u8], &'a [u8])> {
        let header = self.program.as_ref()?.header();
        let file = header.file(number)?;
        let directory = header.directory(file.directory_index());
        let directory = directory.and_then(|directory| bytes(sections, directory));
        Some((directory.unwrap_or_default(), bytes(sections, file.path_name())?))
    }

    fn name(&self, sections: &Sections<'a>, number: u64) -> Option<String> {
        let header = self.program.as_ref()?.header();
        let file = header.file(number)?;
        let string = |value| bytes(sections, value).map(text);
        let name = string(file.path_name())?;
        // Before DWARF 5 directory 0 was the build folder and stood in no table.
        let directory = match header.directory(file.directory_index()) {
            Some(value) => string(value)?,
            None => String::new(),
        };
        Some(self.root.relative(&self.comp_dir, &directory, &name))
    }

    /// Runs the line program.
    pub fn rows(&self, sections: &Sections<'a>) -> Result<Rows> {
        let mut out: Vec<Row> = Vec::new();
        let Some(program) = self.program.clone() else { return Ok(Rows { rows: out }) };
        let error = |e| gimli_error("line table", self.offset)(e);
        let mut rows = program.rows();
        let mut sequence = 0;
        let mut sorted = true;
        while let Some((_, row)) = rows.next_row().map_err(error)? {
            let address = row.address();
            if row.end_sequence() {
                out.push(Row { address, file: NO_FILE, line: 0 });
                if sections.is_dropped(out[sequence].address) {
                    out.truncate(sequence);
                } else if sequence > 0 && out[sequence - 1].address > out[sequence].address {
                    sorted = false;
                }
                sequence = out.len();
                continue;
            }
            let row = Row {
                address,
                file: u32::try_from(row.file_index()).unwrap_or(NO_FILE),
                line: row.line().map_or(0, |line| u32::try_from(line.get()).unwrap_or(0)),
            };
            // Of several rows at one address the last is the one that holds.
            match out.last_mut() {
                Some(last) if out_of(last, &row) => *last = row,
                _ => out.push(row),
            }
        }
        out.truncate(sequence);
        if !sorted {
            // The end of one sequence sorts before the start of the next at the same address.
            out.sort_by_key(|row| (row.address, row.file != NO_FILE));
        }
        Ok(Rows { rows: out })
    }
}

/// The bytes of a name in the table.
fn bytes<'a>(sections: &Sections<'a>, value: AttributeValue<Slice<'a>>) -> Option<&'a [u8]> {
    match value {
        AttributeValue::String(text) => Some(text.slice()),
        AttributeValue::DebugStrRef(at) => Sections::c_string(sections.str, at.0 as u64),
        AttributeValue::DebugLineStrRef(at) => Sections::c_string(sections.line_str, at.0 as u64),
        _ => None,
    }
}

fn out_of(last: &Row, row: &Row) -> bool {
    last.address == row.address && last.file != NO_FILE
}

impl Rows {
    /// File number and line of the instruction that holds `address`.
    pub fn find(&self, address: u64) -> Option<(u64, u32)> {
        let after = self.rows.partition_point(|row| row.address <= address);
        let row = self.rows.get(after.checked_sub(1)?)?;
        (row.file != NO_FILE && row.line != 0).then_some((row.file.into(), row.line))
    }
}
