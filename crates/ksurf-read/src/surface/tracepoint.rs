//! Tracepoints and trace events, from the structures that their macros leave in an image's data
//! (include/linux/tracepoint.h, include/trace/trace_events.h, kernel/trace/trace_events.c).

mod print_format;
mod syscall_event;

use super::layout::Layouts;
use crate::elf::{text, Memory};
use crate::error::{Error, Result};
use print_format::Evals;
use rustc_hash::{FxHashMap, FxHashSet};
use syscall_event::Syscalls;

/// A trace event, or a tracepoint that has none ("bare").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracepoint {
    /// The event's system, as its directory below `events/` is called; `None` for a bare tracepoint.
    pub system: Option<String>,
    pub name: String,
    /// The event class, as the image's symbol for it says.
    pub class: Option<String>,
    /// The tracepoint behind it; `None` for an event without one (`sys_enter_*`, ftrace's own).
    pub tracepoint: Option<String>,
    /// What `format` prints after `print fmt: `.
    pub print_format: Option<String>,
    pub fields: Vec<Field>,
}

/// A field of an event's record. The common ones, which all events begin with, are not listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// As `format` prints it in front of the name: `char`, `__data_loc char[]`.
    pub type_text: String,
    /// With the dimensions of an array, as `format` prints them after the name: `comm[16]`.
    pub name: String,
    pub byte_offset: u32,
    pub byte_size: u32,
    pub signed: bool,
}

/// More than any kernel has, of each: a damaged image has no more than this.
const EVENTS: usize = 1 << 16;
const FIELDS: usize = 512;
const STRING_BYTES: usize = 1 << 16;
/// All text together: a format may be shared by all events of a damaged image.
const TEXT_BYTES: usize = 64 << 20;

/// The tracepoints of an image. Events that cannot be read are left out, and the reason goes into `incomplete`.
pub fn read(
    memory: &Memory<'_>,
    layouts: &dyn Layouts,
    incomplete: &mut Vec<String>,
) -> Result<Vec<Tracepoint>> {
    let list = |section, start, end| {
        if memory.is_module() {
            memory.section(section)
        } else {
            memory.marked(start, end)
        }
    };
    let events = list("_ftrace_events", "__start_ftrace_events", "__stop_ftrace_events");
    let bare = list("__tracepoints_ptrs", "__start___tracepoints_ptrs", "__stop___tracepoints_ptrs");
    let evals = list("_ftrace_eval_map", "__start_ftrace_eval_maps", "__stop_ftrace_eval_maps");
    let mut reader =
        Reader { memory, layouts, word: u32::from(memory.image().address_size()), left: TEXT_BYTES };
    let tracepoints = match bare {
        Some((at, bytes)) if !bytes.is_empty() => reader.tracepoints(at, bytes.len() as u64, incomplete)?,
        _ => FxHashMap::default(),
    };
    let mut out = Vec::new();
    let mut used = FxHashSet::default();
    if let Some((at, bytes)) = events.filter(|(_, bytes)| !bytes.is_empty()) {
        let evals = match evals {
            Some((at, bytes)) if !bytes.is_empty() => reader.evals(at, bytes.len() as u64, incomplete)?,
            _ => Evals::default(),
        };
        let shape = Shape::of(&reader)?;
        let mut skipped = Skipped::new("trace events");
        for call in reader.pointers(at, bytes.len() as u64)? {
            match reader.event(&shape, call, &tracepoints, &evals) {
                Ok(Some((event, tracepoint))) => {
                    out.push(event);
                    used.extend(tracepoint);
                }
                Ok(None) => {}
                Err(error) => skipped.add(error),
            }
            if reader.left == 0 {
                break;
            }
        }
        skipped.report(incomplete);
    }
    let mut bare: Vec<_> = tracepoints.into_iter().filter(|(address, _)| !used.contains(address)).collect();
    bare.sort();
    out.extend(bare.into_iter().map(|(_, name)| Tracepoint {
        system: None,
        name: name.clone(),
        class: None,
        tracepoint: Some(name),
        print_format: None,
        fields: Vec::new(),
    }));
    if reader.left == 0 {
        incomplete.push(format!(
            "tracepoints: {}",
            Error::too_large("their text", TEXT_BYTES as u64 + 1, TEXT_BYTES as u64)
        ));
    }
    Ok(out)
}

/// What was left out, told in one line.
struct Skipped {
    what: &'static str,
    count: usize,
    first: Option<Error>,
}

impl Skipped {
    fn new(what: &'static str) -> Skipped {
        Skipped { what, count: 0, first: None }
    }

    fn add(&mut self, error: Error) {
        self.count += 1;
        self.first.get_or_insert(error);
    }

