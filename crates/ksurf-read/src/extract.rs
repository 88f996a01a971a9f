//! A kernel from where it is stored: a package read as a stream, image files, or the running machine.

use crate::archive::{decompress, Counters, Deb, Kind};
use crate::btf::Btf;
use crate::dwarf::Sections;
use crate::elf::{is_elf, Buffer, Image};
use crate::error::{At, Error, Result};
use crate::image::{self, Evidence, ImageRows, Outcome, Place, PlacedSymbol, TypeSource};
use crate::kallsyms;
use crate::kernel::{join, join_on, Kernel};
use crate::surface::from_dwarf::{self, Known};
use rustc_hash::FxHashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicU8, Ordering};
use std::sync::{Condvar, Mutex};

/// The largest image, in bytes, that is taken into memory.
const IMAGE_LIMIT: u64 = 8 << 30;
/// Bytes of images that wait or are worked on at once; a larger image goes alone.
const IN_FLIGHT_LIMIT: usize = 384 << 20;

/// What an extraction is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    Reading,
    Joining,
    Done,
}

/// Counters of a running extraction, for another thread to look at, and the way to stop it.
#[derive(Debug, Default)]
pub struct Progress {
    pub counters: Counters,
    pub images_done: AtomicU64,
    stage: AtomicU8,
}

impl Progress {
    pub fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Reading,
            1 => Stage::Joining,
            _ => Stage::Done,
        }
    }

    fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }
}

/// An image that could not be read: the kernel is built without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    pub name: String,
    pub path: String,
    pub reason: String,
}

/// One kernel's tables, and what is missing from them.
#[derive(Debug)]
pub struct Extraction {
    pub kernel: Kernel,
    /// `uname -r`, as the images say it.
    pub release: Option<String>,
    /// `uname -m`.
    pub machine: Option<&'static str>,
    pub unreadable: Vec<Unreadable>,
    /// Parts of images that are missing from the tables; `reason` says which.
    pub incomplete: Vec<Unreadable>,
    /// What the kernel says of its making: `Linux version ... (gcc ...) #1 SMP ...`.
    pub banner: Option<String>,
    /// The kernel's own configuration, as text, where it carries it.
    pub config: Option<Vec<u8>>,
}

/// Reads a Debian or Ubuntu debug package. `threads` 0 means one per core.
pub fn package(path: &Path, threads: usize, progress: &Progress) -> Result<Extraction> {
    let place = path.display().to_string();
    let outcome = Workers::run(threads, progress, |workers| {
        let mut deb = Deb::open(path, threads, &progress.counters)?;
        while let Some(mut entry) = deb.next_entry()? {
            let member = crate::elf::text(entry.path());
            if entry.kind() != Kind::File || !is_image_name(&member) {
                continue;
            }
            // Waiting before reading is what bounds the memory.
            let size = usize::try_from(entry.size()).unwrap_or(usize::MAX);
            workers.reserve(size);
            match entry.read(IMAGE_LIMIT) {
                Ok(data) => workers.submit(Source::Bytes(data), member, size),
                Err(error) => {
                    workers.release(size);
                    return Err(error);
                }
            }
        }
        Ok(())
    });
    outcome.at(place)
}

/// Reads image files: a vmlinux, and modules (plain or compressed).
pub fn files(
    vmlinux: Option<&Path>,
    modules: &[PathBuf],
    threads: usize,
    progress: &Progress,
) -> Result<Extraction> {
    let all: Vec<&Path> = vmlinux.into_iter().chain(modules.iter().map(PathBuf::as_path)).collect();
    let sizes: Vec<u64> = all.iter().map(|p| p.metadata().map_or(0, |m| m.len())).collect();
    progress.counters.bytes_total.store(sizes.iter().sum(), Ordering::Relaxed);
    Workers::run(threads, progress, |workers| {
        for (path, size) in all.iter().zip(&sizes) {
            progress.counters.check()?;
            let size = usize::try_from(*size).unwrap_or(usize::MAX);
            workers.reserve(size);
            workers.submit(Source::File(path.to_path_buf()), path.display().to_string(), size);
        }
        Ok(())
    })
}

/// The types of one image file by its DWARF alone, whatever else it has, as tables of a kernel of that image.
pub fn dwarf_types(path: &Path) -> Result<Extraction> {
    let place = path.display().to_string();
    let read = || {
        let image = Image::parse(Source::File(path.to_path_buf()).open()?)?;
        let sections = Sections::of(&image).ok_or_else(|| Error::not_a_kernel("it has no DWARF"))?;
        let mut rows = ImageRows::empty(&image::module_name(&place), &place, Evidence::Dwarf);
        rows.types = TypeSource::Read(Box::new(from_dwarf::read(
            &sections,
            &Known::default(),
            &AtomicBool::new(false),
        )?));
        let (kernel, incomplete) = join(vec![rows]);
        let (release, machine, banner, config) = (None, image.machine_name(), None, None);
        let unreadable = Vec::new();
        Ok(Extraction { kernel, release, machine, unreadable, incomplete, banner, config })
    };
    read().at(&place)
}

