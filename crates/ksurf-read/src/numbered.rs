//! Numbers for strings.

use hashbrown::hash_table::Entry;
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

/// Strings without repetition, numbered in the order of their first appearance.
#[derive(Debug, Default)]
pub struct Numbered {
    numbers: HashTable<u32>,
    /// All strings, one behind the other: there are many, and short ones.
    text: String,
    /// Of each string, where it ends in `text`, and its XXH3.
    places: Vec<(usize, u64)>,
}

impl Numbered {
    /// The number of a string, which is added if it is new.
    pub fn add(&mut self, string: &str) -> u32 {
        self.add_hashed(xxh3_64(string.as_bytes()), string)
    }

    fn add_hashed(&mut self, hash: u64, string: &str) -> u32 {
        let (text, places) = (&mut self.text, &mut self.places);
        let is_it = |&number: &u32| places[number as usize].1 == hash && at(text, places, number) == string;
        match self.numbers.entry(hash, is_it, |&number| places[number as usize].1) {
            Entry::Occupied(found) => *found.get(),
            Entry::Vacant(place) => {
                let number = places.len() as u32;
                place.insert(number);
                text.push_str(string);
                places.push((text.len(), hash));
                number
            }
        }
    }

    /// Adds all strings of another one, and returns the numbers that they have here.
    pub fn merge(&mut self, other: &Numbered) -> Vec<u32> {
        other.iter().zip(&other.places).map(|(string, &(_, hash))| self.add_hashed(hash, string)).collect()
    }

    /// The string that has a number.
    pub fn get(&self, number: u32) -> &str {
        at(&self.text, &self.places, number)
    }

    /// XXH3 of a string.
    pub fn hash(&self, number: u32) -> u64 {
        self.places[number as usize].1
    }

    /// The strings in the order of their numbers.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.places.len() as u32).map(|number| self.get(number))
    }

    /// How many strings there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Makes room for so many more strings, of so many bytes together.
    pub fn reserve(&mut self, count: usize, bytes: usize) {
        let places = &self.places;
        self.numbers.reserve(count, |&number| places[number as usize].1);
        self.places.reserve(count);
        self.text.reserve(bytes);
    }
}

fn at<'t>(text: &'t str, places: &[(usize, u64)], number: u32) -> &'t str {
    let number = number as usize;
    let start = number.checked_sub(1).map_or(0, |before| places[before].0);
    &text[start..places[number].0]
}
