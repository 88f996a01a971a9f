//! Which instructions of an eBPF program the verifier of one kernel reaches, and which it never looks at, because a
//! relocated constant decides a branch.
//!
//! The program is run on what is known of its registers and of its stacks, as the verifier does
//! (`kernel/bpf/verifier.c`), along all paths that are not decided. What is told as not reached is not reached by the
//! verifiers of any kernel since v5.10 that may see known bits (a program is loaded with `CAP_PERFMON`): where those
//! know more, or only some do, nothing is known here. Two numbers that are spilled as less than eight bytes, a
//! constant that is stored without a register, or divided, are such.

mod flow;
mod frame;
mod origin;
mod state;
mod step;
mod tnum;
mod used;

use crate::bpf::instruction::Instruction;
use flow::{Flow, BPF_JCOND};
use origin::{Origin, Origins};
use rustc_hash::{FxHashMap, FxHashSet};
use state::State;
use std::collections::VecDeque;
use used::Seen;

/// What is known at one instruction after different calls, or on different paths, is kept apart up to this.
const STATES_LIMIT: usize = 64;
/// Of a longer program everything counts as reached: none that exists has a tenth of it.
const PROGRAM_LIMIT: usize = 100_000;
/// Instructions that are run, for each that there is and at least, before paths are no longer told apart.
const STEPS_FACTOR: usize = 128;
const STEPS_LEAST: usize = 50_000;
const STEPS_MOST: usize = 1_000_000;
/// States that are kept, likewise.
const KEPT_LIMIT: usize = 50_000;
/// How far back the guard of an instruction that is not reached is looked for.
const SEARCH_LIMIT: usize = 4096;

/// What a kernel makes of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Its immediate is replaced, by CO-RE or by the address of a weak symbol that is not there (0).
    Immediate(u64),
    /// Reaching it makes the verifier refuse the program: a relocation without a match, which libbpf replaces by an
    /// invalid call, or a call of a weak kfunc that is not there.
    Refused,
    /// It gives the address of a symbol, and the verifier knows that this is not 0.
    Address,
    /// It gives the address of so many bytes in one of the areas.
    Area { area: usize, offset: i64 },
    /// It gives nothing that is known: every other relocated instruction, whose own constant means nothing.
    Unknown,
    /// A call of a kfunc `bpf_iter_*_next`: verifiers forget there what changed since the last time.
    IteratorNext,
}

/// A program of one kernel, as it would be loaded.
#[derive(Debug, Clone, Copy)]
pub struct Program<'a> {
    /// With the functions that it calls; calls lead to them (`BPF_PSEUDO_CALL`, `BPF_PSEUDO_FUNC`). The second half
    /// of a wide one has its own number.
    pub instructions: &'a [Instruction],
    /// Where verification begins: the program itself, and each function that is global, as those are verified
    /// for any arguments, by most kernels also if they are not called.
    pub entries: &'a [usize],
    /// By instruction, each at most once.
    pub effects: &'a [(usize, Effect)],
    /// Memory whose content the verifier knows: the value of a `.kconfig` extern, `.rodata` if nobody changes it.
    pub areas: &'a [&'a [u8]],
    /// The most bytes that the key of one of the object's maps has, if that is known.
    pub key_bytes: Option<u32>,
    pub big_endian: bool,
}

/// A conditional jump that goes only one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The jump.
    pub branch: usize,
    /// The instructions whose effects decided it; empty for constants of the program itself.
    pub causes: Vec<usize>,
}

/// An instruction that is reached and must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub instruction: usize,
    /// The branches on one way there that effects decided, the last one first.
    pub passed: Vec<Decision>,
}

/// What became of a program.
pub struct Walk {
    /// By number of the instruction; both halves of a wide one.
    pub reached: Vec<bool>,
    /// By number of the instruction: it is reached, and what it gives to a register may be used. It is not only where
    /// nothing depends on it, whatever the verifier thinks of the instruction itself.
    pub used: Vec<bool>,
    /// What is reached of the instructions with [`Effect::Refused`], in order.
    pub refused: Vec<Refusal>,
    decided: FxHashMap<usize, Decided>,
    flow: Flow,
    origins: Origins,
}

