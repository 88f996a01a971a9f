//! The events of system calls, which the kernel makes at boot from `struct syscall_metadata`.
//!
//! Source: kernel/trace/trace_syscalls.c, include/trace/syscall.h.

use super::{Field, Reader};
use crate::elf::text;
use crate::error::{Error, Result};
use crate::surface::syscall::native_names;
use rustc_hash::FxHashMap;

/// Arguments that are pointers into the program's memory, of which newer kernels copy what is there (7.x):
/// those arguments as bits, and how. Source: `check_faultable_syscall`, whose code says it and not the data.
const COPIED: &[(u32, Copied, &str)] = &[
    (1 << 1, Copied::Bytes, "write mq_timedsend pwrite64"),
    (1, Copied::Text, "setdomainname sethostname"),
    (1 << 4, Copied::Text, "kexec_file_load"),
    (
        1,
        Copied::Text,
        "access acct chdir chown chmod chroot creat delete_module execve fsopen lchown open memfd_create mkdir mknod \
         mq_open mq_unlink readlink rmdir shmdt statfs swapon swapoff truncate unlink umount2 utime utimes",
    ),
    (
        1 << 1,
        Copied::Text,
        "execveat faccessat faccessat2 finit_module fchmodat fchmodat2 fchownat fgetxattr flistxattr fsetxattr fspick \
         fremovexattr futimesat inotify_add_watch mkdirat mknodat mount_setattr name_to_handle_at newfstatat openat \
         openat2 open_tree open_tree_attr readlinkat quotactl syslog statx unlinkat utimensat",
    ),
    (1 << 2, Copied::Text, "init_module fsconfig"),
    (1 << 4, Copied::Text, "fanotify_mark"),
    (
        1 | 1 << 1,
        Copied::Text,
        "add_key getxattr lgetxattr lremovexattr link listxattr llistxattr lsetxattr pivot_root removexattr rename \
         request_key setxattr symlink",
    ),
    (1 | 1 << 2, Copied::Text, "symlinkat"),
    (
        1 << 1 | 1 << 3,
        Copied::Text,
        "getxattrat linkat listxattrat move_mount renameat renameat2 removexattrat setxattrat",
    ),
    (1 | 1 << 1 | 1 << 2, Copied::Text, "mount"),
];

#[derive(Clone, Copy, PartialEq)]
enum Copied {
    Text,
    Bytes,
}

/// No system call has more arguments.
const ARGUMENTS: u64 = 6;

/// What the events of system calls are made from.
pub(super) struct Syscalls {
    /// Names that users know, of the calls that have a number.
    names: FxHashMap<Vec<u8>, String>,
    /// Offsets of the members.
    name: u64,
    count: u64,
    /// The number of arguments has seven bits, and no integer of its own.
    count_is_bits: bool,
    types: u64,
    args: u64,
    /// The kernel copies what arguments point to.
    copies: bool,
}

impl Syscalls {
    pub(super) fn of(reader: &Reader<'_, '_>) -> Result<Syscalls> {
        let Some(names) = native_names(reader.memory)? else {
            return Err(Error::unsupported("events of system calls", "there is no sys_call_table"));
        };
        let member = |name| reader.offset("syscall_metadata", name);
        // A bit-field of seven bits (7.x) is no member that lies anywhere: it is behind the number.
        let count = member("nb_args");
        let count_is_bits = count.is_err();
        Ok(Syscalls {
            names,
            name: member("name")?,
            count: count.or_else(|_| Ok(member("syscall_nr")? + 4))?,
            count_is_bits,
            types: member("types")?,
            args: member("args")?,
            copies: member("user_mask").is_ok(),
        })
    }

