//! The catalog of a dataset's symbols: all their names in one mapped file, searched as they are typed.
//!
//! Names stand by kind, short before long, each folded to one case between zero bytes, so that one pass over the
//! text finds those that have a text in them, in the order in which equals are listed. Of each run of the text it is
//! known which three letters in a row it has, so that most runs need not be looked at.
//! `docs/formats/symbol-catalog.md` is the format; Python writes it (`ksurf.report.catalog`).

use crate::error::{Error, Result};
use memchr::memmem::{find, Finder};
use memmap2::Mmap;
use std::fs::File;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"KSURFCAT";
/// Of the format.
pub const VERSION: u32 = 1;
const HEADER_SIZE: usize = 32;
/// Parts of each kind: folded text, starts, offsets, names, sets.
const PARTS: usize = 5;
/// Bytes of the folded text that share one set of three letters in a row.
const RUN: usize = 1 << 15;
/// Bytes of such a set.
const SET: usize = 1 << 12;
/// Bytes after a run whose letters are in its set too, for texts that begin in it and end after it.
const BEYOND: usize = 64;

/// How well a name fits; the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Rank {
    /// It is the text.
    Exact,
    /// It begins with it.
    Prefix,
    /// It has it as a word.
    Word,
    /// It has it somewhere.
    Part,
}

/// What is looked for, all in one case.
#[derive(Debug, Clone, Copy)]
pub struct Query<'q> {
    /// The whole text.
    pub text: &'q [u8],
    /// Of members: what the names of their owners have in them, and what their paths have.
    pub owner: &'q [u8],
    pub path: &'q [u8],
}

/// A name that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    pub kind: usize,
    pub name: Vec<u8>,
    /// The number of the set of kernels that have it.
    pub set: u32,
    pub rank: Rank,
}

/// A catalog, open.
#[derive(Debug)]
pub struct Catalog {
    path: PathBuf,
    map: Mmap,
    kinds: Vec<[Range<usize>; PARTS]>,
    about: Range<usize>,
    members: usize,
    /// The sets of each kind's runs.
    letters: Vec<Vec<u8>>,
}

/// The names of one kind.
#[derive(Clone, Copy)]
struct Names<'c> {
    folded: &'c [u8],
    starts: &'c [u8],
    offsets: &'c [u8],
    names: &'c [u8],
    sets: &'c [u8],
    letters: &'c [u8],
    of_members: bool,
}

