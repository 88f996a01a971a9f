//! The names that users know, where they differ from those of the functions behind them. A number of a table never
//! changes its meaning, so it decides; what is newer than these tables is named after its function.
//!
//! Source: the kernel's own tables, named at each.

/// The name of a number of a table, if it is not that of its function.
pub(super) fn known(machine: u16, abi: &str, number: u32) -> Option<&'static str> {
    let tables: &[&str] = match (machine, abi) {
        (62, "64") => &[X86_64],
        (62, "x32") => &[X86_64, X32],
        (62 | 3, _) => &[X86_32, TIME64],
        (183, "64") | (243, "64") | (258, _) => &[GENERIC_64],
        (183 | 40, _) => &[ARM, TIME64],
        (243, _) => &[GENERIC_32, TIME64],
        (21, "64") => &[POWERPC_64],
        (21 | 20, _) => &[POWERPC_32, TIME64],
        (22, "64") => &[S390_64],
        (22, _) => &[S390_32, TIME64],
        _ => &[],
    };
    tables.iter().find_map(|table| {
        let mut words = table.split_ascii_whitespace();
        while let (Some(word), Some(name)) = (words.next(), words.next()) {
            if word.parse() == Ok(number) {
                return Some(name);
            }
        }
        None
    })
}

/// arch/x86/entry/syscalls/syscall_64.tbl, `common` and `64`.
const X86_64: &str = "4 stat 5 fstat 6 lstat 40 sendfile 63 uname 166 umount2";

/// The same, `x32`.
const X32: &str = "\
    513 rt_sigreturn 523 rt_sigtimedwait 534 preadv 535 pwritev 537 recvmmsg 546 preadv2 547 pwritev2";

/// arch/x86/entry/syscalls/syscall_32.tbl.
const X86_32: &str = "\
    13 time 16 lchown 18 oldstat 22 umount 23 setuid 24 getuid 25 stime 28 oldfstat 30 utime 46 setgid \
    47 getgid 49 geteuid 50 getegid 52 umount2 55 fcntl 59 oldolduname 70 setreuid 71 setregid 76 getrlimit \
    80 getgroups 81 setgroups 82 select 84 oldlstat 89 readdir 90 mmap 95 fchown 106 stat 107 lstat \
    108 fstat 109 olduname 120 clone 122 uname 124 adjtimex 138 setfsuid 139 setfsgid 140 _llseek \
    142 _newselect 161 sched_rr_get_interval 162 nanosleep 164 setresuid 165 getresuid 170 setresgid \
    171 getresgid 177 rt_sigtimedwait 180 pread64 181 pwrite64 182 chown 191 ugetrlimit 192 mmap2 \
    193 truncate64 194 ftruncate64 195 stat64 196 lstat64 197 fstat64 198 lchown32 199 getuid32 \
    200 getgid32 201 geteuid32 202 getegid32 203 setreuid32 204 setregid32 205 getgroups32 206 setgroups32 \
    207 fchown32 208 setresuid32 209 getresuid32 210 setresgid32 211 getresgid32 212 chown32 213 setuid32 \
    214 setgid32 215 setfsuid32 216 setfsgid32 225 readahead 240 futex 247 io_getevents 250 fadvise64 \
    260 timer_settime 261 timer_gettime 264 clock_settime 265 clock_gettime 266 clock_getres \
    267 clock_nanosleep 271 utimes 272 fadvise64_64 279 mq_timedsend 280 mq_timedreceive 299 futimesat \
    300 fstatat64 308 pselect6 309 ppoll 314 sync_file_range 320 utimensat 324 fallocate \
    325 timerfd_settime 326 timerfd_gettime 337 recvmmsg 343 clock_adjtime 385 io_pgetevents";

/// arch/arm64/tools/syscall_32.tbl; arch/arm/tools/syscall.tbl has the same numbers.
const ARM: &str = "\
    16 lchown 23 setuid 24 getuid 46 setgid 47 getgid 49 geteuid 50 getegid 52 umount2 70 setreuid \
    71 setregid 80 getgroups 81 setgroups 95 fchown 106 stat 107 lstat 108 fstat 119 sigreturn 122 uname \
    124 adjtimex 138 setfsuid 139 setfsgid 140 _llseek 142 _newselect 161 sched_rr_get_interval \
    162 nanosleep 164 setresuid 165 getresuid 170 setresgid 171 getresgid 173 rt_sigreturn \
    177 rt_sigtimedwait 180 pread64 181 pwrite64 182 chown 191 ugetrlimit 192 mmap2 193 truncate64 \
    194 ftruncate64 198 lchown32 199 getuid32 200 getgid32 201 geteuid32 202 getegid32 203 setreuid32 \
    204 setregid32 205 getgroups32 206 setgroups32 207 fchown32 208 setresuid32 209 getresuid32 \
    210 setresgid32 211 getresgid32 212 chown32 213 setuid32 214 setgid32 215 setfsuid32 216 setfsgid32 \
    225 readahead 240 futex 245 io_getevents 258 timer_settime 259 timer_gettime 262 clock_settime \
    263 clock_gettime 264 clock_getres 265 clock_nanosleep 266 statfs64 267 fstatfs64 269 utimes \
    270 arm_fadvise64_64 276 mq_timedsend 277 mq_timedreceive 300 semctl 304 msgctl 308 shmctl \
    312 semtimedop 326 futimesat 335 pselect6 336 ppoll 341 arm_sync_file_range 348 utimensat 352 fallocate \
    353 timerfd_settime 354 timerfd_gettime 365 recvmmsg 372 clock_adjtime 399 io_pgetevents";

