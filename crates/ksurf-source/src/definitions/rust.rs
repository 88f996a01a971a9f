//! What Rust defines, as far as its keywords tell.

use super::{Found, Kind};
use crate::lexer::{Kind as TokenKind, Tokens};

/// Finds items by the keyword before their names.
pub(crate) fn read(tokens: &Tokens, found: &mut Found<'_>) {
    let text = found.text;
    let words: Vec<_> =
        tokens.list.windows(3).filter(|three| three[0].kind == TokenKind::Identifier).collect();
    for three in words {
        let kind = match three[0].of(text) {
            b"fn" => Kind::Function,
            b"struct" => Kind::Struct,
            b"union" => Kind::Union,
            b"enum" => Kind::Enum,
            b"trait" => Kind::Trait,
            b"mod" => Kind::Module,
            b"type" => Kind::Typedef,
            b"const" | b"static" => Kind::Variable,
            b"macro_rules" if three[1].is(text, b'!') && three[2].kind == TokenKind::Identifier => {
                found.add(Kind::Macro, &three[2]).start_line = three[0].line;
                continue;
            }
            _ => continue,
        };
        let is_constant = kind != Kind::Variable || three[2].is(text, b':');
        let is_word = three[1].kind == TokenKind::Identifier;
        if is_word && is_constant && !matches!(three[1].of(text), b"fn" | b"mut" | b"unsafe" | b"extern") {
            found.add(kind, &three[1]).start_line = three[0].line;
        }
    }
}