/// What a module's DWARF tells of what it needs: the types, of which the tables are filled, the files that declare
/// them, and which its code names.
pub struct ModuleTypes {
    pub kernel: Kernel,
    /// Keys of definitions, and the files that declare them.
    pub files: Vec<(u64, String)>,
    /// Kinds and names.
    pub named: Vec<(&'static str, String)>,
    /// Why a part is missing, if it is.
    pub incomplete: Option<String>,
}

/// Reads the types that a module was compiled with, plain or compressed; `None` if it has no DWARF.
pub fn module_types(path: &Path) -> Result<Option<ModuleTypes>> {
    let place = path.display().to_string();
    let read = || {
        let image = Image::parse(Source::File(path.to_path_buf()).open()?)?;
        let Some(sections) = Sections::of(&image) else { return Ok(None) };
        let needs = from_dwarf::needs(&sections)?;
        let mut rows = ImageRows::empty(&image::module_name(&place), &place, Evidence::Dwarf);
        rows.types = TypeSource::Read(Box::new(needs.types));
        let (kernel, incomplete) = join(vec![rows]);
        let named = needs.named.into_iter().map(|(kind, name)| (kind.as_str(), name));
        let incomplete = incomplete.into_iter().next().map(|one| one.reason);
        Ok(Some(ModuleTypes { kernel, files: needs.files, named: named.collect(), incomplete }))
    };
    read().at(&place)
}

/// Reads the running kernel from its BTF (`/sys/kernel/btf`) and symbol list (`/proc/kallsyms`).
pub fn host(btf_dir: &Path, kallsyms_path: &Path, progress: &Progress) -> Result<Extraction> {
    let mut unreadable = Vec::new();
    let mut images: FxHashMap<String, ImageRows> = FxHashMap::default();
    let vmlinux_path = btf_dir.join("vmlinux");
    let read = |path: &Path| std::fs::read(path).map_err(Error::io("read")).at(path.display());
    let base_bytes = match read(&vmlinux_path) {
        Ok(bytes) => bytes,
        Err(error) => {
            unreadable.push(Unreadable {
                name: "vmlinux".into(),
                path: vmlinux_path.display().to_string(),
                reason: error.to_string(),
            });
            Vec::new()
        }
    };
    if !base_bytes.is_empty() {
        let base = Btf::parse(&base_bytes, None).at(vmlinux_path.display())?;
        let mut rows = ImageRows::empty("vmlinux", &vmlinux_path.display().to_string(), Evidence::Btf);
        rows.add_btf(&base).at(vmlinux_path.display())?;
        rows.types = TypeSource::Btf(base_bytes.clone());
        images.insert(rows.name.clone(), rows);
        let mut names: Vec<String> = std::fs::read_dir(btf_dir)
            .map_err(Error::io("list"))
            .at(btf_dir.display())?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name != "vmlinux")
            .collect();
        names.sort();
        for name in names {
            progress.counters.check()?;
            let path = btf_dir.join(&name);
            let place = path.display().to_string();
            let outcome = read(&path).and_then(|bytes| {
                let btf = Btf::parse(&bytes, Some(&base)).at(&place)?;
                let mut rows = ImageRows::empty(&name, &place, Evidence::Btf);
                rows.add_btf(&btf).at(&place)?;
                rows.types = TypeSource::Btf(bytes.clone());
                Ok(rows)
            });
            match outcome {
                Ok(rows) => drop(images.insert(name, rows)),
                Err(error) => unreadable.push(Unreadable { name, path: place, reason: error.to_string() }),
            }
        }
    }
    let symbols = read(kallsyms_path)?;
    let place = kallsyms_path.display().to_string();
    let mut by_image: FxHashMap<String, Vec<PlacedSymbol>> = FxHashMap::default();
    for symbol in kallsyms::parse(&symbols) {
        let symbol = symbol.at(&place)?;
        let Some(bind) = symbol.code_bind() else { continue };
        let address = symbol.address.unwrap_or(0);
        let module = symbol.module.map_or_else(|| "vmlinux".to_owned(), crate::elf::text);
        by_image.entry(module).or_default().push(PlacedSymbol {
            name: crate::elf::text(symbol.name),
            place: Place { section: None, address },
            address,
            size: None,
            bind,
            kind: "STT_FUNC",
            facts: Default::default(),
        });
    }
    for (name, mut list) in by_image {
        list.retain(|s| !s.name.starts_with("__pfx_") && !s.name.starts_with("__cfi_"));
        let rows =
            images.entry(name.clone()).or_insert_with(|| ImageRows::empty(&name, &place, Evidence::Symtab));
        rows.add_symbols(list, &FxHashMap::default());
    }
    if images.is_empty() {
        return Err(Error::not_a_kernel("neither BTF nor symbols of functions")).at(place);
    }
    progress.enter(Stage::Joining);
    let (kernel, incomplete) = join(images.into_values().collect());
    progress.enter(Stage::Done);
    Ok(Extraction {
        kernel,
        release: None,
        machine: None,
        unreadable,
        incomplete,
        banner: None,
        config: None,
    })
}