/// scripts/syscall.tbl for 64 bits; include/uapi/asm-generic/unistd.h before there was one.
const GENERIC_64: &str = "39 umount2 71 sendfile 80 fstat 92 personality 160 uname 223 fadvise64";

/// The same for 32 bits.
const GENERIC_32: &str = "\
    4 io_getevents 39 umount2 72 pselect6 73 ppoll 86 timerfd_settime 87 timerfd_gettime 88 utimensat \
    98 futex 101 nanosleep 108 timer_gettime 110 timer_settime 112 clock_settime 113 clock_gettime \
    114 clock_getres 115 clock_nanosleep 127 sched_rr_get_interval 137 rt_sigtimedwait 160 uname \
    171 adjtimex 182 mq_timedsend 183 mq_timedreceive 192 semtimedop 243 recvmmsg 266 clock_adjtime \
    292 io_pgetevents";

/// arch/powerpc/kernel/syscalls/syscall.tbl, `64`.
const POWERPC_64: &str = "\
    52 umount2 106 stat 107 lstat 108 fstat 122 uname 136 personality 140 _llseek 142 _newselect \
    186 sendfile 190 ugetrlimit";

/// The same, `32`.
const POWERPC_32: &str = "\
    2 fork 13 time 18 oldstat 22 umount 25 stime 28 oldfstat 30 utime 52 umount2 59 oldolduname \
    76 getrlimit 82 select 84 oldlstat 89 readdir 106 stat 107 lstat 108 fstat 109 olduname 120 clone \
    122 uname 124 adjtimex 136 personality 140 _llseek 142 _newselect 161 sched_rr_get_interval \
    162 nanosleep 176 rt_sigtimedwait 179 pread64 180 pwrite64 189 vfork 190 ugetrlimit 191 readahead \
    193 truncate64 194 ftruncate64 221 futex 229 io_getevents 233 fadvise64 241 timer_settime \
    242 timer_gettime 245 clock_settime 246 clock_gettime 247 clock_getres 248 clock_nanosleep \
    249 swapcontext 251 utimes 254 fadvise64_64 256 sys_debug_setcontext 264 mq_timedsend \
    265 mq_timedreceive 280 pselect6 281 ppoll 290 futimesat 304 utimensat 308 sync_file_range2 \
    309 fallocate 311 timerfd_settime 312 timerfd_gettime 343 recvmmsg 347 clock_adjtime 388 io_pgetevents \
    435 clone3";

/// arch/s390/kernel/syscalls/syscall.tbl, `64`.
const S390_64: &str = "\
    22 umount 52 umount2 90 mmap 106 stat 107 lstat 108 fstat 117 ipc 122 uname 136 personality \
    187 sendfile 253 fadvise64";

/// The same, `32`.
const S390_32: &str = "\
    3 read 4 write 13 time 16 lchown 22 umount 23 setuid 24 getuid 25 stime 30 utime 46 setgid 47 getgid \
    49 geteuid 50 getegid 52 umount2 70 setreuid 71 setregid 76 getrlimit 80 getgroups 81 setgroups \
    89 readdir 90 mmap 95 fchown 106 stat 107 lstat 108 fstat 117 ipc 122 uname 124 adjtimex \
    136 personality 138 setfsuid 139 setfsgid 140 _llseek 142 _newselect 161 sched_rr_get_interval \
    162 nanosleep 164 setresuid 165 getresuid 170 setresgid 171 getresgid 177 rt_sigtimedwait 180 pread64 \
    181 pwrite64 182 chown 187 sendfile 191 ugetrlimit 192 mmap2 193 truncate64 194 ftruncate64 195 stat64 \
    196 lstat64 197 fstat64 198 lchown32 199 getuid32 200 getgid32 201 geteuid32 202 getegid32 \
    203 setreuid32 204 setregid32 205 getgroups32 206 setgroups32 207 fchown32 208 setresuid32 \
    209 getresuid32 210 setresgid32 211 getresgid32 212 chown32 213 setuid32 214 setgid32 215 setfsuid32 \
    216 setfsgid32 222 readahead 238 futex 245 io_getevents 253 fadvise64 255 timer_settime \
    256 timer_gettime 259 clock_settime 260 clock_gettime 261 clock_getres 262 clock_nanosleep \
    264 fadvise64_64 273 mq_timedsend 274 mq_timedreceive 292 futimesat 293 fstatat64 301 pselect6 \
    302 ppoll 307 sync_file_range 313 utimes 314 fallocate 315 utimensat 320 timerfd_settime \
    321 timerfd_gettime 337 clock_adjtime 357 recvmmsg";

/// The calls with 64-bit times have one number in all 32-bit tables.
const TIME64: &str = "\
    403 clock_gettime64 404 clock_settime64 405 clock_adjtime64 406 clock_getres_time64 \
    407 clock_nanosleep_time64 408 timer_gettime64 409 timer_settime64 410 timerfd_gettime64 \
    411 timerfd_settime64 412 utimensat_time64 413 pselect6_time64 414 ppoll_time64 \
    416 io_pgetevents_time64 417 recvmmsg_time64 418 mq_timedsend_time64 419 mq_timedreceive_time64 \
    420 semtimedop_time64 421 rt_sigtimedwait_time64 422 futex_time64 423 sched_rr_get_interval_time64";
