//! Numbers for strings.

use rustc_hash::FxHashMap;

/// Strings without repetition, numbered in the order of their first appearance.
#[derive(Debug, Default)]
pub struct Numbered {
    numbers: FxHashMap<String, u32>,
    pub strings: Vec<String>,
}

impl Numbered {
    /// The number of a string, which is added if it is new.
    pub fn add(&mut self, string: &str) -> u32 {
        if let Some(&number) = self.numbers.get(string) {
            return number;
        }
        let number = self.strings.len() as u32;
        self.strings.push(string.to_owned());
        self.numbers.insert(string.to_owned(), number);
        number
    }
}