impl Catalog {
    /// Maps a file, which must be as long as it says.
    pub fn open(path: &Path) -> Result<Catalog> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        // SAFETY: a catalog is written once, under another name, and never changes.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io("map", path))?;
        let corrupt = |offset: usize, reason: &'static str| Error::Corrupt {
            file: path.to_owned(),
            offset: offset as u64,
            reason: reason.into(),
        };
        if map.get(..8) != Some(MAGIC) {
            return Err(corrupt(0, "it is no catalog"));
        }
        let version = number(&map, 2).ok_or_else(|| corrupt(8, "it ends in its header"))?;
        if version != VERSION {
            return Err(Error::Unsupported { file: path.to_owned(), version, known: VERSION });
        }
        let header = || Some((number(&map, 3)?, number(&map, 4)?, wide(&map, 3)?));
        let (kinds, members, size) = header().ok_or_else(|| corrupt(12, "it ends in its header"))?;
        if size != map.len() as u64 {
            return Err(corrupt(24, "it is not as long as it says"));
        }
        let place = |part: usize| {
            let at = HEADER_SIZE / 8 + 2 * part;
            let (start, length) = (wide(&map, at)?, wide(&map, at + 1)?);
            let end = start.checked_add(length).filter(|&end| end <= size)?;
            Some(start as usize..end as usize)
        };
        let place = |part: usize| place(part).ok_or_else(|| corrupt(HEADER_SIZE, "a part is outside of it"));
        let about = place(0)?;
        let mut found = Vec::new();
        for kind in 0..kinds as usize {
            let mut parts: [Range<usize>; PARTS] = Default::default();
            for (at, part) in parts.iter_mut().enumerate() {
                *part = place(1 + kind * PARTS + at)?;
            }
            found.push(parts);
        }
        let letters = found.iter().map(|[folded, ..]| sets_of(&map[folded.clone()])).collect();
        Ok(Catalog { path: path.to_owned(), map, kinds: found, about, members: members as usize, letters })
    }

    /// What the catalog says of itself, for who wrote it.
    pub fn about(&self) -> &[u8] {
        &self.map[self.about.clone()]
    }

    /// The names of a kind: where each starts and the last ends (32 bits, little-endian), and all of them.
    pub fn names(&self, kind: usize) -> Option<(&[u8], &[u8])> {
        let names = self.of(kind)?;
        Some((names.offsets, names.names))
    }

    /// The names of these kinds that have a text in them, at most `limit`: those that fit best first, members after
    /// all others that fit equally, then short ones first, then by name and kind.
    pub fn find(&self, query: Query<'_>, kinds: &[usize], limit: usize) -> Result<Vec<Hit>> {
        let mut hits = Vec::new();
        for &kind in kinds {
            // Zero bytes stand between the names.
            let asked = !query.text.is_empty() && !query.text.contains(&0) && limit > 0;
            let Some(names) = self.of(kind).filter(|_| asked) else { continue };
            let found = names.find(query, limit).and_then(|found| {
                found.into_iter().map(|(rank, at)| names.hit(kind, at, rank)).collect::<Option<Vec<_>>>()
            });
            hits.extend(found.ok_or_else(|| Error::Corrupt {
                file: self.path.clone(),
                offset: self.kinds[kind][0].start as u64,
                reason: "a name is outside of its part".into(),
            })?);
        }
        hits.sort_by(|a, b| self.place(a).cmp(&self.place(b)));
        hits.truncate(limit);
        Ok(hits)
    }

    fn place<'h>(&self, hit: &'h Hit) -> (Rank, bool, usize, &'h [u8], usize) {
        (hit.rank, hit.kind >= self.members, characters(&hit.name), &hit.name, hit.kind)
    }

    fn of(&self, kind: usize) -> Option<Names<'_>> {
        let parts = self.kinds.get(kind)?;
        let [folded, starts, offsets, names, sets] = parts.each_ref().map(|part| &self.map[part.clone()]);
        let letters = &self.letters[kind];
        Some(Names { folded, starts, offsets, names, sets, letters, of_members: kind >= self.members })
    }
}

/// The names of one kind that were found, by rank, each rank in their order.
#[derive(Default)]
struct Found {
    entries: [Vec<usize>; 4],
    /// How many are of a rank or of a better one.
    counts: [usize; 4],
}

impl<'c> Names<'c> {
    /// The first `limit` names by rank and place; `None` if a start is outside of the text.
    fn find(&self, query: Query<'_>, limit: usize) -> Option<Vec<(Rank, usize)>> {
        let mut found = Found::default();
        if !self.of_members || !query.text.contains(&b':') {
            self.scan(query, query.text, limit, Rank::Exact..=Rank::Part, &mut found)?;
        } else if query.path != query.text {
            // What fits well has the text as it is, which is rare; of the rest the first ones are enough.
            self.scan(query, query.text, limit, Rank::Exact..=Rank::Word, &mut found)?;
            let longer = if query.owner.len() > query.path.len() { query.owner } else { query.path };
            let needle: &[u8] = if longer.is_empty() { b"::" } else { longer };
            self.scan(query, needle, limit, Rank::Part..=Rank::Part, &mut found)?;
        } // else no path of a member has a colon
        let ranks = [Rank::Exact, Rank::Prefix, Rank::Word, Rank::Part];
        let all = ranks.into_iter().zip(found.entries);
        Some(all.flat_map(|(rank, own)| own.into_iter().map(move |at| (rank, at))).take(limit).collect())
    }

