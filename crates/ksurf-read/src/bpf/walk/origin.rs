//! Sets of instructions whose relocated constants made a value, each set once.

use rustc_hash::FxHashMap;

/// As many as are told of one value.
const LIMIT: usize = 8;

/// The number of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Origin(u32);

impl Origin {
    /// The empty set: a constant of the program itself, or nothing that is known.
    pub const NONE: Origin = Origin(0);
}

#[derive(Debug)]
pub struct Origins {
    sets: Vec<Vec<usize>>,
    numbers: FxHashMap<Vec<usize>, Origin>,
    unions: FxHashMap<(Origin, Origin), Origin>,
}

impl Origins {
    pub fn new() -> Origins {
        Origins { sets: vec![Vec::new()], numbers: FxHashMap::default(), unions: FxHashMap::default() }
    }

    pub fn one(&mut self, instruction: usize) -> Origin {
        self.number(vec![instruction])
    }

    pub fn both(&mut self, a: Origin, b: Origin) -> Origin {
        if a == b || b == Origin::NONE {
            return a;
        }
        if a == Origin::NONE {
            return b;
        }
        if let Some(&union) = self.unions.get(&(a, b)) {
            return union;
        }
        let mut set = [self.get(a), self.get(b)].concat();
        set.sort_unstable();
        set.dedup();
        set.truncate(LIMIT);
        let union = self.number(set);
        self.unions.insert((a, b), union);
        union
    }

    /// The instructions, in order.
    pub fn get(&self, origin: Origin) -> &[usize] {
        &self.sets[origin.0 as usize]
    }

    fn number(&mut self, set: Vec<usize>) -> Origin {
        let next = Origin(self.sets.len() as u32);
        *self.numbers.entry(set).or_insert_with_key(|set| {
            self.sets.push(set.clone());
            next
        })
    }
}
