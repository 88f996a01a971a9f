//! `.BTF.ext` of an eBPF object: which function, which source line and which relocation each instruction has.
//!
//! Source: `Documentation/bpf/btf.rst`, libbpf's `struct btf_ext_header`. Names are offsets into the strings of the
//! object's `.BTF`. Each of the three parts says how large its records are; those of a later version may be longer.

use crate::btf::{preamble, read_u32, Btf};
use crate::elf::text;
use crate::error::{At, Error, Result};

/// `struct btf_ext_header` up to `line_info_len`, and with the part that came later.
const HEADER_SIZE: usize = 24;
const HEADER_SIZE_WITH_RELOCATIONS: usize = 32;
/// `struct btf_ext_info_sec`.
const SECTION_SIZE: usize = 8;

/// The section, whose parts are decoded when they are asked for: damage in one leaves the others readable.
#[derive(Debug, Clone, Copy)]
pub struct BtfExt<'a> {
    btf: &'a Btf<'a>,
    functions: Part<'a>,
    lines: Part<'a>,
    relocations: Part<'a>,
}

/// The records of one section of the object, in the order of their instructions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Records<'a, T> {
    /// The section's name.
    pub section: &'a [u8],
    pub list: Vec<T>,
}

/// `struct bpf_func_info`: a function begins here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionInfo {
    /// Bytes from the start of the section.
    pub offset: u32,
    /// Of a `FUNC` of the object's BTF.
    pub type_id: u32,
}

/// `struct bpf_line_info`: the code from here on stands in this line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Bytes from the start of the section.
    pub offset: u32,
    /// As the compiler was told; empty if it does not say.
    pub file: &'a [u8],
    /// The source line itself, as it is written; empty if it is not there.
    pub text: &'a [u8],
    /// Counted from 1; 0 for code that is in no line.
    pub line: u32,
    /// Counted from 1.
    pub column: u32,
}

/// `struct bpf_core_relo`: something of this instruction depends on the kernel's types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoreRelocation<'a> {
    /// Bytes from the start of the section.
    pub offset: u32,
    /// The root of the access, in the object's BTF.
    pub type_id: u32,
    /// Numbers of members, elements or enumerators: `0:1:3`.
    pub access: &'a [u8],
    /// `enum bpf_core_relo_kind`.
    pub kind: u32,
}

/// The lines of an object, for look-ups.
#[derive(Debug, Default)]
pub struct Lines<'a>(Vec<Records<'a, Line<'a>>>);

impl<'a> Lines<'a> {
    /// The line of the instruction at an offset in bytes, which is that of the last record before it.
    pub fn at(&self, section: &[u8], offset: u32) -> Option<&Line<'a>> {
        let of_section = self.0.iter().filter(|records| records.section == section);
        of_section
            .filter_map(|records| records.list.iter().rfind(|line| line.offset <= offset))
            .max_by_key(|line| line.offset)
    }

    /// All lines, section by section.
    pub fn sections(&self) -> &[Records<'a, Line<'a>>] {
        &self.0
    }
}

#[derive(Debug, Clone, Copy)]
struct Part<'a> {
    what: &'static str,
    /// Where `data` is in the section, for messages.
    place: usize,
    data: &'a [u8],
    big_endian: bool,
}

impl<'a> BtfExt<'a> {
    /// Reads the header. `btf` is the `.BTF` of the same object.
    pub fn parse(data: &'a [u8], btf: &'a Btf<'a>) -> Result<BtfExt<'a>> {
        let (big_endian, size) = preamble("BTF.ext", data, HEADER_SIZE)?;
        if data[3] != 0 {
            return Err(Error::unsupported("BTF.ext flags", data[3]));
        }
        let word = |at| read_u32(data, at, big_endian) as usize;
        let part = |what, at| -> Result<Part<'a>> {
            let (start, len) = (size.saturating_add(word(at)), word(at + 4));
            let end = start.saturating_add(len);
            match data.get(start..end) {
                _ if len == 0 => Ok(Part { what, place: start, data: &[], big_endian }),
                Some(data) => Ok(Part { what, place: start, data, big_endian }),
                None => {
                    let available = data.len().saturating_sub(start);
                    Err(Error::truncated(what, start as u64, len as u64, available as u64))
                }
            }
        };
        let nothing = Part { what: "BTF.ext relocations", place: size, data: &[], big_endian };
        Ok(BtfExt {
            btf,
            functions: part("BTF.ext functions", 8)?,
            lines: part("BTF.ext lines", 16)?,
            relocations: match size >= HEADER_SIZE_WITH_RELOCATIONS {
                true => part(nothing.what, 24)?,
                false => nothing,
            },
        })
    }

