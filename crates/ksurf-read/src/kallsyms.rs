//! The running kernel's own list of its symbols, `/proc/kallsyms`. Source: proc(5), nm(1) for the letters.

use crate::error::{Error, Result};

/// One line: `ffffffffc0a1b2c0 t kvm_vcpu_kick\t[kvm]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// `None` where the kernel hides it (`kptr_restrict`), as zero.
    pub address: Option<u64>,
    /// The letter of nm(1): upper case is global.
    pub kind: u8,
    pub name: &'a [u8],
    /// The module it is in (or `bpf`, `__builtin__ftrace`, ...); `None` for vmlinux.
    pub module: Option<&'a [u8]>,
}

impl Symbol<'_> {
    /// How a symbol of code is bound, as an ELF symbol table would say; `None` if it is not one of code.
    pub fn code_bind(&self) -> Option<&'static str> {
        match self.kind {
            b'T' => Some("STB_GLOBAL"),
            b't' => Some("STB_LOCAL"),
            b'W' | b'w' => Some("STB_WEAK"),
            _ => None,
        }
    }
}

/// The symbols of a list, in its order. A line that is none is an error, and the lines after it follow.
pub fn parse(text: &[u8]) -> impl Iterator<Item = Result<Symbol<'_>>> {
    let mut offset = 0;
    text.split_inclusive(|&byte| byte == b'\n').filter_map(move |line| {
        let start = offset;
        offset += line.len() as u64;
        let line = line.trim_ascii();
        (!line.is_empty()).then(|| symbol(line).ok_or_else(|| malformed(start)))
    })
}

fn malformed(offset: u64) -> Error {
    Error::corrupt("kallsyms line", offset, "it is not \"ADDRESS LETTER NAME [MODULE]\"")
}

fn symbol(line: &[u8]) -> Option<Symbol<'_>> {
    let mut words = line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let address = std::str::from_utf8(words.next()?).ok()?;
    let address = u64::from_str_radix(address, 16).ok()?;
    let &[kind] = words.next()? else { return None };
    let name = words.next()?;
    let module = match words.next() {
        Some(word) => Some(word.strip_prefix(b"[")?.strip_suffix(b"]")?),
        None => None,
    };
    let is_whole = kind.is_ascii_alphabetic() || kind == b'?';
    (is_whole && words.next().is_none()).then_some(Symbol {
        address: (address != 0).then_some(address),
        kind,
        name,
        module,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_of_the_kernel_and_of_modules() {
        let text = b"ffffffff81000000 T _stext\n\
            0000000000000000 A fixed_percpu_data\n\
            ffffffffc0a1b2c0 t kvm_vcpu_kick\t[kvm]\n\
            ffffffff81000010 W weak.cold";
        let symbols: Vec<_> = parse(text).map(Result::unwrap).collect();
        assert_eq!(symbols.len(), 4);
        assert_eq!(symbols[0].address, Some(0xffff_ffff_8100_0000));
        assert_eq!(symbols[0].code_bind(), Some("STB_GLOBAL"));
        assert_eq!((symbols[1].address, symbols[1].code_bind()), (None, None));
        assert_eq!(symbols[2].module, Some(&b"kvm"[..]));
        assert_eq!(symbols[2].code_bind(), Some("STB_LOCAL"));
        assert_eq!((symbols[3].name, symbols[3].code_bind()), (&b"weak.cold"[..], Some("STB_WEAK")));
    }

    #[test]
    fn a_bad_line_is_named_and_the_rest_is_read() {
        for bad in ["x T a", "1 TT a", "1 T", "1 T a kvm", "1 T a [kvm] b", "1 - a", "11111111111111111 T a"]
        {
            let text = format!("1 T first\n{bad}\n\n2 T last\n");
            let lines: Vec<_> = parse(text.as_bytes()).collect();
            assert_eq!(lines.len(), 3, "{bad}");
            let error = lines[1].as_ref().unwrap_err().to_string();
            assert!(error.contains("kallsyms line at offset 0xa"), "{error}");
            assert_eq!(lines[2].as_ref().unwrap().name, b"last");
        }
    }
}
