//! Print formats as a running kernel shows them: the names of enumerators and the `sizeof`s in them are replaced by
//! numbers at boot, or when the module is loaded (`TRACE_DEFINE_ENUM`, `TRACE_DEFINE_SIZEOF`).
//!
//! Source: `update_event_printk` in kernel/trace/trace_events.c; include/trace/stages/stage1_struct_define.h.

use rustc_hash::FxHashMap;

/// The replacements of an image, by the address of the system's name, which is how the kernel compares systems, and
/// by the word that they begin with.
#[derive(Default)]
pub(super) struct Evals {
    by_word: FxHashMap<(u64, Vec<u8>), Vec<Eval>>,
}

/// A name, or `sizeof(...)`, and what takes its place.
struct Eval {
    name: Vec<u8>,
    value: String,
}

impl Evals {
    /// Adds a `struct trace_eval_map`. The first of a name counts.
    pub(super) fn add(&mut self, system: u64, name: &[u8], value: i64) {
        let word = name[..word_length(name)].to_vec();
        // Only what begins like a name is ever looked for.
        if word.first().is_some_and(|&b| is_name_start(b)) {
            let names = self.by_word.entry((system, word)).or_default();
            if names.iter().all(|known| known.name != name) {
                names.push(Eval { name: name.to_vec(), value: value.to_string() });
            }
        }
    }

    /// The format of an event of a system.
    pub(super) fn replace(&self, system: u64, format: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(format.len());
        let mut at = 0;
        let mut quoted = false;
        // Copies so many bytes.
        let copy = |out: &mut Vec<u8>, at: &mut usize, count: usize| {
            let end = at.saturating_add(count).min(format.len());
            out.extend_from_slice(&format[*at..end]);
            *at = end;
        };
        while let Some(&byte) = format.get(at) {
            match byte {
                b'\\' => copy(&mut out, &mut at, 2),
                b'"' => {
                    quoted = !quoted;
                    copy(&mut out, &mut at, 1);
                }
                _ if quoted => copy(&mut out, &mut at, 1),
                // As in the kernel, what follows a number or a name is not looked at.
                b'0'..=b'9' => {
                    let length = format[at..].iter().take_while(|b| b.is_ascii_alphanumeric()).count();
                    copy(&mut out, &mut at, length + 1);
                }
                _ if is_name_start(byte) => {
                    if let Some(eval) = self.find(system, &format[at..]) {
                        out.extend_from_slice(eval.value.as_bytes());
                        at += eval.name.len();
                        copy(&mut out, &mut at, 1);
                        continue;
                    }
                    // A member is no name of its own: `REC->type`.
                    loop {
                        let length = word_length(&format[at..]).max(1);
                        copy(&mut out, &mut at, length);
                        match &format[at..] {
                            [b'.', _, ..] => copy(&mut out, &mut at, 1),
                            [b'-', b'>', _, ..] => copy(&mut out, &mut at, 2),
                            _ => break,
                        }
                    }
                    copy(&mut out, &mut at, 1);
                }
                _ => copy(&mut out, &mut at, 1),
            }
        }
        out
    }

    fn find(&self, system: u64, text: &[u8]) -> Option<&Eval> {
        let names = self.by_word.get(&(system, text[..word_length(text)].to_vec()))?;
        let ends = |rest: &[u8]| !rest.first().is_some_and(|&b| b == b'_' || b.is_ascii_alphanumeric());
        let found = names.iter().find(|eval| text.strip_prefix(&eval.name[..]).is_some_and(ends))?;
        // The kernel replaces in place, and gives up where the number is longer than the name.
        (found.value.len() <= found.name.len()).then_some(found)
    }
}

fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

fn word_length(text: &[u8]) -> usize {
    text.iter().take_while(|&&b| b.is_ascii_alphanumeric() || b == b'_').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(format: &str) -> String {
        let mut evals = Evals::default();
        evals.add(1, b"LRU_BASE", 0);
        evals.add(1, b"LRU_NEG", -2);
        evals.add(1, b"sizeof(struct io)", 24);
        evals.add(1, b"A", 100);
        evals.add(1, b"LRU_BASE", 7);
        evals.add(2, b"OTHER", 3);
        String::from_utf8(evals.replace(1, format.as_bytes())).unwrap()
    }

    #[test]
    fn names_outside_of_strings_become_numbers() {
        assert_eq!(replaced(r#""LRU_BASE=%d", LRU_BASE, -LRU_NEG"#), r#""LRU_BASE=%d", 0, --2"#);
        assert_eq!(replaced("{ LRU_BASE + 1, \"a\\\"LRU_BASE\" }"), "{ 0 + 1, \"a\\\"LRU_BASE\" }");
        assert_eq!(replaced("REC->size / sizeof(struct io)"), "REC->size / 24");
        assert_eq!(replaced("LRU_BASE"), "0");
    }

    #[test]
    fn what_only_looks_like_a_name_stays() {
        for format in [
            "LRU_BASES + _LRU_BASE + 1LRU_BASE",
            "REC->LRU_BASE",
            "x.LRU_BASE",
            "OTHER",
            "sizeof(struct iox)",
            "x->",
            "A",
            "\\LRU_BASE",
            "\\",
            "x.",
            "",
        ] {
            assert_eq!(replaced(format), format);
        }
    }
}