    fn report(self, incomplete: &mut Vec<String>) {
        if let Some(first) = self.first {
            incomplete.push(format!("{}: {} left out, the first: {first}", self.what, self.count));
        }
    }
}

/// Where the members lie that are read of an event.
struct Shape {
    call_class: u64,
    call_name: u64,
    call_format: u64,
    call_data: u64,
    class_system: u64,
    class_fields: u64,
    field_size: u64,
    field_type: u64,
    field_name: u64,
    field_byte_size: u64,
    field_align: u64,
    field_signed: u64,
    /// It is the first bit of an integer (6.12), and no integer of its own.
    signed_is_bit: bool,
    /// How many elements an array has; older kernels print what the type says.
    field_length: Option<u64>,
    /// Where an event's own fields begin: behind `struct trace_entry`.
    first_offset: u32,
    /// Addresses of the classes of system calls' events.
    enter: Option<u64>,
    exit: Option<u64>,
    syscalls: Result<Syscalls>,
}

impl Shape {
    fn of(reader: &Reader<'_, '_>) -> Result<Shape> {
        let member = |structure, name| reader.offset(structure, name);
        let size = |name| {
            let size = reader.layouts.size_of(name).filter(|&size| size > 0);
            size.ok_or_else(|| Error::unsupported("trace events", format!("nothing describes struct {name}")))
        };
        let first_offset = size("trace_entry")?;
        // A bit-field is no member that lies anywhere: it is the first bit behind the alignment.
        let signed = member("trace_event_fields", "is_signed");
        let signed_is_bit = signed.is_err();
        let align = member("trace_event_fields", "align")?;
        Ok(Shape {
            call_class: member("trace_event_call", "class")?,
            call_name: member("trace_event_call", "name")?,
            call_format: member("trace_event_call", "print_fmt")?,
            call_data: member("trace_event_call", "data")?,
            class_system: member("trace_event_class", "system")?,
            class_fields: member("trace_event_class", "fields_array")?,
            field_size: size("trace_event_fields")?,
            field_type: member("trace_event_fields", "type")?,
            field_name: member("trace_event_fields", "name")?,
            field_byte_size: member("trace_event_fields", "size")?,
            field_align: align,
            field_signed: signed.unwrap_or(align + 4),
            signed_is_bit,
            field_length: member("trace_event_fields", "len").ok(),
            first_offset: u32::try_from(first_offset)
                .map_err(|_| Error::too_large("struct trace_entry", first_offset, u64::from(u32::MAX)))?,
            enter: reader.memory.address_of("event_class_syscall_enter"),
            exit: reader.memory.address_of("event_class_syscall_exit"),
            syscalls: Syscalls::of(reader),
        })
    }
}

/// The image, and how much more text is taken from it.
struct Reader<'m, 'a> {
    memory: &'m Memory<'a>,
    layouts: &'m dyn Layouts,
    /// Size of a pointer in bytes.
    word: u32,
    left: usize,
}

