//! Code without preprocessor directives, its brackets matched.
//!
//! All branches of a condition are kept, since each may define something, unless they only make sense one at a time:
//! then it is the first one. What is never compiled (`#if 0`) and assembly in headers is left out.

use super::generated::Rules;
use super::Found;
use crate::lexer::{Kind, Token, Tokens};

/// Tokens of code, and the partner of each bracket.
pub(crate) struct Code {
    pub tokens: Vec<Token>,
    /// For `(`, `[` and `{`: where it closes, or the end of the code. For all others, their own place.
    pub close: Vec<u32>,
}

/// One `#if` up to its `#endif`.
struct Condition {
    /// Where the first branch that is kept ends, in the code, and how deep it leaves the code.
    first_end: Option<(usize, i32)>,
    /// Where the branch begins that is being read, and how deep the code is there.
    start: (usize, i32),
    /// How much deeper the first branch leaves the code.
    first_net: i32,
    /// Only one branch can be kept: they open or close different brackets.
    is_one_way: bool,
    is_dead: bool,
    /// The other branches are dead: they are assembly.
    rest_is_dead: bool,
    has_else: bool,
    ends_open: bool,
}

/// Takes the directives out, and tells of the macros that they define.
pub(crate) fn resolve(text: &[u8], tokens: &Tokens, found: &mut Found<'_>, rules: &mut Rules<'_>) -> Code {
    let list = &tokens.list;
    let mut code = Vec::with_capacity(list.len());
    let mut conditions: Vec<Condition> = Vec::new();
    let mut dead = 0;
    let mut depth = 0;
    // A condition whose branches all stopped amid a declaration: if a body follows, it belongs to one of them.
    let mut joined: Option<(usize, i32)> = None;
    let mut at = 0;
    while let Some(token) = list.get(at) {
        if token.kind != Kind::Directive {
            if dead == 0 {
                if let Some((end, there)) = joined.take() {
                    if token.is(text, b'{') {
                        code.truncate(end);
                        depth = there;
                    }
                }
                if token.kind == Kind::Punctuation {
                    match text[token.start as usize] {
                        b'{' | b'(' => depth += 1,
                        b'}' | b')' => depth -= 1,
                        _ => {}
                    }
                }
                code.push(*token);
            }
            at += 1;
            continue;
        }
        let start = at + 1;
        while list.get(at).is_some_and(|token| token.kind != Kind::DirectiveEnd) {
            at += 1;
        }
        let inside = &list[start..at.max(start)];
        let end_line = list.get(at).map_or(token.line, |end| end.line);
        at += 1;
        let name = token.of(text)[1..].trim_ascii_start();
        match name {
            b"define" if dead == 0 => {
                found.add_macro(token, inside, end_line);
                rules.define(inside);
            }
            b"if" | b"ifdef" | b"ifndef" => {
                let word = inside.first().map_or(&b""[..], |first| first.of(text));
                let is_assembly = word == b"__ASSEMBLY__" || word == b"__ASSEMBLER__";
                let is_dead =
                    name == b"if" && word == b"0" && inside.len() == 1 || name == b"ifdef" && is_assembly;
                dead += u32::from(is_dead);
                conditions.push(Condition {
                    first_end: None,
                    start: (code.len(), depth),
                    first_net: 0,
                    is_one_way: false,
                    is_dead,
                    rest_is_dead: name == b"ifndef" && is_assembly,
                    has_else: false,
                    ends_open: true,
                });
            }
            b"elif" | b"elifdef" | b"elifndef" | b"else" => {
                if let Some(condition) = conditions.last_mut() {
                    end_branch(condition, text, &code, depth, dead);
                    condition.has_else = true;
                    condition.start = (code.len(), depth);
                    if condition.is_dead != condition.rest_is_dead {
                        if condition.is_dead {
                            dead -= 1;
                        } else {
                            dead += 1;
                        }
                        condition.is_dead = condition.rest_is_dead;
                    }
                    // Each branch starts where the first one did.
                    if let Some((_, after_first)) = condition.first_end {
                        depth = after_first - condition.first_net;
                        condition.start.1 = depth;
                    }
                }
            }
            b"endif" => {
                if let Some(mut condition) = conditions.pop() {
                    end_branch(&mut condition, text, &code, depth, dead);
                    dead -= u32::from(condition.is_dead);
                    if let Some((end, after)) = condition.first_end {
                        if condition.has_else && condition.is_one_way {
                            code.truncate(end);
                        }
                        depth = after;
                        if condition.has_else && condition.ends_open && dead == 0 && code.len() > end {
                            joined = Some((end, after));
                        }
                    }
                }
            }
            _ => {}
        }
    }
    let close = brackets(text, &code, false).unwrap_or_else(|| {
        // Something opened and never closed. The kernel's style has the brace that ends a function in the first column.
        brackets(text, &code, true).unwrap_or_default()
    });
    Code { tokens: code, close }
}

/// Takes stock of the branch that ends here.
fn end_branch(condition: &mut Condition, text: &[u8], code: &[Token], depth: i32, dead: u32) {
    if dead > 0 {
        return;
    }
    let (start, before) = condition.start;
    let net = depth - before;
    let ends_open = code[start.min(code.len())..].last().is_some_and(|last| {
        !matches!(text[last.start as usize], b';' | b'}' | b'{' | b',') || last.kind != Kind::Punctuation
    });
    condition.ends_open &= ends_open;
    match condition.first_end {
        None => {
            condition.first_end = Some((code.len(), depth));
            condition.first_net = net;
        }
        Some(_) => condition.is_one_way |= net != 0 || condition.first_net != 0,
    }
}

/// Where each bracket closes. Unless `by_column`, `None` if one never does.
fn brackets(text: &[u8], code: &[Token], by_column: bool) -> Option<Vec<u32>> {
    let mut close: Vec<u32> = (0..code.len() as u32).collect();
    let mut open: Vec<u32> = Vec::new();
    let is_first = |token: &Token| token.start == 0 || text[token.start as usize - 1] == b'\n';
    for (at, token) in code.iter().enumerate() {
        if token.kind != Kind::Punctuation {
            continue;
        }
        match text[token.start as usize] {
            byte @ (b'(' | b'[' | b'{') => {
                if by_column && byte == b'{' && is_first(token) {
                    // What is still open was never closed: it ends before this.
                    for lost in open.drain(..) {
                        close[lost as usize] = at as u32 - 1;
                    }
                }
                open.push(at as u32);
            }
            b'}' => {
                let all = by_column && is_first(token);
                while let Some(opened) = open.pop() {
                    close[opened as usize] = at as u32;
                    if text[code[opened as usize].start as usize] == b'{' && !all {
                        break;
                    }
                }
            }
            byte @ (b')' | b']') => {
                let partner = if byte == b')' { b'(' } else { b'[' };
                if open.last().is_some_and(|&opened| text[code[opened as usize].start as usize] == partner) {
                    close[open.pop()? as usize] = at as u32;
                }
            }
            _ => {}
        }
    }
    if !by_column && !open.is_empty() {
        return None;
    }
    for lost in open {
        close[lost as usize] = code.len() as u32 - 1;
    }
    Some(close)
}
