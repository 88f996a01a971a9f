//! Debian packages as streams: ar, then xz, zstd, gzip or nothing, then tar. Nothing is unpacked to disk.
//!
//! ```no_run
//! # fn main() -> ksurf_read::error::Result<()> {
//! use ksurf_read::archive::{Counters, Deb, Kind};
//!
//! let counters = Counters::default();
//! let mut deb = Deb::open("linux-image-dbg.deb".as_ref(), 0, &counters)?;
//! while let Some(mut entry) = deb.next_entry()? {
//!     if entry.kind() == Kind::File && entry.path().ends_with(b".ko") {
//!         let image: Vec<u8> = entry.read(1 << 30)?;
//!     }
//! }
//! # Ok(())
//! # }
//! ```

pub mod ar;
pub mod compress;
pub mod files;
pub mod tar;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::{At, Error, Result};
use ar::{Ar, Member};
pub use compress::{decompress, head};
use compress::{Decoder, WINDOW};
pub use files::Files;
use tar::Tar;
pub use tar::{Entry, Kind};

/// As much of the package as is read at once.
const READ_SIZE: usize = 1 << 20;
const CONTROL_LIMIT: u64 = 1 << 20;

/// How far a package was read, for another thread to look at, and the way to stop the reading.
#[derive(Debug, Default)]
pub struct Counters {
    /// Bytes of the package read so far, compressed as they are.
    pub bytes_done: AtomicU64,
    /// Bytes of the package; 0 until it is open.
    pub bytes_total: AtomicU64,
    /// Set by anyone: the next read then fails with [`Error::Cancelled`].
    pub cancelled: AtomicBool,
}

impl Counters {
    /// [`Error::Cancelled`], if someone asked for it.
    pub fn check(&self) -> Result<()> {
        match self.cancelled.load(Ordering::Relaxed) {
            true => Err(Error::Cancelled),
            false => Ok(()),
        }
    }
}

/// An input whose reading can be watched and stopped.
pub struct Watched<'c, R> {
    input: R,
    counters: &'c Counters,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            self.counters.check()?;
            match self.input.read(out) {
                Ok(read) => {
                    self.counters.bytes_done.fetch_add(read as u64, Ordering::Relaxed);
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // named here, where it is known that it is not a decoder that complains
                Err(source) => return Err(Error::Io { op: "read", source }.into()),
            }
        }
    }
}

type Package<'c, R> = Ar<BufReader<Watched<'c, R>>>;
/// What the members of a package's `data.tar` are read from.
pub type Data<'c, R> = BufReader<Decoder<Package<'c, R>>>;

/// A Debian binary package, at one of its files. Source: deb(5).
pub struct Deb<'c, R: Read = File> {
    control: String,
    tar: Tar<Data<'c, R>>,
    counters: &'c Counters,
}

