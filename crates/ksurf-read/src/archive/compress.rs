//! Compressed streams, told apart by their first bytes and never by a name.
//!
//! Sources: the .xz file format 1.2, RFC 8878 (zstd), RFC 1952 (gzip).

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use liblzma::stream::{Action, MtStreamBuilder, Status, Stream};

use super::read_buffered;
use crate::error::{Error, Result};

/// What all decoding threads of one .xz stream may hold together; liblzma starts fewer threads rather than
/// exceed it. A thread needs about 40 MiB for what `dpkg-deb` writes (`-6`, blocks of 24 MiB).
const XZ_MEMORY_FOR_THREADS: u64 = 512 << 20;
/// The largest dictionary that is followed: `xz -9` needs 65 MiB, and only hostile input needs this.
const XZ_MEMORY: u64 = 512 << 20;
/// The largest window that is followed, as a power of two: `zstd --ultra -22` has 27.
const ZSTD_WINDOW_LOG: u32 = 27;
/// As much of decompressed data as is on its way at once; it stays in the second-level cache.
pub(super) const WINDOW: usize = 256 << 10;

/// How bytes are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Xz,
    Zstd,
}

impl Compression {
    /// As much as [`Compression::detect`] looks at.
    const MAGIC_SIZE: usize = 6;

    /// Tells by the magic number that `bytes` begin with.
    pub fn detect(bytes: &[u8]) -> Result<Compression> {
        match bytes {
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Ok(Compression::Xz),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Ok(Compression::Zstd),
            [0x1f, 0x8b, ..] => Ok(Compression::Gzip),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Err(Error::unsupported("compression", "bzip2")),
            [0x5d, 0, 0, ..] => Err(Error::unsupported("compression", "lzma")),
            [0x04, 0x22, 0x4d, 0x18, ..] => Err(Error::unsupported("compression", "lz4")),
            _ => Ok(Compression::None),
        }
    }
}

/// The bytes that a compressed input stands for. Streams that follow each other read as one.
pub struct Decoder<R: BufRead>(Format<R>);

enum Format<R: BufRead> {
    None(Input<R>),
    Gzip(MultiGzDecoder<Input<R>>),
    Xz(Box<Xz<R>>),
    Zstd(zstd::stream::read::Decoder<'static, Input<R>>),
}

impl<R: BufRead> Decoder<R> {
    /// Looks at the first bytes of `input` and decodes it, on `threads` threads where the format lets it.
    pub fn new(input: R, threads: usize) -> Result<Decoder<R>> {
        let input = Input::new(input).map_err(Error::io("read"))?;
        Ok(Decoder(match Compression::detect(input.peeked())? {
            Compression::None => Format::None(input),
            Compression::Gzip => Format::Gzip(MultiGzDecoder::new(input)),
            Compression::Xz => Format::Xz(Box::new(Xz::new(input, threads)?)),
            Compression::Zstd => {
                let mut decoder =
                    zstd::stream::read::Decoder::with_buffer(input).map_err(Error::io("decode"))?;
                decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(Error::io("decode"))?;
                Format::Zstd(decoder)
            }
        }))
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Format::None(input) => input.read(out),
            Format::Xz(decoder) => decoder.read(out),
            Format::Gzip(decoder) => {
                decoder.read(out).map_err(|error| foreign("gzip stream", decoder.get_ref().offset, error))
            }
            Format::Zstd(decoder) => {
                decoder.read(out).map_err(|error| foreign("zstd stream", decoder.get_ref().offset, error))
            }
        }
    }
}

/// Makes an error of a decoding library one of ours; one of ours, from below it, stays.
fn foreign(what: &'static str, offset: u64, error: io::Error) -> io::Error {
    if error.get_ref().is_some_and(|inner| inner.is::<Error>()) {
        return error;
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::truncated(what, offset, 1, 0),
        io::ErrorKind::OutOfMemory => Error::Io { op: "decompress", source: error },
        _ => Error::corrupt(what, offset, error.to_string()),
    }
    .into()
}