impl Walk {
    /// The branches that keep an instruction, which is not reached, from being so; the nearest first, and those
    /// before the others which an effect decided. Empty if nothing of the program leads there.
    pub fn guards(&self, instruction: usize) -> Vec<Decision> {
        let mut found: Vec<Decision> = Vec::new();
        if self.reached.get(instruction) != Some(&false) {
            return found;
        }
        let mut seen = FxHashSet::from_iter([instruction]);
        let mut work = VecDeque::from([instruction]);
        while let Some(at) = work.pop_front() {
            for before in self.flow.before(at) {
                if !seen.insert(before) || seen.len() > SEARCH_LIMIT {
                    continue;
                }
                if !self.reached[before] {
                    work.push_back(before);
                } else if let Some(decided) = self.decided.get(&before) {
                    let causes = self.origins.get(decided.origin).to_vec();
                    found.push(Decision { branch: before, causes });
                }
            }
        }
        found.sort_by_key(|decision| decision.causes.is_empty());
        found
    }
}

/// Finds what is reached of a program. It always ends, and a program that no verifier would take is no error.
pub fn walk(program: &Program<'_>) -> Walk {
    let len = program.instructions.len();
    if len > PROGRAM_LIMIT || program.instructions.iter().any(|&one| flow::is_indirect(one)) {
        return everything(program);
    }
    let mut walker = Walker::new(program, true);
    if !walker.run() {
        walker = Walker::new(program, false);
        if !walker.run() {
            return everything(program);
        }
    }
    walker.finish()
}

/// Nothing is known: each instruction counts as reached.
fn everything(program: &Program<'_>) -> Walk {
    let of = |at| Refusal { instruction: at, passed: Vec::new() };
    let mut refused: Vec<Refusal> = program
        .effects
        .iter()
        .filter(|effect| effect.1 == Effect::Refused)
        .map(|effect| of(effect.0))
        .collect();
    refused.sort_unstable_by_key(|refusal| refusal.instruction);
    Walk {
        reached: vec![true; program.instructions.len()],
        used: vec![true; program.instructions.len()],
        refused,
        decided: FxHashMap::default(),
        flow: Flow::new(&[], &[]),
        origins: Origins::new(),
    }
}

/// What became of a conditional jump.
struct Decided {
    /// What decided it, wherever it was.
    origin: Origin,
}

/// A branch that an effect decided, on one path.
struct Mark {
    before: u32,
    branch: usize,
    origin: Origin,
}

/// What is known at an instruction, and whether it stands for several paths.
struct Kept {
    state: State,
    joined: bool,
}

struct Walker<'a> {
    program: &'a Program<'a>,
    effects: Vec<Option<Effect>>,
    /// Whether paths are told apart, and calls of one function.
    apart: bool,
    flow: Flow,
    origins: Origins,
    /// Number 0 is none.
    trails: Vec<Mark>,
    kept: Vec<Vec<Kept>>,
    kept_count: usize,
    steps: usize,
    work: Vec<(usize, State)>,
    /// Functions that are run for any arguments.
    roots: FxHashSet<usize>,
    reached: Vec<bool>,
    seen: Vec<Seen>,
    /// The trail of the first path to it.
    refused: FxHashMap<usize, u32>,
    decided: FxHashMap<usize, Decided>,
}