impl<'c> Deb<'c> {
    /// Opens a package and reads it up to its files. `threads` decompress it, one per core if 0. Errors name
    /// the member, not `path`.
    pub fn open(path: &Path, threads: usize, counters: &'c Counters) -> Result<Deb<'c>> {
        let file = File::open(path).map_err(Error::io("open"))?;
        let metadata = file.metadata().map_err(Error::io("read"))?;
        if !metadata.is_file() {
            return Err(Error::not_a_kernel("a package is a regular file, and this is not"));
        }
        counters.bytes_total.store(metadata.len(), Ordering::Relaxed);
        Deb::new(file, threads, counters)
    }
}

impl<'c, R: Read> Deb<'c, R> {
    /// As [`Deb::open`], from any input.
    pub fn new(input: R, threads: usize, counters: &'c Counters) -> Result<Deb<'c, R>> {
        let ar = Ar::new(BufReader::with_capacity(READ_SIZE, Watched { input, counters }))?;
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let (control, member, data) = data_member(ar, threads)?;
        Ok(Deb { control, tar: Tar::new(member, data), counters })
    }

    /// The package's `control` paragraph. Source: deb-control(5).
    pub fn control(&self) -> &str {
        &self.control
    }

    /// The next member of `data.tar`, in the package's order. `None` means that the package was read, and
    /// its checksums were checked, to the end.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'_, Data<'c, R>>>> {
        self.counters.check()?;
        self.tar.next_entry()
    }
}

/// The `control` paragraph of a package, of which no more is read than that.
pub fn control(path: &Path) -> Result<String> {
    Ok(Deb::open(path, 1, &Counters::default())?.control)
}

/// The first file of a package whose path is, or ends in, one of the `names`; `None` if there is none. The
/// package is read no further than that. A file of more than `limit` bytes is refused.
pub fn member(path: &Path, names: &[String], limit: u64) -> Result<Option<Vec<u8>>> {
    let counters = Counters::default();
    let mut deb = Deb::open(path, 1, &counters)?;
    while let Some(mut entry) = deb.next_entry()? {
        if entry.kind() == Kind::File && names.iter().any(|name| ends_in(entry.path(), name.as_bytes())) {
            return entry.read(limit).map(Some);
        }
    }
    Ok(None)
}

/// Whether the last parts of `path` are those of `name`.
fn ends_in(path: &[u8], name: &[u8]) -> bool {
    path.strip_suffix(name).is_some_and(|folder| folder.is_empty() || folder.ends_with(b"/"))
}

/// A package's `control` paragraph, the name of the member with its files, and the tar archive in that.
type Opened<R> = (String, String, BufReader<Decoder<Ar<R>>>);

fn data_member<R: BufRead>(mut ar: Ar<R>, threads: usize) -> Result<Opened<R>> {
    read_version(&mut ar)?;
    let member = expect(&mut ar, "control.tar")?.name;
    let control = read_control(&mut ar, &member)?;
    let member = expect(&mut ar, "data.tar")?.name;
    let decoder = Decoder::new(ar, threads).at(&member)?;
    Ok((control, member, BufReader::with_capacity(WINDOW, decoder)))
}

fn read_version(ar: &mut Ar<impl BufRead>) -> Result<()> {
    let member = ar.next_member()?.ok_or_else(|| Error::not_a_kernel("an empty ar archive"))?;
    if member.name != "debian-binary" {
        return Err(Error::not_a_kernel("an ar archive, but no Debian package"));
    }
    let mut version = String::new();
    ar.take(16).read_to_string(&mut version).map_err(Error::io("read")).at(&member.name)?;
    if !version.starts_with("2.") {
        return Err(Error::unsupported("Debian package format", version.trim_end()));
    }
    Ok(())
}

/// The next member whose name does not begin with an underscore, which must be called so.
fn expect(ar: &mut Ar<impl BufRead>, name: &'static str) -> Result<Member> {
    loop {
        let Some(member) = ar.next_member()? else {
            return Err(Error::not_a_kernel(format!("a Debian package without {name}")));
        };
        if member.name.starts_with('_') {
            continue;
        }
        return match member.name.strip_prefix(name) {
            Some("" | ".gz" | ".xz" | ".zst" | ".bz2" | ".lzma") => Ok(member),
            _ => Err(Error::unsupported(
                "member of a Debian package",
                format_args!("{:?} where {name} is expected", member.name),
            )),
        };
    }
}

fn read_control(ar: &mut Ar<impl BufRead>, member: &str) -> Result<String> {
    let mut tar = Tar::new(member, BufReader::new(Decoder::new(ar, 1).at(member)?));
    let mut control = None;
    while let Some(mut entry) = tar.next_entry()? {
        if entry.path() == b"control" && entry.kind() == Kind::File {
            let text = entry.read(CONTROL_LIMIT)?;
            control = Some(String::from_utf8_lossy(&text).into_owned());
        }
    }
    control.ok_or_else(|| Error::not_a_kernel("a Debian package without a control file"))
}

/// `Read::read` for what is a `BufRead`.
fn read_buffered(input: &mut impl BufRead, out: &mut [u8]) -> io::Result<usize> {
    let available = input.fill_buf()?;
    let read = available.len().min(out.len());
    out[..read].copy_from_slice(&available[..read]);
    input.consume(read);
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTROL: &str = "Package: linux-image-9-dbg\nVersion: 9-1\n";

    fn package(data_name: &str, data: &[u8]) -> Vec<u8> {
        let control = tar::tests::archive(&[("./md5sums", b""), ("./control", CONTROL.as_bytes())]);
        ar::tests::archive(&[
            ("debian-binary", b"2.0\n"),
            ("_comment", b"ignored"),
            ("control.tar.zst", &compress::tests::zst(&control)),
            ("_more", b""),
            (data_name, data),
        ])
    }

    fn files(bytes: &[u8], threads: usize) -> Result<Vec<(String, usize)>> {
        let counters = Counters::default();
        let mut deb = Deb::new(bytes, threads, &counters)?;
        assert_eq!(deb.control(), CONTROL);
        let mut out = Vec::new();
        while let Some(mut entry) = deb.next_entry()? {
            let path = String::from_utf8_lossy(entry.path()).into_owned();
            out.push((path, entry.read(1 << 24)?.len()));
        }
        assert_eq!(counters.bytes_done.into_inner(), bytes.len() as u64);
        Ok(out)
    }

    fn sample() -> Vec<u8> {
        let image = compress::tests::sample(90_000);
        tar::tests::archive(&[("./usr/vmlinux", &image), ("./usr/kvm.ko", &image[..1_001])])
    }

    #[test]
    fn a_package_reads_the_same_however_it_is_compressed() {
        use compress::tests::{gz, xz, xz_blocks, zst};
        let data = sample();
        let expected = [("usr/vmlinux".to_owned(), 90_000), ("usr/kvm.ko".to_owned(), 1_001)];
        for packed in [data.clone(), gz(&data), xz(&data), xz_blocks(&data, 9_999), zst(&data)] {
            for threads in [0, 1, 3] {
                // the name may lie, the content does not
                for name in ["data.tar.xz", "data.tar"] {
                    assert_eq!(files(&package(name, &packed), threads).unwrap(), expected);
                }
            }
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = package("data.tar.xz", &compress::tests::xz_blocks(&sample(), 30_000));
        for end in (0..bytes.len() - 1).rev().step_by(97) {
            assert!(files(&bytes[..end], 2).is_err(), "cut at {end} of {}", bytes.len());
        }
        let error = files(&bytes[..bytes.len() / 2], 2).unwrap_err().to_string();
        assert!(error.starts_with("data.tar.xz: "), "{error}");
        assert!(error.contains("truncated: ar member at offset"), "{error}");
    }

    #[test]
    fn what_is_no_package_is_said() {
        let archive = |members| files(&ar::tests::archive(members), 1).unwrap_err().to_string();
        assert_eq!(archive(&[]), "not a kernel: an empty ar archive");
        assert_eq!(archive(&[("foo.o", b"")]), "not a kernel: an ar archive, but no Debian package");
        assert_eq!(archive(&[("debian-binary", b"3.0\n")]), "unsupported Debian package format: 3.0");
        assert_eq!(
            archive(&[("debian-binary", b"2.0\n"), ("data.tar", b"")]),
            "unsupported member of a Debian package: \"data.tar\" where control.tar is expected"
        );
        assert_eq!(
            archive(&[("debian-binary", b"2.0\n")]),
            "not a kernel: a Debian package without control.tar"
        );
    }

    #[test]
    fn a_cancelled_reading_stops() {
        let bytes = package("data.tar.xz", &compress::tests::xz(&sample()));
        let counters = Counters::default();
        let mut deb = Deb::new(&bytes[..], 2, &counters).unwrap();
        assert!(deb.next_entry().unwrap().is_some());
        counters.cancelled.store(true, Ordering::Relaxed);
        assert!(deb.next_entry().err().unwrap().is_cancelled());
        assert!(Deb::new(&bytes[..], 2, &counters).err().unwrap().is_cancelled());
    }

    #[test]
    fn control_is_read_from_a_file() {
        let path = std::env::temp_dir().join(format!("ksurf-control-{}.deb", std::process::id()));
        std::fs::write(&path, package("data.tar.gz", &compress::tests::gz(&sample()))).unwrap();
        assert_eq!(control(&path).unwrap(), CONTROL);
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(control(&path), Err(Error::Io { op: "open", .. })));
        assert!(control(&std::env::temp_dir()).is_err());
    }

    #[test]
    fn a_member_is_found_by_the_end_of_its_path() {
        let data = tar::tests::archive(&[
            ("./boot/config-9.bak", b"no"),
            ("./usr/boot/config-9", b"one"),
            ("./boot/config-9", b"two"),
            ("./lib/my.config", b"no"),
            ("./.config", b"three"),
        ]);
        let path = std::env::temp_dir().join(format!("ksurf-member-{}.deb", std::process::id()));
        std::fs::write(&path, package("data.tar.gz", &compress::tests::gz(&data))).unwrap();
        let find = |names: &[&str], limit| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            member(&path, &names, limit)
        };
        assert_eq!(find(&["boot/config-9"], 99).unwrap().unwrap(), b"one");
        assert_eq!(find(&[".config", "config-8"], 99).unwrap().unwrap(), b"three");
        assert_eq!(find(&["config"], 99).unwrap(), None);
        assert_eq!(find(&[], 99).unwrap(), None);
        let error = find(&[".config"], 4).unwrap_err();
        assert!(matches!(error.root(), Error::TooLarge { size: 5, limit: 4, .. }), "{error}");
        std::fs::remove_file(&path).unwrap();
    }
}