    /// Where functions begin.
    pub fn functions(&self) -> Result<Vec<Records<'a, FunctionInfo>>> {
        let decode =
            |record: &Record<'a>| Ok(FunctionInfo { offset: record.word(0), type_id: record.word(4) });
        self.functions.records(self.btf, 8, decode)
    }

    /// Which source line each instruction comes from.
    pub fn lines(&self) -> Result<Lines<'a>> {
        let btf = self.btf;
        let decode = |record: &Record<'a>| {
            let position = record.word(12);
            Ok(Line {
                offset: record.word(0),
                file: btf.string(record.word(4))?,
                text: btf.string(record.word(8))?,
                line: position >> 10,
                column: position & 0x3ff,
            })
        };
        self.lines.records(btf, 16, decode).map(Lines)
    }

    /// What is to be relocated, in the order in which it is done.
    pub fn relocations(&self) -> Result<Vec<Records<'a, CoreRelocation<'a>>>> {
        let btf = self.btf;
        let decode = |record: &Record<'a>| {
            Ok(CoreRelocation {
                offset: record.word(0),
                type_id: record.word(4),
                access: btf.string(record.word(8))?,
                kind: record.word(12),
            })
        };
        self.relocations.records(btf, 16, decode)
    }
}

/// One record; of one that is longer than this version knows, the start.
struct Record<'a> {
    data: &'a [u8],
    big_endian: bool,
}

impl Record<'_> {
    fn word(&self, at: usize) -> u32 {
        read_u32(self.data, at, self.big_endian)
    }
}

impl<'a> Part<'a> {
    /// All records, which have at least `smallest` bytes.
    fn records<T>(
        &self,
        btf: &'a Btf<'a>,
        smallest: usize,
        decode: impl Fn(&Record<'a>) -> Result<T>,
    ) -> Result<Vec<Records<'a, T>>> {
        let mut out = Vec::new();
        if self.data.is_empty() {
            return Ok(out);
        }
        let corrupt =
            |at: usize, reason: String| Err(Error::corrupt(self.what, (self.place + at) as u64, reason));
        let words = Record { data: self.data, big_endian: self.big_endian };
        self.need(0, 4)?;
        let size = words.word(0) as usize;
        if size < smallest || !size.is_multiple_of(4) {
            return corrupt(0, format!("records of {size} bytes"));
        }
        let mut at = 4;
        while at < self.data.len() {
            self.need(at, SECTION_SIZE)?;
            let section = btf.string(words.word(at)).at(self.what)?;
            let count = words.word(at + 4) as usize;
            if count == 0 {
                return corrupt(at, format!("section {} has no records", text(section)));
            }
            at += SECTION_SIZE;
            let len = count.saturating_mul(size);
            self.need(at, len)?;
            let records = self.data[at..at + len].chunks_exact(size);
            let list = records.map(|data| decode(&Record { data, big_endian: self.big_endian }));
            out.push(Records { section, list: list.collect::<Result<_>>().at(self.what)? });
            at += len;
        }
        Ok(out)
    }