/// A compressed input: its first bytes can be looked at, and it knows how far it was read.
struct Input<R> {
    magic: [u8; Compression::MAGIC_SIZE],
    peeked: usize,
    offset: u64,
    inner: R,
}

impl<R: BufRead> Input<R> {
    fn new(mut inner: R) -> io::Result<Input<R>> {
        let mut magic = [0; Compression::MAGIC_SIZE];
        let mut peeked = 0;
        while peeked < magic.len() {
            match inner.read(&mut magic[peeked..])? {
                0 => break,
                read => peeked += read,
            }
        }
        Ok(Input { magic, peeked, offset: 0, inner })
    }

    fn peeked(&self) -> &[u8] {
        let from = usize::try_from(self.offset).map_or(self.peeked, |offset| offset.min(self.peeked));
        &self.magic[from..self.peeked]
    }
}

impl<R: BufRead> BufRead for Input<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.offset < self.peeked as u64 {
            return Ok(self.peeked());
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        if self.offset >= self.peeked as u64 {
            self.inner.consume(amount);
        }
        self.offset += amount as u64;
    }
}

impl<R: BufRead> Read for Input<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, out)
    }
}

/// liblzma over an input. Several threads work where a stream has several blocks with known sizes, which is
/// what `dpkg-deb` and `xz -T` write; liblzma falls back to one thread for any other.
struct Xz<R> {
    input: Input<R>,
    stream: Stream,
    threads: usize,
    finished: bool,
}

impl<R: BufRead> Xz<R> {
    fn new(input: Input<R>, threads: usize) -> Result<Xz<R>> {
        Ok(Xz { input, stream: xz_stream(threads)?, threads, finished: false })
    }

    /// Called between streams: goes past padding and begins the next stream, if there is one.
    fn next_stream(&mut self) -> io::Result<()> {
        let mut padding = 0;
        loop {
            let bytes = self.input.fill_buf()?;
            let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
            let more = zeros == bytes.len() && zeros > 0;
            let ended = bytes.is_empty();
            self.input.consume(zeros);
            padding += zeros as u64;
            if more {
                continue;
            }
            if padding % 4 != 0 {
                let reason = "stream padding is not a multiple of four bytes";
                return Err(Error::corrupt("xz stream", self.input.offset, reason).into());
            }
            self.finished = ended;
            if !ended {
                self.stream = xz_stream(self.threads)?;
            }
            return Ok(());
        }
    }
}

impl<R: BufRead> Read for Xz<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while !self.finished && !out.is_empty() {
            let input = self.input.fill_buf()?;
            let ended = input.is_empty();
            let (in_before, out_before) = (self.stream.total_in(), self.stream.total_out());
            let action = if ended { Action::Finish } else { Action::Run };
            let status = self.stream.process(input, out, action);
            let consumed = (self.stream.total_in() - in_before) as usize;
            let produced = (self.stream.total_out() - out_before) as usize;
            self.input.consume(consumed);
            match status {
                Ok(Status::StreamEnd) => self.next_stream()?,
                Ok(_) if produced > 0 => {}
                // liblzma reports that it cannot go on only when it is called again, with nothing new
                Ok(Status::MemNeeded) if ended => {
                    return Err(Error::truncated("xz stream", self.input.offset, 1, 0).into())
                }
                Ok(Status::MemNeeded) => {
                    let reason = "the decoder makes no progress";
                    return Err(Error::corrupt("xz stream", self.input.offset, reason).into());
                }
                Ok(_) => {}
                Err(error) => return Err(xz_error(error, self.input.offset).into()),
            }
            if produced > 0 {
                return Ok(produced);
            }
        }
        Ok(0)
    }
}

fn xz_stream(threads: usize) -> Result<Stream> {
    let stream = if threads > 1 {
        MtStreamBuilder::new()
            .threads(threads as u32)
            .memlimit_threading(XZ_MEMORY_FOR_THREADS)
            .memlimit_stop(XZ_MEMORY)
            .decoder()
    } else {
        Stream::new_stream_decoder(XZ_MEMORY, 0)
    };
    stream.map_err(|error| xz_error(error, 0))
}

