//! What the kernel's macros define, told by their arguments: of some it is known here, of others the file itself
//! says it, by what it defines them as.

use super::conditionals::{resolve, Code};
use super::{items, Found, Kind};
use crate::lexer::{Kind as TokenKind, Syntax, Token, Tokens};
use rustc_hash::FxHashMap;
use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;
use std::sync::OnceLock;

/// One name that a macro makes.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub kind: Kind,
    pub is_declaration: bool,
    pub is_static: bool,
    /// The macro is but a name, for a declaration that is written out.
    pub is_name: bool,
    /// The name, with `$1` for the first argument; `$0` is the macro itself.
    template: Cow<'static, str>,
}

/// An argument of a macro: its first token, its first name, and whether that is all of it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Argument {
    pub first: Option<Token>,
    pub name: Option<Token>,
    pub is_single: bool,
}

impl Made {
    /// The name, and the token that it is made of.
    pub fn name<'t>(
        &self,
        own: &Token,
        arguments: &[Argument],
        text: &'t [u8],
    ) -> Option<(Token, Cow<'t, [u8]>)> {
        let mut at = None;
        let mut name = Vec::new();
        let mut rest = &*self.template;
        while let Some(dollar) = rest.find('$') {
            name.extend_from_slice(&rest.as_bytes()[..dollar]);
            let number = usize::from(*rest.as_bytes().get(dollar + 1)? - b'0');
            let whole = self.template.len() == 2;
            let token = match (number, arguments.get(number.wrapping_sub(1))) {
                (0, _) => Some(*own),
                (_, Some(argument)) if whole => Some(argument.name?),
                (_, Some(argument)) if argument.first.is_none() || argument.is_single => argument.first,
                _ => return None,
            };
            if let Some(token) = token {
                at = at.or(Some(token));
                if whole {
                    return Some((token, Cow::Borrowed(token.of(text))));
                }
                name.extend_from_slice(token.of(text));
            }
            rest = &rest[dollar + 2..];
        }
        name.extend_from_slice(rest.as_bytes());
        Some((at?, Cow::Owned(name)))
    }
}

/// Each line: macros, what kind of thing they make (`-` before it: they only declare it), and the names.
/// A `*` in a macro's name stands for anything; such lines are for macros that have none of their own.
/// Sources: the headers in include/ that define these macros, and Documentation/.
const RULES: &str = include_str!("generated.txt");

/// Macros by what their names begin and end with.
struct Pattern {
    start: &'static [u8],
    end: &'static [u8],
    made: Vec<Made>,
}

struct Known {
    exact: FxHashMap<&'static [u8], Vec<Made>>,
    patterns: Vec<Pattern>,
}

fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let mut known = Known { exact: FxHashMap::default(), patterns: Vec::new() };
        for line in RULES.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split_ascii_whitespace();
            let (Some(macros), Some(kind)) = (words.next(), words.next()) else { continue };
            let (is_declaration, kind) = match kind.strip_prefix('-') {
                Some(kind) => (true, kind),
                None => (false, kind),
            };
            let kind = super::KINDS.iter().find(|entry| entry.1 == kind).map(|entry| entry.0);
            let templates: Vec<_> = words.collect();
            for name in macros.split(',') {
                let made = templates.iter().filter_map(|template| {
                    let template = Cow::Borrowed(*template);
                    Some(Made { kind: kind?, is_declaration, is_static: false, is_name: false, template })
                });
                match name.split_once('*') {
                    Some((start, end)) => known.patterns.push(Pattern {
                        start: start.as_bytes(),
                        end: end.as_bytes(),
                        made: made.collect(),
                    }),
                    None => known.exact.entry(name.as_bytes()).or_default().extend(made),
                }
            }
        }
        known
    })
}

/// How many arguments stand before the members that a macro in a struct holds.
pub(crate) fn members_after(name: &[u8]) -> Option<usize> {
    Some(match name {
        b"struct_group" => 1,
        b"struct_group_attr" | b"struct_group_tagged" => 2,
        b"__struct_group" | b"TRAILING_OVERLAP" => 3,
        _ => return None,
    })
}

/// A function-like macro that a file defines.
#[derive(Debug)]
struct Macro {
    parameters: Vec<Vec<u8>>,
    body: Range<usize>,
}

/// What macros make, as one file knows it.
#[derive(Debug, Default)]
pub(crate) struct Rules<'t> {
    text: &'t [u8],
    macros: FxHashMap<&'t [u8], Vec<Macro>>,
    told: FxHashMap<Vec<u8>, Rc<Vec<Made>>>,
    depth: usize,
}

/// A longer body makes nothing that anybody looks for by name.
const LONGEST_BODY: usize = 1 << 14;
const MOST_MADE: usize = 64;
/// Macros that make use of macros that make use of macros.
const DEEPEST: usize = 8;
/// Parameters beyond have no sign in a template.
const MOST_PARAMETERS: usize = 9;

