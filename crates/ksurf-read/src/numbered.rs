//! Numbers for strings.

use hashbrown::hash_table::Entry;
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

/// Strings without repetition, numbered in the order of their first appearance.
#[derive(Debug, Default)]
pub struct Numbered {
    numbers: HashTable<u32>,
    pub strings: Vec<String>,
    /// XXH3 of each string.
    hashes: Vec<u64>,
}

impl Numbered {
    /// The number of a string, which is added if it is new.
    pub fn add(&mut self, string: &str) -> u32 {
        self.add_hashed(xxh3_64(string.as_bytes()), string)
    }

    fn add_hashed(&mut self, hash: u64, string: impl AsRef<str> + Into<String>) -> u32 {
        let (strings, hashes) = (&mut self.strings, &mut self.hashes);
        let is_it =
            |&number: &u32| hashes[number as usize] == hash && strings[number as usize] == string.as_ref();
        match self.numbers.entry(hash, is_it, |&number| hashes[number as usize]) {
            Entry::Occupied(found) => *found.get(),
            Entry::Vacant(place) => {
                let number = strings.len() as u32;
                place.insert(number);
                strings.push(string.into());
                hashes.push(hash);
                number
            }
        }
    }

    /// Adds all strings of another one, and returns the numbers that they have here.
    pub fn merge(&mut self, other: Numbered) -> Vec<u32> {
        other
            .strings
            .into_iter()
            .zip(other.hashes)
            .map(|(string, hash)| self.add_hashed(hash, string))
            .collect()
    }

    /// XXH3 of a string.
    pub fn hash(&self, number: u32) -> u64 {
        self.hashes[number as usize]
    }

    /// Makes room for so many more strings.
    pub fn reserve(&mut self, count: usize) {
        let hashes = &self.hashes;
        self.numbers.reserve(count, |&number| hashes[number as usize]);
        self.strings.reserve(count);
        self.hashes.reserve(count);
    }
}