    fn need(&self, at: usize, size: usize) -> Result<()> {
        let available = self.data.len() - at;
        match size <= available {
            true => Ok(()),
            false => {
                Err(Error::truncated(self.what, (self.place + at) as u64, size as u64, available as u64))
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::btf::tests::Encoder;

    /// Writes `.BTF.ext`: three parts, each the size of its records and then the records of sections.
    pub fn encode(big_endian: bool, header: u32, parts: [&[u32]; 3]) -> Vec<u8> {
        let mut words = vec![header];
        let mut offset = 0;
        for part in &parts[..if header >= 32 { 3 } else { 2 }] {
            words.extend([offset, part.len() as u32 * 4]);
            offset += part.len() as u32 * 4;
        }
        words.resize(header as usize / 4 - 1, 0);
        words.extend(parts.concat());
        let order = if big_endian { u32::to_be_bytes } else { u32::to_le_bytes };
        let magic = if big_endian { [0xeb, 0x9f, 1, 0] } else { [0x9f, 0xeb, 1, 0] };
        magic.into_iter().chain(words.into_iter().flat_map(order)).collect()
    }

    #[test]
    fn records_of_both_byte_orders_and_of_any_size() {
        for big_endian in [false, true] {
            let mut e = Encoder::new(big_endian);
            e.int("int", 32, 1);
            let [section, other, file, line, access] =
                ["kprobe/f", ".text", "a.c", "\treturn 1;", "0:1:2"].map(|text| e.string(text));
            let data = e.finish();
            let btf = Btf::parse(&data, None).unwrap();
            let position = 7 << 10 | 3;
            for extra in [0, 2] {
                let longer = |record: &[u32]| [record, &[9; 2][..extra]].concat();
                let size = |words: u32| (words + extra as u32) * 4;
                let functions = [&[size(2), section, 1][..], &longer(&[0, 5])].concat();
                let lines = [
                    &[size(4), section, 2][..],
                    &longer(&[0, file, line, position]),
                    &longer(&[16, file, 0, 8 << 10]),
                    &[other, 1],
                    &longer(&[8, file, line, position]),
                ]
                .concat();
                let relocations = [&[size(4), section, 1][..], &longer(&[24, 4, access, 2])].concat();
                for header in [24, 32, 40] {
                    let data = encode(big_endian, header, [&functions, &lines, &relocations]);
                    let ext = BtfExt::parse(&data, &btf).unwrap();
                    let of_f = &ext.functions().unwrap()[0];
                    assert_eq!(of_f.section, b"kprobe/f");
                    assert_eq!(of_f.list, [FunctionInfo { offset: 0, type_id: 5 }]);
                    let lines = ext.lines().unwrap();
                    assert_eq!(lines.sections().len(), 2);
                    let found = lines.at(b"kprobe/f", 8).unwrap();
                    assert_eq!((found.file, found.text), (&b"a.c"[..], &b"\treturn 1;"[..]));
                    assert_eq!((found.line, found.column), (7, 3));
                    assert_eq!(lines.at(b"kprobe/f", 400).unwrap().line, 8);
                    assert!(lines.at(b".text", 0).is_none() && lines.at(b"x", 0).is_none());
                    let relocations = ext.relocations().unwrap();
                    if header == 24 {
                        assert!(relocations.is_empty());
                        continue;
                    }
                    let expected = CoreRelocation { offset: 24, type_id: 4, access: b"0:1:2", kind: 2 };
                    assert_eq!(relocations[0].list, [expected]);
                }
            }
        }
    }

    #[test]
    fn damage_has_a_place_and_a_reason() {
        let mut e = Encoder::new(false);
        let section = e.string("s");
        let data = e.finish();
        let btf = Btf::parse(&data, None).unwrap();
        let fails = |functions: &[u32], expected: &str| {
            let data = encode(false, 32, [functions, &[], &[]]);
            let ext = BtfExt::parse(&data, &btf).unwrap();
            assert!(ext.lines().unwrap().sections().is_empty());
            let error = ext.functions().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        fails(&[4, section, 1, 0], "offset 0x20: records of 4 bytes");
        fails(&[10, section, 1, 0, 0], "records of 10 bytes");
        fails(&[8, section], "needs 8 bytes, 4 are there");
        fails(&[8, section, 0], "section s has no records");
        fails(&[8, section, 2, 0, 0], "needs 16 bytes, 8 are there");
        fails(&[8, section, u32::MAX, 0, 0], "needs 34359738360 bytes");
        fails(&[8, 4096, 1, 0, 0], "a name lies outside");
        let good = encode(false, 32, [&[8, section, 1, 0, 1], &[], &[]]);
        for (at, byte, expected) in [
            (0, 0, "magic number"),
            (2, 9, "version: 9"),
            (3, 1, "flags: 1"),
            (4, 8, "it has 8 bytes"),
            (7, 1, "needs 16777248 bytes"),
            (9, 1, "BTF.ext functions ends at offset 0x120"),
        ] {
            let mut damaged = good.clone();
            damaged[at] = byte;
            let error = BtfExt::parse(&damaged, &btf).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(BtfExt::parse(&good[..20], &btf).is_err());
    }
}