impl<'t> Rules<'t> {
    pub fn new(text: &'t [u8]) -> Rules<'t> {
        Rules { text, ..Rules::default() }
    }

    /// Keeps what a file says of a macro: `tokens` go from its name to the end of the directive.
    pub fn define(&mut self, tokens: &[Token]) {
        let text = self.text;
        let [name, open, rest @ ..] = tokens else { return };
        if name.kind != TokenKind::Identifier || !open.is(text, b'(') || open.start != name.end {
            return;
        }
        let Some(close) = rest.iter().take(64).position(|token| token.is(text, b')')) else { return };
        let (Some(first), Some(last)) = (rest.get(close + 1), rest.last()) else { return };
        let body = first.start as usize..last.end as usize;
        if body.len() > LONGEST_BODY {
            return;
        }
        let parameters = rest[..close].iter().filter(|token| token.kind == TokenKind::Identifier);
        let parameters = parameters.map(|token| token.of(text).to_vec()).collect();
        self.macros.entry(name.of(text)).or_default().push(Macro { parameters, body });
    }

    /// What a macro makes; nothing if it is not known to make anything.
    pub fn rule(&mut self, name: &[u8]) -> Rc<Vec<Made>> {
        if let Some(told) = self.told.get(name) {
            return Rc::clone(told);
        }
        // A macro that is asked for while it is being read makes nothing more.
        self.told.insert(name.to_vec(), Rc::default());
        let known = known();
        let fits = |pattern: &&Pattern| name.starts_with(pattern.start) && name.ends_with(pattern.end);
        let similar = || known.patterns.iter().find(fits).map(|pattern| &pattern.made);
        let made = if let Some(made) = known.exact.get(name) {
            made.clone()
        } else if self.macros.contains_key(name) && self.depth < DEEPEST {
            self.depth += 1;
            let made = self.read(name);
            self.depth -= 1;
            made
        } else {
            similar().cloned().unwrap_or_default()
        };
        let made = Rc::new(made);
        self.told.insert(name.to_vec(), Rc::clone(&made));
        made
    }

    /// Reads what a file defines a macro as, with signs in place of the parameters.
    fn read(&mut self, name: &[u8]) -> Vec<Made> {
        let Some(all) = self.macros.get(name) else { return Vec::new() };
        let bodies: Vec<Vec<u8>> = all.iter().take(4).map(|one| signed(self.text, one)).collect();
        let mut made: Vec<Made> = Vec::new();
        for body in bodies {
            let mut tokens = Tokens::default();
            tokens.read(&body, Syntax::C);
            if let [name] = tokens.list[..] {
                let template = template(name.of(&body)).map(Cow::Owned);
                let kind = Kind::Function;
                made.extend(template.map(|template| Made {
                    kind,
                    is_declaration: false,
                    is_static: false,
                    is_name: true,
                    template,
                }));
                continue;
            }
            let mut found = Found::new(&body);
            let code: Code = resolve(&body, &tokens, &mut found, &mut Rules::new(&body));
            items::read(&code, &mut found, self);
            for (_, definition) in found.list {
                let is_whole = definition.owner.is_none() && definition.kind != Kind::Macro;
                let Some(template) = template(&definition.name).filter(|_| is_whole) else { continue };
                let (kind, is_declaration) = (definition.kind, definition.is_declaration);
                let (is_static, template) = (definition.is_static, Cow::Owned(template));
                if made.len() < MOST_MADE && !made.iter().any(|m| m.template == template && m.kind == kind) {
                    made.push(Made { kind, is_declaration, is_static, is_name: false, template });
                }
            }
        }
        made
    }
}

/// What stands for a parameter in a macro's body, around its number.
const SIGN: (&str, &str) = ("kSURF", "Z");

/// A macro's body with signs for its parameters, and what `##` joins joined.
fn signed(text: &[u8], one: &Macro) -> Vec<u8> {
    let body = &text[one.body.clone()];
    let mut tokens = Tokens::default();
    tokens.read(body, Syntax::C);
    let mut out = Vec::with_capacity(body.len() + 64);
    let list = &tokens.list;
    let mut line = 1;
    let mut at = 0;
    while let Some(token) = list.get(at) {
        if token.is(body, b'#') && list.get(at + 1).is_some_and(|next| next.is(body, b'#')) {
            while out.last().is_some_and(u8::is_ascii_whitespace) {
                out.pop();
            }
            at += 2;
        } else if token.line != line {
            out.push(b'\n');
        }
        let Some(token) = list.get(at) else { break };
        line = token.line;
        let word = token.of(body);
        let is_name = token.kind == TokenKind::Identifier;
        // Macros that follow each other on a line are told apart by line ends.
        if is_name && out.ends_with(b") ") {
            out.push(b'\n');
        }
        match one.parameters.iter().take(MOST_PARAMETERS).position(|parameter| is_name && parameter == word) {
            Some(number) => out.extend_from_slice(format!("{}{}{}", SIGN.0, number + 1, SIGN.1).as_bytes()),
            None => out.extend_from_slice(word),
        }
        out.push(b' ');
        at += 1;
    }
    out
}

/// A name with signs in it as a template; `None` if it has none.
fn template(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    let mut out = String::new();
    let mut pieces = name.split(SIGN.0);
    out.push_str(pieces.next()?);
    let mut is_made = false;
    for piece in pieces {
        let digit = piece.chars().next().filter(char::is_ascii_digit)?;
        out.push('$');
        out.push(digit);
        out.push_str(piece[1..].strip_prefix(SIGN.1)?);
        is_made = true;
    }
    is_made.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read_whole() {
        let mut rules = std::collections::HashSet::new();
        for line in RULES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let words: Vec<_> = line.split_ascii_whitespace().collect();
            assert!(words.len() >= 3, "{line}");
            let kind = words[1].trim_start_matches('-');
            assert!(super::super::KINDS.iter().any(|known| known.1 == kind), "{line}");
            for &template in &words[2..] {
                let digits =
                    template.split('$').skip(1).all(|part| part.starts_with(|c: char| c.is_ascii_digit()));
                assert!(template.contains('$') && digits, "{line}");
                for name in words[0].split(',') {
                    assert!(rules.insert((name, kind, template)), "{name} makes {template} twice");
                }
            }
        }
    }

    #[test]
    fn signs_become_templates() {
        assert_eq!(template(b"a_kSURF1Z_bkSURF2Z"), Some("a_$1_b$2".into()));
        assert_eq!(template(b"plain"), None);
    }
}