impl<'a> Walker<'a> {
    fn new(program: &'a Program<'a>, apart: bool) -> Walker<'a> {
        let len = program.instructions.len();
        let mut effects = vec![None; len];
        let mut flow = Flow::new(program.instructions, program.entries);
        for &(at, effect) in program.effects {
            if let Some(place) = effects.get_mut(at) {
                *place = Some(effect);
                flow.joins[at] |= effect == Effect::IteratorNext;
            }
        }
        Walker {
            program,
            effects,
            apart,
            flow,
            origins: Origins::new(),
            trails: vec![Mark { before: 0, branch: 0, origin: Origin::NONE }],
            kept: std::iter::repeat_with(Vec::new).take(len).collect(),
            kept_count: 0,
            steps: (len * STEPS_FACTOR).clamp(STEPS_LEAST, STEPS_MOST),
            work: Vec::new(),
            roots: FxHashSet::default(),
            reached: vec![false; len],
            seen: vec![Seen::NEVER; len],
            refused: FxHashMap::default(),
            decided: FxHashMap::default(),
        }
    }

    fn finish(self) -> Walk {
        let mut refused: Vec<Refusal> = self
            .refused
            .iter()
            .map(|(&instruction, &trail)| Refusal { instruction, passed: self.passed(trail) })
            .collect();
        refused.sort_unstable_by_key(|refusal| refusal.instruction);
        let Walker { program, reached, seen, decided, flow, origins, .. } = self;
        let used = used::find(program, &reached, &seen, &flow);
        Walk { reached, used, refused, decided, flow, origins }
    }

    /// Each branch of a trail once.
    fn passed(&self, mut trail: u32) -> Vec<Decision> {
        let mut found: Vec<Decision> = Vec::new();
        let mut seen = FxHashSet::default();
        while trail != 0 {
            let mark = &self.trails[trail as usize];
            if seen.insert(mark.branch) {
                found.push(Decision { branch: mark.branch, causes: self.origins.get(mark.origin).to_vec() });
            }
            trail = mark.before;
        }
        found
    }

    /// Whether it came to an end within its means.
    fn run(&mut self) -> bool {
        for &entry in self.program.entries {
            self.root(entry);
        }
        while let Some((at, state)) = self.work.pop() {
            if !self.path(at, state) {
                return false;
            }
        }
        true
    }

    /// Runs a function for any arguments, once.
    fn root(&mut self, at: usize) {
        if at < self.program.instructions.len() && self.roots.insert(at) {
            self.work.push((at, State::start()));
        }
    }

    /// Follows one path to its end, and leaves others to be followed.
    fn path(&mut self, mut at: usize, mut state: State) -> bool {
        while at < self.program.instructions.len() {
            if self.flow.joins[at] {
                state.keep(self.flow.live[at]);
                if !self.arrives(at, &mut state) {
                    return true;
                }
            }
            if self.steps == 0 || self.kept_count > KEPT_LIMIT.max(self.program.instructions.len()) {
                return false;
            }
            self.steps -= 1;
            let next = flow::next(self.program.instructions, at);
            self.reached[at..next.min(self.program.instructions.len())].fill(true);
            let effect = self.effects[at];
            if effect == Some(Effect::Refused) {
                self.refused.entry(at).or_insert(state.trail);
            }
            self.sees(at, effect, &state);
            match self.step(at, next, effect, &mut state) {
                Some(onward) => at = onward,
                None => return true,
            }
        }
        true
    }

    /// Notes what an instruction does to its frame in one state.
    fn sees(&mut self, at: usize, effect: Option<Effect>, state: &State) {
        let one = self.program.instructions[at];
        let helper = one.helper().filter(|_| effect.is_none());
        self.seen[at].add(one, helper, state, self.program.key_bytes);
    }

    /// Whether there is something new on this path; the state may then stand for others too.
    fn arrives(&mut self, at: usize, state: &mut State) -> bool {
        let one = self.program.instructions[at];
        let forgets = one.code == BPF_JCOND || self.effects[at] == Some(Effect::IteratorNext);
        let limit = if self.apart && !forgets { STATES_LIMIT } else { 1 };
        let kept = &mut self.kept[at];
        let mut same = 0;
        let mut joined = false;
        for other in kept.iter().filter(|other| other.state.same_calls(state)) {
            if other.state.covers(state) {
                return false;
            }
            same += 1;
            joined |= other.joined;
        }
        if same >= limit || joined {
            let before = kept.len();
            kept.retain(|other| {
                let is_same = other.state.same_calls(state);
                if is_same {
                    state.join(&other.state);
                }
                !is_same
            });
            self.kept_count -= before - kept.len();
            joined = true;
        }
        kept.push(Kept { state: state.clone(), joined });
        self.kept_count += 1;
        true
    }

    /// Notes that a branch goes one way on this path.
    fn decides(&mut self, at: usize, origin: Origin, state: &mut State) {
        let last = &self.trails[state.trail as usize];
        // a constant of the program itself which the compiler could not see through was chosen by a branch
        // that an effect decided before
        let reason = if origin == Origin::NONE { last.origin } else { origin };
        let decided = self.decided.entry(at).or_insert(Decided { origin: reason });
        if decided.origin != reason {
            decided.origin = self.origins.both(decided.origin, reason);
        }
        if origin != Origin::NONE && (last.branch, last.origin) != (at, origin) {
            self.trails.push(Mark { before: state.trail, branch: at, origin });
            state.trail = (self.trails.len() - 1) as u32;
        }
    }
}

#[cfg(test)]
mod tests;