impl<'a> Reader<'_, 'a> {
    fn offset(&self, structure: &str, member: &str) -> Result<u64> {
        let found = self.layouts.member(structure, member);
        found.map(|(offset, _)| offset).ok_or_else(|| {
            Error::unsupported("trace events", format!("nothing describes {member} of struct {structure}"))
        })
    }

    /// The pointer at an offset from an address.
    fn pointer(&self, address: u64, offset: u64) -> Result<u64> {
        let at = address.wrapping_add(offset);
        self.memory.pointer(at).ok_or_else(|| Error::corrupt("pointer", at, "there is nothing"))
    }

    fn u32(&self, address: u64, offset: u64) -> Result<u32> {
        let at = address.wrapping_add(offset);
        self.memory.u32(at).ok_or_else(|| Error::corrupt("integer", at, "there is nothing"))
    }

    fn string(&self, address: u64) -> Result<&'a [u8]> {
        let bytes =
            self.memory.from(address).ok_or_else(|| Error::corrupt("string", address, "there is nothing"))?;
        let bytes = &bytes[..bytes.len().min(STRING_BYTES)];
        let end =
            memchr::memchr(0, bytes).ok_or_else(|| Error::corrupt("string", address, "it does not end"))?;
        Ok(&bytes[..end])
    }

    /// A string that goes into the result.
    fn text(&mut self, address: u64) -> Result<String> {
        let bytes = self.string(address)?;
        self.left = self.left.saturating_sub(bytes.len() + 64);
        Ok(text(bytes))
    }

    /// The pointers of a section.
    fn pointers(&self, start: u64, size: u64) -> Result<Vec<u64>> {
        let word = u64::from(self.word);
        let count = size / word;
        if count > EVENTS as u64 {
            return Err(Error::too_large("list of pointers", size, EVENTS as u64 * word));
        }
        (0..count).map(|index| self.pointer(start, index * word)).collect()
    }

    /// The tracepoints that are listed: address of the `struct tracepoint`, and its name.
    fn tracepoints(
        &mut self,
        start: u64,
        size: u64,
        incomplete: &mut Vec<String>,
    ) -> Result<FxHashMap<u64, String>> {
        let name = self.offset("tracepoint", "name")?;
        // Distances from their own places (CONFIG_HAVE_ARCH_PREL32_RELOCATIONS), or pointers.
        let distance = self.memory.relative(start);
        let is_distance = distance
            .and_then(|address| self.pointer(address, name).ok())
            .is_some_and(|address| self.string(address).is_ok_and(|name| !name.is_empty()));
        let addresses = if is_distance {
            if size / 4 > EVENTS as u64 {
                return Err(Error::too_large("list of tracepoints", size, EVENTS as u64 * 4));
            }
            (0..size / 4).filter_map(|index| self.memory.relative(start + index * 4)).collect()
        } else {
            self.pointers(start, size)?
        };
        let mut skipped = Skipped::new("tracepoints");
        let mut out = FxHashMap::default();
        for address in addresses {
            match self.pointer(address, name).and_then(|name| self.text(name)) {
                Ok(name) => drop(out.insert(address, name)),
                Err(error) => skipped.add(error),
            }
        }
        skipped.report(incomplete);
        Ok(out)
    }

    fn evals(&self, start: u64, size: u64, incomplete: &mut Vec<String>) -> Result<Evals> {
        let system = self.offset("trace_eval_map", "system")?;
        let name = self.offset("trace_eval_map", "eval_string")?;
        let value = self.offset("trace_eval_map", "eval_value")?;
        let mut skipped = Skipped::new("enumerators of trace events");
        let mut out = Evals::default();
        for map in self.pointers(start, size)? {
            let read = || {
                // An `unsigned long`, printed as a `long`.
                let value = match self.pointer(map, value)? {
                    value if self.word == 4 => i64::from(value as u32 as i32),
                    value => value as i64,
                };
                Ok((self.pointer(map, system)?, self.string(self.pointer(map, name)?)?, value))
            };
            match read() {
                Ok((system, name, value)) => out.add(system, name, value),
                Err(error) => skipped.add(error),
            }
        }
        skipped.report(incomplete);
        Ok(out)
    }

    /// The event at an address and its tracepoint's address; `None` for one that the kernel does not register.
    fn event(
        &mut self,
        shape: &Shape,
        call: u64,
        tracepoints: &FxHashMap<u64, String>,
        evals: &Evals,
    ) -> Result<Option<(Tracepoint, Option<u64>)>> {
        let class = self.pointer(call, shape.call_class)?;
        let system = self.pointer(class, shape.class_system)?;
        // One member for both: which it is, is told by flags whose values differ from version to version.
        let name = self.pointer(call, shape.call_name)?;
        let tracepoint = tracepoints.get(&name);
        let name_text = match tracepoint {
            Some(name) => name.clone(),
            None => self.text(name)?,
        };
        let mut fields = self.fields(shape, self.pointer(class, shape.class_fields)?)?;
        let syscall = Some(class) == shape.enter || Some(class) == shape.exit;
        let print_format = if syscall {
            let syscalls = match &shape.syscalls {
                Ok(syscalls) => syscalls,
                Err(error) => return Err(Error::unsupported("event of a system call", error)),
            };
            let data = self.pointer(call, shape.call_data)?;
            let event = syscalls.event(self, data, Some(class) == shape.enter, &mut fields)?;
            let Some(format) = event else { return Ok(None) };
            format
        } else {
            match self.pointer(call, shape.call_format)? {
                0 => None,
                format => {
                    let format = self.string(format)?;
                    self.left = self.left.saturating_sub(format.len());
                    Some(text(&evals.replace(system, format)))
                }
            }
        };
        let event = Tracepoint {
            system: Some(self.text(system)?),
            class: self.memory.at(class).find_map(|mark| mark.name.strip_prefix(b"event_class_")).map(text),
            tracepoint: tracepoint.cloned(),
            name: name_text,
            print_format,
            fields,
        };
        Ok(Some((event, tracepoint.map(|_| name))))
    }

    /// The fields of a class, with their offsets (`event_define_fields`). They end with one without a type, or with
    /// a function that adds others, which only the events of system calls have.
    fn fields(&mut self, shape: &Shape, start: u64) -> Result<Vec<Field>> {
        let function = if self.word == 4 { u64::from(u32::MAX) } else { u64::MAX };
        let mut offset = shape.first_offset;
        let mut out = Vec::new();
        for index in 0..FIELDS as u64 {
            let at = start.wrapping_add(index.wrapping_mul(shape.field_size));
            let field_type = self.pointer(at, shape.field_type)?;
            if field_type == 0 || field_type == function {
                return Ok(out);
            }
            let type_text = self.text(field_type)?;
            let name = self.pointer(at, shape.field_name)?;
            let name = self.text(name)?;
            let byte_size = self.u32(at, shape.field_byte_size)?;
            let align = self.u32(at, shape.field_align)?;
            let signed = self.u32(at, shape.field_signed)?;
            let signed = match (shape.signed_is_bit, self.memory.image().is_big_endian()) {
                (false, _) => signed != 0,
                (true, false) => signed & 1 == 1,
                (true, true) => signed >> 31 == 1,
            };
            let length = shape.field_length.map(|offset| self.u32(at, offset)).transpose()?;
            let aligned = align.is_power_of_two().then(|| offset.checked_next_multiple_of(align)).flatten();
            let end =
                aligned.and_then(|start| start.checked_add(byte_size)).filter(|&end| end <= i32::MAX as u32);
            let (Some(byte_offset), Some(end)) = (aligned, end) else {
                let reason = format!("size {byte_size}, alignment {align} behind {offset} bytes");
                return Err(Error::corrupt("field of a trace event", at, reason));
            };
            offset = end;
            let (type_text, name) = shown(without_attributes(type_text), name, length);
            out.push(Field { type_text, name, byte_offset, byte_size, signed });
        }
        Err(Error::corrupt("fields of a trace event", start, format!("there are more than {FIELDS}")))
    }
}

