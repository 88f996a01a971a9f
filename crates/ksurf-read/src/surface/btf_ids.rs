//! Sets of BTF ids in `.BTF_ids`: kfuncs with their flags, BPF LSM hooks, and whatever else the kernel lists
//! (include/linux/btf_ids.h).

use crate::elf::Memory;
use crate::error::Result;

/// An entry of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BtfId {
    /// The set's variable: `bpf_lsm_hooks`, `bpf_kfunc_check_set_skb`.
    pub set: String,
    /// `struct btf_id_set8`'s own flags; `None` for a plain `struct btf_id_set`.
    pub set_flags: Option<u32>,
    /// What the id means: `func`, `struct`, ...
    pub kind: String,
    pub name: String,
    /// The entry's flags in a `struct btf_id_set8`: `KF_ACQUIRE` and so on.
    pub flags: Option<u32>,
    /// Values of `enum bpf_prog_type` with which the set is registered, in order, as far as the image tells.
    pub program_types: Vec<u32>,
}

/// The sets of an image.
pub fn read(_memory: &Memory<'_>) -> Result<Vec<BtfId>> {
    Ok(Vec::new())
}