/// Reads the types of one BTF: that of an image, or a file of nothing else, as in `/sys/kernel/btf`. `base` is the
/// same of the vmlinux that a module belongs to.
pub fn btf(path: &Path, base: Option<&Path>) -> Result<Extraction> {
    let base_bytes = match base.map(btf_source).transpose()? {
        Some(TypeSource::Btf(bytes)) => Some(bytes),
        _ => None,
    };
    let base_btf = base_bytes.as_deref().map(|bytes| Btf::parse(bytes, None));
    let base_btf = base_btf.transpose().at(base.unwrap_or(path).display())?;
    let types = btf_source(path)?;
    if let TypeSource::Btf(bytes) = &types {
        Btf::parse(bytes, base_btf.as_ref()).at(path.display())?;
    }
    let place = path.display().to_string();
    let name = if base.is_some() { image::module_name(&place) } else { "vmlinux".to_owned() };
    let mut rows = ImageRows::empty(&name, &place, Evidence::Btf);
    rows.types = types;
    let (kernel, incomplete) = join_on(vec![rows], base_btf.as_ref());
    Ok(Extraction {
        kernel,
        release: None,
        machine: None,
        unreadable: Vec::new(),
        incomplete,
        banner: None,
        config: None,
    })
}

/// A file's BTF, all of it where the file is no ELF file.
fn btf_source(path: &Path) -> Result<TypeSource> {
    let read = || {
        let buffer = Source::File(path.to_path_buf()).open()?;
        if !is_elf(&buffer) {
            return Ok(TypeSource::Btf(match buffer {
                Buffer::Memory(bytes) => bytes,
                mapped => mapped.to_vec(),
            }));
        }
        let image = Image::parse(buffer)?;
        let section = image.section(".BTF").ok_or_else(|| Error::not_a_kernel("it has no .BTF section"))?;
        Ok(TypeSource::of_btf(&image, image.section_bytes(section)))
    };
    read().at(path.display())
}

/// Whether a member of a package may be an image, by its name; its content decides. Links are no members.
fn is_image_name(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.starts_with("vmlinux") && !file.ends_with(".py") || file.contains(".ko")
}

enum Source {
    Bytes(Vec<u8>),
    File(PathBuf),
}

/// A file as memory, read as it is looked at.
pub fn map(path: &Path) -> Result<Buffer> {
    let file = std::fs::File::open(path).map_err(Error::io("open"))?;
    if file.metadata().map_err(Error::io("read"))?.len() == 0 {
        return Err(Error::not_a_kernel("an empty file"));
    }
    // SAFETY: a private mapping; if another process truncates the file meanwhile, this one gets
    // SIGBUS, as every program that maps files does.
    let map = unsafe { memmap2::MmapOptions::new().map_copy(&file) }.map_err(Error::io("map"))?;
    Ok(Buffer::Mapped(map))
}

impl Source {
    fn open(self) -> Result<Buffer> {
        let buffer = match self {
            Source::Bytes(bytes) => Buffer::Memory(bytes),
            Source::File(path) => map(&path)?,
        };
        if is_elf(&buffer) {
            return Ok(buffer);
        }
        Ok(Buffer::Memory(decompress(&buffer, IMAGE_LIMIT)?.into_owned()))
    }
}

#[derive(Default)]
struct Results {
    images: Vec<ImageRows>,
    /// Modules whose BTF waits for that of vmlinux.
    waiting: Vec<(Buffer, String)>,
    unreadable: Vec<Unreadable>,
    error: Option<Error>,
}

/// Decodes images on a pool of threads while the caller goes on reading.
struct Workers<'p, 's> {
    scope: &'p rayon::Scope<'s>,
    progress: &'s Progress,
    results: &'s Mutex<Results>,
    in_flight: &'s (Mutex<usize>, Condvar),
    known: &'s Known,
}

