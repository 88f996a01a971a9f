//! What an instruction reads of the frame of its function, and what it overwrites there; what calls read.

use super::state::{State, Value, ALL_SLOTS};
use super::used::Seen;
use crate::bpf::instruction::{Instruction, BPF_CALL, BPF_JMP, BPF_LDX, BPF_PSEUDO_CALL, BPF_ST, BPF_STX};

/// r1 to r5, as bits.
pub const ARGUMENTS: u16 = 0x3e;

/// How much a helper reads from where an argument leads on.
#[derive(Clone, Copy)]
enum Extent {
    /// A key of a map.
    Key,
    /// As many bytes as another argument says.
    Bytes(u8),
    /// Who knows.
    All,
}

/// What a helper reads.
struct Helper {
    /// So many registers, from r1 on.
    arguments: u8,
    /// Memory that some of them lead to.
    memory: &'static [(u8, Extent)],
}

impl Seen {
    /// Adds what an instruction does in one state; `helper` if it is a call of one. `key_bytes` are the most that the key
    /// of a map has, if that is known.
    pub fn add(&mut self, one: Instruction, helper: Option<i32>, state: &State, key_bytes: Option<u32>) {
        let mut writes = 0;
        match (one.class(), one.memory_bytes()) {
            (BPF_LDX, Some(bytes)) => {
                self.reads |= state.slots(state.get(one.src).value, one.offset, bytes);
            }
            (BPF_ST | BPF_STX, Some(bytes)) => {
                writes = state.whole_slot(state.get(one.dst).value, one.offset, bytes);
            }
            // an atomic, or what only the future knows
            (BPF_LDX | BPF_ST | BPF_STX, None) => self.reads = ALL_SLOTS,
            (BPF_JMP, _) if one.code == BPF_CALL => {
                let helper = helper.and_then(of_helper);
                self.arguments |= helper.as_ref().map_or(ARGUMENTS, |known| (2 << known.arguments) - 2);
                self.reads |= called(one, helper, state, key_bytes);
            }
            _ => {}
        }
        self.writes &= writes;
    }
}

/// What is read of the frame by what is called.
fn called(one: Instruction, helper: Option<Helper>, state: &State, key_bytes: Option<u32>) -> u64 {
    let argument = |register: u8| state.get(register).value;
    // a function of the object can do with the caller's frame whatever it wants
    let own = one.src == BPF_PSEUDO_CALL && (1..=5).any(|at| matches!(argument(at), Value::Stack { .. }));
    if own || helper.is_none() && (1..=5).any(|register| argument(register) == Value::Anything) {
        return ALL_SLOTS;
    }
    let most = |extent: Extent| match extent {
        Extent::Key => key_bytes.map(u64::from),
        Extent::Bytes(register) => match argument(register) {
            Value::Scalar(tnum) => Some(tnum.value | tnum.mask),
            _ => None,
        },
        Extent::All => None,
    };
    let any = [1, 2, 3, 4, 5].map(|register| (register, Extent::All));
    let memory = helper.map_or(&any[..], |known| known.memory);
    memory.iter().fold(0, |all, &(register, extent)| all | state.slots_from(argument(register), most(extent)))
}

/// What the helpers read that are called most (`struct bpf_func_proto`): arguments that a helper does not have hold what
/// is left in their registers. Where `probe_read` reads from is the program's own choice.
fn of_helper(helper: i32) -> Option<Helper> {
    let (arguments, memory): (u8, &[(u8, Extent)]) = match helper {
        // map_lookup_elem, map_delete_elem
        1 | 3 => (2, &[(2, Extent::Key)]),
        // map_update_elem
        2 => (4, &[(2, Extent::Key), (3, Extent::All)]),
        // probe_read, probe_read_str, and those of user and kernel; copy_from_user
        4 | 45 | 112 | 113 | 114 | 115 | 148 => (3, &[(3, Extent::Bytes(2))]),
        // ktime_get_ns, get_prandom_u32, get_smp_processor_id, get_current_pid_tgid, get_current_uid_gid,
        // get_current_task, get_current_cgroup_id, ktime_get_boot_ns, get_current_task_btf, ktime_get_coarse_ns
        5 | 7 | 8 | 14 | 15 | 35 | 80 | 125 | 158 | 160 => (0, &[]),
        // trace_printk, whose arguments may be texts (%s)
        6 => (5, &[(1, Extent::Bytes(2)), (3, Extent::All), (4, Extent::All), (5, Extent::All)]),
        // get_current_comm
        16 => (2, &[]),
        // perf_event_output
        25 => (5, &[(4, Extent::Bytes(5))]),
        // get_stackid
        27 => (3, &[]),
        // ringbuf_output
        130 => (4, &[(2, Extent::Bytes(3))]),
        // ringbuf_reserve
        131 => (3, &[]),
        // ringbuf_submit, ringbuf_discard
        132 | 133 => (2, &[]),
        _ => return None,
    };
    Some(Helper { arguments, memory })
}