fn xz_error(error: liblzma::stream::Error, offset: u64) -> Error {
    use liblzma::stream::Error as Xz;
    match error {
        Xz::Mem => Error::Io { op: "decompress", source: io::ErrorKind::OutOfMemory.into() },
        Xz::MemLimit => {
            Error::unsupported("xz dictionary", format_args!("more than {} MiB", XZ_MEMORY >> 20))
        }
        Xz::Options => Error::corrupt("xz stream", offset, "unknown filter or flag"),
        Xz::Format => Error::corrupt("xz stream", offset, "no stream header"),
        Xz::Data => Error::corrupt("xz stream", offset, "the compressed data is damaged"),
        other => Error::corrupt("xz stream", offset, other.to_string()),
    }
}

/// The whole of a single file that may be compressed, such as a `.ko.xz`. More than `limit` bytes are refused.
pub fn decompress(bytes: &[u8], limit: u64) -> Result<Cow<'_, [u8]>> {
    if Compression::detect(bytes)? == Compression::None {
        return match bytes.len() as u64 {
            size if size > limit => Err(Error::too_large("file", size, limit)),
            _ => Ok(Cow::Borrowed(bytes)),
        };
    }
    let mut decoder = BufReader::with_capacity(WINDOW.min(bytes.len() * 4), Decoder::new(bytes, 1)?);
    let mut out = Vec::new();
    loop {
        let window = decoder.fill_buf().map_err(Error::io("decompress"))?;
        if window.is_empty() {
            return Ok(Cow::Owned(out));
        }
        if (out.len() + window.len()) as u64 > limit {
            return Err(Error::too_large("decompressed file", (out.len() + window.len()) as u64, limit));
        }
        out.extend_from_slice(window);
        let read = window.len();
        decoder.consume(read);
    }
}