/// Type and name as `f_show` prints them: `char[16]` and `comm` are `char` and `comm[16]`.
fn shown(type_text: String, name: String, length: Option<u32>) -> (String, String) {
    let Some(bracket) = type_text.find('[').filter(|_| !type_text.starts_with("__data_loc")) else {
        return (type_text, name);
    };
    let (element, dimensions) = type_text.split_at(bracket);
    let name = match length {
        None => format!("{name}{dimensions}"),
        Some(0) => format!("{name}[]"),
        Some(length) => format!("{name}[{}]", length as i32),
    };
    (element.to_owned(), name)
}

/// A type without `__attribute__(...)`, as newer kernels show it (`sanitize_field_type`).
fn without_attributes(mut type_text: String) -> String {
    const ATTRIBUTE: &str = "__attribute__(";
    let mut from = 0;
    while let Some(found) = type_text[from..].find(ATTRIBUTE) {
        let start = from + found;
        let inside = start + ATTRIBUTE.len();
        // Part of another word.
        if start > 0 && !type_text.as_bytes()[start - 1].is_ascii_whitespace() {
            from = inside;
            continue;
        }
        let mut depth = 1;
        let end = type_text[inside..].bytes().position(|byte| {
            depth += i32::from(byte == b'(') - i32::from(byte == b')');
            depth == 0
        });
        let Some(end) = end.map(|end| inside + end + 1) else { break };
        let rest = type_text[end..].trim_ascii_start().len();
        type_text.replace_range(start..type_text.len() - rest, "");
        from = start;
    }
    type_text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_shown_behind_the_name() {
        let shown = |type_text: &str, length| shown(type_text.to_owned(), "x".to_owned(), length);
        let pair = |type_text: &str, name: &str| (type_text.to_owned(), name.to_owned());
        assert_eq!(shown("char[TASK_COMM_LEN]", Some(16)), pair("char", "x[16]"));
        assert_eq!(shown("u8[2 + 4]", None), pair("u8", "x[2 + 4]"));
        assert_eq!(shown("__rel_loc char[]", Some(0)), pair("__rel_loc char", "x[]"));
        assert_eq!(shown("__data_loc char[]", Some(0)), pair("__data_loc char[]", "x"));
        assert_eq!(shown("int", Some(0)), pair("int", "x"));
    }

    #[test]
    fn attributes_are_left_out() {
        let cases = [
            ("const char __attribute__((btf_type_tag(\"user\"))) *", "const char *"),
            ("__attribute__((a))  __attribute__((b)) int", "int"),
            ("my__attribute__(x)", "my__attribute__(x)"),
            ("int __attribute__((a)", "int __attribute__((a)"),
            ("int", "int"),
        ];
        for (given, expected) in cases {
            assert_eq!(without_attributes(given.to_owned()), expected);
        }
    }
}
