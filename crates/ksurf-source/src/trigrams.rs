//! Which runs of three bytes a text has, and which ones a regular expression asks for.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Three bytes, the first one highest.
pub type Trigram = u32;

/// How many there could be.
pub const SPACE: usize = 1 << 24;

/// Whether a trigram is kept: within a line, and of ASCII, which is what sources are.
fn is_kept(byte: u8) -> bool {
    (b' '..0x80).contains(&byte) || byte == b'\t'
}

/// Collects the trigrams of texts, each once.
pub struct Collector {
    seen: Vec<u64>,
}

impl Default for Collector {
    fn default() -> Collector {
        Collector { seen: vec![0; SPACE / 64] }
    }
}

impl Collector {
    /// Appends the trigrams of a text, in no order.
    pub fn collect(&mut self, text: &[u8], into: &mut Vec<Trigram>) {
        let first = into.len();
        let mut value: u32 = 0;
        let mut good = 0;
        for &byte in text {
            value = (value << 8 | u32::from(byte)) & (SPACE as u32 - 1);
            good = if is_kept(byte) { good + 1 } else { 0 };
            if good >= 3 {
                let word = &mut self.seen[(value >> 6) as usize];
                let bit = 1 << (value & 63);
                if *word & bit == 0 {
                    *word |= bit;
                    into.push(value);
                }
            }
        }
        for &trigram in &into[first..] {
            self.seen[(trigram >> 6) as usize] = 0;
        }
    }
}

/// What must be in a text for a pattern to match there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// Nothing is known: every text may match.
    Any,
    Has(Trigram),
    All(Vec<Query>),
    OneOf(Vec<Query>),
}

impl Query {
    fn and(self, other: Query) -> Query {
        match (self, other) {
            (Query::Any, other) | (other, Query::Any) => other,
            (Query::All(mut all), Query::All(more)) => {
                all.extend(more);
                Query::All(all)
            }
            (Query::All(mut all), other) | (other, Query::All(mut all)) => {
                all.push(other);
                Query::All(all)
            }
            (one, other) => Query::All(vec![one, other]),
        }
    }

    fn one_of(queries: Vec<Query>) -> Query {
        if queries.contains(&Query::Any) || queries.is_empty() {
            Query::Any
        } else {
            Query::OneOf(queries)
        }
    }
}

/// Strings of which a part of the pattern matches exactly one, as long as they are few.
type Strings = Vec<Vec<u8>>;

/// More are cut at their ends.
const MOST_STRINGS: usize = 48;

/// What is known of a part of a pattern: the strings that it is, or else a condition.
enum Part {
    Exact(Strings),
    Unknown(Query),
}

/// What a pattern asks of a text. Patterns are as deep as `regex_syntax` lets them be (250).
pub fn query(pattern: &Hir) -> Query {
    match part(pattern) {
        Part::Exact(strings) => of_strings(&strings),
        Part::Unknown(query) => query,
    }
}

fn of_strings(strings: &Strings) -> Query {
    Query::one_of(strings.iter().map(|string| of_string(string)).collect())
}

fn of_string(string: &[u8]) -> Query {
    let mut all = Query::Any;
    for three in string.windows(3) {
        if three.iter().all(|&byte| is_kept(byte)) {
            let trigram = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
            all = all.and(Query::Has(trigram));
        }
    }
    all
}

fn part(hir: &Hir) -> Part {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Part::Exact(vec![Vec::new()]),
        HirKind::Literal(literal) => Part::Exact(vec![literal.0.to_vec()]),
        HirKind::Class(class) => of_class(class).map_or(Part::Unknown(Query::Any), Part::Exact),
        HirKind::Capture(capture) => part(&capture.sub),
        HirKind::Repetition(repetition) => {
            if repetition.min == 0 {
                Part::Unknown(Query::Any)
            } else if repetition.min == 1 && repetition.max == Some(1) {
                part(&repetition.sub)
            } else {
                Part::Unknown(query(&repetition.sub))
            }
        }
        HirKind::Concat(parts) => {
            let mut known = Query::Any;
            let mut strings: Strings = vec![Vec::new()];
            // Whether nothing stands before the strings: then they are the whole part.
            let mut is_exact = true;
            for one in parts {
                match part(one) {
                    Part::Exact(next) => {
                        if strings.len() * next.len() > MOST_STRINGS {
                            is_exact = false;
                            known = known.and(of_strings(&strings));
                            for string in &mut strings {
                                string.drain(..string.len().saturating_sub(2));
                            }
                            strings.sort();
                            strings.dedup();
                        }
                        if strings.len() * next.len() > MOST_STRINGS {
                            strings = next;
                            continue;
                        }
                        let pairs =
                            strings.iter().flat_map(|a| next.iter().map(move |b| [&a[..], b].concat()));
                        strings = pairs.collect();
                    }
                    Part::Unknown(query) => {
                        is_exact = false;
                        known = known.and(of_strings(&strings)).and(query);
                        strings = vec![Vec::new()];
                    }
                }
            }
            if is_exact {
                Part::Exact(strings)
            } else {
                Part::Unknown(known.and(of_strings(&strings)))
            }
        }
        HirKind::Alternation(parts) => {
            let parts: Vec<_> = parts.iter().map(part).collect();
            let count: usize =
                parts.iter().map(|p| if let Part::Exact(s) = p { s.len() } else { MOST_STRINGS + 1 }).sum();
            if count <= MOST_STRINGS {
                let strings =
                    parts.into_iter().filter_map(|p| if let Part::Exact(s) = p { Some(s) } else { None });
                return Part::Exact(strings.flatten().collect());
            }
            let queries = parts.into_iter().map(|p| match p {
                Part::Exact(strings) => of_strings(&strings),
                Part::Unknown(query) => query,
            });
            Part::Unknown(Query::one_of(queries.collect()))
        }
    }
}

