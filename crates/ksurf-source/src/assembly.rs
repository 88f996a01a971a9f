//! What assembly defines: labels, the macros of `.macro`, and what the kernel's macros mark as functions and data.

use crate::definitions::{Found, Kind};
use crate::lexer::{Kind as TokenKind, Token, Tokens};
use std::borrow::Cow;

/// Macros that open a function. Sources: include/linux/linkage.h, and each architecture's asm/linkage.h and asm/asm.h.
fn opens_function(name: &[u8]) -> bool {
    let is_pair = name.starts_with(b"SYM_") && !name.ends_with(b"_END") && !name.starts_with(b"SYM_DATA");
    is_pair && !name.starts_with(b"SYM_INNER") && !name.starts_with(b"SYM_L_") && !name.starts_with(b"SYM_T_")
        || matches!(
            name,
            b"ENTRY"
                | b"WEAK"
                | b"GLOBAL"
                | b"LEAF"
                | b"NESTED"
                | b"FEXPORT"
                | b"ENTRY_CFI"
                | b"_GLOBAL"
                | b"_GLOBAL_TOC"
                | b"_GLOBAL_TOC_KASAN"
                | b"_GLOBAL_KASAN"
                | b"_KPROBE"
                | b"ENTRY_NOALIGN"
                | b"ENTRY_NP"
                | b"EXC_VIRT_BEGIN"
                | b"__HEAD_ENTRY"
                | b"_ENTRY"
                | b"TRACE_ENTRY"
        )
}

/// Reads a file of assembly.
pub(crate) fn read(tokens: &Tokens, found: &mut Found<'_>) {
    let text = found.text;
    let list = &tokens.list;
    let mut at = 0;
    let mut line = 0;
    while let Some(token) = list.get(at) {
        if token.kind == TokenKind::Directive {
            let start = at + 1;
            while list.get(at).is_some_and(|token| token.kind != TokenKind::DirectiveEnd) {
                at += 1;
            }
            if token.of(text)[1..].trim_ascii_start() == b"define" {
                let end_line = list.get(at).map_or(token.line, |end| end.line);
                found.add_macro(token, &list[start..at.max(start)], end_line);
            }
            at += 1;
            continue;
        }
        let is_first = token.line != line || at > 0 && list[at - 1].is(text, b';');
        line = token.line;
        if is_first {
            statement(&list[at..list.len().min(at + 8)], found);
        }
        at += 1;
    }
}

/// Reads the beginning of a line.
fn statement(tokens: &[Token], found: &mut Found<'_>) {
    let text = found.text;
    let word = |at: usize| tokens.get(at).filter(|token| token.kind == TokenKind::Identifier);
    let is = |at: usize, byte: u8| tokens.get(at).is_some_and(|token| token.is(text, byte));
    if let Some(first) = word(0) {
        if is(1, b':') {
            found.add(Kind::Label, first);
        } else if is(1, b'(') {
            let name = first.of(text);
            let Some(argument) = word(2) else { return };
            if name.starts_with(b"EXPORT_SYMBOL") {
                found.add(Kind::Export, argument).via = Some(Cow::Borrowed(name));
            } else if opens_function(name) {
                found.add(Kind::Function, argument).via = Some(Cow::Borrowed(name));
            } else if matches!(name, b"SYM_DATA" | b"SYM_DATA_START" | b"SYM_DATA_START_LOCAL") {
                found.add(Kind::Variable, argument).via = Some(Cow::Borrowed(name));
            } else if name.starts_with(b"SYM_INNER_LABEL") {
                found.add(Kind::Label, argument).via = Some(Cow::Borrowed(name));
            }
        }
    } else if is(0, b'.') && word(1).is_some_and(|directive| directive.of(text) == b"macro") {
        if let Some(name) = word(2) {
            found.add(Kind::Macro, name);
        }
    }
}