impl<'s> Workers<'_, 's> {
    fn run(
        threads: usize,
        progress: &Progress,
        feed: impl FnOnce(&Workers<'_, '_>) -> Result<()> + Send,
    ) -> Result<Extraction> {
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        // One more, because the feeding thread mostly waits for the archive.
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads + 1)
            .build()
            .map_err(|e| Error::Io { op: "start threads", source: std::io::Error::other(e.to_string()) })?;
        progress.enter(Stage::Reading);
        let results = Mutex::new(Results::default());
        let in_flight = (Mutex::new(0usize), Condvar::new());
        let known = Known::default();
        pool.scope(|scope| {
            feed(&Workers { scope, progress, results: &results, in_flight: &in_flight, known: &known })
        })?;
        let mut results = results.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(error) = results.error {
            return Err(error);
        }
        progress.counters.check()?;
        let vmlinux = results.images.iter().find(|i| i.name == "vmlinux");
        let base = match vmlinux.map(|i| &i.types) {
            Some(TypeSource::Btf(bytes)) => Some(bytes.clone()),
            _ => None,
        };
        let base = base.as_deref().map(|bytes| Btf::parse(bytes, None)).transpose()?;
        for (buffer, path) in std::mem::take(&mut results.waiting) {
            progress.counters.check()?;
            match image::read_with_base(buffer, &path, base.as_ref()) {
                Ok(rows) => results.images.push(rows),
                Err(error) => results.unreadable.push(unreadable(path, &error)),
            }
        }
        if results.images.is_empty() {
            return Err(match results.unreadable.into_iter().next() {
                Some(first) => {
                    Error::not_a_kernel(format!("no readable image; {}: {}", first.path, first.reason))
                }
                None => Error::not_a_kernel("it holds no vmlinux and no modules"),
            });
        }
        results.unreadable.sort_by(|a, b| a.path.cmp(&b.path));
        progress.enter(Stage::Joining);
        let vmlinux = results.images.iter().find(|i| i.name == "vmlinux");
        let from = vmlinux.or(results.images.first()).expect("not empty");
        let release = from.release.clone().or_else(|| results.images.iter().find_map(|i| i.release.clone()));
        let machine = from.machine;
        let (banner, config) = (from.banner.clone(), from.config.clone());
        let (kernel, incomplete) = pool.install(|| join(results.images));
        progress.enter(Stage::Done);
        let unreadable = results.unreadable;
        Ok(Extraction { kernel, release, machine, unreadable, incomplete, banner, config })
    }

    fn reserve(&self, size: usize) {
        let (count, freed) = self.in_flight;
        let mut count = count.lock().unwrap_or_else(|p| p.into_inner());
        while *count > 0 && count.saturating_add(size) > IN_FLIGHT_LIMIT {
            count = freed.wait(count).unwrap_or_else(|p| p.into_inner());
        }
        *count = count.saturating_add(size);
    }

    fn release(&self, size: usize) {
        release(self.in_flight, size);
    }

    fn submit(&self, source: Source, path: String, size: usize) {
        let (progress, results, in_flight) = (self.progress, self.results, self.in_flight);
        let known = self.known;
        // A package may hold other ELF files; a file that a person named is meant.
        let member = matches!(source, Source::Bytes(_));
        self.scope.spawn(move |_| {
            let cancelled = &progress.counters.cancelled;
            let outcome = source.open().and_then(|buffer| image::read(buffer, &path, known, cancelled));
            let mut results = results.lock().unwrap_or_else(|p| p.into_inner());
            match outcome {
                Ok(Outcome::Rows(rows)) => results.images.push(*rows),
                Ok(Outcome::NeedsBase(buffer)) => results.waiting.push((buffer, path)),
                Ok(Outcome::Other) if member => {}
                Ok(Outcome::Other) => {
                    let error = Error::not_a_kernel("an ELF file, but neither a vmlinux nor a kernel module");
                    results.unreadable.push(unreadable(path, &error));
                }
                Err(error) if error.is_cancelled() => results.error = Some(error),
                Err(error) => results.unreadable.push(unreadable(path, &error)),
            }
            drop(results);
            progress.images_done.fetch_add(1, Ordering::Relaxed);
            release(in_flight, size);
        });
    }
}

fn release(in_flight: &(Mutex<usize>, Condvar), size: usize) {
    let (count, freed) = in_flight;
    let mut count = count.lock().unwrap_or_else(|p| p.into_inner());
    *count = count.saturating_sub(size);
    freed.notify_all();
}

fn unreadable(path: String, error: &Error) -> Unreadable {
    let file = path.rsplit('/').next().unwrap_or(&path);
    let name = if file.starts_with("vmlinux") { "vmlinux".to_owned() } else { image::module_name(file) };
    Unreadable { name, reason: error.to_string(), path }
}