    /// Fields after the number, which is the last of `fields`, and the print format of the event with the metadata
    /// at an address. `None` for a call without a number, of which the kernel makes no event.
    pub(super) fn event(
        &self,
        reader: &Reader<'_, '_>,
        metadata: u64,
        enter: bool,
        fields: &mut Vec<Field>,
    ) -> Result<Option<Option<String>>> {
        let memory = reader.memory;
        let gone = || Error::corrupt("struct syscall_metadata", metadata, "it points nowhere");
        let name = reader.string(reader.pointer(metadata, self.name)?)?;
        let stem = name.strip_prefix(b"sys_").unwrap_or(name);
        let Some(known) = self.names.get(stem) else { return Ok(None) };
        if !enter {
            return Ok(Some(Some("\"0x%lx\", REC->ret".to_owned())));
        }
        let at = metadata.wrapping_add(self.count);
        let count = match (self.count_is_bits, memory.image().is_big_endian()) {
            (true, big) => {
                let byte = u64::from(memory.bytes(at, 1).ok_or_else(gone)?[0]);
                if big {
                    byte >> 1
                } else {
                    byte & 0x7f
                }
            }
            (false, _) => u64::from(memory.u32(at).ok_or_else(gone)?),
        };
        if count > ARGUMENTS {
            return Err(Error::corrupt("struct syscall_metadata", metadata, format!("{count} arguments")));
        }
        let (mask, copied) = self.copied(known);
        let word = reader.word;
        let end = fields.last().map_or(0, |field| field.byte_offset + field.byte_size);
        let mut offset = end.next_multiple_of(word);
        let mut names = Vec::new();
        for index in 0..count {
            let of = |array: u64| {
                let array = reader.pointer(metadata, array)?;
                Ok::<_, Error>(text(reader.string(reader.pointer(array, index * u64::from(word))?)?))
            };
            let (type_text, name) = (of(self.types)?, of(self.args)?);
            names.push(name.clone());
            fields.push(Field { type_text, name, byte_offset: offset, byte_size: word, signed: false });
            offset += word;
        }
        for (_, name) in names.iter().enumerate().filter(|(index, _)| mask >> index & 1 == 1) {
            fields.push(Field {
                type_text: "__data_loc char[]".to_owned(),
                name: format!("__{name}_val"),
                byte_offset: offset,
                byte_size: 4,
                signed: false,
            });
            offset += 4;
        }
        if self.copies && known == "openat" {
            return Ok(Some(openat(memory.image().machine)));
        }
        let mut format = "\"".to_owned();
        for (index, name) in names.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            let copy = match (mask >> index & 1, copied) {
                (0, _) => "",
                (_, Copied::Text) => " \\\"%s\\\"",
                (_, Copied::Bytes) => " (%s)",
            };
            format += &format!("{comma}{name}: 0x%0{word}lx{copy}");
        }
        format.push('"');
        for (index, name) in names.iter().enumerate() {
            format += &format!(", ((unsigned long)(REC->{name}))");
            match (mask >> index & 1, copied) {
                (0, _) => {}
                (_, Copied::Text) => format += &format!(", __get_str(__{name}_val)"),
                (_, Copied::Bytes) => format += &format!(", __print_dynamic_array(__{name}_val, 1)"),
            }
        }
        Ok(Some(Some(format)))
    }

    /// The arguments of a call whose memory is copied, as bits.
    fn copied(&self, name: &str) -> (u32, Copied) {
        let found = COPIED.iter().find(|(_, _, names)| names.split_ascii_whitespace().any(|n| n == name));
        match found.filter(|_| self.copies) {
            Some(&(mask, copied, _)) => (mask, copied),
            None => (0, Copied::Text),
        }
    }
}

/// The format of `openat`, which has the values of its flags (`sys_enter_openat_print_fmt`): O_DIRECT, O_LARGEFILE,
/// O_DIRECTORY and O_NOFOLLOW are each architecture's own (arch/*/include/uapi/asm/fcntl.h). `None` for one whose
/// values are not known here.
fn openat(machine: u16) -> Option<String> {
    let own: [(u32, &str); 4] = match machine {
        3 | 62 | 22 | 243 | 258 => {
            [(0x4000, "O_DIRECT"), (0x8000, "O_LARGEFILE"), (0x10000, "O_DIRECTORY"), (0x20000, "O_NOFOLLOW")]
        }
        40 | 183 => {
            [(0x10000, "O_DIRECT"), (0x20000, "O_LARGEFILE"), (0x4000, "O_DIRECTORY"), (0x8000, "O_NOFOLLOW")]
        }
        20 | 21 => {
            [(0x20000, "O_DIRECT"), (0x10000, "O_LARGEFILE"), (0x4000, "O_DIRECTORY"), (0x8000, "O_NOFOLLOW")]
        }
        _ => return None,
    };
    let first = [
        (0x1, "O_WRONLY"),
        (0x2, "O_RDWR"),
        (0x40, "O_CREAT"),
        (0x80, "O_EXCL"),
        (0x100, "O_NOCTTY"),
        (0x200, "O_TRUNC"),
        (0x400, "O_APPEND"),
        (0x800, "O_NONBLOCK"),
        (0x1000, "O_DSYNC"),
    ];
    let last = [(0x40000, "O_NOATIME"), (0x80000, "O_CLOEXEC")];
    let flags: Vec<String> = first
        .iter()
        .chain(&own)
        .chain(&last)
        .map(|(value, name)| format!("{{ 0x{value:x}, \"{name}\" }}"))
        .collect();
    Some(format!(
        "\"dfd: 0x%08lx, filename: 0x%08lx \\\"%s\\\", flags: %s%s, mode: 0%03o\", ((unsigned long)(REC->dfd)), \
         ((unsigned long)(REC->filename)), __get_str(__filename_val), \
         (REC->flags & ~3) && !(REC->flags & 3) ? \"O_RDONLY|\" : \"\",  \
         REC->flags ? __print_flags(REC->flags, \"|\", {}) : \"O_RDONLY\",  ((unsigned long)(REC->mode))",
        flags.join(", ")
    ))
}