/// The members of a small class, such as both cases of a letter.
fn of_class(class: &Class) -> Option<Strings> {
    const MOST_MEMBERS: usize = 8;
    let mut strings = Vec::new();
    match class {
        Class::Bytes(class) => {
            for range in class.iter() {
                for byte in range.start()..=range.end() {
                    strings.push(vec![byte]);
                    if strings.len() > MOST_MEMBERS {
                        return None;
                    }
                }
            }
        }
        Class::Unicode(class) => {
            for range in class.iter() {
                for letter in range.start()..=range.end() {
                    strings.push(letter.to_string().into_bytes());
                    if strings.len() > MOST_MEMBERS {
                        return None;
                    }
                }
            }
        }
    }
    Some(strings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pattern: &str) -> Query {
        query(&regex_syntax::ParserBuilder::new().utf8(false).unicode(false).build().parse(pattern).unwrap())
    }

    fn trigram(text: &str) -> Query {
        let bytes = text.as_bytes();
        Query::Has(u32::from(bytes[0]) << 16 | u32::from(bytes[1]) << 8 | u32::from(bytes[2]))
    }

    /// Whether a text fulfils a query.
    fn holds(query: &Query, text: &[u8]) -> bool {
        let mut has = Vec::new();
        Collector::default().collect(text, &mut has);
        fn ask(query: &Query, has: &[Trigram]) -> bool {
            match query {
                Query::Any => true,
                Query::Has(trigram) => has.contains(trigram),
                Query::All(all) => all.iter().all(|one| ask(one, has)),
                Query::OneOf(some) => some.iter().any(|one| ask(one, has)),
            }
        }
        ask(query, &has)
    }

    #[test]
    fn literals_ask_for_all_their_trigrams() {
        assert_eq!(asked("abcd"), Query::OneOf(vec![Query::All(vec![trigram("abc"), trigram("bcd")])]));
        assert_eq!(asked("ab"), Query::Any);
        assert_eq!(asked("a.c"), Query::Any);
        assert_eq!(asked("x*"), Query::Any);
    }

    #[test]
    fn what_matches_always_fulfils_the_query() {
        let texts = [
            "kvm_vcpu_kick(vcpu);",
            "KVM_vcpu",
            "struct  foo {",
            "aab",
            "if (x)\n\treturn 0;",
            "",
            "barbaz foo",
            "foo_a_bar(abcd)",
        ];
        let patterns = [
            "kvm_.*kick",
            "(?i)kvm_vcpu_kick",
            "struct\\s+foo",
            "(foo|bar)+baz",
            "a{2,}b",
            "[kK]vm",
            "return|foo$",
            "^if",
            "(barb|foo)az",
            "x?foo",
            "\\)\\n\\s*return",
            "(?i)STRUCT",
            "fo{2}",
            "(?-u)[^a]",
            "foo(_.*)bar",
            "foo(?:_.+_|zz)bar",
            "foo_(a.)bar",
            "bar\\(([a-h][a-h][a-h][a-h])\\)",
            "bar\\((?:[a-h]{2}[a-h][a-h]|zz)\\)",
        ];
        for pattern in patterns {
            let regex =
                regex::bytes::RegexBuilder::new(pattern).unicode(false).multi_line(true).build().unwrap();
            for text in texts {
                assert!(
                    !regex.is_match(text.as_bytes()) || holds(&asked(pattern), text.as_bytes()),
                    "{pattern} {text}"
                );
            }
        }
        assert!(!holds(&asked("(?i)kvm_vcpu_kick"), b"kvm_vcpu_kisk"));
        assert!(!holds(&asked("struct\\s+foo"), b"struct bar"));
    }

    #[test]
    fn a_collector_is_clean_for_the_next_text() {
        let mut collector = Collector::default();
        let (mut first, mut second) = (Vec::new(), Vec::new());
        collector.collect(b"abcabc\nbc", &mut first);
        collector.collect(b"abc", &mut second);
        assert_eq!((first.len(), second.len()), (3, 1));
    }
}