    /// Adds the names of some ranks that have a needle in them: at most `limit` of each rank and all better ones.
    fn scan(
        &self,
        query: Query<'_>,
        needle: &[u8],
        limit: usize,
        ranks: RangeInclusive<Rank>,
        found: &mut Found,
    ) -> Option<()> {
        let exact = [query.text, b"\0"].concat();
        let (mut finder, mut bits) = (Finder::new(needle), bits_of(needle));
        let (mut at, mut entry) = (0, 0);
        while found.counts[*ranks.start() as usize] < limit {
            // Then only the text itself is better than what is found, and it is the end of a name.
            if found.counts[1] >= limit && finder.needle() != exact {
                (finder, bits) = (Finder::new(&exact), bits_of(&exact));
            }
            let Some(hit) = self.next(&finder, &bits, at) else { break };
            at = hit + 1;
            // Better than anywhere is only the start of a word.
            let anywhere = ranks.contains(&Rank::Part) && found.counts[3] < limit;
            if !anywhere
                && hit.checked_sub(1).and_then(|at| self.folded.get(at)).is_some_and(|&c| is_letter(c))
            {
                continue;
            }
            entry = self.entry(entry, hit)?;
            let (start, end) = self.bounds(entry)?;
            at = at.max(end);
            let rank = self.rank(self.folded.get(start..end)?, query);
            if let Some(rank) =
                rank.filter(|rank| ranks.contains(rank) && found.counts[*rank as usize] < limit)
            {
                found.entries[rank as usize].push(entry);
                found.counts[rank as usize..].iter_mut().for_each(|count| *count += 1);
            }
        }
        Some(())
    }

    /// The place of the next name that may be wanted, from `at` on.
    fn next(&self, finder: &Finder<'_>, wanted: &[usize], at: usize) -> Option<usize> {
        let mut at = at;
        while at < self.folded.len() {
            let run = at / RUN;
            let end = (run + 1) * RUN;
            let set = &self.letters[run * SET..][..SET];
            if wanted.iter().all(|&bit| set[bit / 8] >> (bit % 8) & 1 == 1) {
                let until = self.folded.len().min(end + finder.needle().len() - 1);
                if let Some(found) = self.folded.get(at..until).and_then(|text| finder.find(text)) {
                    return Some(at + found);
                }
            }
            at = end;
        }
        None
    }

    /// The name around a place of the text, at or after another.
    fn entry(&self, from: usize, place: usize) -> Option<usize> {
        let starts = |at: usize| number(self.starts, at).map(|start| start as usize);
        let (mut low, mut step) = (from, 1);
        while starts(low + step).is_some_and(|start| start <= place) {
            low += step;
            step *= 2;
        }
        // It is at or after `low`, and before `low + step`.
        while step > 1 {
            step /= 2;
            if starts(low + step).is_some_and(|start| start <= place) {
                low += step;
            }
        }
        (starts(low)? <= place).then_some(low)
    }

    /// Where a folded name starts and ends.
    fn bounds(&self, entry: usize) -> Option<(usize, usize)> {
        let (start, next) = (number(self.starts, entry)?, number(self.starts, entry + 1)?);
        Some((start as usize, (next as usize).checked_sub(1)?))
    }

    /// How well a folded name fits, if it is wanted.
    fn rank(&self, name: &[u8], query: Query<'_>) -> Option<Rank> {
        let text = query.text;
        if self.of_members {
            let (owner, path) = split(name, b"::");
            let wanted = find(last(path, b'.'), last(query.path, b'.')).is_some()
                && find(path, query.path).is_some()
                && find(owner, query.owner).is_some();
            wanted.then_some(())?;
        }
        // An event without its system, a member without its owner, and without those around it in that.
        let plain = last(name.strip_prefix(b"config_").unwrap_or(name), b':');
        let names = [name, plain, last(plain, b'.')];
        if names.contains(&text) {
            return Some(Rank::Exact);
        }
        if names.iter().any(|one| one.starts_with(text)) {
            return Some(Rank::Prefix);
        }
        let mut at = 0;
        let mut rank = self.of_members.then_some(Rank::Part);
        while let Some(found) = name.get(at..).and_then(|rest| find(rest, text)) {
            let (start, end) = (at + found, at + found + text.len());
            let before = start.checked_sub(1).map(|place| name[place]);
            if !before.is_some_and(is_letter) && !name.get(end).is_some_and(|&c| is_letter(c)) {
                return Some(Rank::Word);
            }
            rank = Some(Rank::Part);
            at = start + 1;
        }
        rank
    }

