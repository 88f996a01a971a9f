//! What the kernel's macros define, told by their arguments.

use super::Kind;
use crate::lexer::Token;
use rustc_hash::FxHashMap;
use std::borrow::Cow;
use std::sync::OnceLock;

/// One name that a macro makes.
#[derive(Debug)]
pub(crate) struct Made {
    pub kind: Kind,
    pub is_declaration: bool,
    /// The name, with `$1` for the first argument; `$0` is the macro itself.
    template: &'static str,
}

impl Made {
    /// The name, and the token that it is made of.
    pub fn name<'t>(
        &self,
        own: &Token,
        arguments: &[(Option<Token>, bool)],
        text: &'t [u8],
    ) -> Option<(Token, Cow<'t, [u8]>)> {
        let mut at = None;
        let mut name = Vec::new();
        let mut rest = self.template;
        while let Some(dollar) = rest.find('$') {
            name.extend_from_slice(&rest.as_bytes()[..dollar]);
            let number = usize::from(*rest.as_bytes().get(dollar + 1)? - b'0');
            let token = if number == 0 { *own } else { arguments.get(number - 1)?.0? };
            if at.is_none() {
                at = Some(token);
            }
            if self.template.len() == 2 {
                return Some((token, Cow::Borrowed(token.of(text))));
            }
            name.extend_from_slice(token.of(text));
            rest = &rest[dollar + 2..];
        }
        name.extend_from_slice(rest.as_bytes());
        Some((at?, Cow::Owned(name)))
    }
}

/// Each line: macros, what kind of thing they make (`-` before it: they only declare it), and the names.
/// A macro that ends with `*` stands for all that begin so and have no line of their own.
/// Sources: the headers in include/ that define these macros, and Documentation/.
const RULES: &str = include_str!("generated.txt");

struct Rules {
    exact: FxHashMap<&'static [u8], Vec<Made>>,
    prefixes: Vec<(&'static [u8], Vec<Made>)>,
}

fn rules() -> &'static Rules {
    static RULES_READ: OnceLock<Rules> = OnceLock::new();
    RULES_READ.get_or_init(|| {
        let mut rules = Rules { exact: FxHashMap::default(), prefixes: Vec::new() };
        for line in RULES.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split_ascii_whitespace();
            let (Some(macros), Some(kind)) = (words.next(), words.next()) else { continue };
            let (is_declaration, kind) = match kind.strip_prefix('-') {
                Some(kind) => (true, kind),
                None => (false, kind),
            };
            let kind = super::KINDS.iter().find(|known| known.1 == kind).map(|known| known.0);
            let templates: Vec<_> = words.collect();
            for name in macros.split(',') {
                let made = templates
                    .iter()
                    .filter_map(|template| Some(Made { kind: kind?, is_declaration, template }));
                match name.strip_suffix('*') {
                    Some(prefix) => rules.prefixes.push((prefix.as_bytes(), made.collect())),
                    None => rules.exact.entry(name.as_bytes()).or_default().extend(made),
                }
            }
        }
        rules
    })
}

/// What a macro makes; nothing if it is not known to make anything.
pub(crate) fn rule(name: &[u8]) -> &'static [Made] {
    let rules = rules();
    if let Some(made) = rules.exact.get(name) {
        return made;
    }
    let found = rules.prefixes.iter().find(|(prefix, _)| name.starts_with(prefix));
    found.map_or(&[], |(_, made)| made)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read_whole() {
        for line in RULES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let words: Vec<_> = line.split_ascii_whitespace().collect();
            assert!(words.len() >= 3, "{line}");
            let kind = words[1].trim_start_matches('-');
            assert!(super::super::KINDS.iter().any(|known| known.1 == kind), "{line}");
            for template in &words[2..] {
                let digits =
                    template.split('$').skip(1).all(|part| part.starts_with(|c: char| c.is_ascii_digit()));
                assert!(template.contains('$') && digits, "{line}");
            }
        }
    }
}