/// The first `size` bytes of what `bytes`, the beginning of a file that may be compressed, stand for; fewer if
/// there are no more. It is an error only if there is not one; zstd gives none before the end of its first block.
pub fn head(bytes: &[u8], size: usize) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let read = Decoder::new(bytes, 1)?.take(size as u64).read_to_end(&mut out);
    match read {
        Err(error) if out.is_empty() => Err(Error::io("decompress")(error)),
        _ => Ok(out),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::io::Write;

    pub fn xz(bytes: &[u8]) -> Vec<u8> {
        liblzma::encode_all(bytes, 1).unwrap()
    }

    /// As `dpkg-deb` does it: several blocks, each with its sizes in its header.
    pub fn xz_blocks(bytes: &[u8], block_size: u64) -> Vec<u8> {
        let stream = MtStreamBuilder::new().threads(2).block_size(block_size).preset(1).encoder().unwrap();
        let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    pub fn zst(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 1).unwrap()
    }

    pub fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Text that compresses, but not to nothing.
    pub fn sample(size: usize) -> Vec<u8> {
        let mut state = 1u32;
        let mut out = Vec::with_capacity(size + 16);
        while out.len() < size {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            out.extend_from_slice(format!("{:x} ", state >> 12).as_bytes());
        }
        out.truncate(size);
        out
    }

    /// Hands out `step` bytes at a time, so that magic numbers and headers are cut.
    struct Dribble<'a> {
        bytes: &'a [u8],
        step: usize,
    }

    impl Read for Dribble<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            read_buffered(self, out)
        }
    }

    impl BufRead for Dribble<'_> {
        fn fill_buf(&mut self) -> io::Result<&[u8]> {
            Ok(&self.bytes[..self.step.min(self.bytes.len())])
        }
        fn consume(&mut self, amount: usize) {
            self.bytes = &self.bytes[amount..];
        }
    }

    fn decode(bytes: &[u8], threads: usize, step: usize) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        Decoder::new(Dribble { bytes, step }, threads)?.read_to_end(&mut out).map_err(Error::io("read"))?;
        Ok(out)
    }

    #[test]
    fn every_format_gives_the_bytes_back() {
        let plain = sample(200_000);
        for packed in [plain.clone(), xz(&plain), xz_blocks(&plain, 30_000), zst(&plain), gz(&plain)] {
            for (threads, step) in [(1, 1 << 20), (3, 1 << 20), (1, 1), (2, 777)] {
                assert!(
                    decode(&packed, threads, step).unwrap() == plain,
                    "{:x?} {threads} {step}",
                    &packed[..4]
                );
            }
            assert!(decompress(&packed, 200_000).unwrap() == plain);
        }
    }

    #[test]
    fn streams_one_after_the_other_read_as_one() {
        for (pack, padding) in [(xz as fn(&[u8]) -> Vec<u8>, 8), (zst, 0), (gz, 0)] {
            let mut packed = pack(b"one ");
            packed.resize(packed.len() + padding, 0);
            packed.extend(pack(b"two"));
            packed.resize(packed.len() + padding, 0);
            assert_eq!(decode(&packed, 2, 5).unwrap(), b"one two");
        }
        let mut packed = xz(b"one");
        packed.push(0);
        assert!(decode(&packed, 1, 99).unwrap_err().to_string().contains("multiple of four"));
    }

    #[test]
    fn every_truncation_is_an_error() {
        let plain = sample(3_000);
        for packed in [xz(&plain), xz_blocks(&plain, 1_000), zst(&plain), gz(&plain)] {
            for end in (6..packed.len()).step_by(3) {
                for threads in [1, 2] {
                    let error = decode(&packed[..end], threads, 1 << 20).unwrap_err();
                    let is_truncated = matches!(error, Error::Truncated { .. });
                    assert!(is_truncated, "{:x?} cut at {end} of {}: {error}", &packed[..4], packed.len());
                }
            }
        }
    }

    #[test]
    fn a_flipped_bit_never_goes_unnoticed_or_gives_other_bytes() {
        let plain = sample(2_000);
        for packed in [xz(&plain), xz_blocks(&plain, 1_000), gz(&plain)] {
            for at in 10..packed.len() {
                let mut damaged = packed.clone();
                damaged[at] ^= 0x10;
                // gzip has fields that mean nothing to the data
                if let Ok(bytes) = decode(&damaged, 2, 1 << 20) {
                    assert!(bytes == plain, "{:x?} at {at}", &packed[..4]);
                }
            }
        }
        let mut damaged = xz(&plain);
        damaged[100] ^= 1;
        let error = decode(&damaged, 1, 1 << 20).unwrap_err();
        assert!(matches!(error, Error::Corrupt { offset, .. } if offset > 24), "{error}");
    }

    #[test]
    fn the_head_of_a_cut_file_is_read() {
        let plain = sample(600_000);
        for packed in [plain.clone(), xz(&plain), gz(&plain), zst(&plain)] {
            for end in [packed.len(), packed.len() * 9 / 10] {
                let found = head(&packed[..end], 99).unwrap();
                assert!(found == plain[..99], "{:x?} cut at {end}", &packed[..4]);
            }
        }
        assert_eq!(head(b"short", 99).unwrap(), b"short");
        assert!(head(&xz(&plain)[..20], 99).is_err());
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        for bomb in [xz(&vec![0; 9 << 20]), zst(&vec![0; 9 << 20]), gz(&vec![0; 9 << 20])] {
            assert!(bomb.len() < 1 << 20);
            assert!(matches!(decompress(&bomb, 1 << 20), Err(Error::TooLarge { limit: 1_048_576, .. })));
        }
        assert!(matches!(decompress(b"plain", 4), Err(Error::TooLarge { size: 5, .. })));
    }

    #[test]
    fn other_compressions_are_named() {
        assert_eq!(decompress(b"BZh91AY", 99).unwrap_err().to_string(), "unsupported compression: bzip2");
        assert!(matches!(decompress(b"BZhello", 99), Ok(Cow::Borrowed(b"BZhello"))));
    }
}