    fn hit(&self, kind: usize, entry: usize, rank: Rank) -> Option<Hit> {
        let (start, end) = (number(self.offsets, entry)?, number(self.offsets, entry + 1)?);
        let name = self.names.get(start as usize..end as usize)?.to_vec();
        Some(Hit { kind, name, set: number(self.sets, entry)?, rank })
    }
}

/// For each run of a text the three letters in a row that it has.
fn sets_of(text: &[u8]) -> Vec<u8> {
    let mut sets = vec![0; text.len().div_ceil(RUN) * SET];
    for (run, set) in sets.chunks_mut(SET).enumerate() {
        let end = text.len().min((run + 1) * RUN + BEYOND);
        for letters in text[run * RUN..end].windows(3) {
            let bit = bit_of(letters);
            set[bit / 8] |= 1 << (bit % 8);
        }
    }
    sets
}

/// The bits of a needle that a run has to have in which it starts.
fn bits_of(needle: &[u8]) -> Vec<usize> {
    let mut bits: Vec<_> = needle.windows(3).take(BEYOND - 3).map(bit_of).collect();
    bits.sort_unstable();
    bits.dedup();
    bits
}

fn bit_of(letters: &[u8]) -> usize {
    let number = letters.iter().fold(0u32, |number, &letter| number << 8 | u32::from(letter));
    (number.wrapping_mul(0x9e37_79b1) >> 17) as usize
}

const _: () = assert!(SET * 8 == 1 << (32 - 17));

/// A name before and after the last separator, which is in neither; all is after it if there is none.
fn split<'n>(name: &'n [u8], separator: &[u8]) -> (&'n [u8], &'n [u8]) {
    match memchr::memmem::rfind(name, separator) {
        Some(at) => (&name[..at], &name[at + separator.len()..]),
        None => (b"", name),
    }
}

/// What is after the last separator.
fn last(name: &[u8], separator: u8) -> &[u8] {
    memchr::memrchr(separator, name).map_or(name, |at| &name[at + 1..])
}

/// Whether a byte belongs to a letter or a digit; outside of ASCII nearly all do.
fn is_letter(c: u8) -> bool {
    c.is_ascii_alphanumeric() || c >= 0x80
}

fn characters(text: &[u8]) -> usize {
    text.iter().filter(|&&c| c & 0xc0 != 0x80).count()
}

/// A number of 32 bits, counted in such.
fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let start = at.checked_mul(4)?;
    let number = bytes.get(start..)?.first_chunk()?;
    Some(u32::from_le_bytes(*number))
}

/// A number of 64 bits, counted in such.
fn wide(bytes: &[u8], at: usize) -> Option<u64> {
    let start = at.checked_mul(8)?;
    let number = bytes.get(start..)?.first_chunk()?;
    Some(u64::from_le_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [&[&str]; 2] = [
        &["lock", "block", "LOCK_A", "a_lock", "kvm:lock", "CONFIG_LOCK", "lock.a.lock"],
        &["a::lock", "lock::b", "kvm::irqfds.lock", "kvm::lock.irqfds"],
    ];

    /// A catalog of these names.
    fn file() -> Vec<u8> {
        let mut parts = vec![b"{}".to_vec()];
        for kind in KINDS {
            let mut names = kind.to_vec();
            names.sort_by_key(|name| (name.len(), *name));
            let folded = names.iter().map(|name| name.to_lowercase());
            let text = folded.fold(vec![0], |text, name| [text, name.into_bytes(), vec![0]].concat());
            let ends = |gap: usize| {
                let mut end = gap;
                let rest = names.iter().map(move |name| {
                    end += name.len() + gap;
                    end
                });
                std::iter::once(gap)
                    .chain(rest)
                    .flat_map(|end| (end as u32).to_le_bytes())
                    .collect::<Vec<_>>()
            };
            parts.extend([text, ends(1), ends(0), names.concat().into_bytes()]);
            parts.push((0..names.len() as u32).flat_map(u32::to_le_bytes).collect());
        }
        let start = HEADER_SIZE + 16 * parts.len();
        let size = start + parts.iter().map(Vec::len).sum::<usize>();
        let mut file = MAGIC.to_vec();
        file.extend([VERSION, 2, 1, 0].map(u32::to_le_bytes).concat());
        file.extend((size as u64).to_le_bytes());
        let mut at = start;
        for part in &parts {
            file.extend([at as u64, part.len() as u64].map(u64::to_le_bytes).concat());
            at += part.len();
        }
        file.extend(parts.concat());
        file
    }

    fn opened(name: &str, content: &[u8]) -> Result<Catalog> {
        let path = std::env::temp_dir().join(format!("ksurf-catalog-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        let catalog = Catalog::open(&path);
        std::fs::remove_file(&path).unwrap();
        catalog
    }

    fn found(catalog: &Catalog, owner: &str, path: &str, limit: usize) -> Vec<(String, Rank)> {
        let text = if owner.is_empty() { path.to_owned() } else { format!("{owner}::{path}") };
        let query = Query { text: text.as_bytes(), owner: owner.as_bytes(), path: path.as_bytes() };
        let hits = catalog.find(query, &[0, 1], limit).unwrap();
        hits.into_iter().map(|hit| (String::from_utf8(hit.name).unwrap(), hit.rank)).collect()
    }

    #[test]
    fn names_come_by_rank_then_members_last_then_by_length() {
        use Rank::{Exact, Part, Prefix, Word};
        let catalog = opened("ranks", &file()).unwrap();
        let expected = [
            ("lock", Exact),
            ("kvm:lock", Exact),
            ("CONFIG_LOCK", Exact),
            ("lock.a.lock", Exact),
            ("a::lock", Exact),
            ("kvm::irqfds.lock", Exact),
            ("LOCK_A", Prefix),
            ("a_lock", Word),
            ("block", Part),
        ];
        let expected = expected.map(|(name, rank)| (name.to_owned(), rank));
        assert_eq!(found(&catalog, "", "lock", 20), expected);
        for limit in 0..expected.len() {
            assert_eq!(found(&catalog, "", "lock", limit), expected[..limit]);
        }
        assert_eq!(found(&catalog, "kv", "lock", 9), [("kvm::irqfds.lock".to_owned(), Part)]);
        assert_eq!(found(&catalog, "kvm", "irqfds", 9), [("kvm::lock.irqfds".to_owned(), Part)]);
    }

    #[test]
    fn a_damaged_file_is_an_error_or_has_other_names() {
        let whole = file();
        for length in 0..whole.len() {
            assert!(opened("cut", &whole[..length]).is_err());
        }
        for place in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut damaged = whole.clone();
                damaged[place] = value;
                let Ok(catalog) = opened("damaged", &damaged) else { continue };
                for (owner, path) in [("", "lock"), ("", "o"), ("k", "l")] {
                    let text = format!("{owner}::{path}");
                    let text = if owner.is_empty() { path } else { &text };
                    let query =
                        Query { text: text.as_bytes(), owner: owner.as_bytes(), path: path.as_bytes() };
                    let _ = catalog.find(query, &[0, 1, 9], 3);
                }
                let _ = (catalog.names(0), catalog.about());
            }
        }
    }
}
